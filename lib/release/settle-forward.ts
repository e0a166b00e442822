/** Users are on the new color for good. What fails now is told, but is no reason to move them again. */
import { retire } from '../app/rollout.ts'
import { seconds } from '../clock.ts'
import { DeployError, Exit, sentence } from '../errors.ts'
import { isLockLoss } from '../history/lock.ts'
import { selectPreview } from '../traffic/endpoints.ts'
import { stillMet } from '../traffic/witness.ts'
import type { Attempt } from './attempt.ts'
import type { Color } from '../app/color.ts'
import { ensureLive, MovedAway } from './fence.ts'
import { AfterSwitch, left, overtaken, tidyUp, type Ending } from './settle.ts'
import type { Underway } from './switchover.ts'

/**
 * Drains and retires the color that was left, if there is one, while the witness watches.
 * @throws AfterSwitch (4, 5) when the run was stopped, or users were moved meanwhile
 */
export async function settleForward(
  attempt: Attempt,
  { from, to }: { from: Color | undefined; to: Color },
  underway: Underway,
): Promise<Ending> {
  const { environment, log, clock, signal } = attempt
  let unsettled: string | undefined
  try {
    if (from) {
      log.step(`Drain ${from}`)
      await clock.sleep(environment.drain, signal)
    }
    const observed = await ensureLive(attempt, to)
    if (from) {
      const met = stillMet(underway.witness.samples, underway.since, to)
      if (met > 0)
        throw new DeployError(`${met} new connections met another color than ${to} while it was drained`)
      await retire(attempt, observed.colors[from])
      await tidyUp(attempt, () => selectPreview(attempt, observed, from))
      signal.throwIfAborted() // by an interrupt, or by whoever took the lock over meanwhile
    }
  } catch (error) {
    const stopped = await reasonToStop(attempt, to, error)
    if (stopped) {
      await underway.settle()
      throw stopped
    }
    unsettled = `${from ?? to} was not settled: ${sentence(error)}`
  }
  const { failures, requests, lastOld } = await underway.settle()
  const lost = failures > environment.witness.allowedFailures
  if (from && lastOld !== undefined)
    log.info(`the last client left ${from} ${seconds(lastOld)} after the patch`)
  const remarks = [unsettled, lost ? `${failures} of ${requests} requests failed` : undefined]
  return {
    outcome: 'succeeded',
    remark: remarks.filter((text) => text !== undefined).join('; ') || undefined,
  }
}

/** Whether what was thrown ends the run: it was stopped, or users are somebody else's by now. */
export async function reasonToStop(
  attempt: Attempt,
  to: Color,
  error: unknown,
): Promise<AfterSwitch | undefined> {
  if (attempt.signal.aborted) return await left(attempt, to, attempt.signal.reason)
  if (isLockLoss(error)) return await left(attempt, to, error)
  const successor = await overtaken(attempt)
  if (successor) return successor
  if (!(error instanceof MovedAway)) return undefined
  const { message } = error
  return new AfterSwitch(message, Exit.needsPerson, { outcome: 'needs-person', message })
}
