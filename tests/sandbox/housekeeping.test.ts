/** Namespaces, owners, service accounts and autoscalers. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import type { Autoscaler, Deployment, KubeEvent, Pod } from '../../sandbox/kinds.ts'
import { PATIENCE_MS, READY, TestCluster, deployment, service } from './fixtures/cluster.ts'

let cluster: TestCluster
let image: string

beforeAll(async () => {
  cluster = new TestCluster()
  image = await cluster.push('app:1')
})
afterAll(() => cluster.stop())
setDefaultTimeout(2 * PATIENCE_MS)

const scaleOf = (name: string, replicas: number) =>
  cluster.until<Deployment>('deployments', name, ({ spec }) => spec.replicas === replicas)

function autoscaler(name: string, minReplicas: number, maxReplicas: number) {
  const scaleTargetRef = { apiVersion: 'apps/v1', kind: 'Deployment', name }
  const spec = { scaleTargetRef, minReplicas, maxReplicas, targetCPUUtilizationPercentage: 80 }
  return { apiVersion: 'autoscaling/v1', kind: 'HorizontalPodAutoscaler', metadata: { name }, spec }
}

test('a namespace is emptied, its pods with their grace, and then goes', async () => {
  await cluster.kubectl('create', 'namespace', 'doomed')
  await cluster.until('serviceaccounts', 'default', () => true, 'doomed')
  const inside = [deployment('app', { image, readinessProbe: READY }), service('app', { app: 'app' })]
  await cluster.apply(
    ...inside.map((object) => ({ ...object, metadata: { ...object.metadata, namespace: 'doomed' } })),
  )
  await cluster.kubectl('rollout', 'status', 'deployment/app', '-n', 'doomed', '--timeout=30s')
  const graceful: boolean[] = []
  const unsubscribe = cluster.store.subscribe(({ type, resource, object }) => {
    if (type === 'DELETED' && resource === 'pods')
      graceful.push(object.metadata.deletionTimestamp !== undefined)
  })
  await cluster.kubectl('delete', 'namespace', 'doomed')
  unsubscribe()
  expect(graceful).toEqual([true])
  for (const resource of ['deployments', 'replicasets', 'pods', 'services', 'endpointslices', 'events']) {
    expect(cluster.store.list(resource, 'doomed')).toEqual([])
  }
})

test('what has lost all its owners is deleted; --cascade=orphan leaves it', async () => {
  await cluster.apply(deployment('kept', { image }))
  await cluster.kubectl('rollout', 'status', 'deployment/kept', '--timeout=30s')
  const pods = () => cluster.store.list<Pod>('pods', 'default').map(({ metadata }) => metadata.name)
  const before = pods()
  await cluster.kubectl('delete', 'deployment', 'kept', '--cascade=orphan')
  expect(cluster.store.list('replicasets', 'default')).toHaveLength(1)
  await cluster.apply(deployment('kept', { image }))
  await cluster.kubectl('rollout', 'status', 'deployment/kept', '--timeout=30s')
  expect(pods()).toEqual(before) // the new Deployment has adopted what the old one left
  await cluster.kubectl('delete', 'deployment', 'kept', '--cascade=foreground')
  expect([...pods(), ...cluster.store.list('replicasets', 'default')]).toEqual([])
})

test('an owner that never existed is no owner', async () => {
  const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'ghost', uid: 'no-such-uid' }]
  await cluster.apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'haunted', ownerReferences } })
  await cluster.untilGone('configmaps', 'haunted')
})

test('the account `default` comes back', async () => {
  await cluster.kubectl('delete', 'serviceaccount', 'default')
  await cluster.until('serviceaccounts', 'default', () => true)
})

test('an autoscaler keeps its bounds and measures nothing', async () => {
  await cluster.apply(deployment('scaled', { image }), autoscaler('scaled', 2, 3))
  await scaleOf('scaled', 2)
  await cluster.kubectl('scale', 'deployment/scaled', '--replicas=5')
  await scaleOf('scaled', 3)
  await cluster.kubectl('patch', 'hpa', 'scaled', '-p', '{"spec":{"minReplicas":1,"maxReplicas":1}}')
  await scaleOf('scaled', 1)
  const events = cluster.store
    .list<KubeEvent>('events')
    .filter(({ reason }) => reason === 'SuccessfulRescale')
  expect(events.map(({ message }) => message)).toEqual([
    'New size: 2; reason: Current number of replicas below Spec.MinReplicas',
    'New size: 3; reason: Current number of replicas above Spec.MaxReplicas',
    'New size: 1; reason: Current number of replicas above Spec.MaxReplicas',
  ])
  const settled = await cluster.until<Autoscaler>(
    'horizontalpodautoscalers',
    'scaled',
    ({ status }) => status?.conditions?.some(({ reason }) => reason === 'FailedGetResourceMetric') === true,
  )
  expect(settled.status?.desiredReplicas).toBe(1)
})

test('an autoscaler leaves a target alone that was scaled to 0 by hand', async () => {
  await cluster.apply(deployment('resting', { image }, { replicas: 0 }), autoscaler('resting', 2, 3))
  const paused = await cluster.until<Autoscaler>(
    'horizontalpodautoscalers',
    'resting',
    ({ status }) => status?.conditions?.some(({ reason }) => reason === 'ScalingDisabled') === true,
  )
  expect(paused.status?.desiredReplicas).toBe(0)
  expect(cluster.store.get<Deployment>('deployments', 'default', 'resting')?.spec.replicas).toBe(0)
})
