import { describe, expect, test } from 'bun:test'
import { bakeOf, MOST, verdictOf, type Bake, type World } from '../../../bench/bakes.ts'
import {
  bakeForm,
  doubts,
  downReason,
  isShared,
  limitFor,
  percent,
  weighAll,
  weightOf,
  type BakeReading,
} from '../../../lib/monitor/bake.ts'
import { limitOf, type Count } from '../../../lib/monitor/judge.ts'
import { drawn, sparkline, summary } from '../../../lib/monitor/lines.ts'

const T0 = Date.parse('2026-11-28T14:06:10Z')

type Pair = [bad: number, total: number]
type Counts = Record<string, { live?: Pair; old?: Pair }>

const reading = (index: number, counts: Counts): BakeReading => ({
  at: new Date(T0 + index * 15_000).toISOString(),
  ms: 15_000,
  covers: 15_000,
  counts,
  odds: {},
})

const limits = (shares: Record<string, number>) =>
  Object.fromEntries(
    Object.entries(shares).map(([name, share]) => [name, { share, why: '2 × 0.21 %, blue' }]),
  )

const repeated = (count: number, counts: Counts): BakeReading[] =>
  Array.from({ length: count }, (_, index) => reading(index, counts))

/** What the old color's probes met in each reading; a simulated reading tells it of the last four of them. */
function probesOf({ readings }: Bake): Pair[] {
  const found: Pair[] = []
  for (const [index, { lastMinute }] of readings.entries()) {
    const before = readings[index - 1]?.lastMinute.probesOfOld ?? { bad: 0, total: 0 }
    const [bad, total] = found[index - 4] ?? [0, 0]
    found.push([
      lastMinute.probesOfOld.bad - before.bad + bad,
      lastMinute.probesOfOld.total - before.total + total,
    ])
  }
  return found
}

const pair = ({ bad, total }: Count): Pair => [bad, total]

describe('what follows from the readings', () => {
  const worlds: [string, World][] = [
    ['healthy', {}],
    ['5 % more errors', { fault: 0.05 }],
    ['beside the old color', { fault: 0.05, overlap: 40 }],
    ['a shared outage', { outage: 4 }],
    ['all fail', { fault: 1 }],
  ]
  // Five indicators, as many as the simulations' odds are made for.
  const FIVE = { slow: 1, databaseErrors: 1, probes: 1, own: 1 }

  test.each(worlds)('is what the judge of the simulations says: %s', (_, world) => {
    for (const seed of Array(20).keys()) {
      const simulated = bakeOf(world, seed)
      const probes = probesOf(simulated)
      const all = simulated.readings.map(({ live, old }, index) =>
        reading(index, {
          errors: { live: pair(live), ...(old && { old: pair(old) }) },
          probes: { old: probes[index] ?? [0, 0] },
        }),
      )
      const terms = limits({ ...FIVE, errors: limitOf(simulated.baselines, MOST) })
      const verdicts = all.map(
        (_one, index) => weighAll({ readings: all.slice(0, index + 1), limits: terms }).judgement.verdict,
      )
      const at = verdicts.findIndex((verdict) => verdict !== 'watching')
      const said = at < 0 ? { verdict: 'watching', at: all.length } : { verdict: verdicts[at] ?? '', at }
      expect(said).toEqual(verdictOf(simulated))
    }
  })

  test('is the same for whoever goes on with them from the record', () => {
    const all = repeated(30, { errors: { live: [3, 300] }, probes: { live: [0, 30], old: [0, 30] } })
    const terms = limits({ errors: 0.02, probes: 0.05 })
    const stored = bakeForm.shape.readings.parse(JSON.parse(JSON.stringify(all)))
    expect(weighAll({ readings: stored, limits: terms })).toEqual(weighAll({ readings: all, limits: terms }))
  })

  test('is told in one sentence with its numbers', () => {
    const all = repeated(10, { errors: { live: [20, 300] }, probes: { live: [0, 30], old: [0, 30] } })
    const { judgement } = weighAll({ readings: all, limits: limits({ errors: 0.005, probes: 0.05 }) })
    expect(judgement).toEqual({
      verdict: 'failed',
      indicator: 'errors',
      reason: expect.stringMatching(
        /^[\d,]+ : 1 that more than 0\.5 % of requests fail \(limit: 2 × 0\.21 %, blue\): \d+ of [\d,]+ since 14:06:10$/,
      ),
    })
  })

  test('names the control that it is compared with', () => {
    const all = repeated(10, { errors: { live: [20, 300], old: [1, 300] } })
    const { judgement } = weighAll({ readings: all, limits: limits({ errors: 0.05, probes: 0.05 }) })
    expect(judgement).toMatchObject({ verdict: 'failed', reason: expect.stringContaining('beside it') })
  })

  test('probes of the old color are no control: they are as many, whoever serves users', () => {
    const all = repeated(10, { probes: { live: [3, 30], old: [0, 30] } })
    const { judgement } = weighAll({ readings: all, limits: limits({ probes: 0.5 }) })
    expect(judgement.verdict).toBe('watching')
  })

  test('what both colors meet is the environment, and afterwards it begins anew', () => {
    const down = {
      errors: { live: [300, 300] as Pair },
      probes: { live: [30, 30] as Pair, old: [30, 30] as Pair },
    }
    const fine = {
      errors: { live: [0, 300] as Pair },
      probes: { live: [0, 30] as Pair, old: [0, 30] as Pair },
    }
    const terms = limits({ errors: 0.005, probes: 0.05 })
    const outage = repeated(4, down)
    expect(weighAll({ readings: outage, limits: terms }).judgement).toMatchObject({
      verdict: 'environment',
      reason: expect.stringContaining('the last 120 probes'),
    })
    expect(isShared(outage)).toBe(true)
    const after = [...outage, ...repeated(10, fine)]
    expect(weighAll({ readings: after, limits: terms }).judgement.verdict).toBe('watching')
  })

  test('what is unknown bets nothing', () => {
    const all = repeated(40, { probes: { live: [0, 30] } })
    const { judgement, weighed } = weighAll({
      readings: all,
      limits: limits({ errors: 0.005, probes: 0.05 }),
    })
    expect(judgement.verdict).toBe('watching')
    expect(weighed['errors']?.wealth).toEqual([1, 1, 1, 1])
  })
})

