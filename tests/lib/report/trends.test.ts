import { describe, expect, test } from 'bun:test'
import { trendsPage } from '../../../lib/report/trends-page.ts'
import { fateOf, interval, timesOf, trendsOf } from '../../../lib/report/trends.ts'
import { generated, iso, MINUTE, proof, record, START } from './records.ts'

const DAY = 86_400_000

/** The middle and the tenth from the top, by counting: at least half, and nine of ten, are no greater. */
function byCounting(times: readonly number[], share: number): number | undefined {
  const candidates = times.filter(
    (one) => times.filter((other) => other <= one).length >= share * times.length,
  )
  return candidates.length === 0 ? undefined : Math.min(...candidates)
}

describe('trends over 1,000 records', () => {
  const days = 80
  const now = START + days * DAY
  const cases = generated(1000, days)
  const trends = trendsOf(
    'production',
    cases.map(({ archived }) => archived),
    now,
  )
  const having = (fate: string) => cases.filter((one) => one.fate === fate)
  const [live, failed, prevented] = [having('live'), having('failed'), having('prevented')]
  const changes = [...live, ...failed]

  test('there is something of everything', () => {
    for (const some of [live, failed, prevented, having('live')]) expect(some.length).toBeGreaterThan(20)
  })

  test('deployments and their success', () => {
    expect(trends.deployments).toEqual({
      live: live.length,
      failed: failed.length,
      prevented: prevented.length,
    })
    const of = live.length + failed.length + prevented.length
    expect(trends.success).toEqual({ count: live.length, of })
  })

  test('deployment frequency: changes that reached users, a week', () =>
    expect(trends.changesPerWeek).toBeCloseTo(changes.length / (days / 7), 6))

  test('change lead time, of the commits that are known', () => {
    const times = changes.flatMap(({ lead }) => lead ?? [])
    expect(trends.leadTime.count).toBe(times.length)
    expect(trends.leadTime.median).toBe(byCounting(times, 0.5))
    expect(trends.leadTime.p90).toBe(byCounting(times, 0.9))
  })

  test('change fail rate: what was prevented is no failed change, and no change', () =>
    expect(trends.changeFailRate).toEqual({ count: failed.length, of: changes.length }))

  test('failed deployment recovery time', () => {
    const times = failed.flatMap(({ recovered }) => recovered ?? [])
    expect(trends.recovery).toEqual({
      count: failed.length,
      notYet: 0,
      median: byCounting(times, 0.5),
      p90: byCounting(times, 0.9),
    })
  })

  test('deployment rework rate', () => {
    const rework = changes.filter(({ archived }) => archived.record.because !== undefined)
    expect(rework.length).toBeGreaterThan(20)
    expect(trends.rework).toEqual({ count: rework.length, of: changes.length })
  })

  test('rollbacks by reason, whatever figures stand in it', () => {
    const automatic = cases.filter(({ archived }) => archived.record.outcome === 'rolled-back').length
    const byHand = cases.filter(({ archived }) => archived.record.kind === 'rollback').length
    expect(trends.rollbacks).toEqual([
      { reason: 'N of N requests failed (N × status N)', count: automatic },
      { reason: 'by hand: users miss the old page', count: byHand },
    ])
  })

  test('slowest steps: one step of many versions is one', () => {
    const times = cases.flatMap(({ archived: { record }, fate }) => (fate ? [record.steps[1]?.ms ?? 0] : []))
    expect(trends.steps.map(({ name }) => name)).toEqual([
      'Verify COLOR through the preview',
      'Switch COLOR → COLOR',
      'Start VERSION in COLOR',
    ])
    expect(trends.steps[0]).toMatchObject({
      count: times.length,
      median: byCounting(times, 0.5),
      p90: byCounting(times, 0.9),
      most: Math.max(...times),
    })
  })

  test('checks that fail most often, of how many times they were made', () => {
    const made = cases.filter(({ fate }) => fate !== undefined).length
    expect(trends.checks).toEqual([{ name: 'ui: sign in', count: prevented.length, of: made }])
  })

  test('every deployment is in its week', () => {
    const sum = (fate: 'live' | 'failed' | 'prevented') =>
      trends.weeks.reduce((all, week) => all + week[fate], 0)
    expect([sum('live'), sum('failed'), sum('prevented')]).toEqual([
      live.length,
      failed.length,
      prevented.length,
    ])
    expect(trends.weeks).toHaveLength(12)
  })

  test('are made, and the page of them, in less than 2 s', () => {
    const before = performance.now()
    const archived = cases.map((one) => one.archived)
    const again = trendsOf('production', archived.toReversed(), now)
    const environments = [{ trends: again, records: archived.map(({ record }) => record) }]
    const page = trendsPage({ app: 'chat', environments, reported: new Set(), missing: [], madeAt: iso(now) })
    expect(performance.now() - before).toBeLessThan(2000)
    expect(again).toEqual(trends)
    expect(page.length).toBeLessThan(500_000)
    expect(page).toContain('and 800 older ones')
  })
})

