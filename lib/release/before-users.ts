/** Everything that comes before users are moved. */
import { scaleColor } from '../app/fenced.ts'
import { observe } from '../app/observe.ts'
import { isLockLoss } from '../history/lock.ts'
import type { Attempt } from './attempt.ts'
import { whereUsersAre } from './fence.ts'
import type { Plan, Request } from './plan.ts'
import { AfterSwitch } from './settle.ts'

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
    const { log } = attempt
    const now = await whereUsersAre(attempt).catch(() => undefined)
    if (!from) log.warn('No traffic was opened')
    else if (now?.color === from) log.warn(`Traffic did not move: users are on ${from}`)
    else if (now)
      log.warn(`This run did not move traffic; users are on ${now.color ?? 'no single color'} now`)
    const ours = !isLockLoss(error) && !isLockLoss(attempt.signal.reason)
    if (clean && ours && now?.color !== to) await scaleDown(attempt, to)
    throw error
  }
}

/** The new color is left for diagnosis, unless it was asked to be cleaned. */
async function scaleDown(attempt: Attempt, color: Plan['to']): Promise<void> {
  const world = { ...attempt, kubectl: attempt.kubectl.unstoppable() }
  const { colors } = await observe(attempt.environment.app, world.kubectl)
  attempt.journal.entry.temporary.replicas = []
  if (colors[color].deployment) await scaleColor(world, colors[color], 0)
}
