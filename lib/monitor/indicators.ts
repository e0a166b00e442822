/** What a bake bets on: shares of bad ones by counters, those that are built in and those of deploy.yaml. Pure. */
import type { BakeSettings } from '../settings/bake.ts'
import type { Count } from './judge.ts'
import { shares, slowerThan, type Query, type Share } from './metrics.ts'
import type { IndicatorName } from './source.ts'

export interface Indicator {
  name: IndicatorName
  /** What is bad, in the plural: "requests fail". */
  title: string
  share: Share
  /** The share of bad ones that is never tolerated. */
  most: number
}

/** @param slow above so many seconds a request is slow; undefined where that cannot be told */
export function indicatorsOf(
  { limits, indicators }: Pick<BakeSettings, 'limits' | 'indicators'>,
  slow: number | undefined,
): Indicator[] {
  const own = Object.entries(indicators).map(([name, { title = name, most, ...share }]) => ({
    name,
    title,
    most,
    share,
  }))
  return [
    { name: 'errors', title: 'requests fail', share: shares.errors, most: limits.errors },
    ...(slow === undefined
      ? []
      : [
          {
            name: 'slow',
            title: `requests take longer than ${slow} s`,
            share: slowerThan(slow),
            most: limits.slow,
          },
        ]),
    {
      name: 'databaseErrors',
      title: 'database operations fail',
      share: shares.databaseErrors,
      most: limits.databaseErrors,
    },
    ...own,
  ]
}

/** The part of them that is named, and what it is. */
export const partOf = (share: Share): { kind: 'bad' | 'good'; query: Query } =>
  'bad' in share ? { kind: 'bad', query: share.bad } : { kind: 'good', query: share.good }

/**
 * What a pod counts, from its counters. No series of bad ones is none of them only if that of all is there; where the good
 * ones are missing (a bucket that this release has not), nothing is said.
 * @param total undefined where this pod, unlike another, has no such series yet
 */
export function countOf(
  kind: 'bad' | 'good',
  total: number | undefined,
  part: number | undefined,
): Count | undefined {
  if (total === undefined) return { total: 0, bad: 0 }
  if (part === undefined) return kind === 'bad' ? { total, bad: 0 } : undefined
  const bad = kind === 'bad' ? Math.min(part, total) : Math.max(0, total - part)
  return Number.isFinite(bad) && Number.isFinite(total) ? { total, bad } : undefined
}

/** What is added to each snapshot beside the counts, of one process each; of what has several series none is right. */
export const gauges = {
  /** s since 1970; by it a process is told from the one before it. */
  startTime: 'process_start_time_seconds',
  memory: 'process_resident_memory_bytes',
  cpuSeconds: 'process_cpu_seconds_total',
} as const

/** Connections of all pools of a process together. */
export const connections = { name: 'db_client_connection_count', matcher: 'state="used"' } as const
