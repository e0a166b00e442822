import { describe, expect, test } from 'bun:test'
import type { Place } from '../../../lib/app/color.ts'
import { difference, kept } from '../../../lib/monitor/readings.ts'
import type { PodFigures, Snapshot } from '../../../lib/monitor/source.ts'

const pod = (
  name: string,
  total: number,
  bad: number,
  about: { color?: Place; startTime?: number } = {},
): PodFigures => ({
  pod: name,
  color: about.color ?? 'green',
  counters: { errors: { total, bad } },
  gauges: about.startTime === undefined ? {} : { startTime: about.startTime },
})
const at = (ms: number, ...pods: PodFigures[]): Snapshot => ({ at: ms, pods })
const green = (before: Snapshot, now: Snapshot) => difference(before, now).green['errors']

describe('what was counted meanwhile', () => {
  test('is the difference, pod by pod, summed by color', () => {
    const before = at(0, pod('a', 100, 1), pod('b', 1000, 0), pod('c', 5, 5, { color: 'blue' }))
    const now = at(1000, pod('a', 110, 3), pod('b', 1001, 1), pod('c', 9, 5, { color: 'blue' }))
    expect(difference(before, now)).toEqual({
      green: { errors: { total: 11, bad: 3 } },
      blue: { errors: { total: 4, bad: 0 } },
      plain: {},
    })
  })

  test.each<[string, PodFigures, PodFigures, { total: number; bad: number } | undefined]>([
    ['a counter that began anew', pod('a', 100, 50), pod('a', 7, 2), { total: 7, bad: 2 }],
    [
      'a process that began anew, and has counted more than the one before',
      pod('a', 100, 50, { startTime: 10 }),
      pod('a', 140, 60, { startTime: 20 }),
      { total: 140, bad: 60 },
    ],
    [
      'a start that is told a little differently',
      pod('a', 100, 50, { startTime: 10 }),
      pod('a', 140, 60, { startTime: 10.4 }),
      { total: 40, bad: 10 },
    ],
    ['fewer bad ones, which cannot be', pod('a', 100, 50), pod('a', 110, 40), { total: 10, bad: 0 }],
    ['more bad ones than there were any', pod('a', 100, 0), pod('a', 101, 5), { total: 1, bad: 1 }],
    ['a pod that has gone', pod('a', 100, 50), pod('b', 3, 3), undefined],
    ['a new one that does not say since when', pod('a', 1, 0), pod('b', 300, 30), undefined],
    ['one that had been there', pod('a', 1, 0), pod('b', 300, 30, { startTime: 9 }), undefined],
    ['one that began meanwhile', pod('a', 1, 0), pod('b', 30, 3, { startTime: 11 }), { total: 30, bad: 3 }],
  ])('%s', (_, before, now, counted) => {
    expect(green(at(10_000, before), at(20_000, now))).toEqual(counted)
  })

  test('an indicator that a pod did not have is counted from its first sight', () => {
    const before = { ...pod('a', 1, 0), counters: {} }
    expect(green(at(0, before), at(1000, pod('a', 500, 400)))).toBeUndefined()
  })

  test.each([-1001, -60_000])('nothing, by a snapshot that is older (%p ms)', (later) => {
    const nothing = { blue: {}, green: {}, plain: {} }
    expect(difference(at(5000, pod('a', 100, 1)), at(5000 + later, pod('a', 90, 0)))).toEqual(nothing)
  })

  test('what the others counted while one pod, by which the snapshot is dated, was not read', () => {
    const before = at(5000, pod('stuck', 100, 1), pod('a', 10, 0))
    expect(green(before, at(4998, pod('stuck', 100, 1), pod('a', 30, 4)))).toEqual({ total: 20, bad: 4 })
  })

  test('whatever comes, nothing is negative, and no more is bad than there was', () => {
    let seed = 7
    const random = (most: number): number => (seed = (seed * 48_271) % 2_147_483_647) % most
    for (let round = 0; round < 2000; round++) {
      const some = (): PodFigures[] =>
        ['a', 'b', 'c']
          .slice(random(3))
          .map((name) => pod(name, random(50), random(50), { startTime: random(40) }))
      for (const counts of Object.values(difference(at(0, ...some()), at(1, ...some()))))
        for (const { total, bad } of Object.values(counts)) {
          expect(bad).toBeGreaterThanOrEqual(0)
          expect(total).toBeGreaterThanOrEqual(bad)
        }
    }
  })
})

describe('a pod that could not be read for a while', () => {
  test('loses nothing of what it counted', () => {
    const first = at(0, pod('a', 100, 1), pod('b', 10, 0))
    const second = kept(first, at(1000, pod('b', 12, 0)))
    const third = at(2000, pod('a', 150, 41), pod('b', 13, 0))
    expect(green(first, second)).toEqual({ total: 2, bad: 0 })
    expect(green(second, third)).toEqual({ total: 51, bad: 40 })
  })

  test('nor do its other indicators; of a new process the old ones are forgotten', () => {
    const old = pod('a', 100, 1, { startTime: 10 })
    const without = (startTime: number) => at(1000, { ...pod('a', 0, 0, { startTime }), counters: {} })
    expect(kept(at(0, old), without(10)).pods[0]?.counters).toEqual(old.counters)
    expect(kept(at(0, old), without(20)).pods[0]?.counters).toEqual({})
  })
})
