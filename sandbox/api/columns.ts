/** What `kubectl get` prints of each kind: the columns and the cells of a real server. */
import { describeTargets } from './autoscaler.ts'
import { humanDuration, since } from './duration.ts'
import { type Json, type JsonMap, at, listAt, mapAt, numberAt, stringAt, text as textOf } from './json.ts'
import { podReady, podRestarts, podStatus } from './pod-summary.ts'
import { formatSelector } from './selector.ts'

export interface Column {
  name: string
  cell: (object: JsonMap) => Json
  /** Shown with `-o wide` only. */
  wide?: boolean
}

export function columnsOf(kind: string): Column[] {
  return [...(kind === 'Event' ? [] : [name]), ...(kinds[kind] ?? [age])]
}

const name: Column = { name: 'Name', cell: (object) => stringAt(object, 'metadata', 'name') }
const age: Column = {
  name: 'Age',
  cell: (object) => since(stringAt(object, 'metadata', 'creationTimestamp')),
}
const createdAt: Column = {
  name: 'Created At',
  cell: (object) => stringAt(object, 'metadata', 'creationTimestamp'),
}

function text(title: string, ...path: string[]): Column {
  return { name: title, cell: (object) => stringAt(object, ...path) }
}

function number(title: string, ...path: string[]): Column {
  return { name: title, cell: (object) => numberAt(object, ...path) }
}

/** `<none>` where there is nothing. */
function orNone(value: string): string {
  return value || '<none>'
}

function wide(...columns: Column[]): Column[] {
  return columns.map((column) => ({ ...column, wide: true }))
}

const ofTemplate = wide(
  { name: 'Containers', cell: (object) => templateContainers(object, 'name') },
  { name: 'Images', cell: (object) => templateContainers(object, 'image') },
  { name: 'Selector', cell: (object) => orNone(formatSelector(at(object, 'spec', 'selector'))) },
)

function templateContainers(object: JsonMap, field: string): string {
  return listAt(object, 'spec', 'template', 'spec', 'containers')
    .map((each) => stringAt(each, field))
    .join(',')
}

function size(object: JsonMap, ...fields: string[]): number {
  return fields.reduce((sum, field) => sum + Object.keys(mapAt(object, field)).length, 0)
}