describe('whether it may end', () => {
  const terms = limits({ errors: 0.005, probes: 0.05 })
  const fine: Counts = { errors: { live: [0, 100] }, probes: { live: [0, 30] } }

  test('with enough requests and nothing unknown', () =>
    expect(doubts({ readings: repeated(10, fine), limits: terms }, ['errors', 'probes'])).toEqual([]))

  test('not with too few requests', () => {
    const few = repeated(9, fine)
    expect(doubts({ readings: few, limits: terms }, ['errors', 'probes'])).toEqual([
      '900 requests are too few to tell: 922 would be enough',
    ])
  })

  test('not where an indicator was unknown for more than a fifth of the time', () => {
    const some = [...repeated(30, fine), ...repeated(10, { probes: { live: [0, 30] } })]
    expect(doubts({ readings: some, limits: terms }, ['errors', 'probes'])).toEqual([
      'for more than a fifth of the time nothing is known of errors',
    ])
  })

  test('a reading that makes up for those before it is no gap', () => {
    const late = [...repeated(30, fine), ...repeated(10, { probes: { live: [0, 30] } })]
    const last = late.at(-1)
    if (last) Object.assign(last, { covers: 150_000, counts: fine })
    expect(doubts({ readings: late, limits: terms }, ['errors', 'probes'])).toEqual([])
  })

  test('without a source, by what the live URL answers', () => {
    const probes = repeated(40, { probes: { live: [0, 30] } })
    expect(doubts({ readings: probes, limits: limits({ probes: 0.05 }) }, ['probes'])).toEqual([])
    expect(doubts({ readings: [], limits: limits({ probes: 0.05 }) }, ['probes'])).toEqual([
      '0 requests are too few to tell: 93 would be enough',
    ])
  })
})

const seen = (...shares: Pair[]) =>
  downReason(shares.map((live, index) => reading(index, { probes: { live } })))

test('half of the requests to the live URL failed twice: that needs no odds', () => {
  expect(seen([15, 30], [20, 30])).toBe(
    '20 of the last 30 requests to the live URL failed, and 15 of 30 before them',
  )
  expect(seen([14, 30], [30, 30])).toBeUndefined()
  expect(seen([30, 30])).toBeUndefined()
  expect(seen([10, 10], [10, 10])).toBeUndefined()
})

const steady = (bad: number) => Array.from({ length: 120 }, () => ({ bad, total: 300 }))

describe('the limit, and where it comes from', () => {
  test.each([
    [[], 0.05, { share: 0.05, why: 'deploy.yaml, since nothing is known of before' }],
    [
      [{ name: 'blue', readings: steady(0) }],
      0.05,
      { share: 0.005, why: expect.stringMatching(/^the least; .*blue$/) },
    ],
    [
      [{ name: 'blue', readings: steady(3) }],
      0.05,
      { share: expect.closeTo(0.022, 2), why: expect.stringMatching(/^2 × 1\.\d %, blue$/) },
    ],
    [
      [{ name: 'blue', readings: steady(30) }],
      0.05,
      { share: 0.05, why: expect.stringMatching(/^deploy\.yaml; before it was up to 1\d %, blue$/) },
    ],
  ])('%j', (baselines, most, expected) => expect(limitFor(baselines, most)).toEqual(expected))

  test('the worst of them counts', () => {
    const both = [
      { name: 'blue', readings: steady(1) },
      { name: 'yesterday', readings: steady(3) },
    ]
    expect(limitFor(both, 0.05).why).toContain('yesterday')
  })
})

test('as people read it', () => {
  expect([0, 0.0004, 0.0021, 0.05, 0.1234].map(percent)).toEqual(['0 %', '0.04 %', '0.21 %', '5 %', '12 %'])
  expect([1240.4, 1, 0.025].map(weightOf)).toEqual(['1,240 : 1', '1 : 1', '1 : 40'])
  expect(sparkline([0, undefined, 0.5, 1, 2], 1)).toBe('▁ ▅██')
  const record = {
    readings: [{ ...reading(0, { errors: { live: [3, 300], old: [0, 100] } }), odds: { errors: 40 } }],
    limits: limits({ errors: 0.005, probes: 0.05 }),
    startedAt: '',
    until: '',
    latest: '',
    source: '',
    notCovered: [],
    required: [],
  }
  expect(drawn(record, 250_000, '')).toBe('4:10  errors 1 % █ (40 : 1), old 0 %')
  expect(summary(record)).toEqual([
    '        new         old         limit    odds',
    'errors  1 % of 300  0 % of 100  ≤ 0.5 %  40 : 1',
    'probes  –           –           ≤ 5 %    1 : 1',
  ])
})
