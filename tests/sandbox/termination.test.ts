/** How pods end: out of the endpoints first, then the hook, SIGTERM, and SIGKILL when the grace period is over. */
import { readdirSync } from 'node:fs'
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import type { EndpointSlice, KubeEvent, Pod } from '../../sandbox/kinds.ts'
import { PATIENCE_MS, READY, TestCluster, pod, service } from './fixtures/cluster.ts'

let cluster: TestCluster
let image: string

beforeAll(async () => {
  cluster = new TestCluster()
  image = await cluster.push('app:1')
})
afterAll(() => cluster.stop())
setDefaultTimeout(2 * PATIENCE_MS)

const isReady = (one: Pod) => one.status?.containerStatuses?.[0]?.ready === true
const ready = (name: string) => cluster.until<Pod>('pods', name, isReady)

function endpointsOf(name: string) {
  const slices = cluster.store.list<EndpointSlice>('endpointslices', 'default')
  return slices
    .filter(({ metadata }) => metadata.labels?.['kubernetes.io/service-name'] === name)
    .flatMap(({ endpoints }) => endpoints ?? [])
}

/** Its container has ended, and it is still there to say so. */
function untilTerminated(name: string): Promise<Pod> {
  return cluster.until<Pod>('pods', name, ({ status }) => !!status?.containerStatuses?.[0]?.state.terminated)
}

/** Follows the log of a pod that is about to be removed; resolves when the following has begun. */
async function follow(name: string): Promise<{ whole: Promise<string> }> {
  const began = Promise.withResolvers<void>()
  const whole = readAll(cluster.spawn(['logs', '-f', name]).stdout, () => began.resolve())
  await began.promise
  return { whole }
}

async function readAll(stream: ReadableStream<Uint8Array>, onChunk: () => void): Promise<string> {
  let text = ''
  const decoder = new TextDecoder()
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true })
    onChunk()
  }
  return text
}

test.concurrent('endpoints drop before SIGTERM', async () => {
  await cluster.apply(pod('leaver', { image, readinessProbe: READY }), service('leaver', { app: 'leaver' }))
  await ready('leaver')
  const conditions = () => endpointsOf('leaver')[0]?.conditions
  await cluster.untilAll('endpointslices', () => conditions()?.ready === true)
  let droppedAt = 0
  const seen: unknown[] = []
  const unsubscribe = cluster.store.subscribe(({ resource }) => {
    if (resource !== 'endpointslices' || conditions()?.ready !== false) return
    droppedAt ||= Date.now()
    seen.push(conditions())
  })
  const log = await follow('leaver')
  await cluster.kubectl('delete', 'pod', 'leaver')
  unsubscribe()
  const [, signalledAt = '0'] = /SIGTERM (\d+)/.exec(await log.whole) ?? []
  expect(droppedAt).toBeGreaterThan(0)
  expect(droppedAt).toBeLessThanOrEqual(Number(signalledAt))
  expect(seen[0]).toEqual({ ready: false, serving: true, terminating: true })
  expect(endpointsOf('leaver')).toEqual([])
})

test.concurrent('a program that ignores SIGTERM is killed at the end of the grace period', async () => {
  const env = [{ name: 'IGNORE_TERM', value: '1' }]
  const spec = { terminationGracePeriodSeconds: 3 }
  await cluster.apply(pod('stubborn', { image, env, readinessProbe: READY }, spec))
  await ready('stubborn')
  const log = await follow('stubborn')
  const final = untilTerminated('stubborn')
  await cluster.kubectl('delete', 'pod', 'stubborn')
  const [, signalledAt = '0'] = /SIGTERM (\d+)/.exec(await log.whole) ?? []
  expect(Date.now() - Number(signalledAt)).toBeGreaterThanOrEqual(2900)
  expect((await final).status?.containerStatuses?.[0]?.state.terminated).toMatchObject({
    exitCode: 137,
    reason: 'Error',
  })
})

