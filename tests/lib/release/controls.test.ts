/** What happens to a healthy release while it is watched, and is no reason to take it back. */
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import type { DeploymentRecord } from '../../../lib/history/record.ts'
import type { BakeSettings } from '../../../lib/settings/bake.ts'
import { READY, ready } from '../objects.ts'
import type { Rehearsal } from '../world.ts'
import { baking, EVERY, failing, go, isGreen, recordOf } from './baking.ts'
import { Counting } from './counting.ts'

setDefaultTimeout(60_000)

/** In each reading; of the old color's one in 500 has failed. */
const REQUESTS = 100

type Happens = (reading: number, counting: Counting, rehearsal: Rehearsal) => unknown

/** Twenty users' requests a second, of which one in 500 fails, unless something else happens. */
async function watched(
  happens: Happens,
  more: Partial<BakeSettings> = {},
): Promise<{ entry: DeploymentRecord; lines: string[]; counting: Counting }> {
  await using counting = new Counting()
  await using rehearsal = await baking(
    async (reading, world) => {
      await happens(reading, counting, world)
      counting.users(REQUESTS, reading % 5 === 0 ? 1 : 0)
    },
    { prometheus: counting.url, ...more },
  )
  counting.watch(rehearsal)
  await go(rehearsal)
  // Nothing of this may bring users back.
  expect(isGreen(rehearsal.cluster)).toBe(true)
  const entry = recordOf(rehearsal)
  expect(entry.outcome).toBe('succeeded')
  return { entry, lines: rehearsal.log.lines, counting }
}

const from =
  (first: number, last: number, what: (counting: Counting, rehearsal: Rehearsal) => unknown): Happens =>
  (reading, counting, rehearsal) =>
    reading >= first && reading <= last ? what(counting, rehearsal) : undefined

const HOUR = 3_600_000

const NEW_POD = 'chat-green.1.9'

/** The scheduler takes a pod of the live color away; another one starts, and is ready a reading later. */
const replaced: Happens = (reading, _, { cluster }) => {
  const gone = cluster.objects.get('Pod/chat-green.1.0')
  if (reading === 5 && gone) {
    cluster.objects.delete('Pod/chat-green.1.0')
    const status = { ...ready(), conditions: [{ ...READY, status: 'False' }] }
    cluster.put({ ...gone, metadata: { ...gone.metadata, name: NEW_POD, uid: 'new' }, status })
  }
  if (reading === 6) cluster.put({ ...cluster.object('Pod', NEW_POD), status: ready() })
}

/** What both colors need is away for a minute. */
const away: Happens = (reading, counting, { app, preview }) => {
  const isAway = reading >= 4 && reading < 16
  app.answer = preview.answer = isAway ? failing : undefined
  if (isAway) counting.users(0, REQUESTS)
}

describe('it passes', () => {
  test.each<[string, Happens]>([
    ['nothing happens', () => {}],
    ['traffic doubles', from(4, 99, (counting) => counting.users(REQUESTS, 0))],
    ['the clock is set an hour ahead', from(5, 5, (_, { clock }) => clock.set(HOUR))],
    ['the clock is set an hour back', from(5, 5, (_, { clock }) => clock.set(-HOUR))],
    ['the scheduler replaces a pod', replaced],
    ['a process begins anew, and says so', from(5, 5, (counting) => counting.reset('chat-green.1.0'))],
    ['counters begin anew', from(5, 5, (counting) => counting.reset('chat-green.1.0', { told: false }))],
    ['a fifth fails for 15 s at the full hour', from(8, 10, (counting) => counting.users(0, REQUESTS / 5))],
  ])('%s', async (_, happens) => {
    const { entry } = await watched(happens)
    expect([entry.bake?.verdict, entry.bake?.reason]).toEqual(['passed', undefined])
    const counted = entry.bake?.readings.filter(({ counts }) => counts['errors']?.live) ?? []
    expect(counted.length).toBeGreaterThan(10)
    expect(Math.max(...counted.map(({ covers }) => covers))).toBeLessThan(3 * EVERY)
  })

  test('what is shared is away for a minute: that is the environment, and is said', async () => {
    const { entry, lines } = await watched(away, { maxTime: 180_000 })
    expect(entry.bake?.verdict).toBe('passed')
    expect(lines.filter((line) => line.includes('going back would not help'))).not.toEqual([])
  })
})

