/** Whether users and the lock are still where this run knows them. */
import { key, type Color } from '../app/color.ts'
import { isOverlap, liveColor } from '../app/live.ts'
import { observe, type Observed } from '../app/observe.ts'
import type { World } from '../cluster/world.ts'
import { DeployError, Exit } from '../errors.ts'
import type { Lock } from '../history/lock.ts'

export const TAKEN_OVER = 'The lock was taken over: this run stops here'

/** Users are not where this run had brought them, or known them. */
export class MovedAway extends DeployError {}

/**
 * Asked right before the idle color is written to: users are still where this run knows them, and the lock on
 * the live Service is still ours. Somebody may have moved them by hand, or rolled back.
 * @throws DeployError (5) when the lock was taken over, (1) when only traffic was moved
 */
export async function ensureLive(world: World, lock: Lock, expected: Color | undefined): Promise<Observed> {
  const { app } = world.environment
  lock.check()
  const observed = await observe(app, world.kubectl)
  if (expected === undefined) return observed
  if (observed.service?.metadata.annotations[key.lock] !== lock.token) {
    throw new DeployError(TAKEN_OVER, Exit.locked)
  }
  const live = liveColor(app, observed)
  if (live === expected && !isOverlap(app, observed.service.spec.selector)) return observed
  throw new MovedAway(`Users are on ${live}, no longer on ${expected}: somebody else moved them`)
}
