/** What is normal: the color that was live before the deployment, the same hour of other days, and how the last good releases began. */
import { colors } from '../app/color.ts'
import type { DeploymentRecord } from '../history/record.ts'
import { history } from '../history/store.ts'
import { sentence } from '../errors.ts'
import { limitFor, PROBES, timeOf, type Baseline, type BakeRecord } from '../monitor/bake.ts'
import { growthOf } from '../monitor/leak.ts'
import { indicatorsOf } from '../monitor/indicators.ts'
import type { Count } from '../monitor/judge.ts'
import type { Snapshot, Source } from '../monitor/source.ts'
import type { BakeSettings } from '../settings/bake.ts'
import type { Attempt } from './attempt.ts'
import type { Sides } from './eyes.ts'

/** How long before the deployment is asked about, in ms. */
const BEFORE = 30 * 60_000
const DAY = 24 * 60 * 60_000

/** How many of the last good releases count. */
const RELEASES = 3

/** The share of bad ones that is tolerated, of each indicator that something is known of; and how memory may grow. */
export async function normalOf(
  attempt: Attempt,
  settings: BakeSettings,
  sides: Sides,
  { source, slow, first }: { source: Source; slow: number | undefined; first: Snapshot | undefined },
): Promise<Pick<BakeRecord, 'limits' | 'required' | 'memory'>> {
  const pods = first?.pods ?? []
  const memory = pods.flatMap(({ gauges: { memoryLimit } }) => memoryLimit ?? [])
  const indicators = [...indicatorsOf(settings, slow), { name: PROBES, most: settings.limits.probes }]
  const [past, releases] = await Promise.all([pastOf(attempt, sides, source, first), releasesOf(attempt)])
  const all = [...past, ...releases.map(metBy)]
  const shares = Object.fromEntries(
    indicators.map(({ name: indicator, most }) => {
      const baselines = all.flatMap(({ name, of }): Baseline[] => {
        const readings = of[indicator]
        return readings ? [{ name, readings }] : []
      })
      return [indicator, limitFor(baselines, most)]
    }),
  )
  const normal = Math.max(0, ...releases.flatMap(({ bake }) => (bake ? growthOf(bake) : [])))
  // The new color has counted nothing yet, or has not been read: what anybody counts here is what must be known of it.
  const counted = new Set(
    [...pods.map(({ counters }) => counters), ...past.map(({ of }) => of)].flatMap((one) => Object.keys(one)),
  )
  return {
    limits: shares,
    required: Object.keys(shares).filter((name) => name === PROBES || counted.has(name)),
    ...(memory.length > 0 && { memory: { limit: Math.min(...memory), normal } }),
  }
}

interface Past {
  name: string
  of: Record<string, readonly Count[]>
}

/**
 * Up to the start of the deployment, not of the switch: the gates load what is shared. Where nothing is kept there is what
 * the pods of the color that was left have counted since they began.
 */
async function pastOf(
  { journal }: Attempt,
  { from, to }: Sides,
  source: Source,
  first: Snapshot | undefined,
): Promise<Past[]> {
  const end = Date.parse(journal.entry.startedAt)
  const windows = [0, DAY, 7 * DAY].map((ago) => ({ from: end - BEFORE - ago, to: end - ago }))
  const places = to === 'plain' ? (['plain'] as const) : colors
  const asked = windows.flatMap((window, index) =>
    (index === 0 && from ? [from] : places).map(async (color): Promise<Past> => {
      const name = `${color}, ${spoken(window)}`
      return { name, of: await source.past(color, window) }
    }),
  )
  const found = (await Promise.all(asked)).filter(({ of }) =>
    Object.values(of).some(({ length }) => length > 0),
  )
  return found.length > 0 || !from
    ? found
    : [{ name: `${from} since its pods began`, of: sinceTheyBegan(first, from) }]
}

function spoken({ from, to }: { from: number; to: number }): string {
  const [start, end] = [new Date(from).toISOString(), new Date(to).toISOString()]
  return `${end.slice(0, 10)} ${timeOf(start).slice(0, 5)}–${timeOf(end).slice(0, 5)}`
}

function sinceTheyBegan(first: Snapshot | undefined, from: string): Past['of'] {
  const pods = first?.pods.filter(({ color }) => color === from) ?? []
  const names = new Set(pods.flatMap(({ counters }) => Object.keys(counters)))
  return Object.fromEntries(
    [...names].map((name) => [name, pods.flatMap(({ counters }) => counters[name] ?? [])]),
  )
}

/** The last good releases, from when users came to them: cold caches look alike at the same age. */
async function releasesOf(attempt: Attempt): Promise<DeploymentRecord[]> {
  let past: DeploymentRecord[] = []
  try {
    past = await history(attempt)
  } catch (error) {
    attempt.signal.throwIfAborted()
    attempt.log.warn(`What earlier releases met is not known: ${sentence(error)}`)
  }
  const good = past.filter(({ bake, outcome }) => outcome === 'succeeded' && bake?.verdict === 'passed')
  return good.slice(0, RELEASES)
}

function metBy({ to, bake }: DeploymentRecord): Past {
  const found: Record<string, Count[]> = {}
  for (const { counts } of bake?.readings ?? [])
    for (const [indicator, { live }] of Object.entries(counts))
      if (live) (found[indicator] ??= []).push({ bad: live[0], total: live[1] })
  return { name: `${to.version} when it was new`, of: found }
}
