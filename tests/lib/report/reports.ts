/** Reports of every kind of attempt, as full as they can be. */
import type { DeploymentRecord } from '../../../lib/history/record.ts'
import type { Report } from '../../../lib/report/gather.ts'
import { tell } from '../../../lib/report/told.ts'
import { iso, MINUTE, proof, record, START } from './records.ts'

const failing: DeploymentRecord['checks'] = [
  {
    gate: 'smoke',
    name: 'it is alive',
    verdict: 'passed',
    ms: 12,
    expected: 'status 200',
    seen: 'status 200',
  },
  {
    gate: 'ui',
    name: 'the right password signs in',
    verdict: 'failed',
    ms: 8600,
    expected: 'each step of sign-in.spec.ts:11 succeeds',
    seen: 'the button does nothing',
    evidence: ['preview/ui/results/sign-in/test-failed-1.png', 'preview/ui/report/index.html'],
  },
  {
    gate: 'security',
    name: 'hsts',
    verdict: 'skipped',
    ms: 0,
    expected: 'a year',
    seen: 'reached over http',
  },
  {
    gate: 'page-quality',
    name: 'page',
    verdict: 'inconclusive',
    ms: 9,
    expected: 'scores',
    seen: 'no browser',
  },
]

const series = {
  from: -1000,
  every: 100,
  blue: [...Array.from({ length: 12 }, () => 4), ...Array.from({ length: 20 }, () => 1)],
  green: [...Array.from({ length: 12 }, () => 0), ...Array.from({ length: 20 }, () => 3)],
  unnamed: Array.from({ length: 32 }, () => 0),
  failed: Array.from({ length: 32 }, (_, i) => (i === 14 ? 2 : 0)),
}

const bake = {
  startedAt: iso(START + MINUTE),
  until: iso(START + 11 * MINUTE),
  limits: { 'failed requests': 0.005, 'slow requests': 0.05 },
  notCovered: ['database: no source'],
  verdict: 'failed' as const,
  reason: '1,240 : 1 that more than 0.5 % of requests fail',
  readings: Array.from({ length: 20 }, (_, i) => ({
    at: iso(START + MINUTE + i * 15_000),
    counts: { 'failed requests': { old: [0, 100] as [number, number], new: [i, 300] as [number, number] } },
    odds: { 'failed requests': 1.45 ** i, 'slow requests': 0.8 ** i },
  })),
}

/** A picture of one pixel. */
const PIXEL =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='

const bars = (shift: number) =>
  Array.from({ length: 9 }, (_, i) => ({
    from: 1.2 ** (i + shift),
    to: 1.2 ** (i + 1 + shift),
    share: [0.02, 0.1, 0.2, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01][i] ?? 0,
  }))

/** All that a report may hold. */
export function report(about: Partial<DeploymentRecord> = {}, more: Partial<Report> = {}): Report {
  const entry = record({ switches: [proof({ series })], ...about })
  const latency = { requests: 1000, failed: 1, p50: 1.2, p90: 3.4, p99: 12, max: 1900 }
  return {
    record: entry,
    told: tell(entry),
    commits: {
      known: true,
      total: 62,
      since: '1.0.0',
      list: [{ id: 'a'.repeat(40), by: 'Alice', at: iso(START), subject: 'The new menu' }],
    },
    stages: {
      lint: {
        passed: true,
        commit: 'a'.repeat(40),
        startedAt: iso(START),
        file: 'lint/result.json',
        sha256: 'b'.repeat(64),
      },
      'security-scan': {
        passed: false,
        commit: 'a'.repeat(40),
        startedAt: iso(START),
        file: 'security-scan/result.json',
        sha256: 'b'.repeat(64),
        counts: { high: 1, low: 4 },
        without: ['dependency-check'],
      },
    },
    source: { revision: 'a'.repeat(40), committedAt: iso(START - 60 * MINUTE) },
    extras: {
      bake,
      notifications: [{ state: 'started', channel: 'slack', at: iso(START), outcome: 'delivered' }],
      acknowledged: [{ id: 'docs', reason: 'nothing changed for users', by: 'bob' }],
    },
    evidence: {
      here: true,
      screenshots: [
        {
          file: 'preview/a.png',
          check: 'ui: the right password signs in',
          data: `data:image/png;base64,${PIXEL}`,
        },
      ],
      latencies: [
        { name: 'this release', ...latency, bars: bars(0) },
        { name: 'the live color', ...latency, bars: bars(1) },
      ],
      scores: [
        { name: 'Performance', score: 0.97 },
        { name: 'Accessibility', score: 0.62 },
        { name: 'SEO', score: 0.2 },
      ],
      missing: [],
    },
    missing: ['The evidence of its checks is not here.'],
    madeAt: iso(START + 12 * MINUTE),
    ...more,
  }
}

const plain = {
  color: 'plain',
  release: 'r',
  version: '1.0.0',
  image: 'ghcr.io/example/chat@sha256:0',
} as const
const nothing: Partial<Report> = {
  extras: { notifications: [], acknowledged: [] },
  commits: { known: false, why: 'nobody had time to ask' },
  stages: undefined,
  source: undefined,
  evidence: { here: false, screenshots: [], latencies: [], scores: [], missing: [] },
}

/** One of each kind, by its name. */
export const everyKind: Readonly<Record<string, Report>> = {
  success: report({
    checks: failing.filter(({ verdict }) => verdict !== 'failed' && verdict !== 'inconclusive'),
  }),
  first: report({ from: undefined }, nothing),
  'checks-failed': report(
    { outcome: 'failed', switches: [], checks: failing, message: '2 of 4 checks did not pass: ui: …' },
    { extras: { notifications: [], acknowledged: [] } },
  ),
  crashed: report(
    {
      outcome: 'failed',
      switches: [],
      checks: [],
      message: `blue is broken: ${'CrashLoopBackOff '.repeat(60)}`,
    },
    nothing,
  ),
  'rolled-back': report({
    outcome: 'rolled-back',
    switches: [proof({ series, failures: 19 }), proof({ series, failures: 25, emptied: 3600 })],
    message: '19 of 209 requests failed (19 × status 500)',
  }),
  'taken-back': report(
    { outcome: 'taken-back', takenBack: { by: 'bob', at: iso(START), record: 'x', reason: 'loses orders' } },
    nothing,
  ),
  'needs-person': report(
    { outcome: 'needs-person', message: 'the rollback failed: no pod is ready' },
    nothing,
  ),
  interrupted: report(
    {
      outcome: 'interrupted',
      switches: [],
      steps: record().steps.slice(0, 1),
      message: 'traffic did not move',
    },
    nothing,
  ),
  repaired: report({ message: 'interrupted after the switch; finished by bob', switches: [] }, nothing),
  open: report(
    { outcome: 'open', finishedAt: undefined, steps: [{ name: 'Start', at: iso(START) }] },
    nothing,
  ),
  verified: report({ outcome: 'verified', switches: [] }, nothing),
  rollback: report({ kind: 'rollback', reason: 'users miss the old page' }, nothing),
  rolling: report(
    { strategy: 'rolling', from: plain, to: { ...plain, version: '1.1.0' }, switches: [] },
    nothing,
  ),
  rework: report({ because: 'incident:4711', override: { reason: 'urgent', missing: ['no scan'] } }, nothing),
}
