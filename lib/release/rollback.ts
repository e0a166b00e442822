/**
 * Yesterday's release, back. When it is still warm in the other color, one read decides and one patch does it:
 * the patch moves traffic, fences a running deployment off, and carries the intent for the history. All the
 * rest — the lock, the record, the proof — comes after users are helped.
 */
import { atCapacity, raiseBounds, type AutoscalerBounds } from '../app/autoscaler.ts'
import { key } from '../app/color.ts'
import { applyColor, claimColor, scaleColor } from '../app/fenced.ts'
import { drift } from '../app/live.ts'
import { observe, side, type ColorState, type Observed } from '../app/observe.ts'
import { render } from '../app/paint.ts'
import { waitServing } from '../app/rollout.ts'
import type { Gates } from '../check.ts'
import type { World } from '../cluster/world.ts'
import { Exit, sentence } from '../errors.ts'
import { journal as journalOf, journalled, openRecord, type Journal } from '../history/journal.ts'
import { fence, lockedBy, seizeLock, type Lock } from '../history/lock.ts'
import { newEntry, type DeploymentRecord } from '../history/record.ts'
import { markWayBack, readRecord, unfinished } from '../history/store.ts'
import { tell } from '../notify/tell.ts'
import { moveTraffic, type Moved } from '../traffic/move.ts'
import { watchLive } from '../traffic/proof.ts'
import type { Witness } from '../traffic/witness.ts'
import { closing, giveBack, type Attempt } from './attempt.ts'
import { saying } from './before-users.ts'
import { ensureLive, whereUsersAre } from './fence.ts'
import { moveOf } from './move.ts'
import { repair } from './repair.ts'
import { AfterSwitch, closeFailed, left, named, repairLater, tidyUp } from './settle.ts'
import type { Target } from './target.ts'
import { comesBack, sayCapacity, settleBack, whole } from './way-back.ts'

export interface RollbackRequest {
  id: string
  reason: string | undefined
  /** To show that it works: nothing is wrong with what is left, so it is not refused afterwards. */
  drill?: boolean
}

type Reachable = Target & { kind: 'warm' | 'scale' }

/**
 * Goes to a color that holds the wanted release.
 * @throws DeployError (1) when nothing moved; AfterSwitch (4) when users are there and something is not as it should be
 */
export async function rollBack(
  outer: World,
  request: RollbackRequest,
  observed: Observed,
  target: Reachable,
  gates: Gates,
): Promise<DeploymentRecord> {
  const journal = journalOf(outer, entryOf(outer, request, observed, target))
  const prepared =
    target.kind === 'scale' ? await startPods(outer, journal, observed, target, gates) : undefined
  const moved = await moveFirst(outer, journal, prepared?.observed ?? observed, target, prepared)
  const { lock, problems } = await moved.booking
  if (!lock) {
    tell({ ...outer, journal }, 'needs-person', problems.join('; '))
    throw await withoutLock(outer, target, moved.witness, problems)
  }
  try {
    for (const problem of problems) outer.log.warn(problem)
    const attempt = { ...journalled(lockedBy(outer, lock), journal), lock, journal, gates }
    tell(attempt, 'switched')
    return await closing(attempt, async () => {
      const remarks = [...moved.remarks, ...(await mendOverwritten(attempt, target))]
      remarks.push(...(await settleBack(attempt, target, moved.traffic, moved.witness)))
      if (outer.signal.aborted) throw await left(attempt, target.to, outer.signal.reason)
      await tidyUp(attempt, () => clearAfter(attempt, target))
      return whole(named(journal, target.to), remarks)
    })
  } finally {
    await lock.release()
    outer.log.done()
  }
}

function entryOf(
  world: World,
  request: RollbackRequest,
  observed: Observed,
  target: Reachable,
): DeploymentRecord {
  const { from, to, release, kind } = target
  const pods = observed.colors[to].deployment?.spec.replicas ?? 0
  const started = { color: to, release: release.release, replicas: pods }
  return newEntry(world, {
    ...request,
    kind: 'rollback',
    from: side(observed.colors[from]),
    to: { color: to, ...release },
    drift: drift(world.environment.app, observed),
    temporary: {
      autoscaler: kind === 'scale' ? lastingBounds(observed, target) : undefined,
      replicas: [...comesBack(world, observed.colors[from]), ...(kind === 'scale' ? [started] : [])],
    },
  })
}

