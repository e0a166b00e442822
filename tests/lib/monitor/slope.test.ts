import { expect, test } from 'bun:test'
import { boundOf } from '../../../lib/monitor/slow.ts'
import { slopeOf } from '../../../lib/monitor/slope.ts'

const every15s = (values: readonly number[]) =>
  values.map((value, index) => ({ at: 1e12 + index * 15_000, value }))

test.each<[string, number[], number | undefined]>([
  ['nothing', [], undefined],
  ['one moment', [5], undefined],
  ['a line', [0, 15, 30, 45], 1],
  ['one that falls', [45, 30, 15, 0], -1],
  ['no change', [7, 7, 7], 0],
  ['a line with jumps that no average survives', [0, 15, 30, 9e9, 60, 75, -9e9, 105, 120], 1],
])('the slope of %s, a second', (_, values, slope) => {
  expect(slopeOf(every15s(values))).toBe(slope)
})

test('two values of one moment say nothing', () => {
  expect(
    slopeOf([
      { at: 1, value: 1 },
      { at: 1, value: 9 },
    ]),
  ).toBeUndefined()
})

test('a day of readings is as fast and as right', () => {
  const started = performance.now()
  expect(slopeOf(every15s(Array.from({ length: 5760 }, (_, index) => index * 30)))).toBe(2)
  expect(performance.now() - started).toBeLessThan(1000)
})

const bucket = (le: string, value: number) => ({ labels: { le }, value })

test.each<[string, ReturnType<typeof bucket>[], number | undefined]>([
  ['without any', [], 0.5],
  ['too few', [bucket('0.1', 99), bucket('+Inf', 99)], 0.5],
  ['exactly so many', [bucket('0.1', 94), bucket('0.25', 95), bucket('+Inf', 100)], 0.25],
  [
    'of two pods together',
    [
      bucket('0.1', 90),
      bucket('+Inf', 90),
      bucket('0.1', 0),
      bucket('1', 10),
      bucket('+Inf', 10),
      bucket('1', 90),
    ],
    1,
  ],
  ['as OpenMetrics writes it', [bucket('1.0', 100), bucket('+Inf', 100)], 1],
  ['above all bounds', [bucket('1', 94), bucket('+Inf', 100)], undefined],
  ['without the last one', [bucket('1', 500)], 0.5],
])('slow is what takes longer than the first bound that is not below p95: %s', (_, buckets, bound) => {
  expect(boundOf(buckets)).toBe(bound)
})
