/**
 * What the records of an environment say all together: DORA's five figures by their definitions (dora.dev/guides/
 * dora-metrics), and what goes wrong most. Pure.
 */
import { objections } from '../check.ts'
import type { DeploymentRecord } from '../history/record.ts'
import type { Archived } from './archive.ts'
import { isDrill } from './extras.ts'

/** What became of a deployment: users have it; users had it, and were hurt; nobody ever met it. */
export type Fate = 'live' | 'failed' | 'prevented'

/** A share, with what it is a share of. */
export interface Rate {
  of: number
  count: number
}

/** ms; of nothing there are none. */
export interface Times {
  count: number
  median?: number | undefined
  p90?: number | undefined
}

export interface Trends {
  environment: string
  /** The interval that the figures stand for, ISO 8601. */
  from: string
  to: string
  deployments: Record<Fate, number>
  /** Deployments that users have, of all that ended. */
  success: Rate
  /** DORA's five. A change is a deployment that reached users; one that was stopped before it is prevented, and none. */
  changesPerWeek: number | undefined
  leadTime: Times
  changeFailRate: Rate
  recovery: Times & { notYet: number }
  rework: Rate
  weeks: ({ from: string } & Record<Fate, number>)[]
  rollbacks: { reason: string; count: number }[]
  steps: ({ name: string; most: number } & Times)[]
  checks: ({ name: string } & Rate)[]
}

const DAY = 86_400_000
const WEEK = 7 * DAY
/** Rows of a list of what is worst. */
const WORST = 8

/** Its watch ended well, or was ended for the sake of the next one: then it is not to blame. */
const WELL: ReadonlySet<string> = new Set(['succeeded', 'superseded'])

/** Undefined while it is under way, and of what is no deployment: going back is how one is recovered from. */
export function fateOf(record: DeploymentRecord): Fate | undefined {
  const { kind, outcome, switches, strategy } = record
  if (kind !== 'deploy' || outcome === 'open' || outcome === 'verified' || isDrill(record)) return undefined
  if (WELL.has(outcome)) return 'live'
  if (outcome === 'rolled-back' || outcome === 'taken-back' || outcome === 'released') return 'failed'
  // A rolling update that needs a person has been rolled out; it has no switch.
  const reached = switches.length > 0 || (strategy === 'rolling' && outcome === 'needs-person')
  return reached ? 'failed' : 'prevented'
}

/** @param now in ms @param days how far back it looks; less where the first record is younger */
export function trendsOf(environment: string, archived: readonly Archived[], now: number, days = 90): Trends {
  const all = archived.toSorted((a, b) => Date.parse(a.record.startedAt) - Date.parse(b.record.startedAt))
  const recent = all.filter(({ record }) => isWithin(record, now - days * DAY, now))
  const [oldest] = recent
  const from = oldest ? Date.parse(oldest.record.startedAt) : now
  const fates = recent.flatMap(({ record, source }) => {
    const fate = fateOf(record)
    return fate ? [{ record, source, fate }] : []
  })
  const count = (wanted: Fate): number => fates.filter(({ fate }) => fate === wanted).length
  const deployments = { live: count('live'), failed: count('failed'), prevented: count('prevented') }
  const changes = fates.filter(({ fate }) => fate !== 'prevented')
  const failed = changes.filter(({ fate }) => fate === 'failed')
  const records = all.map(({ record }) => record)
  const recovered = failed.flatMap(({ record }) => recoveryOf(record, records) ?? [])
  const leads = changes.flatMap(({ record, source }) => leadTimeOf(record, source?.committedAt) ?? [])
  const rework = changes.filter(({ record }) => record.because !== undefined).length
  return {
    environment,
    from: new Date(from).toISOString(),
    to: new Date(now).toISOString(),
    deployments,
    success: { count: deployments.live, of: fates.length },
    changesPerWeek: now - from < WEEK ? undefined : changes.length / ((now - from) / WEEK),
    leadTime: timesOf(leads),
    changeFailRate: { count: failed.length, of: changes.length },
    recovery: { ...timesOf(recovered), notYet: failed.length - recovered.length },
    rework: { count: rework, of: changes.length },
    weeks: weeksOf(fates, from, now),
    rollbacks: rollbacksOf(recent.map(({ record }) => record)),
    steps: stepsOf(fates.map(({ record }) => record)),
    checks: failingOf(fates.map(({ record }) => record)),
  }
}

const isWithin = ({ startedAt }: DeploymentRecord, from: number, to: number): boolean => {
  const at = Date.parse(startedAt)
  return at >= from && at <= to
}

/** When users met it: the step that moves them, in ms. */
function reachedAt({ steps, finishedAt, startedAt }: DeploymentRecord): number {
  const moving = steps.find(({ name }) => /^(Switch|Open|Roll out) /.test(name))
  return Date.parse(moving?.at ?? finishedAt ?? startedAt)
}

/** From the commit until users met it, in ms. */
function leadTimeOf(record: DeploymentRecord, committedAt = ''): number | undefined {
  const ms = reachedAt(record) - Date.parse(committedAt)
  return ms >= 0 ? ms : undefined
}

