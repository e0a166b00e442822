import { describe, expect, test } from 'bun:test'
import type { Sample } from '../../verify/performance/lane.ts'
import { compare, interval } from '../../verify/performance/comparison.ts'

/** Numbers between 0 and 1, the same in every run (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

const samples = (count: number, ms: (i: number) => number): Sample[] =>
  Array.from({ length: count }, (_, i) => ({
    endpoint: 0,
    due: i * 20,
    lag: 0,
    latency: ms(i),
    queued: false,
  }))

/** 20 s at 50 a second, exponential latency of this mean. */
const exponential = (mean: number, random: () => number): Sample[] =>
  samples(1000, () => -mean * Math.log(1 - random()))

describe('the interval of a percentile', () => {
  test('lies at the ranks that the binomial distribution says', () => {
    const sorted = Array.from({ length: 1000 }, (_, i) => i + 1)
    expect(interval(sorted, 0.99)).toEqual({ value: 990, low: 983, high: 997 })
  })

  test('has no upper end where there are too few samples to have one', () => {
    expect(interval([1, 2, 3], 0.99)).toMatchObject({ high: Number.POSITIVE_INFINITY })
  })

  test('holds the true one at least 95 times in 100', () => {
    const random = seeded(1)
    const truth = -Math.log(0.01)
    const held = Array.from({ length: 1000 }, () => {
      const sorted = exponential(1, random).map(({ latency = 0 }) => latency)
      const { low, high } = interval(
        sorted.toSorted((a, b) => a - b),
        0.99,
      )
      return low <= truth && truth <= high
    })
    expect(held.filter(Boolean).length).toBeGreaterThanOrEqual(950)
  })
})

const slower = (idle: Sample[], live: Sample[], times = 1.2) => compare(idle, live, times).slower
const late = (all: Sample[]) =>
  all.map((sample) => ({ ...sample, lag: 500, latency: (sample.latency ?? 0) + 500 }))

describe('slower than the live color', () => {
  test('two alike are never called different, in 500 runs', () => {
    const random = seeded(2)
    const found = Array.from({ length: 500 }, () => slower(exponential(20, random), exponential(20, random)))
    expect(found.filter(Boolean)).toEqual([])
  })

  test('one of twice the latency is found in nearly every run', () => {
    const random = seeded(3)
    const found = Array.from({ length: 100 }, () => slower(exponential(40, random), exponential(20, random)))
    expect(found.filter(Boolean).length).toBeGreaterThan(80)
  })

  test.each<[string, (i: number) => number, boolean]>([
    ['all of them slow', () => 800, true],
    ['3 % of them slow, now and then', (i) => (i % 33 === 0 ? 300 : 10), true],
    ['3 % of them slow, in one pause', (i) => (i >= 500 && i < 530 ? 300 : 10), false],
    ['1 in 1,000 slow', (i) => (i === 7 ? 5000 : 10), false],
    ['4 ms more', () => 14, false],
    ['a fifth more and a little', () => 16, true],
    ['faster', () => 1, false],
  ])('beside a live color of 10 ms: %s → %p', (_, ms, is) => {
    const live = samples(1000, (i) => 10 + (i % 10) / 100)
    expect(slower(samples(1000, ms), live)).toBe(is)
  })

  test('2 ms instead of 1 ms stop no release', () => {
    expect(
      slower(
        samples(1000, () => 2),
        samples(1000, () => 1),
      ),
    ).toBe(false)
  })

  test('less than N times is not N times', () => {
    expect(
      slower(
        samples(1000, () => 140),
        samples(1000, () => 100),
        1.5,
      ),
    ).toBe(false)
    expect(
      slower(
        samples(1000, () => 160),
        samples(1000, () => 100),
        1.5,
      ),
    ).toBe(true)
  })

  test('what is excused is excused, and no more', () => {
    const [idle, live] = [samples(1000, () => 60), samples(1000, () => 10)]
    expect(compare(idle, live, 1.2, 30).slower).toBe(true)
    expect(compare(idle, live, 1.2, 50).slower).toBe(false)
  })

  test('the generator’s lateness, which both share, hides nothing', () => {
    expect(slower(late(samples(1000, () => 60)), late(samples(1000, () => 10)))).toBe(true)
  })
})
