/**
 * Yesterday's release, back. When it is still warm in the other color, one read decides and one patch does it:
 * the patch moves traffic, fences a running deployment off, and carries the intent for the history. All the
 * rest — the lock, the record, the proof — comes after users are helped.
 */
import type { Gates } from './check.ts'
import {
  capacity,
  drift,
  isOverlap,
  key,
  liveColor,
  names,
  observe,
  obstacles,
  other,
  side,
  uids,
  type Color,
  type Observed,
  type Release,
  type Switch,
} from './color.ts'
import { DeployError, Exit, sentence } from './errors.ts'
import { scale } from './kubectl.ts'
import { fence, seizeLock, type Lock } from './lock.ts'
import {
  history,
  journal as journalOf,
  newEntry,
  openRecord,
  readRecord,
  unfinished,
  type AutoscalerBounds,
  type DeploymentRecord,
  type Journal,
} from './record.ts'
import { repair } from './repair.ts'
import { restoreBounds, waitReady } from './rollout.ts'
import { ensureLive, left, pass, reportProof } from './switchover.ts'
import { byHand, moveTraffic, proofOf, watchLive, type Move, type Moved } from './traffic.ts'
import type { Witness } from './witness.ts'
import { journalled, lockedBy, type World } from './world.ts'

/** Where a rollback leads, and what it takes. */
export type Target =
  /** The other color runs it, all pods ready: one patch. */
  | { kind: 'warm'; from: Color; to: Color; release: Release; atLeast: number }
  /** The other color holds it with too few pods: they are started first. */
  | { kind: 'scale'; from: Color; to: Color; release: Release; atLeast: number; missing: string }
  /** The other color holds something else: the release is painted from its record again. */
  | { kind: 'redeploy'; from: Color; to: Color; release: Release }

/**
 * What was live before, or the version that is named. Pure.
 * @throws DeployError (1) when there is none, (6) when it was rolled back from and is not asked for by name
 */
export function chooseTarget(
  app: string,
  observed: Observed,
  version?: string,
): Target | { kind: 'search'; version: string } {
  const live = liveColor(app, observed)
  // While both colors are selected, the one to leave is the one that was coming.
  const both = isOverlap(app, observed.service?.spec.selector ?? {})
  const from = both ? other(live) : live
  const to = other(from)
  const last = observed.switch
  const idle = observed.colors[to]
  if (version !== undefined && !both && observed.colors[from].release?.version === version) {
    throw new DeployError(`${version} is live already, in ${from}`)
  }
  if (version !== undefined && !(idle.release?.version === version && wasLive(observed, idle.release))) {
    return { kind: 'search', version }
  }
  if (version === undefined) refuseWhatWasLeft(app, observed, to)
  const wanted = version === undefined ? last && (both ? last.from : previous(last, from)) : idle.release
  if (!wanted) throw new DeployError(nothing(app, to, observed))
  // A release that was there before these scripts has no id; it is the other color's if nothing else is in it.
  if (!idle.deployment || side(idle).release !== wanted.release)
    return { kind: 'redeploy', from, to, release: wanted }
  const atLeast = both ? 1 : capacity(observed.colors[from])
  const missing = obstacles(idle, atLeast)
  if (missing.length === 0) return { kind: 'warm', from, to, release: wanted, atLeast }
  return { kind: 'scale', from, to, release: wanted, atLeast, missing: missing.join('; ') }
}

/** Whether users have been on a release: only what they have been on may be opened to them without its gates. */
const wasLive = ({ switch: last }: Observed, { release }: Release): boolean =>
  last?.from?.release === release || last?.to.release === release

/** @throws DeployError (6) where the way back leads to what somebody has just left, by these scripts or by hand */
function refuseWhatWasLeft(app: string, observed: Observed, to: Color): void {
  const { switch: last, colors } = observed
  const found = drift(app, observed)
  const version = found ? last?.to.version : last?.from?.version
  const anyway = `To go there all the same: --to-version ${version}`
  if (found) throw new DeployError(`${found}. ${anyway}`, Exit.refused)
  const back = last && ['rollback', 'automatic-rollback', 'repair'].includes(last.kind)
  if (!back || !last.from || last.from.release !== side(colors[to]).release) return
  const what = `${version} in ${to} is what was rolled back from (${last.at}, ${last.by})`
  throw new DeployError(`${what}. ${anyway}`, Exit.refused)
}

/** The release that was live before what is live now. */
const previous = ({ from, to }: Switch, live: Color): Release | undefined => (to.color === live ? from : to)

function nothing(app: string, to: Color, { colors }: Observed): string {
  const idle = colors[to].deployment
    ? `${to} holds a Deployment that these scripts did not make`
    : `${to} is empty`
  return `There is nothing to roll ${app} back to: no earlier switch is known, and ${idle}`
}

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
    unfinished(environment.app, kubectl),
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

type Kept = NonNullable<Awaited<ReturnType<typeof readRecord>>>

/**
 * The record of a release, by its id or by the newest that made its version live.
 * @throws DeployError (1) when none is kept with its manifests
 */
export async function findKept(
  world: World,
  wanted: { version: string } | { release: { release: string } },
): Promise<Kept> {
  const { environment, kubectl } = world
  const { app } = environment
  const id = 'version' in wanted ? await newestGood(world, wanted.version) : wanted.release.release
  const found = id === undefined ? undefined : await readRecord(app, kubectl, id)
  if (found && found.manifests.length > 0) return found
  const what = 'version' in wanted ? `version ${wanted.version}` : `release ${wanted.release.release}`
  const hint = `bun scripts/deployment-history.ts --env ${environment.name} lists what is`
  throw new DeployError(`No record with manifests is kept of ${what}, so it cannot be started again; ${hint}`)
}

async function newestGood(world: World, version: string): Promise<string | undefined> {
  const records = await history(world.environment.app, world.kubectl)
  // Not the record's own id: one that only moved traffic back to a release keeps no manifests of it.
  return records.find(({ to, outcome }) => to.version === version && outcome === 'succeeded')?.to.release
}

/** Under `strategy: rolling`: the named version, or the newest good release that is not the running one. */
export async function previousRolling(world: World, version: string | undefined): Promise<Kept> {
  if (version !== undefined) return await findKept(world, { version })
  const { environment, kubectl } = world
  const [observed, records] = await Promise.all([
    observe(environment.app, kubectl),
    history(environment.app, kubectl),
  ])
  const running = observed.colors.plain.release
  const current = records.findIndex(({ id }) => id === running?.release)
  const before = records
    .slice(current + 1)
    .find(({ outcome, to }) => outcome === 'succeeded' && to.image !== running?.image)
  if (!before)
    throw new DeployError(`There is nothing to roll ${environment.app} back to: no earlier release is kept`)
  return await findKept(world, { release: { release: before.id } })
}
