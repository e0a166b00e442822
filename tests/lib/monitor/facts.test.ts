import { describe, expect, test } from 'bun:test'
import { observe } from '../../../lib/app/observe.ts'
import { factsOf, worse } from '../../../lib/monitor/facts.ts'
import { APP, deployment, made, READY, ready, waiting } from '../objects.ts'
import { rehearse, running } from '../world.ts'

/** Two pods of green; the second look finds the first of them as it is given. */
async function after(
  change: (pods: string[], world: ReturnType<typeof rehearse>) => void,
): Promise<string | undefined> {
  await using rehearsal = rehearse()
  const { cluster, world } = rehearsal
  running(cluster, { blue: '1.0.0', green: '1.1.0' }, 'green')
  const before = factsOf(await observe(APP, world.kubectl), 'green')
  expect(before).toMatchObject({ wanted: 2, ready: 2, evicted: [] })
  const pods = before.pods.map(({ pod }) => pod)
  change(pods, rehearsal)
  const now = factsOf(await observe(APP, world.kubectl), 'green')
  // A record holds them.
  return worse(structuredClone(before), JSON.parse(JSON.stringify(now)))
}

const status =
  (pod: string | undefined, given: Record<string, unknown>, about: object = {}) =>
  (_: string[], { cluster }: ReturnType<typeof rehearse>): void => {
    const object = cluster.object('Pod', pod ?? '')
    cluster.put({ ...object, metadata: { ...object.metadata, ...about }, status: given })
  }

const container = (fields: object, isReady = true): Record<string, unknown> => ({
  phase: 'Running',
  conditions: isReady ? [READY] : [{ ...READY, status: 'False' }],
  containerStatuses: [{ name: 'app', ready: isReady, restartCount: 0, state: { running: {} }, ...fields }],
})

const FIRST = 'chat-green.1.0'

describe('what speaks against a release, by name', () => {
  test.each<[string, Record<string, unknown>, string]>([
    [
      'memory',
      container({ restartCount: 2, lastState: { terminated: { exitCode: 137, reason: 'OOMKilled' } } }),
      `${FIRST}: OOMKilled, restarted 2 times`,
    ],
    [
      'a crash',
      container({ restartCount: 1, lastState: { terminated: { exitCode: 1, reason: 'Error' } } }),
      `${FIRST}: exit code 1, restarted once`,
    ],
    [
      'one crash after the other',
      {
        ...waiting('CrashLoopBackOff'),
        containerStatuses: [
          {
            name: 'app',
            restartCount: 3,
            state: { waiting: { reason: 'CrashLoopBackOff' } },
            lastState: { terminated: { exitCode: 2 } },
          },
        ],
      },
      `${FIRST}: exit code 2, restarted 3 times, CrashLoopBackOff`,
    ],
    [
      'a first crash that is not restarted yet',
      waiting('CrashLoopBackOff'),
      `${FIRST}: its container ended, CrashLoopBackOff`,
    ],
    ['a readiness probe', container({}, false), `1 of 2 pods of green are ready: ${FIRST} is no longer`],
    [
      'a kubelet that throws it out',
      { phase: 'Failed', reason: 'Evicted', message: 'The node was low on resource: memory.' },
      `${FIRST}: evicted (The node was low on resource: memory.)`,
    ],
  ])('%s', async (_, given, says) => {
    expect(await after(status(FIRST, given))).toBe(says)
  })

  test('nothing, and nothing is said', async () => {
    expect(await after(() => {})).toBeUndefined()
  })
})

describe('what does not', () => {
  test('a restart before users came', async () => {
    await using rehearsal = rehearse()
    const { cluster, world } = rehearsal
    cluster.podStatus = () => container({ restartCount: 4, lastState: { terminated: { exitCode: 1 } } })
    running(cluster, { green: '1.1.0' }, 'green')
    const facts = factsOf(await observe(APP, world.kubectl), 'green')
    expect(worse(facts, facts)).toBeUndefined()
  })

  test.each<[string, Parameters<typeof after>[0]]>([
    [
      'a pod that is being deleted, by a drain or an autoscaler',
      status(FIRST, container({}, false), { deletionTimestamp: '2026-11-23T08:00:00Z' }),
    ],
    [
      'a node that is gone: the pod was ready to the last',
      status(FIRST, { ...ready(), conditions: [{ ...READY, status: 'False' }] }),
    ],
    [
      'a pod that was taken away, and another that is still starting',
      ([first = ''], { cluster }) => {
        const object = cluster.object('Pod', first)
        cluster.objects.delete(`Pod/${first}`)
        cluster.put({
          ...object,
          metadata: { ...object.metadata, name: 'new', uid: 'new' },
          status: container({}, false),
        })
      },
    ],
    [
      'more pods that are wanted, and not there yet',
      (_, { cluster }) => {
        const before = cluster.all('Pod')
        cluster.put(deployment('green', made('1.1.0'), 4))
        for (const pod of cluster.all('Pod').filter(({ metadata }) => metadata.name.startsWith('chat-green')))
          cluster.objects.delete(`Pod/${pod.metadata.name}`)
        for (const pod of before) cluster.objects.set(`Pod/${pod.metadata.name}`, pod)
      },
    ],
    [
      'what happens to the other color',
      (_, { cluster }) => {
        const object = cluster.object('Pod', 'chat-blue.1.0')
        cluster.put({ ...object, status: container({ restartCount: 9 }, false) })
      },
    ],
  ])('%s', async (_, change) => {
    expect(await after(change)).toBeUndefined()
  })
})

const pod = (index: number, fails: boolean) => ({
  pod: `p${index}`,
  uid: `${index}`,
  restarts: 0,
  crashing: false,
  ready: !fails,
  failing: fails,
})

const facts = (fails: boolean) => ({
  color: 'green' as const,
  wanted: 5,
  ready: fails ? 1 : 5,
  evicted: [],
  pods: [0, 1, 2, 3, 4].map((index) => pod(index, fails && index > 0)),
})

test('of many pods that fail three are named', () => {
  expect(worse(facts(false), facts(true))).toBe('1 of 5 pods of green are ready: p1, p2, p3 … are no longer')
})
