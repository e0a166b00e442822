/** How an attempt ends: its record is closed, and what was changed for a time is put back. */
import type { Color } from '../app/color.ts'
import type { World } from '../cluster/world.ts'
import { DeployError, Exit, sentence, type ExitCode } from '../errors.ts'
import type { Journal } from '../history/journal.ts'
import { isLockLoss, type Lock } from '../history/lock.ts'
import { isTaken, TAKEN_OVER, whereUsersAre } from './fence.ts'

/** Something went wrong when traffic had moved already. The record says how it ended, or is left open. */
export class AfterSwitch extends DeployError {
  /** How its record is to be closed, once what was changed for a time is put back; undefined leaves it open. */
  readonly closing: { outcome: 'rolled-back' | 'needs-person'; message: string } | undefined

  constructor(message: string, exitCode: ExitCode, closing?: AfterSwitch['closing']) {
    super(message, exitCode)
    this.closing = closing
  }
}

/** How an attempt ended well. */
export interface Ending {
  outcome: 'succeeded' | 'verified'
  /** What did not go as it should, and is no reason to move users. */
  remark?: string | undefined
}

/**
 * Closes the record of a change that went well, once `restore` has put back what was changed for a time.
 * @throws AfterSwitch (4) when one of the two cannot be done, (5) when somebody else has come: the record stays open then
 */
export async function closeWell(
  world: World & { lock: Lock },
  journal: Journal,
  { outcome, remark }: Ending,
  restore: () => Promise<void>,
): Promise<void> {
  let what = 'what was changed for a time could not be put back'
  try {
    await restore()
    what = 'the record could not be closed'
    await journal.close(outcome, remark)
  } catch (error) {
    const successor = await overtaken(world)
    if (successor) throw successor
    const { to } = journal.entry
    const where =
      outcome === 'succeeded' ? `Users are on ${to.version} (${to.color})` : `${to.color} is verified`
    throw new AfterSwitch(
      `${where}, but ${what}: ${sentence(error)}. ${repairLater(world.environment)} does it`,
      Exit.needsPerson,
    )
  }
}

/**
 * Closes the record of a change that failed, after `restore` has put back what was changed for a time. A change
 * that was stopped in the middle, or whose lock is somebody else's now, is left open: whoever comes next puts
 * back what the record names, and closes it.
 */
export async function closeFailed(
  world: World,
  journal: Journal,
  error: unknown,
  restore: () => Promise<void>,
): Promise<void> {
  const { signal } = world
  if (isLockLoss(error) || isLockLoss(signal.reason)) return
  const before = { outcome: signal.aborted ? 'interrupted' : 'failed', message: sentence(error) } as const
  const closing = error instanceof AfterSwitch ? error.closing : before
  if (!closing) return
  await tidyUp(world, async () => {
    await restore()
    await journal.close(closing.outcome, closing.message)
  })
}

/** What fails here is told; it must not take the place of what is known already. */
export async function tidyUp({ log }: World, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    log.warn(`Not tidied up: ${sentence(error)}`)
  }
}

export const repairLater = ({ name }: World['environment']): string =>
  `The next deployment or rollback, or bun scripts/deployment-status.ts --env ${name} --repair,`

/** Somebody else has taken the lock meanwhile: his run has the last word. Undefined where it is still ours, or nobody can tell. */
export async function overtaken(
  world: World & { lock: Lock },
  before = '',
): Promise<AfterSwitch | undefined> {
  const now = await whereUsersAre(world).catch(() => undefined)
  if (!now || !isTaken(now, world.lock)) return undefined
  return new AfterSwitch(`${before || TAKEN_OVER}. Users are on ${now.named} now`, Exit.locked)
}

/** `1.0.0 (blue)`: what a color holds, as the attempt knows it. */
export function named({ entry: { from, to } }: Journal, color: Color): string {
  const known = to.color === color ? to : from
  return known?.color === color ? `${known.version} (${color})` : color
}

/**
 * Stopped in the middle, after traffic had moved: the record stays open, and whoever comes next finishes or undoes
 * it. Where the lock is somebody else's by now his run has the last word (5); where it was only lost, nobody has.
 */
export async function left(
  world: World & { lock: Lock; journal: Journal },
  color: Color,
  error: unknown,
): Promise<AfterSwitch> {
  const { environment, journal } = world
  const to = named(journal, color)
  const next = `${repairLater(environment)} finishes or undoes it`
  if (error instanceof DeployError && error.exitCode === Exit.interrupted)
    return new AfterSwitch(`Stopped after the switch: users are on ${to}. ${next}`, Exit.needsPerson)
  const unproven = `Users are on ${to}, unproven: ${sentence(error)}. ${next}`
  const before = isLockLoss(error) ? sentence(error) : TAKEN_OVER
  const successor = await overtaken(world, `${before}. Traffic had moved to ${to} before that`)
  return successor ?? new AfterSwitch(unproven, Exit.needsPerson)
}
