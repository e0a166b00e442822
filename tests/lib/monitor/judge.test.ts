/** The judge's figures, worked out by hand; tests/monitoring/bakes.test.ts asks how often it is wrong. */
import { describe, expect, test } from 'bun:test'
import {
  bet,
  compare,
  evidence,
  isDown,
  isEnvironment,
  limitOf,
  oddsAgainst,
  oddsOf,
  unbet,
  uncompared,
  unweighed,
  upperBound,
  weigh,
  type Count,
  type Reading,
} from '../../../lib/monitor/judge.ts'

const of = (bad: number, total: number): Count => ({ bad, total })
const times = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value)

describe('what is normal', () => {
  test.each([
    // Wilson, one side, 99 %, worked out elsewhere with z = 2.3263.
    ['no error of 1,000', [of(0, 1000)], 0.00538],
    ['2 of 1,000', [of(2, 1000)], 0.008915],
    ['the same in ten readings that are all alike', times(10, of(1, 500)), 0.004103],
    ['all of 10', [of(10, 10)], 1],
  ])('%s', (_, readings, bound) => expect(upperBound(readings)).toBeCloseTo(bound, 5))

  test('errors that come in one reading of ten allow more than as many that are spread', () => {
    const spread = upperBound(times(10, of(1, 500))) ?? 0
    const burst = upperBound([of(10, 500), ...times(9, of(0, 500))]) ?? 0
    // 0.002 + 2.3263 × √(10/9 × (9² + 9 × 1²)) / 5,000
    expect(burst).toBeCloseTo(0.00665, 5)
    expect(burst).toBeGreaterThan(spread)
  })

  test('of nothing, nothing is known', () =>
    expect([upperBound([]), upperBound([of(0, 0)])]).toEqual([undefined, undefined]))

  test.each([
    ['no baseline: the absolute limit', [], 0.05, 0.05],
    ['a baseline without a request: the same', [[of(0, 0)]], 0.05, 0.05],
    ['a very good one: not below 0.5 %', [times(10, of(0, 10_000))], 0.05, 0.005],
    ['a bad one: not above the absolute limit', [[of(300, 1000)]], 0.05, 0.05],
    ['twice its bound', [times(10, of(1, 500))], 0.05, 0.008206],
    ['of two, the worse', [times(10, of(0, 10_000)), times(10, of(1, 500))], 0.05, 0.008206],
  ])('%s', (_, baselines, most, limit) => expect(limitOf(baselines, most)).toBeCloseTo(limit, 5))

  test('five indicators: 500 to one', () => expect(oddsOf(5)).toBe(500))
})

describe('a bet', () => {
  test('loses its stake, in part, where there are no errors', () => {
    expect(bet(unbet, of(0, 300), 0.01, 500)).toEqual([0.9, 0.7, 0.4, expect.closeTo(0.1)])
  })
  test('neither wins nor loses at the limit', () => {
    expect(bet(unbet, of(3, 300), 0.01, 500)).toEqual([1, 1, 1, 1])
  })
  test('wins by how far it is above the limit', () => {
    expect(bet(unbet, of(6, 300), 0.01, 500).map((won) => Number(won.toFixed(6)))).toEqual([
      1.1, 1.3, 1.6, 1.9,
    ])
  })
  test('never wins more than the root of the odds, so that one reading does not decide, nor do two nearly', () => {
    const once = bet(unbet, of(300, 300), 0.005, 500)
    expect(Math.max(...once)).toBeCloseTo(Math.sqrt(500))
    expect(oddsAgainst(once)).toBeLessThan(500)
    const twice = bet(once, of(300, 300), 0.005, 500)
    expect(oddsAgainst(twice)).toBeLessThanOrEqual(500)
  })
  test('of few requests is small, of none is none', () => {
    expect(bet(unbet, of(0, 2), 0.01, 500)[3]).toBeCloseTo(1 - 0.9 * 0.1)
    expect(bet(unbet, of(0, 0), 0.01, 500)).toEqual(unbet)
  })
})