const kinds: Record<string, Column[]> = {
  Namespace: [text('Status', 'status', 'phase'), age],
  Node: [
    { name: 'Status', cell: nodeStatus },
    { name: 'Roles', cell: () => '<none>' },
    age,
    text('Version', 'status', 'nodeInfo', 'kubeletVersion'),
    ...wide(
      {
        name: 'Internal-IP',
        cell: (node) =>
          orNone(
            stringAt(
              listAt(node, 'status', 'addresses').find(({ type }) => type === 'InternalIP'),
              'address',
            ),
          ),
      },
      text('OS-Image', 'status', 'nodeInfo', 'osImage'),
      text('Kernel-Version', 'status', 'nodeInfo', 'kernelVersion'),
      text('Container-Runtime', 'status', 'nodeInfo', 'containerRuntimeVersion'),
    ),
  ],
  Pod: [
    { name: 'Ready', cell: podReady },
    { name: 'Status', cell: podStatus },
    { name: 'Restarts', cell: podRestarts },
    age,
    ...wide(
      { name: 'IP', cell: (pod) => orNone(stringAt(pod, 'status', 'podIP')) },
      { name: 'Node', cell: (pod) => orNone(stringAt(pod, 'spec', 'nodeName')) },
      { name: 'Nominated Node', cell: () => '<none>' },
      { name: 'Readiness Gates', cell: () => '<none>' },
    ),
  ],
  Deployment: [
    {
      name: 'Ready',
      cell: (object) =>
        `${numberAt(object, 'status', 'readyReplicas')}/${numberAt(object, 'spec', 'replicas')}`,
    },
    number('Up-to-date', 'status', 'updatedReplicas'),
    number('Available', 'status', 'availableReplicas'),
    age,
    ...ofTemplate,
  ],
  ReplicaSet: [
    number('Desired', 'spec', 'replicas'),
    number('Current', 'status', 'replicas'),
    number('Ready', 'status', 'readyReplicas'),
    age,
    ...ofTemplate,
  ],
  Job: [
    { name: 'Status', cell: jobStatus },
    { name: 'Completions', cell: jobCompletions },
    { name: 'Duration', cell: jobDuration },
    age,
    ...ofTemplate,
  ],
  CronJob: [
    text('Schedule', 'spec', 'schedule'),
    { name: 'Timezone', cell: (object) => orNone(stringAt(object, 'spec', 'timeZone')) },
    { name: 'Suspend', cell: (object) => (at(object, 'spec', 'suspend') === true ? 'True' : 'False') },
    { name: 'Active', cell: (object) => listAt(object, 'status', 'active').length },
    { name: 'Last Schedule', cell: (object) => lastSchedule(stringAt(object, 'status', 'lastScheduleTime')) },
    age,
  ],
  Service: [
    text('Type', 'spec', 'type'),
    { name: 'Cluster-IP', cell: (object) => orNone(stringAt(object, 'spec', 'clusterIP')) },
    { name: 'External-IP', cell: externalIP },
    { name: 'Port(s)', cell: servicePorts },
    age,
    ...wide({
      name: 'Selector',
      cell: (object) => orNone(formatSelector({ matchLabels: mapAt(object, 'spec', 'selector') })),
    }),
  ],
  Endpoints: [{ name: 'Endpoints', cell: endpoints }, age],
  EndpointSlice: [
    text('AddressType', 'addressType'),
    {
      name: 'Ports',
      cell: (slice) =>
        shortList(
          listAt(slice, 'ports').map((port) => stringAt(port, 'port')),
          '<unset>',
        ),
    },
    {
      name: 'Endpoints',
      cell: (slice) => shortList(listAt(slice, 'endpoints').map(firstAddress), '<unset>'),
    },
    age,
  ],
  ConfigMap: [{ name: 'Data', cell: (object) => size(object, 'data', 'binaryData') }, age],
  Secret: [text('Type', 'type'), { name: 'Data', cell: (object) => size(object, 'data') }, age],
  ServiceAccount: [{ name: 'Secrets', cell: (object) => listAt(object, 'secrets').length }, age],
  Event: [
    {
      name: 'Last Seen',
      cell: (event) =>
        since(stringAt(event, 'lastTimestamp') || stringAt(event, 'metadata', 'creationTimestamp')),
    },
    text('Type', 'type'),
    text('Reason', 'reason'),
    {
      name: 'Object',
      cell: (event) =>
        `${stringAt(event, 'involvedObject', 'kind').toLowerCase()}/${stringAt(event, 'involvedObject', 'name')}`,
    },
    ...wide(text('Subobject', 'involvedObject', 'fieldPath'), {
      name: 'Source',
      cell: (event) =>
        [stringAt(event, 'source', 'component'), stringAt(event, 'source', 'host')]
          .filter(Boolean)
          .join(', '),
    }),
    { name: 'Message', cell: (event) => stringAt(event, 'message').trim() },
    ...wide(
      { name: 'First Seen', cell: (event) => since(stringAt(event, 'firstTimestamp')) },
      number('Count', 'count'),
      name,
    ),
  ],
  ResourceQuota: [
    { name: 'Request', cell: (quota) => usage(quota, (key) => !key.startsWith('limits.')) },
    { name: 'Limit', cell: (quota) => usage(quota, (key) => key.startsWith('limits.')) },
    age,
  ],
  LimitRange: [createdAt],
  PersistentVolumeClaim: [
    text('Status', 'status', 'phase'),
    text('Volume', 'spec', 'volumeName'),
    text('Capacity', 'status', 'capacity', 'storage'),
    { name: 'Access Modes', cell: (claim) => accessModes(at(claim, 'status', 'accessModes')) },
    text('StorageClass', 'spec', 'storageClassName'),
    age,
  ],
  HorizontalPodAutoscaler: [
    {
      name: 'Reference',
      cell: (object) =>
        `${stringAt(object, 'spec', 'scaleTargetRef', 'kind')}/${stringAt(object, 'spec', 'scaleTargetRef', 'name')}`,
    },
    { name: 'Targets', cell: describeTargets },
    text('MinPods', 'spec', 'minReplicas'),
    number('MaxPods', 'spec', 'maxReplicas'),
    number('Replicas', 'status', 'currentReplicas'),
    age,
  ],
  PodDisruptionBudget: [
    { name: 'Min Available', cell: (object) => stringAt(object, 'spec', 'minAvailable') || 'N/A' },
    { name: 'Max Unavailable', cell: (object) => stringAt(object, 'spec', 'maxUnavailable') || 'N/A' },
    number('Allowed Disruptions', 'status', 'disruptionsAllowed'),
    age,
  ],
  Ingress: [
    { name: 'Class', cell: (object) => orNone(stringAt(object, 'spec', 'ingressClassName')) },
    {
      name: 'Hosts',
      cell: (object) =>
        listAt(object, 'spec', 'rules')
          .map((rule) => stringAt(rule, 'host') || '*')
          .join(',') || '*',
    },
    {
      name: 'Address',
      cell: (object) =>
        listAt(object, 'status', 'loadBalancer', 'ingress')
          .map((each) => stringAt(each, 'ip') || stringAt(each, 'hostname'))
          .join(','),
    },
    { name: 'Ports', cell: (object) => (listAt(object, 'spec', 'tls').length > 0 ? '80, 443' : '80') },
    age,
  ],
  NetworkPolicy: [
    { name: 'Pod-Selector', cell: (object) => orNone(formatSelector(at(object, 'spec', 'podSelector'))) },
    age,
  ],
  Role: [createdAt],
  ClusterRole: [createdAt],
  RoleBinding: [{ name: 'Role', cell: roleRef }, age],
  ClusterRoleBinding: [{ name: 'Role', cell: roleRef }, age],
  Lease: [text('Holder', 'spec', 'holderIdentity'), age],
}

