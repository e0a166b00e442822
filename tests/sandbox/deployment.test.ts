/** Rollouts, through the real kubectl. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import type { Deployment, EndpointSlice, KubeEvent, Pod, ReplicaSet } from '../../sandbox/kinds.ts'
import { PATIENCE_MS, READY, TestCluster, deployment, service } from './fixtures/cluster.ts'

let cluster: TestCluster
let images: string[]

beforeAll(async () => {
  cluster = new TestCluster()
  images = await Promise.all(['1', '2'].map((VERSION) => cluster.push(`app:${VERSION}`, { VERSION })))
})
afterAll(() => cluster.stop())
setDefaultTimeout(2 * PATIENCE_MS)

const image = (version: 1 | 2) => images[version - 1] ?? ''
const condition = ({ status }: Deployment, type: string) =>
  status?.conditions?.find((one) => one.type === type)
const setsOf = (name: string) =>
  cluster.store.list<ReplicaSet>('replicasets').filter(({ metadata }) => metadata.labels?.app === name)

function readyEndpoints(name: string): number {
  const slices = cluster.store.list<EndpointSlice>('endpointslices', 'default')
  const own = slices.filter(({ metadata }) => metadata.labels?.['kubernetes.io/service-name'] === name)
  return own.flatMap(({ endpoints }) => endpoints ?? []).filter(({ conditions }) => conditions.ready).length
}

test.concurrent('a rolling update with maxUnavailable 0 never has fewer ready endpoints than replicas', async () => {
  const strategy = { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } }
  const container = { image: image(1), readinessProbe: READY }
  await cluster.apply(deployment('web', container, { replicas: 3, strategy }), service('web', { app: 'web' }))
  await cluster.kubectl('rollout', 'status', 'deployment/web', '--timeout=30s')

  const seen: { ready: number; pods: number }[] = []
  const unsubscribe = cluster.store.subscribe(() => {
    const pods = cluster.store
      .list<Pod>('pods', 'default')
      .filter(({ metadata }) => metadata.labels?.app === 'web')
    const counted = pods.filter(({ metadata }) => !metadata.deletionTimestamp)
    seen.push({ ready: readyEndpoints('web'), pods: counted.length })
  })
  await cluster.kubectl('set', 'image', 'deployment/web', `app=${image(2)}`)
  await cluster.kubectl('rollout', 'status', 'deployment/web', '--timeout=30s')
  unsubscribe()

  expect(Math.min(...seen.map(({ ready }) => ready))).toBe(3)
  expect(Math.max(...seen.map(({ pods }) => pods))).toBe(4)
  const [old, next] = setsOf('web').toSorted((a, b) => revision(a) - revision(b))
  expect([old?.spec.replicas, next?.spec.replicas]).toEqual([0, 3])
  const reached = await cluster.until<Deployment>(
    'deployments',
    'web',
    ({ status }) => status?.replicas === 3,
  )
  expect(reached.status).toMatchObject({ updatedReplicas: 3, readyReplicas: 3, availableReplicas: 3 })
  expect(condition(reached, 'Progressing')).toMatchObject({
    status: 'True',
    reason: 'NewReplicaSetAvailable',
  })
  expect(condition(reached, 'Available')).toMatchObject({
    status: 'True',
    reason: 'MinimumReplicasAvailable',
  })
})

const revision = ({ metadata }: ReplicaSet) =>
  Number(metadata.annotations?.['deployment.kubernetes.io/revision'])

const revisionsOf = (name: string) =>
  setsOf(name)
    .map(revision)
    .toSorted((a, b) => a - b)

test.concurrent('rollout history, undo and restart', async () => {
  await cluster.apply(deployment('undo', { image: image(1) }))
  await cluster.kubectl('rollout', 'status', 'deployment/undo', '--timeout=30s')
  await cluster.kubectl('set', 'image', 'deployment/undo', `app=${image(2)}`)
  await cluster.kubectl('rollout', 'status', 'deployment/undo', '--timeout=30s')
  expect(await cluster.kubectl('rollout', 'history', 'deployment/undo')).toMatch(/^1 .*\n2 /m)

  await cluster.kubectl('rollout', 'undo', 'deployment/undo')
  await cluster.kubectl('rollout', 'status', 'deployment/undo', '--timeout=30s')
  const undone = cluster.store.get<Deployment>('deployments', 'default', 'undo')
  expect(undone?.spec.template.spec.containers[0]?.image).toBe(image(1))
  expect(undone?.metadata.annotations?.['deployment.kubernetes.io/revision']).toBe('3')
  expect(revisionsOf('undo')).toEqual([2, 3])

  await cluster.kubectl('rollout', 'restart', 'deployment/undo')
  await cluster.kubectl('rollout', 'status', 'deployment/undo', '--timeout=30s')
  expect(revisionsOf('undo')).toEqual([2, 3, 4])
})

test.concurrent('a rollout that cannot succeed exceeds its deadline and leaves the old pods', async () => {
  const within = (progressDeadlineSeconds: number) =>
    cluster.kubectl(
      'patch',
      'deployment',
      'stuck',
      '-p',
      JSON.stringify({ spec: { progressDeadlineSeconds } }),
    )
  await cluster.apply(deployment('stuck', { image: image(1), readinessProbe: READY }, { replicas: 2 }))
  await cluster.kubectl('rollout', 'status', 'deployment/stuck', '--timeout=30s')
  await within(1)
  await cluster.kubectl('set', 'env', 'deployment/stuck', 'NEVER_READY=1')
  const failed = await cluster.try(['rollout', 'status', 'deployment/stuck', '--timeout=30s'])
  expect(failed.code).toBe(1)
  expect(failed.stderr).toContain('deployment "stuck" exceeded its progress deadline')
  const stuck = cluster.store.get<Deployment>('deployments', 'default', 'stuck')
  expect(stuck && condition(stuck, 'Progressing')).toMatchObject({
    status: 'False',
    reason: 'ProgressDeadlineExceeded',
  })
  expect(stuck?.status).toMatchObject({ availableReplicas: 2, updatedReplicas: 1, unavailableReplicas: 1 })

  await within(600)
  await cluster.kubectl('rollout', 'undo', 'deployment/stuck')
  await cluster.kubectl('rollout', 'status', 'deployment/stuck', '--timeout=30s')
})

test.concurrent('Recreate starts new pods only after the old ones are gone', async () => {
  await cluster.apply(
    deployment('once', { image: image(1) }, { replicas: 2, strategy: { type: 'Recreate' } }),
  )
  await cluster.kubectl('rollout', 'status', 'deployment/once', '--timeout=30s')
  const mixed = new Set<string>()
  const unsubscribe = cluster.store.subscribe(() => {
    const pods = cluster.store.list<Pod>('pods').filter(({ metadata }) => metadata.labels?.app === 'once')
    mixed.add([...new Set(pods.map(({ spec }) => spec.containers[0]?.image))].join())
  })
  await cluster.kubectl('set', 'image', 'deployment/once', `app=${image(2)}`)
  await cluster.kubectl('rollout', 'status', 'deployment/once', '--timeout=30s')
  unsubscribe()
  expect([...mixed]).toEqual([image(1), '', image(2)])
})

test.concurrent('a paused Deployment is scaled but not rolled out', async () => {
  await cluster.apply(deployment('paused', { image: image(1) }))
  await cluster.kubectl('rollout', 'status', 'deployment/paused', '--timeout=30s')
  await cluster.kubectl('rollout', 'pause', 'deployment/paused')
  await cluster.kubectl('set', 'image', 'deployment/paused', `app=${image(2)}`)
  await cluster.kubectl('scale', 'deployment/paused', '--replicas=2')
  const scaled = await cluster.until<Deployment>(
    'deployments',
    'paused',
    ({ status }) => status?.readyReplicas === 2,
  )
  expect(scaled.status?.updatedReplicas).toBeUndefined()
  expect(setsOf('paused')).toHaveLength(1)
  expect(condition(scaled, 'Progressing')?.reason).toBe('DeploymentPaused')
  await cluster.kubectl('rollout', 'resume', 'deployment/paused')
  await cluster.kubectl('rollout', 'status', 'deployment/paused', '--timeout=30s')
  expect(setsOf('paused').map(({ spec }) => spec.replicas)).toEqual(expect.arrayContaining([0, 2]))
})

test.concurrent('minReadySeconds delays availability, not readiness', async () => {
  const seen: [ready: number, available: number][] = []
  const unsubscribe = cluster.store.subscribe(() => {
    const status = cluster.store.get<Deployment>('deployments', 'default', 'patient')?.status
    seen.push([status?.readyReplicas ?? 0, status?.availableReplicas ?? 0])
  })
  await cluster.apply(deployment('patient', { image: image(1) }, { minReadySeconds: 2 }))
  await cluster.until<Deployment>('deployments', 'patient', ({ status }) => status?.availableReplicas === 1)
  unsubscribe()
  expect(seen).toContainEqual([1, 0])
})

test.concurrent('revisionHistoryLimit forgets the oldest ReplicaSets', async () => {
  await cluster.apply(deployment('brief', { image: image(1) }, { revisionHistoryLimit: 1 }))
  for (const value of ['a', 'b', 'c']) {
    await cluster.kubectl('set', 'env', 'deployment/brief', `ROUND=${value}`)
    await cluster.kubectl('rollout', 'status', 'deployment/brief', '--timeout=30s')
  }
  await cluster.untilAll<ReplicaSet>('replicasets', () => setsOf('brief').length === 2)
  expect(revisionsOf('brief')).toEqual([3, 4])
})

test.concurrent('a quota that is used up shows as ReplicaFailure and FailedCreate, and heals', async () => {
  await cluster.kubectl('create', 'namespace', 'small')
  await cluster.kubectl('create', 'quota', 'few', '--hard=pods=1', '-n', 'small')
  const wanted = deployment('greedy', { image: image(1) }, { replicas: 2 })
  await cluster.apply({ ...wanted, metadata: { ...wanted.metadata, namespace: 'small' } })
  const failed = await cluster.until<Deployment>(
    'deployments',
    'greedy',
    (one) => condition(one, 'ReplicaFailure') !== undefined,
    'small',
  )
  expect(condition(failed, 'ReplicaFailure')).toMatchObject({ status: 'True', reason: 'FailedCreate' })
  expect(condition(failed, 'ReplicaFailure')?.message).toContain('exceeded quota: few')
  const events = cluster.store
    .list<KubeEvent>('events', 'small')
    .filter(({ reason }) => reason === 'FailedCreate')
  expect(events[0]?.message).toMatch(/^Error creating: pods "greedy-\S+" is forbidden: exceeded quota/)

  await cluster.kubectl('delete', 'quota', 'few', '-n', 'small')
  const healed = await cluster.until<Deployment>(
    'deployments',
    'greedy',
    ({ status }) => status?.availableReplicas === 2,
    'small',
  )
  expect(condition(healed, 'ReplicaFailure')).toBeUndefined()
})

test.concurrent('deleting a Deployment deletes its ReplicaSets and pods', async () => {
  await cluster.apply(deployment('brief-life', { image: image(1) }))
  await cluster.kubectl('rollout', 'status', 'deployment/brief-life', '--timeout=30s')
  await cluster.kubectl('delete', 'deployment', 'brief-life')
  await cluster.untilAll<Pod>('pods', (pods) =>
    pods.every(({ metadata }) => metadata.labels?.app !== 'brief-life'),
  )
  expect(setsOf('brief-life')).toEqual([])
})
