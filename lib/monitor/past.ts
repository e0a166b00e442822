/** What Prometheus keeps of days, in parts: it gives no more than 11,000 steps at once. */
import type { World } from '../cluster/world.ts'
import { DeployError, Exit } from '../errors.ts'
import type { BakeSettings } from '../settings/bake.ts'
import type { Then } from './backtest.ts'
import { begin, findWay, snapshots } from './from-prometheus.ts'
import { indicatorsOf, type Indicator } from './indicators.ts'
import { difference, kept } from './readings.ts'
import { boundOf } from './slow.ts'
import { serverOf } from './sources.ts'
import type { Snapshot } from './source.ts'

/** So many steps are asked for at once. */
const STEPS = 720

/** A query of hours of all pods takes longer than a look, in ms. */
const WITHIN = 60_000

/**
 * @param window ms since 1970
 * @throws DeployError (2) without a Prometheus, (1) when it does not answer
 */
export async function pastOf(
  world: World,
  settings: BakeSettings,
  window: { from: number; to: number },
): Promise<{ past: Then[]; indicators: Indicator[] }> {
  const { environment } = world
  const server = serverOf(world, settings)
  if (!server) throw new DeployError('A backtest needs bake.prometheus: only there is a past', Exit.usage)
  if ('unknown' in server) throw new DeployError(server.unknown, Exit.usage)
  const patient = { ...server, within: WITHIN }
  const way = await findWay(patient, environment)
  if ('unknown' in way) throw new DeployError(way.unknown)
  const site = { app: environment.app, namespace: environment.namespace, way }
  const begun = await begin(patient, site)
  if ('unknown' in begun) throw new DeployError(begun.unknown)
  const indicators = indicatorsOf(settings, boundOf(begun.buckets))
  const step = settings.every
  const past: Then[] = []
  let before: Snapshot | undefined
  for (let from = window.from; from < window.to; from += STEPS * step) {
    const to = Math.min(window.to, from + (STEPS - 1) * step)
    const part = await snapshots(patient, site, indicators, { from, to, step })
    if ('unknown' in part) throw new DeployError(part.unknown)
    for (const now of part) {
      if (before) past.push({ at: now.at, counts: difference(before, now) })
      before = before ? kept(before, now) : now
    }
    world.log.progress(`${Math.round(((to - window.from) / (window.to - window.from)) * 100)} % is read`)
  }
  return { past, indicators }
}
