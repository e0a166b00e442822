/** Everything that comes before users are moved. */
import type { Color } from '../app/color.ts'
import { scaleColor } from '../app/fenced.ts'
import { observe } from '../app/observe.ts'
import { DeployError, Exit, sentence } from '../errors.ts'
import { isLockLoss } from '../history/lock.ts'
import type { Attempt } from './attempt.ts'
import { isTaken, isTheirs, TAKEN_OVER, whereUsersAre, type Where } from './fence.ts'
import type { Plan, Request } from './plan.ts'
import { AfterSwitch, tidyUp } from './settle.ts'

/** What fails here has moved nobody: it is said where users are, and the new color is left for diagnosis. */
export async function beforeUsers<T>(
  attempt: Attempt,
  { clean }: Pick<Request, 'clean'>,
  { from, to }: Pick<Plan, 'from' | 'to'>,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof AfterSwitch) throw error
    const now = await whereUsersAre(attempt).catch(() => undefined)
    const why = reasonOf(attempt, error, now)
    const ours = !isLockLoss(why) && !isLockLoss(attempt.signal.reason)
    if (clean && ours) await tidyUp(attempt, () => scaleDown(attempt, to))
    throw saying(why, from, now)
  }
}

/** A run that was stopped for long wakes up to whatever broke first: that somebody has its lock is why it ends. */
function reasonOf({ lock, log }: Attempt, error: unknown, now: Where | undefined): unknown {
  if (isLockLoss(error) || !now || !isTaken(now, lock)) return error
  log.warn(sentence(error))
  return new DeployError(TAKEN_OVER, Exit.locked)
}

/** The same error, which also says where users are: it is the run's last word. */
export function saying(error: unknown, from: Color | undefined, now: Where | undefined): unknown {
  if (!(error instanceof DeployError)) return error
  const moved = now?.color === from ? 'Traffic did not move' : 'This run did not move traffic'
  const where = from ? now && `${moved}: users are on ${now.named}` : 'No traffic was opened'
  if (where) error.message = `${error.message}. ${where}`
  return error
}

/** The new color is left for diagnosis, unless it was asked to be cleaned. */
async function scaleDown(attempt: Attempt, color: Plan['to']): Promise<void> {
  const world = { ...attempt, kubectl: attempt.kubectl.unstoppable() }
  const observed = await observe(attempt.environment.app, world.kubectl)
  // One reading says both what is there and that users are not: who comes later is told by the color's token.
  if (isTheirs(observed, attempt.lock) || observed.service?.spec.selector.color === color)
    throw new DeployError(`${color} is left as it is: ${TAKEN_OVER}`)
  attempt.journal.entry.temporary.replicas = []
  if (observed.colors[color].deployment) await scaleColor(world, observed.colors[color], 0)
}
