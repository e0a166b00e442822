import { describe, expect, test } from 'bun:test'
import type { Place } from '../../../lib/app/color.ts'
import { backtestLines } from '../../../lib/monitor/backtest-report.ts'
import { tryBakes, type Then, type Trial } from '../../../lib/monitor/backtest.ts'
import { indicatorsOf } from '../../../lib/monitor/indicators.ts'
import type { Count } from '../../../lib/monitor/judge.ts'
import { bake } from '../../../lib/settings/bake.ts'

const MINUTE = 60_000
const START = Date.UTC(2026, 10, 23)
const trial: Trial = { time: 10 * MINUTE, every: 15_000, indicators: indicatorsOf(bake.parse({}), 0.5) }

/** Hours of a reading each 15 s, as the minute says. */
const hours = (
  count: number,
  of: (minute: number) => Count | undefined,
  color: (minute: number) => Place = () => 'green',
): Then[] =>
  Array.from({ length: count * 240 }, (_, index) => {
    const counted = of(index / 4)
    const counts: Then['counts'] = { blue: {}, green: {}, plain: {} }
    if (counted) counts[color(index / 4)] = { errors: counted }
    return { at: START + index * 15_000, counts }
  })

const calm = (): Count => ({ total: 300, bad: 1 })

describe('on the past', () => {
  test('where all went well nothing is rolled back; every ten minutes is tried', () => {
    const tried = tryBakes(hours(3, calm), trial)
    expect(tried).toEqual({ moments: 14, alarms: [], leftOut: { switched: 0, unknown: 0 } })
    expect(backtestLines(tried, trial)).toEqual([
      'Of 14 moments without a deployment it would have rolled back 0 (0 %)',
      'Left out: 0 with a change of color, 0 of which too little is known',
    ])
  })

  test('an outage is found by the bakes in which it begins, or which it meets; later it is what is normal', () => {
    const tried = tryBakes(
      hours(3, (minute) => ({ total: 300, bad: minute >= 92 && minute < 100 ? 60 : 1 })),
      trial,
    )
    expect(tried.alarms).toMatchObject([
      { at: START + 90 * MINUTE, indicator: 'errors', after: 2 * MINUTE + 45_000 },
    ])
    const [, line = ''] = backtestLines(tried, trial)
    expect(line).toMatch(/^ {2}2026-11-23 01:30 errors: [\d,]+ : 1 after 2 m 45 s \(limit 0\.82 %\)$/)
  })

  test.each([
    [0.2, 45_000],
    [0.05, 90_000],
  ])('a share of %p more that fail is found within %p ms, the same each time', (share, within) => {
    const hurting = { ...trial, inject: { share, lasting: 10 * MINUTE } }
    const tried = tryBakes(hours(6, calm), hurting)
    expect(tried.alarms).toHaveLength(tried.moments)
    expect(Math.max(...tried.alarms.map(({ after }) => after))).toBeLessThanOrEqual(within + 60_000)
    expect(tryBakes(hours(6, calm), hurting)).toEqual(tried)
    const [title, caught, soon] = backtestLines(tried, hurting)
    expect(title).toBe(`With ${share * 100} % more that fail, for 10 m 0 s:`)
    expect(caught).toBe('  32 of 32 caught within 10 m 0 s (100 %)')
    expect(soon).toMatch(/^ {2}half of them within .*, 95 % within /)
  })

  test('of very many requests the injected share is the same', () => {
    const tried = tryBakes(
      hours(2, () => ({ total: 1e6, bad: 100 })),
      { ...trial, inject: { share: 0.05, lasting: 10 * MINUTE } },
    )
    expect(tried.alarms).toHaveLength(tried.moments)
  })

  test('a fault that has passed before it is certain is not found', () => {
    const brief = { ...trial, inject: { share: 0.2, lasting: 15_000 } }
    expect(tryBakes(hours(3, calm), brief).alarms).toEqual([])
  })

  test('moments at which users changed color are left out, and those of which nothing is known', () => {
    const switched = tryBakes(
      hours(3, calm, (minute) => (minute < 95 ? 'blue' : 'green')),
      trial,
    )
    expect(switched.moments + switched.leftOut.switched).toBe(14)
    expect(switched.leftOut.switched).toBeGreaterThan(0)
    expect(
      tryBakes(
        hours(3, () => undefined),
        trial,
      ),
    ).toMatchObject({ moments: 0, leftOut: { unknown: 14 } })
    const gap = hours(3, calm).filter(({ at }) => at < START + 60 * MINUTE || at > START + 68 * MINUTE)
    expect(tryBakes(gap, trial).leftOut.unknown).toBeGreaterThan(0)
    expect(backtestLines(tryBakes([], trial), trial)[0]).toBe(
      'There is no moment to judge: too little of the past is known',
    )
  })

  test('a week is tried in seconds', () => {
    const week = hours(7 * 24, calm)
    const started = performance.now()
    expect(tryBakes(week, { ...trial, inject: { share: 0.05, lasting: 10 * MINUTE } }).moments).toBe(1004)
    expect(performance.now() - started).toBeLessThan(15_000)
  })

  test('whatever is found, it fits 80 columns', () => {
    const alarm = {
      at: START,
      after: 600_000,
      indicator: 'databaseErrors',
      limit: 0.0123456,
      odds: 123_456_789,
    }
    const many = {
      moments: 123_456,
      alarms: Array.from({ length: 12 }, () => alarm),
      leftOut: { switched: 12_345, unknown: 12_345 },
    }
    for (const lines of [
      backtestLines(many, trial),
      backtestLines(many, { ...trial, inject: { share: 0.05, lasting: 1 } }),
    ])
      expect(lines.filter((line) => line.length > 80)).toEqual([])
  })
})
