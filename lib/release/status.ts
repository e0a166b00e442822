/** What an environment looks like now, as data and as lines for people. */
import { colors, other, type Color, type Release } from '../app/color.ts'
import { capacity, drift, isOverlap, liveColor, obstacles, type Site } from '../app/live.ts'
import type { Observed } from '../app/observe.ts'
import { DeployError, sentence } from '../errors.ts'
import { holdLine, holds } from '../history/hold.ts'
import { holder } from '../history/lock.ts'
import type { DeploymentRecord } from '../history/record.ts'
import type { Environment } from '../settings/file.ts'
import { drawn } from '../monitor/lines.ts'
import { timeOf, type BakeRecord } from '../monitor/bake.ts'
import { watched } from './supersede.ts'
import { leftBehind } from './repair.ts'
import { stateLine } from './show.ts'
import { chooseTarget } from './target.ts'

export interface Status {
  app: string
  environment: string
  /** Undefined where the live Service selects no single color; `problem` says what it does. */
  live: Color | 'plain' | undefined
  problem?: string
  workloads: { color: string; release?: Release; ready: number; wanted: number }[]
  lock?: string
  /** Who holds deployments up, why, and until when. */
  hold?: string
  drift?: string
  /** What a rollback would take now. */
  rollback: string
  /** The release that is being watched, until when, and how far the evidence is. */
  watched?: string
  /** Runs that were interrupted and not yet finished or undone. */
  unfinished: string[]
  since?: string
}

/** Pure; `now` in ms. */
export function statusOf(
  environment: Environment,
  observed: Observed,
  past: readonly DeploymentRecord[],
  now: number,
): Status {
  const { app, name, strategy } = environment
  const places = strategy === 'rolling' ? (['plain'] as const) : colors
  const workloads = places.map((place) => {
    const { color, release, ready, deployment } = observed.colors[place]
    return { color, ...(release && { release }), ready: ready.length, wanted: deployment?.spec.replicas ?? 0 }
  })
  const open = past.filter(({ outcome }) => outcome === 'open')
  const found = strategy === 'rolling' ? { live: 'plain' as const } : live(environment, observed)
  const changed = drift(app, observed)
  const baking = watched(observed, past)
  return {
    app,
    environment: name,
    ...found,
    workloads,
    ...(observed.lease?.spec.holderIdentity && { lock: holder(observed.lease) }),
    ...(observed.hold && holds(observed.hold, now) && { hold: holdLine(observed.hold) }),
    ...(changed && { drift: changed }),
    ...(observed.switch && { since: observed.switch.at }),
    ...(baking?.bake && { watched: watchLine(baking.to.version, baking.bake) }),
    rollback:
      strategy === 'rolling'
        ? 'rolls out the manifests of the release before'
        : rollbackTakes(environment, observed),
    unfinished: leftBehind(observed, open),
  }
}

function live(site: Site, observed: Observed): { live: Color | undefined; problem?: string } {
  try {
    const color = liveColor(site, observed)
    if (!isOverlap(site.app, observed.service?.spec.selector ?? {})) return { live: color }
    return { live: color, problem: halfway(color, observed) }
  } catch (error) {
    if (!(error instanceof DeployError)) throw error
    return { live: undefined, problem: error.message }
  }
}

function halfway(live: Color, { switch: last, colors: states }: Observed): string {
  if (!last?.gradual) return 'both colors are selected: an overlap switch has not been finished'
  const step = last.gradual === 'first' ? 'first step of two' : 'last step of two'
  const [entered, left] = [other(live), live].map((color) => `${states[color].ready.length} of ${color}`)
  return `gradual: both colors are selected, ${step}: pods ready ${entered} beside ${left}`
}

function rollbackTakes(site: Site, observed: Observed): string {
  try {
    const target = chooseTarget(site, observed)
    if (target.kind === 'search') return 'is not known'
    const what = `to ${target.release.version} in ${target.to}`
    if (target.kind === 'warm')
      return `is one patch, ${what}: ${target.short ?? `${observed.colors[target.to].ready.length} pods are ready`}`
    if (target.kind === 'scale') return `${what} must start pods first: ${target.missing}`
    return `${what} must start the release again from its record`
  } catch (error) {
    if (!(error instanceof DeployError)) throw error
    return `is not possible: ${sentence(error)}`
  }
}

function watchLine(version: string, bake: BakeRecord): string {
  const passed = bake.readings.reduce((all, { ms }) => all + ms, 0)
  return `${version} until ${timeOf(bake.until)} UTC: ${drawn(bake, passed, '')}`
}

/** As people read it. */
export function statusLines(status: Status, observed: Observed): string[] {
  const { live: color } = status
  const idle = color === 'blue' || color === 'green' ? other(color) : undefined
  const short = idle && color ? obstacles(observed.colors[idle], capacity(observed.colors[color])) : []
  return [
    ...(status.problem ? [`problem   ${status.problem}`] : []),
    ...(color
      ? [`live      ${stateLine(observed.colors[color])}${status.since ? `, since ${status.since}` : ''}`]
      : []),
    ...(idle
      ? [`idle      ${stateLine(observed.colors[idle])}${short.length > 0 ? ` (${short.join('; ')})` : ''}`]
      : []),
    `lock      ${status.lock ? `held by ${status.lock}` : 'free'}`,
    ...(status.hold ? [`hold      no deployments, by ${status.hold}`] : []),
    ...(status.watched ? [`watched   ${status.watched}`] : []),
    `drift     ${status.drift ?? 'none'}`,
    `rollback  ${status.rollback}`,
    ...status.unfinished.map((left) => `left      ${left}`),
  ]
}
