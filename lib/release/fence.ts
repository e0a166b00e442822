/** Whether users and the lock are still where this run knows them. */
import { key, names, type Color } from '../app/color.ts'
import { isOverlap, liveColor } from '../app/live.ts'
import { observe, type Observed } from '../app/observe.ts'
import { getNamed } from '../cluster/commands.ts'
import { service } from '../cluster/objects.ts'
import type { World } from '../cluster/world.ts'
import { DeployError, Exit } from '../errors.ts'
import type { Lock } from '../history/lock.ts'

export const TAKEN_OVER = 'The lock was taken over: this run stops here'

/** Users are not where this run had brought them, or known them. */
export class MovedAway extends DeployError {}

/** Whether the lock on the live Service is still this run's. */
export const isOurs = ({ service: found }: Observed, lock: Lock): boolean =>
  found?.metadata.annotations[key.lock] === lock.token

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

/** The color that the live Service names at this moment, for what must be said when a run stops; also after an interrupt. */
export async function whereUsersAre(
  world: World,
): Promise<{ color: string | undefined; token: string | undefined }> {
  const { live } = names(world.environment.app)
  const [found] = await world.kubectl.unstoppable().objects(getNamed(`service/${live}`), service)
  return { color: found?.spec.selector.color, token: found?.metadata.annotations[key.lock] }
}
