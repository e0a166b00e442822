/**
 * Yesterday's release, back. When it is still warm in the other color, one read decides and one patch does it:
 * the patch moves traffic, fences a running deployment off, and carries the intent for the history. All the
 * rest — the lock, the record, the proof — comes after users are helped.
 */
import { restoreBounds, type AutoscalerBounds } from '../app/autoscaler.ts'
import { key, names, type Color, type Switch } from '../app/color.ts'
import { drift } from '../app/live.ts'
import { observe, side, uids, type Observed } from '../app/observe.ts'
import { waitReady } from '../app/rollout.ts'
import type { Gates } from '../check.ts'
import { scale } from '../cluster/commands.ts'
import type { World } from '../cluster/world.ts'
import { DeployError, Exit, sentence } from '../errors.ts'
import { journal as journalOf, journalled, openRecord, type Journal } from '../history/journal.ts'
import { fence, lockedBy, seizeLock, type Lock } from '../history/lock.ts'
import { newEntry, type DeploymentRecord } from '../history/record.ts'
import { unfinished } from '../history/store.ts'
import { moveTraffic, type Moved } from '../traffic/move.ts'
import { byHand, type Move } from '../traffic/patch.ts'
import { proofOf, watchLive } from '../traffic/proof.ts'
import type { Witness } from '../traffic/witness.ts'
import { ensureLive } from './fence.ts'
import { pass } from './gates.ts'
import { repair } from './repair.ts'
import { left } from './settle.ts'
import { reportProof } from './switchover.ts'
import type { Target } from './target.ts'

export interface RollbackRequest {
  id: string
  reason: string | undefined
}

/**
 * Goes to a color that holds the wanted release.
 * @throws DeployError (1) when nothing moved, (4) when traffic moved but what came after it failed
 */
export async function rollBack(
  outer: World,
  request: RollbackRequest,
  observed: Observed,
  target: Target & { kind: 'warm' | 'scale' },
  gates: Gates,
): Promise<DeploymentRecord> {
  const { log } = outer
  const run: Run = {}
  const journal = journalOf(
    outer,
    newEntry(outer, {
      ...request,
      kind: 'rollback',
      from: side(observed.colors[target.from]),
      to: { color: target.to, ...target.release },
      drift: drift(outer.environment.app, observed),
      temporary: { autoscaler: target.kind === 'scale' ? lastingBounds(observed, target) : undefined },
    }),
  )
  let watching: Promise<Witness> | undefined
  try {
    const move = moveTo(
      outer,
      journal.entry,
      await warmUp(outer, run, journal, observed, target),
      target,
      run.lock,
    )
    log.step(`Switch ${target.from} → ${target.to}`)
    // The patch is on its way while the witness loads; the lock and the record follow once it is in.
    const onMoved = (): void => void (run.entering ??= enter(outer, run, journal))
    const moving = moveTraffic(outer, move, onMoved)
    watching = watchLive(outer)
    const [moved, witness] = await Promise.all([moving, watching])
    const problem = (await run.entering)?.find(({ status }) => status === 'rejected')
    if (problem?.status === 'rejected') throw problem.reason
    if (!run.lock) throw new DeployError('The lock was not taken')
    const record = await prove(lockedBy(outer, run.lock), run.lock, journal, target, gates, {
      moved,
      witness,
    })
    log.done()
    return record
  } catch (error) {
    if (!run.entering) {
      if (run.opened) await journal.close(outer.signal.aborted ? 'interrupted' : 'failed', sentence(error))
      throw error
    }
    await run.entering
    if (outer.signal.aborted) throw left(outer, target.to, error)
    await journal.close('needs-person', sentence(error))
    const now = `Users are on ${target.to} (${target.release.version}), but ${sentence(error)}`
    throw new DeployError(
      `${now}. To send them back to ${target.from}:\n  ${byHand(outer, target.from)}`,
      Exit.needsPerson,
    )
  } finally {
    await (await watching)?.stop()
    await run.lock?.release()
  }
}

/** What a rollback has taken and opened so far. */
interface Run {
  lock?: Lock
  opened?: boolean
  entering?: Promise<PromiseSettledResult<unknown>[]>
}

/**
 * The lock is taken from whoever has it: the patch has fenced him off already. An interrupt does not stop this:
 * traffic has moved, and the history must say so. Says what of it failed.
 */
