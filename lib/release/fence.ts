/** Whether users and the lock are still where this run knows them. */
import { colors, key, type Color } from '../app/color.ts'
import { isOverlap, liveColor } from '../app/live.ts'
import { observe, side, type Observed } from '../app/observe.ts'
import type { World } from '../cluster/world.ts'
import { DeployError, Exit } from '../errors.ts'
import { tokenOf, type Lock } from '../history/lock.ts'
import { voided } from '../traffic/patch.ts'

export const TAKEN_OVER = 'The lock was taken over: this run stops here'

/** Users are not where this run had brought them, or known them. */
export class MovedAway extends DeployError {}

/** Whether the lock on the live Service is still this run's. */
export const isOurs = ({ service: found }: Observed, lock: Lock): boolean =>
  found?.metadata.annotations[key.lock] === lock.token

/** Whether a token is another run's. One that this run has made void, so that no late patch of its own lands, is not. */
export const isForeign = (token: string | undefined, { token: own }: Lock): boolean =>
  token !== undefined && token !== own && token !== voided(own)

/** Whether somebody else has put his token on the live Service. Until it is opened for the first time, it has none. */
export function isTheirs({ service: found }: Observed, lock: Lock): boolean {
  return isForeign(found?.metadata.annotations[key.lock], lock)
}

/**
 * Asked right before the idle color is written to: users are still where this run knows them, and the lock on
 * the live Service is still ours. Somebody may have moved them by hand, or rolled back.
 * @throws DeployError (5) when the lock was taken over, (1) when only traffic was moved
 */
export async function ensureLive(
  world: World & { lock: Lock },
  expected: Color | undefined,
): Promise<Observed> {
  const { environment, kubectl, lock } = world
  lock.check()
  const observed = await observe(environment.app, kubectl)
  if (expected === undefined) return observed
  if (!isOurs(observed, lock)) throw new DeployError(TAKEN_OVER, Exit.locked)
  const live = liveColor(environment, observed)
  if (live === expected && !isOverlap(environment.app, observed.service?.spec.selector ?? {})) return observed
  throw new MovedAway(`Users are on ${live}, no longer on ${expected}: somebody else moved them`)
}

/** Where users are at this moment, for what must be said when a run stops; also after an interrupt. */
export interface Where {
  /** Undefined where the live Service selects no single color. */
  color: Color | undefined
  /** `1.0.0 (blue)`, as people read it. */
  named: string
  /** Those of the lock, as they stand on the live Service and on the Lease: whoever takes it writes there first. */
  tokens: (string | undefined)[]
}

/** Whether somebody else has taken the lock. */
export const isTaken = ({ tokens }: Where, lock: Lock): boolean =>
  tokens.some((token) => isForeign(token, lock))

/** @throws KubectlError when nobody can tell */
export async function whereUsersAre({ environment, kubectl }: World): Promise<Where> {
  const { service, lease, colors: states } = await observe(environment.app, kubectl.unstoppable())
  const color = colors.find((name) => name === service?.spec.selector.color)
  const named = color ? `${side(states[color]).version} (${color})` : 'no single color'
  return { color, named, tokens: [service?.metadata.annotations[key.lock], lease && tokenOf(lease)] }
}
