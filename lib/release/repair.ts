/**
 * What an interrupted run left behind is finished, if its switch was made, and undone otherwise (S4). All that
 * is needed stands in the cluster: the live Service says whether traffic moved, the record what was changed
 * for a time.
 */
import { colors } from '../app/color.ts'
import { isUnused, liveColor, type Site } from '../app/live.ts'
import { observe, type Observed } from '../app/observe.ts'
import { retire, waitReady } from '../app/rollout.ts'
import type { World } from '../cluster/world.ts'
import { DeployError, Exit, sentence } from '../errors.ts'
import { journal, openRecord } from '../history/journal.ts'
import { newEntry, type DeploymentRecord } from '../history/record.ts'
import { readRecord } from '../history/store.ts'
import { tellEnd } from '../notify/tell.ts'
import { watchLive } from '../traffic/proof.ts'
import { giveBack, type Attempt } from './attempt.ts'
import { bakeRolling, resumeBake } from './bake.ts'
import { ensureLive } from './fence.ts'
import { verify } from './gates.ts'
import { AfterSwitch, named } from './settle.ts'
import { narrow } from './switchover.ts'
import type { Found, Held } from './under-lock.ts'
import { goBack, settleBack } from './way-back.ts'

/** Whether anything was left to do; what is said is how it was left. */
export function leftBehind(observed: Observed, open: readonly DeploymentRecord[]): string[] {
  return open.map(({ id, kind, by, startedAt, to }) => {
    const { id: last, overlap } = observed.switch ?? {}
    const moved = last !== id ? 'before' : overlap ? 'in the middle of' : 'after'
    return `the ${kind} of ${to.version} to ${to.color} by ${by} (${startedAt}, ${id}) stopped ${moved} its switch`
  })
}