describe('what there is little of', () => {
  const one = [{ record: record() }]

  test('nothing at all has no rate, and no time', () => {
    const trends = trendsOf('staging', [], START)
    expect(trends).toMatchObject({ changesPerWeek: undefined, leadTime: { count: 0 }, weeks: [], steps: [] })
    const environments = [{ trends, records: [] }]
    const page = trendsPage({
      app: 'chat',
      environments,
      reported: new Set(),
      missing: [],
      madeAt: iso(START),
    })
    expect(page).toContain('Nothing has been deployed to staging yet.')
    expect(page).not.toMatch(/NaN|undefined|Infinity/)
  })

  test('a single record is no frequency', () => {
    const trends = trendsOf('production', one, START + DAY)
    expect(trends).toMatchObject({
      changesPerWeek: undefined,
      success: { count: 1, of: 1 },
      from: iso(START),
    })
    const environments = [{ trends, records: [record()] }]
    const page = trendsPage({
      app: 'chat',
      environments,
      reported: new Set(),
      missing: [],
      madeAt: iso(START),
    })
    expect(page).not.toMatch(/NaN|undefined|Infinity/)
  })

  test('weeks without a deployment are weeks all the same', () => {
    const later = record({ id: 'b', startedAt: iso(START + 50 * DAY) })
    const { weeks, changesPerWeek } = trendsOf('production', [...one, { record: later }], START + 70 * DAY)
    expect(weeks.map(({ live }) => live)).toEqual([1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0])
    expect(changesPerWeek).toBeCloseTo(0.2, 9)
  })

  test('what is older than asked for does not count', () =>
    expect(trendsOf('production', one, START + 91 * DAY).success.of).toBe(0))

  test('two environments stand beside each other, each with its own', () => {
    const environments = ['production', 'staging'].map((name, i) => {
      const archived = generated(30 + i, 30, name, i).map((one) => one.archived)
      return {
        trends: trendsOf(name, archived, START + 30 * DAY),
        records: archived.map(({ record }) => record),
      }
    })
    const page = trendsPage({
      app: 'chat',
      environments,
      reported: new Set(),
      missing: [],
      madeAt: iso(START),
    })
    expect(page.match(/class="environment"/g)).toHaveLength(2)
    expect(page.match(/<td class="what">/g)).toHaveLength(61)
  })

  test('a release leads to its report where that is beside the page', () => {
    const trends = trendsOf('production', one, START + DAY)
    const site = {
      app: 'chat',
      environments: [{ trends, records: [record()] }],
      missing: [],
      madeAt: iso(START),
    }
    const { id } = record()
    expect(trendsPage({ ...site, reported: new Set([id]) })).toContain(`href="./${id}/report.html"`)
    expect(trendsPage({ ...site, reported: new Set() })).not.toContain('report.html')
  })
})

describe('what became of a deployment', () => {
  test.each<[string, Parameters<typeof record>[0], ReturnType<typeof fateOf>]>([
    ['live', {}, 'live'],
    ['stopped before the switch', { outcome: 'failed', switches: [] }, 'prevented'],
    ['interrupted before it', { outcome: 'interrupted', switches: [] }, 'prevented'],
    ['interrupted after it', { outcome: 'interrupted' }, 'failed'],
    ['rolled back', { outcome: 'rolled-back' }, 'failed'],
    ['rolled back and allowed since', { outcome: 'released' }, 'failed'],
    ['taken back', { outcome: 'taken-back' }, 'failed'],
    ['a person was needed after the switch', { outcome: 'needs-person' }, 'failed'],
    ['a person was needed before it', { outcome: 'needs-person', switches: [] }, 'prevented'],
    [
      'a rolling update has no switch',
      { outcome: 'needs-person', switches: [], strategy: 'rolling' },
      'failed',
    ],
    ['under way', { outcome: 'open' }, undefined],
    ['waiting', { outcome: 'verified' }, undefined],
    ['no deployment', { kind: 'rollback' }, undefined],
  ])('%s', (_, about, fate) => expect(fateOf(record(about))).toBe(fate))
})

test('a drill is no deployment, whatever became of it', () => {
  const drill = { ...record({ outcome: 'taken-back' }), drill: true }
  expect(fateOf(drill)).toBeUndefined()
})

describe('recovery', () => {
  const failed = record({ outcome: 'needs-person', switches: [proof()] })
  const recovery = (...later: ReturnType<typeof record>[]) =>
    trendsOf(
      'production',
      [failed, ...later].map((record) => ({ record })),
      START + DAY,
    ).recovery

  test('of what needed a person ends with the next that went well', () => {
    const next = record({ id: 'z', kind: 'rollback', startedAt: iso(START + 10 * MINUTE) })
    expect(recovery(next)).toMatchObject({ count: 1, median: 11 * MINUTE - 40_000, notYet: 0 })
  })

  test('is not there yet where nothing has gone well since', () => {
    const next = record({ id: 'z', outcome: 'failed', switches: [], startedAt: iso(START + 10 * MINUTE) })
    expect(recovery(next)).toEqual({ count: 0, notYet: 1, median: undefined, p90: undefined })
  })

  test('of what was taken back ends when the way back had ended, not when it began', () => {
    const back = record({ id: 'back', kind: 'rollback', startedAt: iso(START + 10 * MINUTE) })
    const takenBack = { by: 'bob', at: back.startedAt, record: 'back' }
    const taken = record({ outcome: 'taken-back', takenBack })
    const { median } = trendsOf('production', [{ record: taken }, { record: back }], START + DAY).recovery
    expect(median).toBe(11 * MINUTE - 40_000)
  })
})

test("Wilson's interval is that of the books", () => {
  const [low = 0, high = 0] = interval({ count: 3, of: 40 }) ?? []
  expect([low.toFixed(4), high.toFixed(4)]).toEqual(['0.0258', '0.1986'])
  expect(interval({ count: 0, of: 0 })).toBeUndefined()
  expect(interval({ count: 0, of: 10 })?.[0]).toBe(0)
})

test('times are some that were measured', () => {
  expect(timesOf([])).toEqual({ count: 0, median: undefined, p90: undefined })
  expect(timesOf([3, 1, 2, 10])).toEqual({ count: 4, median: 2, p90: 10 })
})
