/**
 * What an interrupted run left behind is finished, if its switch was made, and undone otherwise (S4). All that
 * is needed stands in the cluster: the live Service says whether traffic moved, the record what was changed
 * for a time.
 */
import { restoreBounds } from '../app/autoscaler.ts'
import { colors } from '../app/color.ts'
import { isUnused, liveColor } from '../app/live.ts'
import { observe, type Observed } from '../app/observe.ts'
import { retire, waitReady } from '../app/rollout.ts'
import type { Gates } from '../check.ts'
import type { World } from '../cluster/world.ts'
import { DeployError, Exit, sentence } from '../errors.ts'
import { journal, openRecord, type Journal } from '../history/journal.ts'
import type { Lock } from '../history/lock.ts'
import { newEntry, type DeploymentRecord } from '../history/record.ts'
import { readRecord } from '../history/store.ts'
import { ensureLive } from './fence.ts'
import { pass } from './gates.ts'
import { AfterSwitch, closeFailed } from './settle.ts'
import { narrow, switchOver } from './switchover.ts'

/** Whether anything was left to do; what is said is how it was left. */
export function leftBehind(observed: Observed, open: readonly DeploymentRecord[]): string[] {
  return open.map(({ id, kind, by, startedAt, to }) => {
    const moved = observed.switch?.id === id ? 'after' : 'before'
    return `the ${kind} of ${to.version} to ${to.color} by ${by} (${startedAt}, ${id}) stopped ${moved} its switch`
  })
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
  const last = observed.switch
  if (last?.kind !== 'rollback' || open.some(({ id }) => id === last.id)) return open
  if (await readRecord(world, last.id)) return open
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

/** What an interrupted run applied has rolled out by itself: it is verified. @throws DeployError (4) when it fails */
export async function finishRolling(world: World, record: Journal, gates: Gates): Promise<void> {
  const { environment, kubectl } = world
  const { id, to } = record.entry
  const { colors } = await observe(environment.app, kubectl)
  if (colors.plain.release?.release !== id) {
    return await record.close('interrupted', `nothing of it runs; closed by ${world.by}`)
  }
  try {
    await waitReady(world, 'plain', 1)
    await pass(world, record, gates, 'preview', { url: environment.url })
  } catch (error) {
    if (world.signal.aborted) throw error
    await record.close('needs-person', sentence(error))
    const next = `bun scripts/rollback-deployment.ts --env ${environment.name}`
    const what = `${to.version}, which an interrupted run rolled out, does not hold`
    throw new DeployError(
      `${what}: ${sentence(error)}. To bring back what was before: ${next}`,
      Exit.needsPerson,
    )
  }
  await record.close('succeeded', `interrupted; verified by ${world.by}`)
}