const page = (): Response => new Response('<html><h1>Sign in', { status: 200 })

const empty = (): Response => Response.json({ status: 'success', data: { resultType: 'vector', result: [] } })

const of = (figure: string, value: number, pod = 'chat-green.1.0') =>
  [{ pod, color: 'green', figure }, value] satisfies [object, number]

/** From the fourth reading on. */
const broken: [string, (counting: Counting) => unknown][] = [
  ['answers 500', (counting) => (counting.answer = failing)],
  ['answers with a page', (counting) => (counting.answer = page)],
  ['answers with nothing', (counting) => (counting.answer = empty)],
  ['counts NaN', (counting) => (counting.answer = () => counting.figures(of('slow/all', Number.NaN)))],
  [
    'has a second series where one is expected',
    (counting) => (counting.answer = () => counting.figures(of('errors/all', 1))),
  ],
  [
    'has 10,000 series',
    (counting) => {
      // Made once: the probes of the same process wait for it.
      const series = Array.from({ length: 10_000 }, (_, index) => of('errors/all', 1, `p${index}`))
      counting.answer = () => counting.figures(...series)
    },
  ],
  ['is killed', async (counting) => await counting.kill()],
]

describe('Prometheus', () => {
  test.each(broken)('%s, and goes on so: nothing certain can be said', async (_, breaks) => {
    const { entry } = await watched(from(4, 4, breaks))
    expect(entry.bake).toMatchObject({
      verdict: 'inconclusive',
      reason: expect.stringContaining('nothing is known of errors'),
    })
    expect(entry.message).toContain('nothing certain can be said of it')
  })

  test.each<[string, (counting: Counting) => unknown]>([
    ...broken,
    ['hangs', (counting) => (counting.answer = async () => (await Bun.sleep(4000), page()))],
  ])('%s, and is there again after four readings: its counters make up for it', async (_, breaks) => {
    const { entry } = await watched((reading, counting) => {
      if (reading === 8) {
        counting.answer = undefined
        counting.start()
      }
      return reading === 4 && breaks(counting)
    })
    expect(entry.bake?.verdict).toBe('passed')
    const counted = entry.bake?.readings.reduce(
      (all, { counts }) => all + (counts['errors']?.live?.[1] ?? 0),
      0,
    )
    expect(counted).toBeGreaterThanOrEqual(12 * REQUESTS)
  })
})

test('what it costs, with 200 pods as with two: one query a reading, and one look at the cluster', async () => {
  const looks = new Map<number, { queries: number; lines: string[] }>()
  await using counting = new Counting()
  await using rehearsal = await baking(
    (reading, { cluster }) => {
      looks.set(reading, { queries: counting.asked, lines: [...cluster.asked] })
      counting.users(REQUESTS, 0)
    },
    { prometheus: counting.url },
  )
  counting.watch(rehearsal)
  const { plan } = rehearsal
  const [one] = plan.rendered.painted
  if (one) Object.assign(one, { spec: { ...one.spec, replicas: 200 } })
  await go({ ...rehearsal, plan: { ...plan, replicas: 200 } })
  const green = rehearsal.cluster.all('Pod').filter(({ metadata }) => metadata.name.includes('green'))
  expect([green.length, recordOf(rehearsal).bake?.verdict]).toEqual([200, 'passed'])
  // In the middle of the second watch.
  for (const reading of [5, 6, 7, 8, 9]) {
    const [before, after] = [looks.get(reading), looks.get(reading + 1)]
    expect((after?.queries ?? 0) - (before?.queries ?? 0)).toBe(1)
    const lines = after?.lines.slice(before?.lines.length) ?? []
    const reads = lines.filter((line) => line.startsWith('get '))
    expect(reads).toEqual([expect.stringContaining('pods')])
  }
})