/** Finishes or undoes every open record, and an overlap that was left. @returns whether anything was done */
export async function repair(
  held: Held,
  { observed: seen, past }: Omit<Found, 'repaired'>,
): Promise<boolean> {
  let observed = seen
  const open = past.filter(({ outcome }) => outcome === 'open')
  const known = await recordOfLastSwitch(held, observed, open)
  for (const entry of known.toReversed()) {
    held.log.step(`Repair: ${leftBehind(observed, [entry])[0]}`)
    const attempt = { ...held, journal: journal(held, entry) }
    try {
      if (entry.strategy === 'rolling') await finishRolling(attempt)
      else await finishOrUndo(attempt, observed)
      tellEnd(attempt)
    } catch (error) {
      tellEnd(attempt, error)
      throw error
    }
    observed = await observe(held.environment.app, held.kubectl)
  }
  const narrowed = await narrow(held, held.lock, observed)
  return narrowed || known.length > 0
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

async function finishOrUndo(attempt: Attempt, observed: Observed): Promise<void> {
  const narrowed = await narrow(attempt, attempt.lock, observed)
  const outcome = narrowed ? 'undone' : whatBecame(attempt.environment, observed, attempt.journal.entry)
  if (outcome === 'moved') await finish(attempt)
  else await undo(attempt, outcome)
}

/** Where users are is what counts, not how far the run came: they may have been moved again, by hand too. Pure. */
function whatBecame(site: Site, observed: Observed, entry: DeploymentRecord): keyof typeof endings | 'moved' {
  const { switch: last } = observed
  if (last?.id !== entry.id) return 'undone'
  const live = isUnused(observed) ? undefined : liveColor(site, observed)
  if (live === entry.to.color) return 'moved'
  return last.kind === 'automatic-rollback' ? 'rolledBack' : 'movedByHand'
}

const endings = {
  undone: { outcome: 'interrupted', message: 'traffic did not move, or is back' },
  rolledBack: { outcome: 'rolled-back', message: 'interrupted after its automatic rollback' },
  movedByHand: { outcome: 'interrupted', message: 'after its switch, somebody moved traffic back by hand' },
} as const

/** Users are not on the new color: what was changed for the time of the deployment is put back. */
async function undo(attempt: Attempt, how: keyof typeof endings): Promise<void> {
  const { outcome, message } = endings[how]
  await giveBack(attempt, attempt.journal.entry)
  await attempt.journal.close(outcome, `${message}; cleaned up by ${attempt.by}`)
}

/** Users are on the new color: it is verified and settled, or they are brought back. */
async function finish(attempt: Attempt): Promise<void> {
  const { journal: record, by } = attempt
  const { entry } = record
  const to = colors.find((color) => color === entry.to.color)
  const from = colors.find((color) => color === entry.from?.color)
  if (!to) return await record.close('interrupted', 'it named no color')
  if (entry.kind === 'rollback' && from) return await finishBack(attempt, { from, to })
  const hurt = entry.bake?.verdict === 'failed' && entry.bake.reason
  if (hurt) return await takeBack(attempt, { from: to, to: from }, hurt)
  try {
    await waitReady(attempt, to, 1)
    await verify(attempt, 'live', { url: attempt.environment.url, color: to })
  } catch (error) {
    if (attempt.signal.aborted) throw error
    return await takeBack(attempt, { from: to, to: from }, `${to} does not hold: ${sentence(error)}`)
  }
  const observed = await ensureLive(attempt, to)
  if (from && entry.kind === 'deploy') await retire(attempt, observed.colors[from])
  try {
    const back = (why: string) =>
      goBack(attempt, { from: to, to: from }, `interrupted after the switch; ${why}`)
    const { remark } = await resumeBake(attempt, { from, to }, back)
    await giveBack(attempt, entry)
    const message = [`interrupted after the switch; finished by ${by}`, remark].filter(Boolean).join('; ')
    await record.close('succeeded', message)
  } catch (error) {
    if (!(error instanceof AfterSwitch)) throw error
    await closeBack(attempt, error, from)
  }
}

/** A way back is never undone: what is missing of it is done. */
async function finishBack(
  attempt: Attempt,
  way: { from: 'blue' | 'green'; to: 'blue' | 'green' },
): Promise<void> {
  const { clock, journal: record, by } = attempt
  const witness = await watchLive(attempt)
  const remarks = await settleBack(attempt, way, { patchedAt: clock.monotonic(), converged: 0 }, witness)
  attempt.signal.throwIfAborted()
  await giveBack(attempt, record.entry)
  const message = [`interrupted after the switch; finished by ${by}`, ...remarks].join('; but ')
  await record.close(remarks.length > 0 ? 'needs-person' : 'succeeded', message)
  if (remarks.length > 0)
    throw new DeployError(
      `Users are on ${named(record, way.to)}, but ${remarks.join('; ')}`,
      Exit.needsPerson,
    )
}

/** @throws what `goBack` makes of it, unless users are back */
async function takeBack(
  attempt: Attempt,
  way: { from: 'blue' | 'green'; to: 'blue' | 'green' | undefined },
  why: string,
): Promise<void> {
  await closeBack(attempt, await goBack(attempt, way, `interrupted after the switch; ${why}`), way.to)
}

/** @throws what came of going back, unless users are back; of a first release, which nothing was before, nothing is thrown */
async function closeBack(
  attempt: Attempt,
  ended: AfterSwitch,
  before: 'blue' | 'green' | undefined,
): Promise<void> {
  if (!ended.closing) throw ended
  await giveBack(attempt, attempt.journal.entry)
  await attempt.journal.close(ended.closing.outcome, ended.closing.message)
  if (ended.exitCode !== Exit.rolledBack && before) throw ended
}

/** What an interrupted run applied has rolled out by itself: it is verified. @throws DeployError (4) when it fails */
async function finishRolling(attempt: Attempt): Promise<void> {
  const { environment, kubectl, journal: record, by } = attempt
  const { id, to } = record.entry
  const { colors: states } = await observe(environment.app, kubectl)
  if (states.plain.release?.release !== id) {
    return await record.close('interrupted', `nothing of it runs; closed by ${by}`)
  }
  try {
    await waitReady(attempt, 'plain', 1)
    await verify(attempt, 'preview', { url: environment.url })
    if (record.entry.bake && !record.entry.bake.verdict) await bakeRolling(attempt)
  } catch (error) {
    if (attempt.signal.aborted) throw error
    await record.close('needs-person', sentence(error))
    if (error instanceof AfterSwitch) throw error
    const next = `bun scripts/rollback-deployment.ts --env ${environment.name}`
    const what = `${to.version}, which an interrupted run rolled out, does not hold`
    throw new DeployError(
      `${what}: ${sentence(error)}. To bring back what was before: ${next}`,
      Exit.needsPerson,
    )
  }
  await record.close('succeeded', `interrupted; verified by ${by}`)
}
