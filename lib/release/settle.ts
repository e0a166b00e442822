/** How an attempt ends: its record is closed, and what was changed for a time is put back. */
import type { Color } from '../app/color.ts'
import type { World } from '../cluster/world.ts'
import { DeployError, Exit, sentence, type ExitCode } from '../errors.ts'
import type { Journal } from '../history/journal.ts'
import { isLockLoss } from '../history/lock.ts'

/** Something went wrong when traffic had moved already. The record says how it ended, or is left open. */
export class AfterSwitch extends DeployError {
  /** How its record is to be closed, once what was changed for a time is put back; undefined leaves it open. */
  readonly closing: { outcome: 'rolled-back' | 'needs-person'; message: string } | undefined

  constructor(message: string, exitCode: ExitCode, closing?: AfterSwitch['closing']) {
    super(message, exitCode)
    this.closing = closing
  }
}

/** Closes the record of a change that went well. @throws AfterSwitch (4) when that cannot be stored */
export async function closeWell(
  { environment }: World,
  journal: Journal,
  to: string,
  message?: string,
): Promise<void> {
  try {
    await journal.close('succeeded', message)
  } catch (error) {
    throw new AfterSwitch(
      `Users are on ${to}, but the record could not be closed: ${sentence(error)}. ${repairLater(environment)} closes it`,
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

const repairLater = ({ name }: World['environment']): string =>
  `The next deployment or rollback, or bun scripts/deployment-status.ts --env ${name} --repair,`

/** Stopped in the middle: the record stays open, and whoever comes next finishes or undoes it. */
export function left({ environment }: World, to: Color, error: unknown): AfterSwitch {
  if (error instanceof DeployError && error.exitCode === Exit.locked)
    return new AfterSwitch(error.message, Exit.locked)
  return new AfterSwitch(
    `Stopped after the switch: users are on ${to}. ${repairLater(environment)} finishes or undoes it`,
    Exit.needsPerson,
  )
}
