/** Where a rollback leads. Pure. */
import { other, type Color, type Release, type Switch } from '../app/color.ts'
import { capacity, drift, isOverlap, liveColor, obstacles } from '../app/live.ts'
import { side, type Observed } from '../app/observe.ts'
import { DeployError, Exit } from '../errors.ts'

/** Where a rollback leads, and what it takes. */
export type Target =
  /** The other color runs it, all pods ready: one patch. */
  | { kind: 'warm'; from: Color; to: Color; release: Release; atLeast: number }
  /** The other color holds it with too few pods: they are started first. */
  | { kind: 'scale'; from: Color; to: Color; release: Release; atLeast: number; missing: string }
  /** The other color holds something else: the release is painted from its record again. */
  | { kind: 'redeploy'; from: Color; to: Color; release: Release }

/**
 * What was live before, or the version that is named. Pure.
 * @throws DeployError (1) when there is none, (6) when it was rolled back from and is not asked for by name
 */
export function chooseTarget(
  app: string,
  observed: Observed,
  version?: string,
): Target | { kind: 'search'; version: string } {
  const live = liveColor(app, observed)
  // While both colors are selected, the one to leave is the one that was coming.
  const both = isOverlap(app, observed.service?.spec.selector ?? {})
  const from = both ? other(live) : live
  const to = other(from)
  const last = observed.switch
  const idle = observed.colors[to]
  if (version !== undefined && !both && observed.colors[from].release?.version === version) {
    throw new DeployError(`${version} is live already, in ${from}`)
  }
  if (version !== undefined && !(idle.release?.version === version && wasLive(observed, idle.release))) {
    return { kind: 'search', version }
  }
  if (version === undefined) refuseWhatWasLeft(app, observed, to)
  const wanted = version === undefined ? last && (both ? last.from : previous(last, from)) : idle.release
  if (!wanted) throw new DeployError(nothing(app, to, observed))
  // A release that was there before these scripts has no id; it is the other color's if nothing else is in it.
  if (!idle.deployment || side(idle).release !== wanted.release)
    return { kind: 'redeploy', from, to, release: wanted }
  const atLeast = both ? 1 : capacity(observed.colors[from])
  const missing = obstacles(idle, atLeast)
  if (missing.length === 0) return { kind: 'warm', from, to, release: wanted, atLeast }
  return { kind: 'scale', from, to, release: wanted, atLeast, missing: missing.join('; ') }
}

/** Whether users have been on a release: only what they have been on may be opened to them without its gates. */
const wasLive = ({ switch: last }: Observed, { release }: Release): boolean =>
  last?.from?.release === release || last?.to.release === release

/** @throws DeployError (6) where the way back leads to what somebody has just left, by these scripts or by hand */
function refuseWhatWasLeft(app: string, observed: Observed, to: Color): void {
  const { switch: last, colors } = observed
  const found = drift(app, observed)
  const version = found ? last?.to.version : last?.from?.version
  const anyway = `To go there all the same: --to-version ${version}`
  if (found) throw new DeployError(`${found}. ${anyway}`, Exit.refused)
  const back = last && ['rollback', 'automatic-rollback', 'repair'].includes(last.kind)
  if (!back || !last.from || last.from.release !== side(colors[to]).release) return
  const what = `${version} in ${to} is what was rolled back from (${last.at}, ${last.by})`
  throw new DeployError(`${what}. ${anyway}`, Exit.refused)
}

/** The release that was live before what is live now. */
const previous = ({ from, to }: Switch, live: Color): Release | undefined => (to.color === live ? from : to)

function nothing(app: string, to: Color, { colors }: Observed): string {
  const idle = colors[to].deployment
    ? `${to} holds a Deployment that these scripts did not make`
    : `${to} is empty`
  return `There is nothing to roll ${app} back to: no earlier switch is known, and ${idle}`
}
