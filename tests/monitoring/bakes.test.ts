/**
 * How often the judge of a bake is wrong, and how soon it is right, over thousands of seeded bakes (bench/bakes.ts). The
 * bounds are of 99 % confidence.
 */
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import {
  bet,
  bakeOf,
  binomial,
  betAlone,
  delayOf,
  goesBack,
  ODDS,
  onceOver,
  randomOf,
  rankZ,
  READINGS,
  verdictOf,
  zTest,
  type World,
} from '../../bench/bakes.ts'
import { bet as betOn, compare, evidence, oddsAgainst, unbet, uncompared } from '../../lib/monitor/judge.ts'

setDefaultTimeout(120_000)

const BAKES = 20_000
const noise = 0.8

describe('a healthy release is hardly ever taken back', () => {
  test.each([
    ['errors come one by one', {}, 0.005],
    ['they come in waves', { noise }, 0.005],
    ['a fifth fails for 15 s, now and then', { noise, bursts: 0.008 }, 0.005],
    ['half as many more at this hour', { noise, drift: 1.5 }, 0.01],
    ['twice as many at this hour, as yesterday', { noise, drift: 2, history: true }, 0.01],
    ['a dependency of both colors is away for a minute', { noise, outage: 4 }, 0.005],
    [
      'users are on both colors, at an hour with twice as many',
      { noise, drift: 2, overlap: READINGS },
      0.005,
    ],
  ] satisfies [string, World, number][])('%s', (_, world, most) => {
    expect(goesBack(bet, world, BAKES).atMost).toBeLessThanOrEqual(most)
  })

  test('twice as many at an hour of which nothing is known is the limit of it: about 1.5 %', () => {
    const { share } = goesBack(bet, { noise, drift: 2 }, BAKES)
    expect(share).toBeWithin(0.005, 0.03)
  })

  test('without asking whether going back would help, an outage of both is taken for a bad release', () => {
    expect(goesBack(betAlone, { noise, outage: 4 }, 1000).share).toBeGreaterThan(0.95)
  })

  test('and the same bakes are what others are wrong about', () => {
    expect(goesBack(zTest, { noise }, 1000).share).toBeGreaterThan(0.3)
    expect(goesBack(onceOver, { noise }, 1000).share).toBeGreaterThan(0.3)
  })
})

describe('a faulty one is taken back soon', () => {
  test.each([
    ['all fail', 1, 45, 45],
    ['a fifth fails', 0.2, 45, 45],
    ['one in twenty fails', 0.05, 60, 75],
    ['one in fifty fails', 0.02, 90, 150],
  ])('%s', (_, fault, median, p95) => {
    const delay = delayOf(bet, { noise, fault }, 2000)
    expect(delay.caught).toBeGreaterThan(0.99)
    expect(Math.abs(delay.median - median)).toBeLessThanOrEqual(15)
    expect(Math.abs(delay.p95 - p95)).toBeLessThanOrEqual(30)
  })

  test('at once, where users are on both colors', () => {
    expect(delayOf(bet, { noise, fault: 0.2, overlap: 8 }, 1000)).toMatchObject({ median: 15, caught: 1 })
  })

  test.each([0.05, 0.2, 1])(
    'a fault of %p is seldom held to be of the environment, and then for a minute',
    (fault) => {
      let held = 0
      for (let seed = 0; seed < 5000; seed++)
        if (verdictOf(bakeOf({ noise, fault }, seed)).verdict === 'environment') held++
      expect(held / 5000).toBeLessThanOrEqual(0.01)
    },
  )
})

describe('what the mathematics promise', () => {
  const limit = 0.005
  const wealths = (share: number, odds: number, bakes: number) =>
    Array.from({ length: bakes }, (_, seed) => {
      const random = randomOf(seed)
      let wealth = unbet
      let highest = 1
      const after = Array.from({ length: READINGS }, () => {
        wealth = betOn(wealth, { total: 300, bad: binomial(random, 300, share) }, limit, odds)
        highest = Math.max(highest, oddsAgainst(wealth))
        return oddsAgainst(wealth)
      })
      return { after, highest }
    })

  test('at the limit nothing is won on the average, at any reading; below it is lost, above it grows', () => {
    const all = wealths(limit, ODDS, BAKES)
    for (let reading = 0; reading < READINGS; reading++) {
      const { mean, error } = summary(all.map(({ after }) => after[reading] ?? Number.NaN))
      expect(mean).toBeLessThanOrEqual(1 + 4 * error)
    }
    const last = (share: number): number =>
      summary(wealths(share, ODDS, 2000).map(({ after }) => after.at(-1) ?? 0)).mean
    expect(last(limit / 2)).toBeLessThan(0.2)
    expect(last(limit * 2)).toBeGreaterThan(10)
  })

  test('however often one looks, 20 to one comes up once in 20 times at the most', () => {
    const reached = wealths(limit, 20, BAKES).filter(({ highest }) => highest >= 20).length / BAKES
    expect(reached).toBeWithin(0.005, 0.05)
  })

  test('the same of two colors of which one fails as much more as is tolerated', () => {
    let reached = 0
    for (let seed = 0; seed < BAKES; seed++) {
      const random = randomOf(seed)
      let likelihoods = uncompared
      let highest = 0
      for (let reading = 0; reading < READINGS; reading++) {
        const [live, old] = [0.03, 0.02].map((share) => ({ total: 150, bad: binomial(random, 150, share) }))
        if (live && old) likelihoods = compare(likelihoods, live, old)
        highest = Math.max(highest, evidence(likelihoods))
      }
      if (highest >= 20) reached++
    }
    expect(reached / BAKES).toBeWithin(0.001, 0.05)
  })
})

describe('the worlds are what they are said to be', () => {
  test('the noise leaves the mean as it is, and readings alike', () => {
    const shares = Array.from({ length: 2000 }, (_, seed) =>
      bakeOf({ noise, errors: 0.02 }, seed).readings.map(({ live }) => live.bad / live.total),
    )
    const { mean } = summary(shares.flat())
    expect(mean).toBeWithin(0.0185, 0.0215)
    const products = shares.flatMap((row) =>
      row.slice(1).map((share, index) => (share - mean) * ((row[index] ?? 0) - mean)),
    )
    const squares = shares.flat().map((share) => (share - mean) ** 2)
    // Less than 0.8: the exponential bends it, and the counts add noise of their own.
    expect(summary(products).mean / summary(squares).mean).toBeWithin(0.5, 0.8)
  })

  test('the rank test counts ties: U = 10.5 of 12, variance 7.714, worked out by hand', () => {
    expect(rankZ([1.1, 2.2, 3.3, 3.3], [0.5, 1.1, 2])).toBeCloseTo(1.6202, 3)
  })
})

function summary(values: readonly number[]): { mean: number; error: number } {
  const mean = values.reduce((a, b) => a + b, 0) / values.length
  const variance = values.reduce((all, value) => all + (value - mean) ** 2, 0) / (values.length - 1)
  return { mean, error: Math.sqrt(variance / values.length) }
}