/** The bounds that a color's autoscaler keeps afterwards: its own, but with room for the pods that serve now. */
function lastingBounds({ colors }: Observed, { to, enough }: Reachable): AutoscalerBounds | undefined {
  const found = colors[to].autoscaler
  if (!found) return undefined
  const { minReplicas, maxReplicas } = found.spec
  return { name: found.metadata.name, minReplicas, maxReplicas: Math.max(maxReplicas, enough) }
}

interface Prepared {
  lock: Lock
  observed: Observed
  /** The record with what is put back should nobody go there after all. */
  before: DeploymentRecord
}

/** A way back that comes to nothing leaves an autoscaler its bounds as they were found, without room for more. */
function asFound(entry: DeploymentRecord, { autoscaler: found }: ColorState): DeploymentRecord {
  if (!found) return entry
  const { minReplicas, maxReplicas } = found.spec
  const autoscaler = { name: found.metadata.name, minReplicas, maxReplicas }
  return { ...entry, temporary: { ...entry.temporary, autoscaler } }
}

/** Starts the pods that are missing, under the lock, and keeps an autoscaler from taking them away again. */
async function startPods(
  outer: World,
  journal: Journal,
  observed: Observed,
  target: Reachable & { kind: 'scale' },
  gates: Gates,
): Promise<Prepared> {
  const { to, enough, release, missing } = target
  const lock = await seizeLock(outer, journal.entry.id)
  const attempt = { ...journalled(lockedBy(outer, lock), journal), lock, journal, gates }
  const state = observed.colors[to]
  const before = asFound(journal.entry, state)
  try {
    if (observed.service) await fence(attempt, observed.service, lock)
    await openRecord(attempt, journal.entry, [])
    attempt.log.step(`Start ${release.version} in ${to}: ${missing}`)
    await raiseBounds(attempt, state, enough)
    if ((state.deployment?.spec.replicas ?? 0) < enough) await scaleColor(attempt, state, enough)
    return { lock, before, observed: await waitServing(attempt, to, enough) }
  } catch (error) {
    await closeFailed(attempt, journal, error, () => giveBack(attempt, before))
    tell(attempt, 'rollback-failed', sentence(error))
    await lock.release()
    throw await stayed(outer, target, error)
  }
}

interface Booked {
  /** Undefined when it could not be had. */
  lock: Lock | undefined
  /** What of the bookkeeping failed, a sentence each. */
  problems: string[]
}

interface MovedFirst {
  traffic: Moved
  witness: Witness
  booking: Promise<Booked>
  remarks: string[]
}

/** The patch is on its way while the witness loads; the lock and the record follow once it is in. */
async function moveFirst(
  outer: World,
  journal: Journal,
  observed: Observed,
  target: Reachable,
  prepared: Prepared | undefined,
): Promise<MovedFirst> {
  const { clock, log, signal } = outer
  const { from, to } = target
  const after: { booking?: Promise<Booked> } = {}
  log.step(`Switch ${from} → ${to}`)
  sayCapacity(outer, observed, target)
  const expected = prepared?.lock.token ?? observed.service?.metadata.annotations[key.lock]
  const token = { expected, next: journal.entry.id }
  const kind = journal.entry.drill ? 'switch' : 'rollback'
  const way = { kind, from, to, atLeast: 1 } as const
  const patchedAt = clock.monotonic()
  const moving = moveTraffic(outer, moveOf({ ...outer, journal }, observed, way, token), () => {
    after.booking ??= book(outer, journal, target, prepared)
  })
  const watching = watchLive(outer)
  const [moved, witness] = await Promise.allSettled([moving, watching])
  if (witness.status === 'rejected') throw witness.reason
  if (moved.status === 'fulfilled' && after.booking)
    return { traffic: moved.value, witness: witness.value, booking: after.booking, remarks: [] }
  const error: unknown = moved.status === 'rejected' ? moved.reason : undefined
  if (after.booking) {
    const traffic = { patchedAt, converged: clock.monotonic() - patchedAt }
    const remarks = signal.aborted ? [] : [sentence(error)]
    return { traffic, witness: witness.value, booking: after.booking, remarks }
  }
  await witness.value.stop()
  const why = await stayed(outer, target, error)
  tell({ ...outer, journal }, 'rollback-failed', sentence(why))
  if (prepared) {
    const world = { ...lockedBy(outer, prepared.lock), lock: prepared.lock }
    await closeFailed(world, journal, error, () => giveBack(world, prepared.before))
    await prepared.lock.release()
  }
  throw why
}

