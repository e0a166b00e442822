/** Endpoints and EndpointSlices of each Service with a selector: which pods may receive its traffic. */
import type {
  EndpointAddress,
  EndpointPort,
  Endpoints,
  EndpointSlice,
  Pod,
  Service,
  SliceEndpoint,
} from '../kinds.ts'
import type { KubeObject } from '../store.ts'
import type { Cluster, Controller } from './controller.ts'
import { keyOf } from './controller.ts'
import { isFinished, isReady, randomSuffix } from './pods.ts'
import { matches, ownedBy } from './selector.ts'

const SERVICE_NAME = 'kubernetes.io/service-name'
const MANAGED_BY = 'endpointslice.kubernetes.io/managed-by'
const PER_SLICE = 100

/** A pod behind the Service, and where in it each of the Service's ports leads. */
interface Backend {
  pod: Pod
  ip: string
  ports: EndpointPort[]
}

export function endpointsController(cluster: Cluster): Controller {
  const { store } = cluster
  const ofPod = (pod: KubeObject): string[] => {
    // All that have a selector, not only those that match now: a relabelled pod must leave the others.
    const services = store.list<Service>('services', pod.metadata.namespace)
    return services.filter(({ spec }) => spec.selector).map(keyOf)
  }
  return {
    name: 'endpoints-controller',
    triggers: { services: (service) => [keyOf(service)], pods: ofPod },
    reconcile(namespace, name) {
      const service = store.get<Service>('services', namespace, name)
      if (!service) store.remove('endpoints', namespace, name) // its slices go by their owner reference
      else if (service.spec.selector && Object.keys(service.spec.selector).length) reconcile(cluster, service)
      return undefined
    },
  }
}

function reconcile(cluster: Cluster, service: Service): void {
  const selector = { matchLabels: service.spec.selector ?? {} }
  const backends = cluster.store
    .list<Pod>('pods', service.metadata.namespace)
    .filter((pod) => matches(selector, pod.metadata.labels) && !isFinished(pod))
    .flatMap((pod) => backend(service, pod))
    .toSorted((a, b) => a.pod.metadata.name.localeCompare(b.pod.metadata.name))
  writeEndpoints(cluster, service, backends)
  writeSlices(cluster, service, backends)
}

/** None for a pod that has no address yet. A named port that the pod lacks is left out. */
function backend({ spec }: Service, pod: Pod): Backend[] {
  const ip = pod.status?.podIP
  if (!ip) return []
  const declared = pod.spec.containers.flatMap(({ ports }) => ports ?? [])
  const ports = (spec.ports ?? []).flatMap(({ name, port, targetPort = port, protocol = 'TCP' }) => {
    const named = declared.find((one) => one.name === targetPort && (one.protocol ?? 'TCP') === protocol)
    const number = typeof targetPort === 'number' ? targetPort : named?.containerPort
    return number === undefined ? [] : [{ ...(name && { name }), port: number, protocol }]
  })
  return [{ pod, ip, ports }]
}

/** The older form, which leaves terminating pods out altogether. */
function writeEndpoints({ store }: Cluster, service: Service, backends: Backend[]): void {
  const { publishNotReadyAddresses = false } = service.spec
  const groups = byPorts(backends.filter(({ pod, ports }) => ports.length && !pod.metadata.deletionTimestamp))
  const subsets = groups.map((group) => {
    const [ready, notReady] = [true, false].map((wanted) =>
      group.filter(({ pod }) => (publishNotReadyAddresses || isReady(pod)) === wanted).map(address),
    )
    return {
      ...(ready?.length && { addresses: ready }),
      ...(notReady?.length && { notReadyAddresses: notReady }),
      ports: group[0]?.ports ?? [],
    }
  })
  const { namespace = 'default', name, labels } = service.metadata
  const wanted: Endpoints = {
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: { name, namespace, ...(labels && { labels }) },
    ...(subsets.length && { subsets }),
  }
  const present = store.get<Endpoints>('endpoints', namespace, name)
  if (present) store.update('endpoints', { ...wanted, metadata: { ...present.metadata, ...wanted.metadata } })
  else store.create('endpoints', wanted)
}

function writeSlices({ store }: Cluster, service: Service, backends: Backend[]): void {
  const { namespace, name } = service.metadata
  const present = store
    .list<EndpointSlice>('endpointslices', namespace)
    .filter(({ metadata }) => metadata.labels?.[SERVICE_NAME] === name && metadata.labels[MANAGED_BY])
  for (const { ports, endpoints } of contentsOf(service, backends)) {
    const known = present.findIndex((slice) => Bun.deepEquals(slice.ports, ports))
    const [reused] = known >= 0 ? present.splice(known, 1) : []
    if (reused) store.update<EndpointSlice>('endpointslices', { ...reused, endpoints })
    else store.create('endpointslices', newSlice(service, ports, endpoints))
  }
  for (const { metadata } of present) store.remove('endpointslices', namespace, metadata.name)
}

type SliceContents = Pick<EndpointSlice, 'ports' | 'endpoints'>

/** One slice for each set of ports, cut at 100; an empty one where there is nothing, as in Kubernetes. */
function contentsOf(service: Service, backends: Backend[]): SliceContents[] {
  const contents = byPorts(backends).flatMap((group) =>
    chunks(group, PER_SLICE).map((chunk) => ({
      ports: (group[0]?.ports ?? []).map((port) => ({ name: '', ...port })), // slices always name a port
      endpoints: chunk.map((one) => sliceEndpoint(service, one)),
    })),
  )
  return contents.length ? contents : [{ ports: null, endpoints: null }]
}

function newSlice(service: Service, ports: SliceContents['ports'], endpoints: SliceContents['endpoints']) {
  const { namespace = 'default', name, labels } = service.metadata
  const slice: EndpointSlice = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${name}-${randomSuffix()}`,
      namespace,
      labels: { ...labels, [SERVICE_NAME]: name, [MANAGED_BY]: 'endpointslice-controller.k8s.io' },
      ownerReferences: [ownedBy(service)],
    },
    addressType: 'IPv4',
    endpoints,
    ports,
  }
  return slice
}

function sliceEndpoint({ spec }: Service, { pod, ip }: Backend): SliceEndpoint {
  const serving = spec.publishNotReadyAddresses || isReady(pod)
  const terminating = pod.metadata.deletionTimestamp !== undefined
  const { nodeName } = pod.spec
  return {
    addresses: [ip],
    conditions: { ready: serving && !terminating, serving, terminating },
    targetRef: targetRef(pod),
    ...(nodeName && { nodeName }),
  }
}

function address({ pod, ip }: Backend): EndpointAddress {
  const { nodeName } = pod.spec
  return { ip, ...(nodeName && { nodeName }), targetRef: targetRef(pod) }
}

function targetRef({ metadata: { namespace, name, uid } }: Pod) {
  return { kind: 'Pod', ...(namespace && { namespace }), name, ...(uid && { uid }) }
}

function byPorts(backends: Backend[]): Backend[][] {
  return [...Map.groupBy(backends, ({ ports }) => JSON.stringify(ports)).values()]
}

function chunks<T>(list: T[], size: number): T[][] {
  const starts = Array.from({ length: Math.ceil(list.length / size) }, (_none, index) => index * size)
  return starts.map((start) => list.slice(start, start + size))
}
