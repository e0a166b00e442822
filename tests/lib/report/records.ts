/** Records as deployments of all kinds leave them. */
import type { Archived } from '../../../lib/report/archive.ts'
import type { DeploymentRecord, Proof } from '../../../lib/history/record.ts'
import { APP, made } from '../objects.ts'

export const START = Date.parse('2026-08-01T08:00:00.000Z')
export const MINUTE = 60_000
export const iso = (ms: number): string => new Date(ms).toISOString()

export const proof = (about: Partial<Proof> = {}): Proof => ({
  converged: 120,
  firstNew: 80,
  lastOld: 2400,
  lastOldOnNew: 110,
  lastOldOnKept: 2400,
  requests: 800,
  failures: 0,
  failuresBefore: 0,
  onNewConnections: 400,
  onKeptConnections: 400,
  ...about,
})

/** A deployment of a minute that went well, at the beginning of August. */
export function record(about: Partial<DeploymentRecord> = {}): DeploymentRecord {
  const started = Date.parse(about.startedAt ?? iso(START))
  return {
    id: '01kb0000000000000000000000',
    kind: 'deploy',
    app: APP,
    environment: 'production',
    strategy: 'blue-green',
    by: 'alice@laptop',
    reason: 'the new menu',
    startedAt: iso(started),
    finishedAt: iso(started + MINUTE),
    from: { color: 'blue', ...made('1.0.0') },
    to: { color: 'green', ...made('1.1.0') },
    temporary: {},
    steps: [
      { name: 'Start 1.1.0 in green', at: iso(started + 1000), ms: 9000 },
      { name: 'Verify green through the preview', at: iso(started + 10_000), ms: 30_000 },
      { name: 'Switch blue → green', at: iso(started + 40_000), ms: 5000 },
      { name: 'Close the record', at: iso(started + 59_000), ms: 1000 },
    ],
    checks: [
      { gate: 'smoke', name: 'it is alive', verdict: 'passed', ms: 12, expected: '200', seen: '200' },
      { gate: 'ui', name: 'sign in', verdict: 'passed', ms: 900, expected: 'each step', seen: 'each step' },
    ],
    switches: [proof()],
    outcome: 'succeeded',
    ...about,
  }
}

/** Mulberry32: the same numbers from the same seed. */
export function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** One attempt in all its variety, and what it is: the table that trends are held against is made beside it. */
export interface Case {
  archived: Archived
  fate: 'live' | 'failed' | 'prevented' | undefined
  /** ms */
  lead: number | undefined
  recovered: number | undefined
}

/** So many attempts, one after the other, over so many days; each with what became of it, as it was made up. */
export function generated(count: number, days: number, environment = 'production', seed = 7): Case[] {
  const next = random(seed)
  const cases: Case[] = []
  for (let i = 0; i < count; i++) {
    const started = START + Math.floor((i * days * 86_400_000) / count)
    const took = 30_000 + Math.floor(next() * 240_000)
    const id = `01kc${String(i).padStart(22, '0')}`
    const moved = started + Math.floor(took * 0.6)
    const at = { startedAt: iso(started), finishedAt: iso(started + took), id, environment }
    const version = `1.${i}.0`
    const steps = [
      { name: `Start ${version} in green`, at: iso(started), ms: Math.floor(took * 0.2) },
      { name: 'Verify green through the preview', at: iso(started), ms: Math.floor(took * 0.4) },
      { name: 'Switch blue → green', at: iso(moved), ms: Math.floor(took * 0.3) },
    ]
    const to = { color: 'green' as const, ...made('1.1.0'), version }
    const lead = 3_600_000 * (1 + Math.floor(next() * 90))
    const known = next() < 0.8
    const source = known ? { revision: 'a'.repeat(40), committedAt: iso(moved - lead) } : undefined
    const because = next() < 0.1 ? { because: `incident:${i}` } : {}
    const base = { ...at, to, steps, ...because }
    const dice = next()
    const leadOf = known ? lead : undefined
    if (dice < 0.7) {
      cases.push({
        archived: { record: record(base), source },
        fate: 'live',
        lead: leadOf,
        recovered: undefined,
      })
    } else if (dice < 0.8) {
      const message = `${i} of ${i + 300} requests failed (${i} × status 500)`
      const rolledBack = record({
        ...base,
        outcome: 'rolled-back',
        message,
        switches: [proof({ failures: 9 }), proof()],
      })
      cases.push({
        archived: { record: rolledBack, source },
        fate: 'failed',
        lead: leadOf,
        recovered: started + took - moved,
      })
    } else if (dice < 0.86) {
      const later = started + took + Math.floor(next() * 600_000)
      const takenBack = { by: 'bob', at: iso(later), record: 'gone', reason: 'users complain' }
      const taken = record({ ...base, outcome: 'taken-back', takenBack })
      cases.push({
        archived: { record: taken, source },
        fate: 'failed',
        lead: leadOf,
        recovered: later - moved,
      })
    } else if (dice < 0.97) {
      const checks = [
        {
          gate: 'ui',
          name: 'sign in',
          verdict: 'failed' as const,
          ms: 800,
          expected: 'each step',
          seen: 'an error',
        },
      ]
      const failed = record({ ...base, outcome: 'failed', steps: steps.slice(0, 2), switches: [], checks })
      cases.push({
        archived: { record: failed, source },
        fate: 'prevented',
        lead: undefined,
        recovered: undefined,
      })
    } else {
      const back = record({ ...base, kind: 'rollback', reason: 'users miss the old page' })
      cases.push({
        archived: { record: back, source: undefined },
        fate: undefined,
        lead: undefined,
        recovered: undefined,
      })
    }
  }
  return cases
}