/** What kept users where they are, and where that is. */
async function stayed(world: World, { from }: Target, error: unknown): Promise<unknown> {
  return saying(error, from, await whereUsersAre(world).catch(() => undefined))
}

/**
 * The lock is taken from whoever has it: the patch has fenced him off already, and from now on the color as well.
 * An interrupt does not stop this: traffic has moved, and the history must say so.
 */
async function book(
  outer: World,
  { entry }: Journal,
  { to }: Target,
  prepared: Prepared | undefined,
): Promise<Booked> {
  const world = { ...outer, kubectl: outer.kubectl.unstoppable() }
  const [locking, opening, claiming] = await Promise.allSettled([
    prepared?.lock ?? seizeLock(world, entry.id),
    prepared ?? openRecord(world, entry, []),
    claimColor(world, to, entry.id),
  ])
  const failed = [
    ['The lock could not be taken', locking],
    ['The record could not be opened', opening],
    [`${to} could not be fenced`, claiming],
  ] as const
  return {
    lock: locking.status === 'fulfilled' ? locking.value : undefined,
    problems: failed.flatMap(([what, ended]) =>
      ended.status === 'rejected' ? [`${what}: ${sentence(ended.reason)}`] : [],
    ),
  }
}

/** Users are helped; without the lock nothing more may be written. */
async function withoutLock(
  { environment }: World,
  { to, release }: Target,
  witness: Witness,
  problems: readonly string[],
): Promise<AfterSwitch> {
  await witness.stop()
  return new AfterSwitch(
    `Users are on ${release.version} (${to}), unproven: ${problems.join('; ')}. ${repairLater(environment)} finishes it`,
    Exit.needsPerson,
  )
}

/** A deployment that was fenced off may have had an apply on its way to this color: then it is painted again. */
async function mendOverwritten(attempt: Attempt, { to, release }: Reachable): Promise<string[]> {
  const { log, lock, signal } = attempt
  try {
    const { colors } = await ensureLive(attempt, to)
    const found = side(colors[to])
    if (found.release === release.release) return []
    const what = `${to} was overwritten with ${found.version} while traffic moved to it`
    const kept = await readRecord(attempt, release.release)
    if (!kept || kept.manifests.length === 0) return [`${what}, and no record of ${release.version} is kept`]
    log.warn(`${what}: ${release.version} is put there again`)
    const { painted } = await render(attempt, { release, color: to, kept: kept.manifests })
    const pods = Math.max(1, colors[to].deployment?.spec.replicas ?? 1)
    await applyColor(attempt, atCapacity(painted, pods), lock.token, () => ensureLive(attempt, to))
    await waitServing(attempt, to, pods)
    return []
  } catch (error) {
    return signal.aborted ? [] : [sentence(error)]
  }
}

/** What others left is finished or undone, and the release that was left is refused from here on. */
export async function clearAfter(
  attempt: Attempt,
  { from, release }: Pick<Reachable, 'from' | 'release'>,
): Promise<void> {
  const { environment, kubectl, by } = attempt
  const { id: record, startedAt: at, reason, from: before } = attempt.journal.entry
  const past = await unfinished(attempt)
  const open = past.filter(({ outcome, id }) => outcome === 'open' && id !== record)
  if (open.length > 0)
    await repair(attempt, { observed: await observe(environment.app, kubectl), past: open })
  const left = before?.color === from ? before : undefined
  if (attempt.journal.entry.drill) return
  await markWayBack(attempt, { from: left, to: release }, { by, at, record, ...(reason && { reason }) }, past)
}
