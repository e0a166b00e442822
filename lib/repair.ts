/**
 * What an interrupted run left behind is finished, if its switch was made, and undone otherwise (S4). All that
 * is needed stands in the cluster: the live Service says whether traffic moved, the record what was changed
 * for a time.
 */
import { type Gates } from './check.ts'
import { colors, isUnused, liveColor, observe, type Observed } from './color.ts'
import { sentence } from './errors.ts'
import { acquireLock, fence, seizeLock, type Lock } from './lock.ts'
import {
  journal,
  newEntry,
  openRecord,
  readRecord,
  unfinished,
  type DeploymentRecord,
  type Journal,
} from './record.ts'
import { restoreBounds, retire, waitReady } from './rollout.ts'
import { finishRolling } from './rolling.ts'
import { AfterSwitch, closeFailed, ensureLive, narrow, pass, switchOver } from './switchover.ts'
import { lockedBy, type World } from './world.ts'

/** Whether anything was left to do; what is said is how it was left. */
export function leftBehind(observed: Observed, open: readonly DeploymentRecord[]): string[] {
  return open.map(({ id, kind, by, startedAt, to }) => {
    const moved = observed.switch?.id === id ? 'after' : 'before'
    return `the ${kind} of ${to.version} to ${to.color} by ${by} (${startedAt}, ${id}) stopped ${moved} its switch`
  })
}

export interface Held {
  /** Stops when the lock is lost. */
  world: World
  lock: Lock
  /** As it is now that nobody else writes. */
  observed: Observed
  /** An interrupted predecessor was finished or undone: what was planned before may not hold. */
  repaired: boolean
}

/**
 * Takes the lock, marks the live Service with it, finishes or undoes what was left behind, calls `use`, and lets
 * the lock go. `seen` is what was read before: the Service's mark must not be read after the lock was taken.
 */
export async function underLock<T>(
  outer: World,
  seen: Observed,
  { id, seize = false }: { id: string; seize?: boolean },
  gates: Gates,
  use: (held: Held) => Promise<T>,
): Promise<T> {
  const { environment, log } = outer
  log.step('Take the lock')
  const lock = seize ? await seizeLock(outer, id) : await acquireLock(outer, seen, id)
  const world = lockedBy(outer, lock)
  try {
    if (seen.service) await fence(world, seen.service, lock)
    // Read again: what was open when it was seen may have ended well since.
    const look = () => observe(environment.app, world.kubectl)
    const [observed, past] = await Promise.all([look(), unfinished(environment.app, world.kubectl)])
    const open = past.filter(({ outcome }) => outcome === 'open')
    const finished = await repair(world, lock, observed, open, gates)
    const repaired = (await narrow(world, lock, finished ? await look() : observed)) || finished
    const result = await use({ world, lock, repaired, observed: repaired ? await look() : observed })
    log.done()
    return result
  } finally {
    await lock.release()
  }
}

/** Finishes or undoes every open record; the lock must be held. @returns whether anything was done */
export async function repair(
  world: World,
  lock: Lock,
  seen: Observed,
  open: readonly DeploymentRecord[],
  gates: Gates,
): Promise<boolean> {
  let observed = seen
  const known = await recordOfLastSwitch(world, observed, open)
  for (const entry of [...known].toReversed()) {
    world.log.step(`Repair: ${leftBehind(observed, [entry])[0]}`)
    const record = journal(world, entry)
    if (entry.strategy === 'rolling') await finishRolling(world, record, gates)
    else await finishOrUndo(world, lock, observed, record, gates)
    observed = await observe(world.environment.app, world.kubectl)
  }
  return known.length > 0
}

/** A rollback writes its intent with its patch, and its record right after: between the two, there is none. */
async function recordOfLastSwitch(
  world: World,
  observed: Observed,
  open: readonly DeploymentRecord[],
): Promise<readonly DeploymentRecord[]> {
  const { kubectl, environment } = world
  const last = observed.switch
  if (last?.kind !== 'rollback' || open.some(({ id }) => id === last.id)) return open
  if (await readRecord(environment.app, kubectl, last.id)) return open
  const { id, by, at, from, to, reason } = last
  const entry = newEntry(world, { id, kind: 'rollback', by, startedAt: at, from, to, reason })
  await openRecord(world, entry, [])
  return [...open, entry]
}

async function finishOrUndo(
  world: World,
  lock: Lock,
  observed: Observed,
  record: Journal,
  gates: Gates,
): Promise<void> {
  const narrowed = await narrow(world, lock, observed)
  const outcome = narrowed ? 'undone' : whatBecame(world.environment.app, observed, record.entry)
  if (outcome === 'moved') await finish(world, lock, observed, record, gates)
  else await undo(world, observed, record, outcome)
}

/** Where users are is what counts, not how far the run came: they may have been moved again, by hand too. Pure. */
function whatBecame(
  app: string,
  observed: Observed,
  entry: DeploymentRecord,
): keyof typeof endings | 'moved' {
  const { switch: last } = observed
  if (last?.id !== entry.id) return 'undone'
  const live = isUnused(observed) ? undefined : liveColor(app, observed)
  if (live === entry.to.color) return 'moved'
  return last.kind === 'automatic-rollback' ? 'rolledBack' : 'movedByHand'
}

const endings = {
  undone: { outcome: 'interrupted', message: 'traffic did not move, or is back' },
  rolledBack: { outcome: 'rolled-back', message: 'interrupted after its automatic rollback' },
  movedByHand: { outcome: 'interrupted', message: 'after its switch, somebody moved traffic back by hand' },
} as const

/** Users are not on the new color: what was changed for the time of the deployment is put back. */
async function undo(
  world: World,
  observed: Observed,
  record: Journal,
  how: keyof typeof endings,
): Promise<void> {
  const { outcome, message } = endings[how]
  await restoreBounds(world, observed, record.entry.temporary.autoscaler)
  await record.close(outcome, `${message}; cleaned up by ${world.by}`)
}

/** Users are on the new color: it is verified and settled, or they are brought back. */
async function finish(
  world: World,
  lock: Lock,
  observed: Observed,
  record: Journal,
  gates: Gates,
): Promise<void> {
  const { environment } = world
  const to = colors.find((color) => color === record.entry.to.color)
  const from = colors.find((color) => color === record.entry.from?.color)
  if (!to) return await record.close('interrupted', 'it named no color')
  try {
    await waitReady(world, to, 1)
    await pass(world, record, gates, 'live', { url: environment.url, color: to })
  } catch (error) {
    if (world.signal.aborted) throw error
    if (!from) {
      const message = `interrupted after the switch; ${to} does not hold, and there is nothing to go back to`
      world.log.warn(`${message}: ${sentence(error)}`)
      return await record.close('needs-person', message)
    }
    world.log.warn(`${to} does not hold: ${sentence(error)}`)
    const change = {
      kind: 'automatic-rollback',
      to: from,
      from: to,
      atLeast: 1,
      lock,
      journal: record,
      gates,
    } as const
    const restore = () => restoreBounds(world, observed, record.entry.temporary.autoscaler)
    try {
      await (await switchOver(world, change)).settle()
    } catch (failure) {
      if (failure instanceof AfterSwitch) await closeFailed(world, record, failure, restore)
      throw failure
    }
    await restore()
    return await record.close('rolled-back', `interrupted after the switch; ${to} did not hold`)
  }
  await ensureLive(world, lock, to)
  if (from && record.entry.kind === 'deploy') await retire(world, from)
  await restoreBounds(world, observed, record.entry.temporary.autoscaler)
  await record.close('succeeded', `interrupted after the switch; finished by ${world.by}`)
}