async function enter(outer: World, run: Run, { entry }: Journal): Promise<PromiseSettledResult<unknown>[]> {
  const world = { ...outer, kubectl: outer.kubectl.unstoppable() }
  const locking = async (): Promise<void> => void (run.lock ??= await seizeLock(world, entry.id))
  const opening = async (): Promise<void> => void (run.opened ||= Boolean(await openRecord(world, entry, [])))
  return await Promise.allSettled([locking(), opening()])
}

/** Starts the pods that are missing, under the lock, and keeps an autoscaler from taking them away again. */
async function warmUp(
  outer: World,
  run: Run,
  { entry }: Journal,
  observed: Observed,
  target: Target & { kind: 'warm' | 'scale' },
): Promise<Observed> {
  if (target.kind === 'warm') return observed
  const { to, atLeast } = target
  run.lock = await seizeLock(outer, entry.id)
  const world = lockedBy(outer, run.lock)
  if (observed.service) await fence(world, observed.service, run.lock)
  await openRecord(world, entry, [])
  run.opened = true
  world.log.step(`Start ${target.release.version} in ${to}: ${target.missing}`)
  const bounds = entry.temporary.autoscaler
  if (bounds) {
    await restoreBounds(world, observed, { ...bounds, minReplicas: Math.max(bounds.minReplicas, atLeast) })
  }
  if ((observed.colors[to].deployment?.spec.replicas ?? 0) < atLeast) {
    await world.kubectl.write(scale(names(world.environment.app).deployment(to), atLeast))
  }
  return await waitReady(world, to, atLeast)
}

/** The bounds that a color's autoscaler keeps afterwards: its own, but with room for the pods that serve now. */
function lastingBounds(
  { colors }: Observed,
  { to, atLeast }: { to: Color; atLeast: number },
): AutoscalerBounds | undefined {
  const found = colors[to].autoscaler
  if (!found) return undefined
  const { minReplicas, maxReplicas } = found.spec
  return { name: found.metadata.name, minReplicas, maxReplicas: Math.max(maxReplicas, atLeast) }
}

/** What users met, and whether the release works through the live URL; then what others left is tidied up. */
async function prove(
  world: World,
  lock: Lock,
  journal: Journal,
  { to, from, release }: Target,
  gates: Gates,
  { moved, witness }: { moved: Moved; witness: Witness },
): Promise<DeploymentRecord> {
  const { environment, kubectl, log } = world
  log.step('Verify through the live URL')
  const [past, now] = await Promise.all([
    unfinished(world),
    ensureLive(world, lock, to),
    pass(world, journal, gates, 'back', { url: environment.url, color: to }),
  ])
  // A deployment that was fenced off may have had an apply on its way to this color.
  if (side(now.colors[to]).release !== release.release) {
    throw new DeployError(
      `${to} was overwritten with ${side(now.colors[to]).version} while traffic moved to it`,
    )
  }
  const proof = proofOf(moved, await witness.stop(), to)
  journal.entry.switches.push(proof)
  reportProof(world, proof)
  if (proof.failures > 0)
    log.warn(`${proof.failures} of ${proof.requests} requests failed while traffic left ${from}`)
  const open = past.filter(({ outcome, id }) => outcome === 'open' && id !== journal.entry.id)
  if (open.length > 0)
    await repair(journalled(world, journal), lock, await observe(environment.app, kubectl), open, gates)
  if (journal.entry.temporary.autoscaler) {
    await restoreBounds(world, await observe(environment.app, kubectl), journal.entry.temporary.autoscaler)
  }
  await journal.close('succeeded')
  return journal.entry
}

/** Pure: the patch that brings a release back, and takes the lock's place on the Service with it. */
export function moveTo(
  world: World,
  entry: DeploymentRecord,
  { service, colors }: Observed,
  target: Target & { kind: 'warm' | 'scale' },
  lock: Lock | undefined,
): Move {
  if (!service) throw new DeployError(`There is no Service ${world.environment.app}`)
  const intent: Switch = {
    id: entry.id,
    kind: 'rollback',
    from: side(colors[target.from]),
    to: side(colors[target.to]),
    by: world.by,
    at: new Date(world.clock.now()).toISOString(),
    ...(entry.reason !== undefined && { reason: entry.reason }),
  }
  const expected = lock?.token ?? service.metadata.annotations[key.lock]
  const token = { expected, next: entry.id }
  return {
    intent,
    to: { ...intent.to, color: target.to },
    service,
    token,
    atLeast: target.atLeast,
    own: uids(colors[target.to]),
  }
}
