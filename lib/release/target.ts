/** Where a rollback leads. Pure. */
import { other, type Color, type Release, type Switch } from '../app/color.ts'
import { capacity, isOverlap, liveColor, movedByHand, obstaclesBack, type Site } from '../app/live.ts'
import { side, type Observed } from '../app/observe.ts'
import { DeployError, Exit } from '../errors.ts'

/** Where a rollback leads, and what it takes. */
export type Target =
  /** The other color runs it, and users may go there at once: one patch. `short` says what it has less than before. */
  | { kind: 'warm'; from: Color; to: Color; release: Release; enough: number; short?: string }
  /** The other color holds it with too few pods: they are started first. */
  | { kind: 'scale'; from: Color; to: Color; release: Release; enough: number; missing: string }
  /** The other color holds something else: the release is painted from its record again. */
  | { kind: 'redeploy'; from: Color; to: Color; release: Release }

export interface Wish {
  /** Any version that users have been on; without it, what was live before. */
  version?: string | undefined
  /** A person answers for it: whatever is ready, this instant; where nothing is, the first pod that can be. */
  now?: boolean
}

/**
 * What was live before, or the version that is named. Pure.
 * @throws DeployError (1) when there is none, (6) when it was rolled back from and is not asked for by name
 */
export function chooseTarget(
  site: Site,
  observed: Observed,
  { version, now = false }: Wish = {},
): Target | { kind: 'search'; version: string } {
  const { app } = site
  const live = liveColor(site, observed)
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
    return { kind: 'redeploy', from, to, release: releaseOf(wanted) }
  const about = {
    from,
    to,
    release: releaseOf(wanted),
    enough: now ? 1 : enoughPods(observed, { from, wanted, both }),
  }
  const { ready, deployment } = idle
  const short = ready.length < about.enough ? `${ready.length} of ${about.enough} pods ready` : undefined
  const missing = now && ready.length > 0 ? [] : obstaclesBack(idle)
  // Where all its pods were asked for already, waiting would bring no more of them (S9).
  const reduced = deployment.spec.replicas < about.enough
  if (missing.length === 0 && (short === undefined || !reduced))
    return { kind: 'warm', ...about, ...(short !== undefined && { short }) }
  return { kind: 'scale', ...about, missing: [...missing, ...(short ? [short] : [])].join('; ') }
}

const releaseOf = ({ release, version, image }: Release): Release => ({ release, version, image })

/** As many pods as it served with when it was left; where that is not known, as many as serve now. */
function enoughPods(
  { colors, switch: last }: Observed,
  { from, wanted, both }: { from: Color; wanted: Release; both: boolean },
): number {
  if (both || colors[from].ready.length === 0) return 1
  const before = last?.from?.release === wanted.release ? last.from.ready : undefined
  return before ?? capacity(colors[from])
}

/** Whether users have been on a release: only what they have been on may be opened to them without its gates. */
export const wasLive = ({ switch: last }: Observed, { release }: Release): boolean =>
  last?.from?.release === release || last?.to.release === release

/** Whether users were taken away from a release when they were last moved, by a person or by these scripts. */
export const wasLeft = ({ switch: last }: Observed, { release }: Release): boolean =>
  last?.from?.release === release && ['rollback', 'automatic-rollback', 'repair'].includes(last.kind)

/** @throws DeployError (6) where the way back leads to what somebody has just left, by these scripts or by hand */
function refuseWhatWasLeft(app: string, observed: Observed, to: Color): void {
  const { switch: last, colors } = observed
  const found = movedByHand(app, observed)
  const version = found ? last?.to.version : last?.from?.version
  const anyway = `To go there all the same: --to-version ${version}`
  if (found) throw new DeployError(`${found}. ${anyway}`, Exit.refused)
  if (!last || !wasLeft(observed, side(colors[to]))) return
  const what = `${version} in ${to} is what was rolled back from (${last.at}, ${last.by})`
  throw new DeployError(`${what}. ${anyway}`, Exit.refused)
}

/** The release that was live before what is live now. */
const previous = ({ from, to }: Switch, live: Color): Release | undefined => (to.color === live ? from : to)

function nothing(app: string, to: Color, { colors }: Observed): string {
  const { deployment, release } = colors[to]
  const made = release && `${to} holds ${release.version}, which users have not been on`
  const idle = deployment
    ? (made ?? `${to} holds a Deployment that these scripts did not make`)
    : `${to} is empty`
  return `There is nothing to roll ${app} back to: no earlier switch is known, and ${idle}`
}