function roleRef(binding: JsonMap): string {
  return `${stringAt(binding, 'roleRef', 'kind')}/${stringAt(binding, 'roleRef', 'name')}`
}

function nodeStatus(node: JsonMap): string {
  const ready = listAt(node, 'status', 'conditions').find(({ type }) => type === 'Ready')
  const state = ready?.status === 'True' ? 'Ready' : ready ? 'NotReady' : 'Unknown'
  return at(node, 'spec', 'unschedulable') === true ? `${state},SchedulingDisabled` : state
}

function jobStatus(job: JsonMap): string {
  const has = (type: string): boolean =>
    listAt(job, 'status', 'conditions').some(
      (condition) => condition.type === type && condition.status === 'True',
    )
  if (has('Complete')) return 'Complete'
  if (has('Failed')) return 'Failed'
  if (stringAt(job, 'metadata', 'deletionTimestamp')) return 'Terminating'
  return has('Suspended') ? 'Suspended' : 'Running'
}

function jobCompletions(job: JsonMap): string {
  const done = numberAt(job, 'status', 'succeeded')
  const wanted = at(job, 'spec', 'completions')
  if (typeof wanted === 'number') return `${done}/${wanted}`
  const parallel = numberAt(job, 'spec', 'parallelism')
  return parallel > 1 ? `${done}/1 of ${parallel}` : `${done}/1`
}

function jobDuration(job: JsonMap): string {
  const [from, to] = [stringAt(job, 'status', 'startTime'), stringAt(job, 'status', 'completionTime')]
  if (!from) return ''
  return to ? humanDuration(Date.parse(to) - Date.parse(from)) : since(from)
}

function lastSchedule(timestamp: string): string {
  return timestamp ? since(timestamp) : '<none>'
}

function externalIP(service: JsonMap): string {
  const spec = mapAt(service, 'spec')
  if (spec.type === 'ExternalName') return stringAt(spec, 'externalName')
  const given = listAt(service, 'status', 'loadBalancer', 'ingress').map(
    (each) => stringAt(each, 'ip') || stringAt(each, 'hostname'),
  )
  const external = [...given, ...(Array.isArray(spec.externalIPs) ? spec.externalIPs.map(String) : [])]
  return external.join(',') || (spec.type === 'LoadBalancer' ? '<pending>' : '<none>')
}

function servicePorts(service: JsonMap): string {
  const ports = listAt(service, 'spec', 'ports').map((port) => {
    const node = port.nodePort ? `:${stringAt(port, 'nodePort')}` : ''
    return `${stringAt(port, 'port')}${node}/${stringAt(port, 'protocol')}`
  })
  return ports.join(',') || '<none>'
}

function endpoints(object: JsonMap): string {
  const all = listAt(object, 'subsets').flatMap((subset) => {
    const ports = listAt(subset, 'ports').map((port) => `:${stringAt(port, 'port')}`)
    return listAt(subset, 'addresses').flatMap((address) =>
      (ports.length > 0 ? ports : ['']).map((port) => `${stringAt(address, 'ip')}${port}`),
    )
  })
  return shortList(all, '<none>')
}

function firstAddress(endpoint: JsonMap): string {
  return Array.isArray(endpoint.addresses) ? textOf(endpoint.addresses[0]) : ''
}

/** The first three, and how many more. */
function shortList(all: string[], none: string): string {
  if (all.length === 0) return none
  return all.slice(0, 3).join(',') + (all.length > 3 ? ` + ${all.length - 3} more...` : '')
}

function usage(quota: JsonMap, isShown: (key: string) => boolean): string {
  const hard = mapAt(quota, 'status', 'hard')
  const keys = Object.keys(hard).filter(isShown).toSorted()
  return keys
    .map((key) => `${key}: ${stringAt(quota, 'status', 'used', key) || '0'}/${stringAt(hard, key)}`)
    .join(', ')
}

function accessModes(modes: unknown): string {
  const short: Record<string, string> = {
    ReadWriteOnce: 'RWO',
    ReadOnlyMany: 'ROX',
    ReadWriteMany: 'RWX',
    ReadWriteOncePod: 'RWOP',
  }
  return Array.isArray(modes) ? modes.map((mode) => short[String(mode)] ?? String(mode)).join(',') : ''
}
