/** Jobs, through the real kubectl. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import type { Job, KubeEvent, Pod } from '../../sandbox/kinds.ts'
import { PATIENCE_MS, TestCluster } from './fixtures/cluster.ts'

let cluster: TestCluster
let image: string

beforeAll(async () => {
  cluster = new TestCluster()
  image = await cluster.push('app:1')
})
afterAll(() => cluster.stop())
setDefaultTimeout(2 * PATIENCE_MS)

function job(name: string, script: string, spec: Partial<Job['spec']> = {}, restartPolicy = 'Never') {
  const containers = [{ name: 'app', image, command: ['sh', '-c', script] }]
  const template = { spec: { restartPolicy, terminationGracePeriodSeconds: 1, containers } }
  return { apiVersion: 'batch/v1', kind: 'Job', metadata: { name }, spec: { template, ...spec } }
}

const condition = ({ status }: Job, type: string) => status?.conditions?.find((one) => one.type === type)
const podsOf = (name: string) =>
  cluster.store.list<Pod>('pods').filter(({ metadata }) => metadata.labels?.['job-name'] === name)

test.concurrent('one that succeeds', async () => {
  await cluster.apply(job('good', 'echo migrated'))
  await cluster.kubectl('wait', '--for=condition=complete', 'job/good', '--timeout=30s')
  expect(await cluster.kubectl('logs', 'job/good')).toBe('migrated\n')
  const good = cluster.store.get<Job>('jobs', 'default', 'good')
  expect(good?.status).toMatchObject({ succeeded: 1, completionTime: expect.any(String) })
  expect(good?.status).not.toHaveProperty('active')
  expect(await cluster.kubectl('get', 'job', 'good')).toContain('1/1')
})

test.concurrent('one that fails at once: backoffLimit 0', async () => {
  await cluster.apply(job('bad', 'exit 3', { backoffLimit: 0 }))
  await cluster.kubectl('wait', '--for=condition=failed', 'job/bad', '--timeout=30s')
  const bad = cluster.store.get<Job>('jobs', 'default', 'bad')
  expect(bad && condition(bad, 'Failed')).toMatchObject({
    reason: 'BackoffLimitExceeded',
    message: 'Job has reached the specified backoff limit',
  })
  expect(bad?.status?.failed).toBe(1)
  expect(podsOf('bad')).toHaveLength(1)
})

test.concurrent('a failed pod is replaced only after a wait', async () => {
  await cluster.apply(job('retry', 'exit 1', { backoffLimit: 3 }))
  const failed = await cluster.until<Job>('jobs', 'retry', ({ status }) => status?.failed === 1)
  expect(failed.status?.active).toBeUndefined()
  expect(condition(failed, 'Failed')).toBeUndefined()
})

test.concurrent('restartPolicy OnFailure restarts the container, not the pod', async () => {
  const script = 'test -e /data/second && exit 0; touch /data/second; exit 1'
  const wanted = job('again', script, {}, 'OnFailure')
  const [container] = wanted.spec.template.spec.containers
  Object.assign(container ?? {}, { volumeMounts: [{ name: 'data', mountPath: '/data' }] })
  Object.assign(wanted.spec.template.spec, { volumes: [{ name: 'data', emptyDir: {} }] })
  await cluster.apply(wanted)
  await cluster.kubectl('wait', '--for=condition=complete', 'job/again', '--timeout=30s')
  expect(podsOf('again').map(({ status }) => status?.containerStatuses?.[0]?.restartCount)).toEqual([1])
})

test.concurrent('completions and parallelism', async () => {
  let most = 0
  const unsubscribe = cluster.store.subscribe(() => {
    most = Math.max(most, cluster.store.get<Job>('jobs', 'default', 'many')?.status?.active ?? 0)
  })
  await cluster.apply(job('many', 'true', { completions: 5, parallelism: 2 }))
  await cluster.kubectl('wait', '--for=condition=complete', 'job/many', '--timeout=30s')
  unsubscribe()
  expect(most).toBe(2)
  expect(cluster.store.get<Job>('jobs', 'default', 'many')?.status?.succeeded).toBe(5)
  expect(podsOf('many')).toHaveLength(5)
})

test.concurrent('activeDeadlineSeconds', async () => {
  await cluster.apply(job('slow', 'sleep 100', { activeDeadlineSeconds: 1 }))
  await cluster.kubectl('wait', '--for=condition=failed', 'job/slow', '--timeout=30s')
  const slow = cluster.store.get<Job>('jobs', 'default', 'slow')
  expect(slow && condition(slow, 'Failed')?.reason).toBe('DeadlineExceeded')
  await cluster.untilAll('pods', () => podsOf('slow').length === 0)
  const events = cluster.store.list<KubeEvent>('events').filter(({ reason }) => reason === 'DeadlineExceeded')
  expect(events[0]).toMatchObject({ type: 'Warning', involvedObject: { kind: 'Job', name: 'slow' } })
})

test.concurrent('ttlSecondsAfterFinished removes the Job and its pods', async () => {
  await cluster.apply(job('brief', 'true', { ttlSecondsAfterFinished: 1 }))
  await cluster.until<Job>('jobs', 'brief', (one) => condition(one, 'Complete') !== undefined)
  await cluster.untilGone('jobs', 'brief')
  await cluster.untilAll('pods', () => podsOf('brief').length === 0)
})

test.concurrent('deleted in the foreground it stays until its pod has ended, and starts no other', async () => {
  const script = 'trap "sleep 1; exit 0" TERM; echo begun; while :; do sleep 0.1; done'
  const wanted = job('lasting', script)
  wanted.spec.template.spec.terminationGracePeriodSeconds = 30
  await cluster.apply(wanted)
  await cluster.untilAll('pods', () => podsOf('lasting').some(({ status }) => status?.phase === 'Running'))
  const pods = new Set<string>()
  const unsubscribe = cluster.store.subscribe(({ resource, object: { metadata } }) => {
    if (resource === 'pods' && metadata.labels?.['job-name'] === 'lasting') pods.add(metadata.name)
  })
  await cluster.kubectl('delete', 'job', 'lasting', '--cascade=foreground', '--wait=false')
  const ending = cluster.store.get<Job>('jobs', 'default', 'lasting')
  expect(ending?.metadata).toMatchObject({
    deletionTimestamp: expect.any(String),
    finalizers: ['foregroundDeletion'],
  })
  expect(podsOf('lasting').map(({ metadata }) => metadata.deletionTimestamp)).toEqual([expect.any(String)])
  await cluster.untilGone('jobs', 'lasting')
  unsubscribe()
  expect(podsOf('lasting')).toEqual([])
  expect(pods.size).toBe(1)
})
