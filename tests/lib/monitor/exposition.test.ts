import { describe, expect, test } from 'bun:test'
import { Counter, Gauge, Histogram, Registry, Summary } from 'prom-client'
import { parseExposition } from '../../../lib/monitor/exposition.ts'
import type { Sample } from '../../../lib/monitor/prometheus.ts'

const sample = (labels: Record<string, string>, value: number): Sample => ({ labels, value })

describe('the text format', () => {
  test('of prom-client, with every kind of metric and whatever a label holds', async () => {
    const registers = [new Registry()]
    const strange = 'a "quoted"\\ \n{x="1",} # }'
    const labelNames = ['route']
    new Counter({ name: 'c_total', help: 'a\nb', labelNames, registers }).inc({ route: strange }, 3)
    new Gauge({ name: 'g', help: 'h', registers }).set(-1.5e-9)
    const histogram = new Histogram({ name: 'h', help: 'h', labelNames, buckets: [0.1, 1], registers })
    histogram.observe({ route: '/' }, 0.5)
    histogram.observe({ route: '/x' }, 5)
    new Summary({ name: 's', help: 'h', percentiles: [0.5], registers }).observe(2)
    const samples = parseExposition((await registers[0]?.metrics()) ?? '')
    expect(samples).toContainEqual(sample({ __name__: 'c_total', route: strange }, 3))
    expect(samples).toContainEqual(sample({ __name__: 'g' }, -1.5e-9))
    // Two sets of labels stay two.
    expect(samples).toContainEqual(sample({ __name__: 'h_bucket', le: '1', route: '/' }, 1))
    expect(samples).toContainEqual(sample({ __name__: 'h_bucket', le: '1', route: '/x' }, 0))
    expect(samples).toContainEqual(sample({ __name__: 's', quantile: '0.5' }, 2))
    expect(samples).toHaveLength(2 + 2 * 5 + 3)
  })

  test.each<[string, Record<string, string>, number]>([
    ['a 1', { __name__: 'a' }, 1],
    ['a{} 1', { __name__: 'a' }, 1],
    ['  a { b = "c" , d="e", } 1.5 1700000000000', { __name__: 'a', b: 'c', d: 'e' }, 1.5],
    ['a:b +Inf', { __name__: 'a:b' }, Infinity],
    ['a -Inf', { __name__: 'a' }, -Infinity],
    ['a .5e+3', { __name__: 'a' }, 500],
    ['a NaN', { __name__: 'a' }, Number.NaN],
    ['a_bucket{le="1"} 17 # {trace="x"} 0.67', { __name__: 'a_bucket', le: '1' }, 17],
    ['a{b="}"} 2', { __name__: 'a', b: '}' }, 2],
  ])('%s', (line, labels, value) => {
    expect(parseExposition(`# TYPE a gauge\n\n${line}\n# EOF\n`)).toEqual([sample(labels, value)])
  })

  test.each([
    'a',
    '1',
    'a{b="c"}',
    'a{b=c} 1',
    'a{b="c" d="e"} 1',
    'a{b="c",b="d"} 1',
    'a 1 x',
    'a 0x1',
    'a 1,5',
    'a{b="c} 1',
    '<html>',
    '{"a":1}',
    'a{b="c"}} 1',
    'a undefined',
    'a 1 2 3',
  ])('%s is none, and makes the rest unreadable', (line) => {
    expect(parseExposition(`ok 1\n${line}\n`)).toEqual({
      problem: expect.stringContaining('cannot be read: line 2'),
    })
  })

  test('a hostile line takes no time', () => {
    const started = performance.now()
    for (const line of [
      `a{${'b="c",'.repeat(20_000)}`,
      `a{b="${'\\'.repeat(50_000)}`,
      `a${' '.repeat(50_000)}x y`,
    ])
      expect(parseExposition(line)).toHaveProperty('problem')
    expect(performance.now() - started).toBeLessThan(2000)
  })
})
