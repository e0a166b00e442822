import { expect, test } from 'bun:test'
import type { BakeReading } from '../../../lib/monitor/bake.ts'
import { growthOf, leakOf } from '../../../lib/monitor/leak.ts'

const T0 = Date.parse('2026-11-28T14:00:00Z')
const MIB = 2 ** 20

/** A reading each 15 s; `memory` in MiB by minutes. */
const readings = (count: number, memory: (minutes: number) => Record<string, number>): BakeReading[] =>
  Array.from({ length: count }, (_, index) => ({
    at: new Date(T0 + index * 15_000).toISOString(),
    ms: 15_000,
    covers: 15_000,
    counts: {},
    odds: {},
    memory: Object.fromEntries(Object.entries(memory(index / 4)).map(([pod, value]) => [pod, value * MIB])),
  }))

const limit = { limit: 256 * MIB, normal: 0 }

test('a pod that reaches its limit within the hour', () => {
  const leaking = readings(40, (minutes) => ({ sound: 80, leaky: 80 + 6 * minutes }))
  expect(leakOf({ readings: leaking, memory: limit })).toBe(
    'the memory of leaky grows by 6.0 MiB a minute: it reaches its limit of 256 MiB in 20 min',
  )
  expect(growthOf({ readings: leaking })).toBeCloseTo(MIB / 10, 0)
})

test('is nothing where earlier releases grew alike, where it takes longer, or where there is no limit', () => {
  const leaking = readings(40, (minutes) => ({ leaky: 80 + 6 * minutes }))
  expect(leakOf({ readings: leaking, memory: { ...limit, normal: MIB / 25 } })).toBeUndefined()
  expect(leakOf({ readings: leaking })).toBeUndefined()
  const slow = readings(40, (minutes) => ({ leaky: 80 + minutes }))
  expect(leakOf({ readings: slow, memory: limit })).toBeUndefined()
})

test('a process that warms up is no leak, nor one that is swept now and then, nor too few readings', () => {
  const warming = readings(40, (minutes) => ({ pod: 80 + 100 * Math.min(1, minutes / 4) }))
  expect(leakOf({ readings: warming, memory: limit })).toBeUndefined()
  const swept = readings(40, (minutes) => ({ pod: 80 + 40 * (minutes % 2) }))
  expect(leakOf({ readings: swept, memory: limit })).toBeUndefined()
  const few = readings(15, (minutes) => ({ pod: 80 + 10 * minutes }))
  expect(leakOf({ readings: few, memory: limit })).toBeUndefined()
})
