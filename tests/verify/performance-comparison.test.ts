import { describe, expect, test } from 'bun:test'
import type { Sample } from '../../verify/performance/lane.ts'
import { blocksOf, compare } from '../../verify/performance/comparison.ts'
import { seeded } from './random.ts'

const samples = (count: number, ms: (i: number) => number, duration = 20_000): Sample[] =>
  Array.from({ length: count }, (_, i) => ({
    endpoint: 0,
    due: (i * duration) / count,
    lag: 0,
    latency: ms(i),
  }))

/** 20 s of a web application: a median of 20 ms, and a tail that is the longer the greater sigma is. */
function lognormal(sigma: number, random: () => number, times = 1, count = 1000): Sample[] {
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  return samples(count, () => times * 20 * Math.exp(sigma * normal()))
}

type Options = Parameters<typeof compare>[3]
const slower = (idle: Sample[], live: Sample[], times = 1.2, options: Options = {}): boolean =>
  compare(idle, live, times, options).some((one) => one.slower)
const share = (runs: number, found: () => boolean): number =>
  Array.from({ length: runs }, found).filter(Boolean).length / runs
const late = (all: Sample[]) => all.map((sample) => ({ ...sample, lag: 500, latency: sample.latency + 500 }))

describe('of 1,000 requests to each', () => {
  test.each([0.25, 0.5, 1])('σ %d: two alike are called different in at most 1 of 100 runs', (sigma) => {
    const random = seeded(sigma * 100)
    expect(share(100, () => slower(lognormal(sigma, random), lognormal(sigma, random)))).toBeLessThanOrEqual(
      0.01,
    )
  })

  test('one that is 1.2 times slower to a hair is called slower in few', () => {
    const random = seeded(3)
    expect(share(50, () => slower(lognormal(0.5, random, 1.2), lognormal(0.5, random)))).toBeLessThan(0.1)
  })

  test.each([
    [0.25, 1.5],
    [0.5, 1.5],
    [1, 2],
  ])('σ %d: %d times slower is noticed in 90 of 100 runs', (sigma, times) => {
    const random = seeded(times * 100 + sigma)
    expect(
      share(50, () => slower(lognormal(sigma, random, times), lognormal(sigma, random))),
    ).toBeGreaterThan(0.9)
  })

  test('a median twice as slow is noticed, where both have the same slow 2 of 100', () => {
    const random = seeded(5)
    const same = (ms: number): Sample[] =>
      samples(1000, () => (random() < 0.02 ? 400 : ms * (0.8 + 0.4 * random())))
    const found = Array.from({ length: 30 }, () => compare(same(40), same(20), 1.2))
    expect(found.filter(([p50]) => p50?.slower).length).toBeGreaterThan(27)
    // The tail is the same: it is not what is blamed.
    expect(found.filter(([, , p99]) => p99?.slower)).toEqual([])
  })

  test('a slow path that 6 in 100 take, and 1 in 1,000 of live’s, is noticed', () => {
    const random = seeded(6)
    const path = (part: number): Sample[] =>
      samples(1000, () => (random() < part ? 300 : 10) * (0.9 + 0.2 * random()))
    expect(share(30, () => slower(path(0.06), path(0.001)))).toBeGreaterThan(0.9)
  })
})

test.each([
  [60_000, { length: 1000, blocks: 60 }],
  [20_500, { length: 1000, blocks: 21 }],
  [20_000, { length: 1000, blocks: 20 }],
  [5000, { length: 250, blocks: 20 }],
  [200, { length: 10, blocks: 20 }],
])('%d ms are compared by enough blocks', (end, wanted) => expect(blocksOf(end)).toEqual(wanted))

describe('what would have been noticed', () => {
  test.each([
    ['1,000 requests to live', 1000],
    ['the 100 of the default rate', 100],
  ])('is noticed in about 95 of 100 runs: %s', (_, count) => {
    const random = seeded(count)
    const percentiles = [50]
    const noticed = Array.from({ length: 20 }, () => {
      const live = lognormal(0.5, random, 1, count)
      return compare(lognormal(0.5, random), live, 1.2, { percentiles })[0]?.noticed ?? 0
    }).toSorted((a, b) => a - b)
    const times = noticed[10] ?? 0
    const found = share(100, () =>
      slower(lognormal(0.5, random, times), lognormal(0.5, random, 1, count), 1.2, { percentiles }),
    )
    expect(found).toBeGreaterThanOrEqual(0.88)
    expect(times).toBeLessThan(count === 1000 ? 1.5 : 1.8)
  })
})

describe('slower than the live color', () => {
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
    expect(slower(idle, live, 1.2, { excused: 30 })).toBe(true)
    expect(slower(idle, live, 1.2, { excused: 50 })).toBe(false)
  })

  test('the generator’s lateness, which both share, hides nothing', () => {
    expect(slower(late(samples(1000, () => 60)), late(samples(1000, () => 10)))).toBe(true)
  })
})
