import { describe, expect, test } from 'bun:test'
import { seriesOf } from '../../../lib/traffic/series.ts'
import type { Sample } from '../../../lib/traffic/witness.ts'

const sample = (done: number, color?: string, failure?: string): Sample => ({
  due: done,
  done,
  connection: 'new',
  ...(color && { color }),
  ...(failure && { failure }),
})

const sum = (values: readonly number[] = []): number => values.reduce((a, b) => a + b, 0)

describe('requests over time, for a record', () => {
  test('nobody asked: there is none', () => expect(seriesOf([], 1000)).toBeUndefined())

  test('no request is lost or counted twice, and none of before the patch shares a step with one of after it', () => {
    const samples = Array.from({ length: 700 }, (_, i) => sample(5000 + i * 17, i < 300 ? 'blue' : 'green'))
    const patchedAt = 7001
    const series = seriesOf(samples, patchedAt)
    if (!series) throw new Error('there is one')
    const near = samples.filter(({ done }) => done >= patchedAt - 2000)
    expect(sum(series.blue) + sum(series.green)).toBe(near.length)
    expect(Number.isInteger(series.from / series.every)).toBe(true)
    const before = -series.from / series.every
    expect(sum(series.blue.slice(0, before))).toBe(near.filter(({ done }) => done < patchedAt).length)
  })

  test('a failure is none of its color, and a color that nobody knows has no name', () => {
    const odd = '<script>'.repeat(1000)
    const series = seriesOf([sample(1, 'blue', 'status 500'), sample(2, odd), sample(3)], 0)
    expect([series?.blue, series?.failed, series?.unnamed]).toEqual([[0], [1], [2]])
    expect(JSON.stringify(series)).not.toContain('script')
  })

  test.each([1, 60, 3600])('a switch that was watched for %d s takes less than 2 kB', (seconds) => {
    const samples = Array.from({ length: seconds * 40 }, (_, i) => sample(i * 25, 'green'))
    const series = seriesOf(samples, 100)
    expect(JSON.stringify(series).length).toBeLessThan(2000)
    expect(sum(series?.green)).toBe(samples.length)
  })
})
