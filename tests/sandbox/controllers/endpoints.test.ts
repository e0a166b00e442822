/** Endpoints and EndpointSlices, against a store alone: pods are written as a kubelet would write them. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { endpointsController } from '../../../sandbox/controllers/endpoints.ts'
import { EventRecorder } from '../../../sandbox/controllers/events.ts'
import type { EndpointSlice, Endpoints, Pod, Service } from '../../../sandbox/kinds.ts'
import { runControllers } from '../../../sandbox/controllers/controller.ts'
import { Store } from '../../../sandbox/store.ts'

let store: Store
let stop: () => void

beforeEach(() => {
  store = new Store()
  const cluster = { store, events: new EventRecorder(store), create: store.create.bind(store) }
  stop = runControllers(store, [endpointsController(cluster)], (_what, error) => {
    throw error
  })
})
afterEach(() => stop())

/** Controllers work in setImmediate: after two rounds all that follows from a write has happened. */
async function settled(): Promise<void> {
  for (let round = 0; round < 3; round++) await new Promise((resolve) => setImmediate(resolve))
}

function addPod(name: string, labels: Record<string, string>, ready: boolean, port = 8080): void {
  const [, number = '0'] = /(\d+)$/.exec(name) ?? []
  store.create<Pod>('pods', {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', labels },
    spec: {
      nodeName: 'sandbox',
      containers: [
        { name: 'app', image: 'x', ports: [{ name: 'http', containerPort: port, protocol: 'TCP' }] },
      ],
    },
    status: {
      phase: 'Running',
      podIP: `127.1.0.${number}`,
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
    },
  })
}

function addService(spec: Partial<Service['spec']> = {}): void {
  store.create<Service>('services', {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace: 'default' },
    spec: { selector: { app: 'web' }, ports: [{ name: 'main', port: 80, targetPort: 'http' }], ...spec },
  })
}

const slices = () => store.list<EndpointSlice>('endpointslices', 'default')
const endpoints = () => store.get<Endpoints>('endpoints', 'default', 'web')

test('ready and unready pods, with the port by its name and the pod by its uid', async () => {
  addPod('pod-1', { app: 'web' }, true)
  addPod('pod-2', { app: 'web' }, false)
  addPod('pod-3', { app: 'other' }, true)
  addService()
  await settled()
  const [slice, ...more] = slices()
  expect(more).toEqual([])
  expect(slice).toMatchObject({
    metadata: {
      labels: { 'kubernetes.io/service-name': 'web' },
      ownerReferences: [{ kind: 'Service', name: 'web' }],
    },
    addressType: 'IPv4',
    ports: [{ name: 'main', port: 8080, protocol: 'TCP' }],
    endpoints: [
      {
        addresses: ['127.1.0.1'],
        conditions: { ready: true, serving: true, terminating: false },
        nodeName: 'sandbox',
        targetRef: {
          kind: 'Pod',
          name: 'pod-1',
          uid: store.get('pods', 'default', 'pod-1')?.metadata.uid ?? '',
        },
      },
      { addresses: ['127.1.0.2'], conditions: { ready: false, serving: false, terminating: false } },
    ],
  })
  expect(endpoints()?.subsets).toMatchObject([
    { addresses: [{ ip: '127.1.0.1' }], notReadyAddresses: [{ ip: '127.1.0.2' }], ports: [{ port: 8080 }] },
  ])
})

test('a changed selector, a relabelled pod, a terminating pod', async () => {
  addPod('pod-1', { app: 'web', color: 'blue' }, true)
  addPod('pod-2', { app: 'web', color: 'green' }, true)
  addService({ selector: { app: 'web', color: 'blue' } })
  const ready = async () => {
    await settled()
    return slices()
      .flatMap((slice) => slice.endpoints ?? [])
      .filter(({ conditions }) => conditions.ready)
      .map(({ targetRef }) => targetRef?.name)
  }
  expect(await ready()).toEqual(['pod-1'])
  store.modify<Service>(
    'services',
    'default',
    'web',
    ({ spec }) => (spec.selector = { app: 'web', color: 'green' }),
  )
  expect(await ready()).toEqual(['pod-2'])
  store.modify(
    'pods',
    'default',
    'pod-1',
    ({ metadata }) => (metadata.labels = { app: 'web', color: 'green' }),
  )
  expect(await ready()).toEqual(['pod-1', 'pod-2'])
  store.modify('pods', 'default', 'pod-2', ({ metadata }) => (metadata.labels = { app: 'gone' }))
  expect(await ready()).toEqual(['pod-1'])
  store.modify(
    'pods',
    'default',
    'pod-1',
    ({ metadata }) => (metadata.deletionTimestamp = '2026-01-01T00:00:00Z'),
  )
  expect(await ready()).toEqual([])
  expect(slices()[0]?.endpoints?.[0]?.conditions).toEqual({ ready: false, serving: true, terminating: true })
  expect(endpoints()).not.toHaveProperty('subsets')
})

test('at most 100 endpoints to a slice, and none lost when they shrink', async () => {
  for (let number = 1; number <= 205; number++) addPod(`pod-${number}`, { app: 'web' }, true)
  addService()
  await settled()
  const sizes = () => slices().map((slice) => slice.endpoints?.length ?? 0)
  expect(sizes().toSorted((a, b) => b - a)).toEqual([100, 100, 5])
  for (let number = 1; number <= 150; number++) store.remove('pods', 'default', `pod-${number}`)
  await settled()
  const left = slices().flatMap((slice) => slice.endpoints ?? [])
  expect(new Set(left.map(({ targetRef }) => targetRef?.name)).size).toBe(55)
})

test('pods whose named port differs are in slices of their own', async () => {
  addPod('pod-1', { app: 'web' }, true, 8080)
  addPod('pod-2', { app: 'web' }, true, 9090)
  addService()
  await settled()
  const ports = slices().map((slice) => slice.ports?.[0]?.port)
  expect(new Set(ports)).toEqual(new Set([8080, 9090]))
  expect(ports).toHaveLength(2)
})

test('without a selector nothing is made; without pods there is an empty slice', async () => {
  addService({ selector: {} })
  await settled()
  expect(slices()).toEqual([])
  store.modify<Service>('services', 'default', 'web', ({ spec }) => (spec.selector = { app: 'web' }))
  await settled()
  expect(slices()).toMatchObject([{ endpoints: null, ports: null }])
})