test.concurrent('preStop comes before SIGTERM and counts against the grace period', async () => {
  const env = [{ name: 'IGNORE_TERM', value: '1' }]
  const lifecycle = { preStop: { exec: { command: ['sleep', '2'] } } }
  const spec = { terminationGracePeriodSeconds: 5 }
  await cluster.apply(pod('hooked', { image, env, lifecycle, readinessProbe: READY }, spec))
  const { metadata } = await ready('hooked')
  const log = await follow('hooked')
  const killed = untilTerminated('hooked').then(() => Date.now())
  const began = Date.now()
  await cluster.kubectl('delete', 'pod', 'hooked')
  const [, signalledAt = '0'] = /SIGTERM (\d+)/.exec(await log.whole) ?? []
  expect(Number(signalledAt) - began).toBeGreaterThanOrEqual(1900)
  expect((await killed) - began).toBeGreaterThanOrEqual(4900)
  expect((await killed) - Number(signalledAt)).toBeLessThan(4500) // 3 s are left, not 5
  const events = cluster.store.list<KubeEvent>('events', 'default')
  const killing = events.find(
    (event) => event.involvedObject.uid === metadata.uid && event.reason === 'Killing',
  )
  expect(killing?.message).toBe('Stopping container app')
})

test.concurrent('a preStop hook that fails is told and stops nothing', async () => {
  const lifecycle = { preStop: { exec: { command: ['sh', '-c', 'echo no; exit 4'] } } }
  await cluster.apply(pod('failing-hook', { image, lifecycle, readinessProbe: READY }))
  await ready('failing-hook')
  await cluster.kubectl('delete', 'pod', 'failing-hook')
  const events = cluster.store.list<KubeEvent>('events', 'default')
  expect(events.find(({ reason }) => reason === 'FailedPreStopHook')).toMatchObject({
    type: 'Warning',
    message: 'PreStopHook failed: no',
  })
})

test.concurrent('a second delete with a shorter period hurries the first', async () => {
  const env = [{ name: 'IGNORE_TERM', value: '1' }]
  const spec = { terminationGracePeriodSeconds: 300 }
  await cluster.apply(pod('hurried', { image, env, readinessProbe: READY }, spec))
  await ready('hurried')
  await cluster.kubectl('delete', 'pod', 'hurried', '--wait=false')
  await cluster.kubectl('delete', 'pod', 'hurried', '--grace-period=1', '--wait=true')
  expect(cluster.store.get('pods', 'default', 'hurried')).toBeUndefined()
})

test.concurrent('--force removes the pod at once, and its process with it', async () => {
  const env = [{ name: 'IGNORE_TERM', value: '1' }]
  await cluster.apply(pod('forced', { image, env, readinessProbe: READY }))
  const { status } = await ready('forced')
  await cluster.kubectl('delete', 'pod', 'forced', '--force', '--grace-period=0')
  await cluster.untilGone('pods', 'forced')
  await untilRefused(`http://${status?.podIP}:8080/`)
})

test.concurrent('the processes that a container leaves behind end with it', async () => {
  const env = [{ name: 'CHILD', value: '1' }]
  await cluster.apply(pod('parent', { image, env, readinessProbe: READY }))
  const { status } = await ready('parent')
  const children = () => sleepersIn(status?.podIP ?? '')
  expect(children()).toHaveLength(1)
  await cluster.kubectl('delete', 'pod', 'parent')
  expect(children()).toEqual([])
})

/** The `sleep 300` processes whose environment has this pod's address. */
function sleepersIn(podIP: string): string[] {
  const { stdout } = Bun.spawnSync(['grep', '-lsz', `^HOST=${podIP}$`, ...environs()])
  return stdout
    .toString()
    .split('\n')
    .filter((path) => path && isSleep(path))
}

/** Of whatever runs as it is listed: it may have ended when it is read. */
const environs = () =>
  readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? `/proc/${name}/environ` : []))
const isSleep = (environ: string) =>
  Bun.spawnSync(['cat', environ.replace('environ', 'cmdline')])
    .stdout.toString()
    .startsWith('sleep')

async function untilRefused(url: string): Promise<void> {
  const end = Date.now() + PATIENCE_MS
  while (Date.now() < end) {
    const answer = await fetch(url).catch(() => 'refused')
    if (answer === 'refused') return
    await Bun.sleep(20)
  }
  throw new Error(`${url} still answers`)
}
