/** Figures out of Prometheus: how series tell their color, what they are now, and what they were. */
import type { Place } from '../app/color.ts'
import type { Clock } from '../clock.ts'
import {
  asked,
  figuresOf,
  figuresQuery,
  waysOf,
  whichWay,
  type Figures,
  type Site,
  type Way,
} from './figures.ts'
import type { Indicator } from './indicators.ts'
import type { Count } from './judge.ts'
import { requestBuckets, shares } from './metrics.ts'
import { instant, range, type Sample, type Server } from './prometheus.ts'
import { difference, kept } from './readings.ts'
import type { IndicatorName, Snapshot, Source, Unknown } from './source.ts'

/** Whose figures they are. */
export interface Owner {
  app: string
  namespace: string
  strategy: 'blue-green' | 'rolling'
}

/** How long before the deployment users' requests are looked at, to say what is slow. */
const BASELINE = '30m'

/** The first way that finds anything. */
export async function findWay(server: Server, owner: Owner): Promise<Way | Unknown> {
  const ways = waysOf(owner.strategy)
  const found = await instant(server, whichWay(ways, owner))
  if ('unknown' in found) return found
  const way = ways.find((_, index) => found.some(({ labels }) => labels['figure'] === String(index)))
  if (way) return way
  const says = ways.map((one) => one.says).join(', ')
  return {
    unknown: `Prometheus has no series of ${owner.app} in ${owner.namespace}: it was looked for ${says}`,
  }
}

/** How long requests took of late, and whether any is marked as a check's. */
export async function begin(
  server: Server,
  site: Site,
): Promise<{ buckets: Sample[]; labelled: boolean } | Unknown> {
  const buckets = `sum by (le) (increase(${requestBuckets}[${BASELINE}]))`
  const checks = `label_replace(count(${markedOf(shares.errors.all)}), "marked", "yes", "", "")`
  const found = await instant(server, asked(site, `${buckets} or ${checks}`))
  if ('unknown' in found) return found
  return {
    buckets: found.filter(({ labels, value }) => 'le' in labels && Number.isFinite(value)),
    labelled: found.some(({ labels }) => 'marked' in labels),
  }
}

/** The same selector for what it leaves out. */
const markedOf = (query: string): string => query.replace('verification!="true"', 'verification="true"')

/** A source that asks one query for each look. */
export function prometheusSource(
  server: Server,
  owner: Owner,
  { indicators, way: known, every, clock }: Asked,
): Source {
  let way = known
  let last: Figures = { now: 0, pods: [], read: new Map() }
  const siteOf = async (): Promise<Site | Unknown> => {
    const found = way ?? (await findWay(server, owner))
    if ('unknown' in found) return found
    way = found
    return { ...owner, way }
  }
  return {
    name: 'Prometheus',
    look: async () => {
      const asking = clock.now()
      const figures = await read(server, await siteOf(), indicators)
      if ('unknown' in figures) return figures
      const problem = outdated(last, figures)
      if (problem !== undefined) return { unknown: problem }
      last = figures
      return snapshotOf(figures, asking)
    },
    past: async (color, window) => {
      const site = await siteOf()
      if ('unknown' in site) return {}
      const then = await snapshots(server, { ...site, color }, indicators, { ...window, step: every })
      return 'unknown' in then ? {} : readingsOf(then, color)
    },
  }
}

/** How the counters stood at each step of a time that has passed; a moment of which nothing certain is known is left out. */
export async function snapshots(
  server: Server,
  site: Site,
  indicators: readonly Indicator[],
  window: { from: number; to: number; step: number },
): Promise<Snapshot[] | Unknown> {
  const moments = await range(server, figuresQuery(indicators, site), window)
  if ('unknown' in moments) return moments
  return moments.flatMap(({ at, samples }) => {
    const figures = figuresOf(samples, indicators, site)
    return 'unknown' in figures ? [] : [{ at, pods: figures.pods }]
  })
}

interface Asked {
  indicators: readonly Indicator[]
  /** Found when it is first asked, where it was not known before. */
  way?: Way | undefined
  /** ms from one reading of the past to the next. */
  every: number
  clock: Clock
}

/** All figures as they are now, whether or not they are new. */
export async function read(
  server: Server,
  site: Site | Unknown,
  indicators: readonly Indicator[],
): Promise<Figures | Unknown> {
  if ('unknown' in site) return site
  const samples = await instant(server, figuresQuery(indicators, site))
  return 'unknown' in samples ? samples : figuresOf(samples, indicators, site)
}

/** By this machine's clock, which the moment of a switch was told by: by how old the figures were when it asked. */
function snapshotOf({ now, pods, read: times }: Figures, asking: number): Snapshot {
  const oldest = Math.min(...times.values())
  return { at: asking - Math.round((now - oldest) * 1000), pods }
}

/** One of a pair of servers may lag behind the other: then counters would seem to have begun anew. */
function outdated(last: Figures, { read: times }: Figures): string | undefined {
  if (times.size === 0) return 'Prometheus has read no pod of late'
  const changes = [...times].map(([pod, time]) => time - (last.read.get(pod) ?? 0))
  if (changes.some((change) => change < 0)) return 'Prometheus answered with older figures than before'
  return changes.some((change) => change > 0)
    ? undefined
    : 'Prometheus has read no pod since it was asked last'
}

/** What was counted from each moment to the next, where there was anything to count. */
function readingsOf(snapshots: readonly Snapshot[], color: Place): Record<IndicatorName, Count[]> {
  const readings: Record<IndicatorName, Count[]> = {}
  const [first, ...rest] = snapshots
  let before = first
  for (const now of rest) {
    if (!before) break
    for (const [name, count] of Object.entries(difference(before, now)[color]))
      if (count.total > 0) (readings[name] ??= []).push(count)
    before = kept(before, now)
  }
  return readings
}
