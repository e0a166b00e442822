import { describe, expect, test } from 'bun:test'
import type { Pod } from '../../../lib/cluster/objects.ts'
import { pod as podForm } from '../../../lib/cluster/objects.ts'
import { boardLines, type Board } from '../../../lib/monitor/board.ts'
import { parseExposition } from '../../../lib/monitor/exposition.ts'
import { metricsOf } from '../../../lib/monitor/metrics-of-pods.ts'
import type { Heard } from '../../../lib/monitor/pods.ts'

const board = (about: Partial<Board>): Board => ({
  app: 'chat',
  environment: 'production',
  live: 'green is live',
  at: '2026-11-23T08:01:02.000Z',
  checks: [{ gate: 'smoke', name: 'alive', verdict: 'passed', ms: 12, expected: '', seen: 'status 200' }],
  pods: [],
  measured: { by: 'Prometheus', problems: [], values: {} },
  places: ['blue', 'green'],
  ...about,
})

describe('what is shown', () => {
  test('what is not known is unknown, and no zero', () => {
    const values = { errors: { green: 0 }, memory: { blue: 300 * 2 ** 20 }, p99: { blue: 0.0123, green: 2 } }
    const lines = boardLines(board({ measured: { by: 'Prometheus', problems: ['x'], values } }))
    const of = (title: string) =>
      lines
        .find((line) => line.startsWith(title))
        ?.slice(46)
        .trim()
        .split(/ {2,}/)
    expect(of('Failed requests (5xx)')).toEqual(['unknown', '0 %'])
    expect(of('Memory, the largest')).toEqual(['300 MiB', 'unknown'])
    expect(of('Latency, p99')).toEqual(['12.3 ms', '2 s'])
    expect(of('Requests ')).toEqual(['unknown', 'unknown'])
    expect(lines.at(-1)).toBe('? x')
    expect(lines).toContain('? none is there')
  })

  test('whatever it is, it fits 80 columns', () => {
    const long = 'ä'.repeat(300)
    const pods = [{ pod: long, color: 'blue' as const, ready: false, restarts: 3, failed: [long], asked: 4 }]
    const values = { requests: { blue: 1e15, green: 1e-9 }, network: { blue: 1e18, green: 0 } }
    const [check] = board({}).checks
    const checks = check ? [{ ...check, verdict: 'failed' as const, seen: long }] : []
    const lines = boardLines(
      board({ app: long, live: long, checks, pods, measured: { by: long, problems: [long], values } }),
    )
    expect(lines.filter((line) => line.length > 80)).toEqual([])
    expect(lines.find((line) => line.startsWith('✗ alive'))).toBeDefined()
  })

  test('a pod is told with what is wrong', () => {
    const one = { pod: 'p', color: 'blue' as const, ready: true, restarts: 0, failed: [], asked: 4 }
    const pods = [
      one,
      { ...one, restarts: 2, failed: ['alive'] },
      { ...one, unknown: 'may not' },
      { ...one, asked: 0 },
    ]
    expect(boardLines(board({ pods })).filter((line) => line.includes('p  '))).toEqual([
      '✓ p  ready, 4 of 4 checks',
      '✗ p  ready, 3 of 4 checks, restarts: 2, not: alive',
      '? p  ready, may not',
      '✓ p  ready, no check to ask it',
    ])
  })
})

const heard = (at: number, text: string): Heard => {
  const samples = parseExposition(text)
  const pod: Pod = podForm.parse({
    kind: 'Pod',
    metadata: { name: 'p', uid: 'p' },
    spec: { containers: [{ resources: { limits: { memory: '1Ki' } } }] },
  })
  if ('problem' in samples) throw new Error(samples.problem)
  const told = {
    pod,
    color: 'green' as const,
    samples: samples.map((one) => ({
      ...one,
      labels: { namespace: 'n', app: 'chat', color: 'green', ...one.labels },
    })),
  }
  return { at, told: [told], silent: [], left: 0 }
}

const buckets = (counts: number[]): string =>
  [0.1, 0.5, 1, '+Inf']
    .map((le, index) => `http_request_duration_seconds_bucket{route="/",le="${le}"} ${counts[index]}`)
    .join('\n')

describe('from what pods say twice', () => {
  const before = heard(
    0,
    `${buckets([0, 0, 0, 0])}\nhttp_request_duration_seconds_count{route="/",status="200"} 5\n`,
  )
  const now = heard(
    10_000,
    `${buckets([50, 90, 100, 100])}\nhttp_request_duration_seconds_count{route="/",status="200"} 80
http_request_duration_seconds_count{route="/",status="500"} 25
process_resident_memory_bytes 512
db_client_connection_count{state="used"} 3
db_client_connection_count{state="idle"} 9
db_client_connection_max 10`,
  )
  const values = metricsOf(before, now, { app: 'chat', places: ['blue', 'green'] })

  test('rates, shares and percentiles are as Prometheus reckons them', () => {
    expect(values.requests).toEqual({ green: 10 })
    expect(values.errors).toEqual({ green: 0.25 })
    expect(values.p50).toEqual({ green: 0.1 })
    // Of 100, the 90th is the last up to 0.5 s; the 99th lies nine tenths of the way from 0.5 s to 1 s.
    expect(values.p90).toEqual({ green: 0.5 })
    expect(values.p99?.green).toBeCloseTo(0.95, 10)
    expect(values.slow?.green).toBeCloseTo(0.1, 10)
    expect(values.databasePool).toEqual({ green: 0.3 })
    expect(values.memoryOfLimit).toEqual({ green: 0.5 })
  })

  test('what nothing is known of has no value', () => {
    for (const name of ['network', 'databaseErrors', 'databaseP99', 'messages', 'activeUsers'] as const)
      expect(values[name]).toBeUndefined()
    expect(metricsOf(now, now, { app: 'chat', places: ['green'] }).errors).toBeUndefined()
  })

  test('a process that began anew counts from zero', () => {
    const later = heard(20_000, 'http_request_duration_seconds_count{route="/",status="200"} 20\n')
    expect(metricsOf(now, later, { app: 'chat', places: ['green'] }).requests).toEqual({ green: 2 })
  })

  test('above the last bound no one knows how far', () => {
    const slow = heard(10_000, buckets([0, 0, 10, 100]))
    expect(metricsOf(before, slow, { app: 'chat', places: ['green'] }).p50).toEqual({ green: 1 })
  })
})