describe('two colors at the same time', () => {
  test('an error on the live one, half of the traffic each: for five times as many, 0.882 of 0.6', () => {
    // θ0 = 1.5 / 2.5 = 0.6, θ5 = 7.5 / 8.5
    const { 3: five = 0 } = compare(uncompared, of(1, 100), of(0, 100))
    expect(Math.exp(five)).toBeCloseTo(7.5 / 8.5 / 0.6)
  })
  test('an error on the old one speaks for the live one', () => {
    const { 3: five = 0 } = compare(uncompared, of(0, 100), of(1, 100))
    expect(Math.exp(five)).toBeCloseTo(1 / 8.5 / 0.4)
  })
  test('errors that are shared fairly are no evidence, however many', () => {
    expect(evidence(compare(uncompared, of(300, 300), of(300, 300)))).toBeLessThan(1)
  })
  test('nothing is said by one color alone', () => {
    expect(compare(uncompared, of(100, 100), of(0, 0))).toEqual(uncompared)
  })
  test('a day of outages is no number that breaks', () => {
    let likelihoods = uncompared
    for (let reading = 0; reading < 5760; reading++)
      likelihoods = compare(likelihoods, of(5000, 10_000), of(5000, 10_000))
    expect(evidence(likelihoods)).toBe(0)
    for (let reading = 0; reading < 5760; reading++)
      likelihoods = compare(likelihoods, of(9000, 10_000), of(0, 10_000))
    expect(evidence(likelihoods)).toBe(Number.POSITIVE_INFINITY)
  })
})

test.each([
  ['both fail alike', of(60, 1200), of(6, 120), true],
  ['two probes may always fail', of(2, 120), of(2, 120), false],
  ['the live one fails far more', of(600, 1200), of(20, 120), false],
  ['less than half as much, but much', of(1200, 1200), of(48, 120), true],
  ['nobody probes', of(1200, 1200), of(0, 0), false],
  ['nobody comes', of(0, 0), of(120, 120), false],
] as const)('whether going back would help: %s', (_, live, old, environment) => {
  expect(isEnvironment(live, old)).toBe(environment)
})

test.each([
  ['half of it, twice', of(10, 20), of(30, 60), true],
  ['half of it, once', of(9, 20), of(30, 60), false],
  ['all of a few', of(19, 19), of(19, 19), false],
  ['nothing was asked', of(0, 0), of(0, 0), false],
] as const)('whether it is simply down: %s', (_, before, now, down) => expect(isDown(before, now)).toBe(down))

describe('one reading after another', () => {
  const rules = { limit: 0.005, odds: 500 }
  const after = (readings: readonly Reading[]): string[] => {
    let weighed = unweighed
    return readings.map((reading) => {
      const step = weigh(weighed, reading, rules)
      weighed = step.weighed
      return step.verdict
    })
  }
  const fine: Reading = { live: of(0, 300), lastMinute: { live: of(0, 1200), probesOfOld: of(0, 120) } }
  const broken: Reading = { live: of(300, 300), lastMinute: { live: of(900, 1200), probesOfOld: of(0, 120) } }
  const outage: Reading = {
    live: of(300, 300),
    lastMinute: { live: of(900, 1200), probesOfOld: of(90, 120) },
  }

  test('healthy for ten minutes', () => expect(after(times(40, fine))).toEqual(times(40, 'watching')))

  test('an outage of the release: the third reading goes back', () => {
    expect(after(times(3, broken))).toEqual(['watching', 'watching', 'failed'])
  })

  test('an outage of both is held for as long as it lasts, and is not held against the release afterwards', () => {
    const verdicts = after([...times(6, outage), ...times(30, fine)])
    expect(verdicts.slice(0, 6)).toEqual(['watching', 'watching', ...times(4, 'environment')])
    expect(verdicts.slice(6)).toEqual(times(30, 'watching'))
  })

  test('a release that stays broken when the outage is over goes back', () => {
    expect(after([...times(6, outage), ...times(3, broken)]).at(-1)).toBe('failed')
  })

  test('where the old color serves enough users, it is what counts, and not the past', () => {
    const both: Reading = { ...fine, live: of(15, 150), old: of(15, 150) }
    expect(after(times(40, both))).toEqual(times(40, 'watching'))
    expect(after([{ ...broken, old: of(0, 150) }])).toEqual(['failed'])
  })

  test('but not where it serves hardly anybody', () => {
    for (const old of [of(19, 19), of(60, 60)])
      expect(after(times(3, { ...broken, old }))).toEqual(['watching', 'watching', 'failed'])
  })
})