/** From when users met a release that failed until they were off it, in ms. Undefined while they are not. */
function recoveryOf(record: DeploymentRecord, all: readonly DeploymentRecord[]): number | undefined {
  const since = reachedAt(record)
  const ms = endOf(record, all, since) - since
  return ms >= 0 ? ms : undefined
}

function endOf(record: DeploymentRecord, all: readonly DeploymentRecord[], since: number): number {
  const { outcome, finishedAt, takenBack } = record
  if (outcome === 'rolled-back' || outcome === 'released') return Date.parse(finishedAt ?? '')
  const by = takenBack && all.find(({ id }) => id === takenBack.record)
  if (takenBack) return Date.parse(by?.finishedAt ?? takenBack.at)
  const next = all.find(
    (later) =>
      later.id !== record.id &&
      Date.parse(later.startedAt) >= since &&
      (later.outcome === 'succeeded' || later.outcome === 'taken-back'),
  )
  return Date.parse(next?.finishedAt ?? '')
}

/** By nearest rank: each is a time that was measured. */
export function timesOf(times: readonly number[]): Times {
  const sorted = times.toSorted((a, b) => a - b)
  const at = (share: number): number | undefined => sorted[Math.ceil(share * sorted.length) - 1]
  return { count: sorted.length, median: at(0.5), p90: at(0.9) }
}

/** Weeks from the first record on, those without a deployment among them. */
function weeksOf(
  fates: readonly { record: DeploymentRecord; fate: Fate }[],
  from: number,
  now: number,
): Trends['weeks'] {
  if (fates.length === 0) return []
  const weeks = Array.from({ length: Math.floor((now - from) / WEEK) + 1 }, (_, i) => ({
    from: new Date(from + i * WEEK).toISOString(),
    live: 0,
    failed: 0,
    prevented: 0,
  }))
  for (const { record, fate } of fates) {
    const week = weeks[Math.floor((Date.parse(record.startedAt) - from) / WEEK)]
    if (week) week[fate]++
  }
  return weeks
}

/** By the reason that was given, or by what went wrong; the figures in it (N) differ from one to the next. */
function rollbacksOf(records: readonly DeploymentRecord[]): Trends['rollbacks'] {
  const reasons = records
    .filter((record) => !isDrill(record))
    .flatMap(({ kind, outcome, reason, message = 'no reason was recorded' }) => {
      if (kind === 'rollback')
        return outcome === 'open' ? [] : [`by hand: ${reason ?? 'no reason was given'}`]
      return kind === 'deploy' && (outcome === 'rolled-back' || outcome === 'released') ? [message] : []
    })
  const counts = Map.groupBy(reasons, (reason) => reason.replace(/\d+([.,]\d+)*/g, 'N'))
  return [...counts]
    .map(([reason, { length: count }]) => ({ reason, count }))
    .toSorted((a, b) => b.count - a.count || a.reason.localeCompare(b.reason))
    .slice(0, WORST)
}

function stepsOf(records: readonly DeploymentRecord[]): Trends['steps'] {
  const steps = records.flatMap((record) =>
    record.steps.flatMap(({ name, ms }) =>
      ms === undefined ? [] : [{ name: generalized(name, record), ms }],
    ),
  )
  return [...Map.groupBy(steps, ({ name }) => name)]
    .map(([name, those]) => {
      const times = those.map(({ ms }) => ms)
      return { name, most: times.reduce((most, ms) => Math.max(most, ms), 0), ...timesOf(times) }
    })
    .toSorted((a, b) => (b.median ?? 0) - (a.median ?? 0) || a.name.localeCompare(b.name))
    .slice(0, WORST)
}

/** `Start 1.1.0 in green` → `Start VERSION in COLOR` */
function generalized(name: string, { from, to }: DeploymentRecord): string {
  const versions = [to.version, ...(from ? [from.version] : [])].filter(Boolean)
  const general = versions.reduce((rest, version) => rest.replaceAll(version, 'VERSION'), name)
  return general.replace(/\b(blue|green)\b/g, 'COLOR')
}

/** Checks that kept a release from its users, or users from a release, and of how many times they were made. */
function failingOf(records: readonly DeploymentRecord[]): Trends['checks'] {
  const made = records.flatMap(({ checks }) => checks.filter(({ verdict }) => verdict !== 'skipped'))
  return [...Map.groupBy(made, ({ gate, name }) => `${gate}: ${name.replace(/\b(blue|green)\b/g, 'COLOR')}`)]
    .map(([name, checks]) => ({ name, of: checks.length, count: objections(checks).length }))
    .filter(({ count }) => count > 0)
    .toSorted((a, b) => b.count - a.count || a.name.localeCompare(b.name))
    .slice(0, WORST)
}

/** Where a share truly lies, 95 of 100 times: Wilson's score interval. Undefined of nothing. */
export function interval({ count, of }: Rate): [low: number, high: number] | undefined {
  if (of === 0) return undefined
  const z = 1.96
  const share = count / of
  const middle = share + z ** 2 / (2 * of)
  const half = z * Math.sqrt((share * (1 - share)) / of + z ** 2 / (4 * of ** 2))
  const scale = 1 + z ** 2 / of
  return [Math.max(0, (middle - half) / scale), Math.min(1, (middle + half) / scale)]
}
