/**
 * `strategy: rolling`: the same overlay without a color, for environments where two of everything is too much.
 * The same lock, record and gates; what fails brings the previous release's manifests back.
 */
import { declaredBounds } from '../app/autoscaler.ts'
import { names, type Release } from '../app/color.ts'
import { applyAll, declaredReplicas, difference, dryRun, withReplicas } from '../app/manifests.ts'
import { migrate } from '../app/migration.ts'
import { observe, side, type Observed } from '../app/observe.ts'
import { render, type Rendered } from '../app/paint.ts'
import { pruneAutoscaler, pruneLeftovers } from '../app/prune.ts'
import { checkQuota } from '../app/quota.ts'
import { waitReady } from '../app/rollout.ts'
import type { Gates } from '../check.ts'
import { patchService } from '../cluster/commands.ts'
import { service, type Manifest } from '../cluster/objects.ts'
import type { World } from '../cluster/world.ts'
import { DeployError, Exit, sentence } from '../errors.ts'
import { refuseHeld } from '../history/hold.ts'
import { journal } from '../history/journal.ts'
import { isLockLoss } from '../history/lock.ts'
import { newEntry, type DeploymentRecord } from '../history/record.ts'
import { markWayBack, readRecord } from '../history/store.ts'
import { tell } from '../notify/tell.ts'
import { reached } from '../traffic/reach.ts'
import { recorded, type Attempt } from './attempt.ts'
import { bakeRolling } from './bake.ts'
import { noteUsers, verify } from './gates.ts'
import { refuseFailedDigest, type Request } from './plan.ts'
import { AfterSwitch, tidyUp } from './settle.ts'
import { superseding } from './supersede.ts'
import { underLock, type Found, type Held } from './under-lock.ts'

export interface RollingPlan {
  release: Release
  from: Release | undefined
  observed: Observed
  rendered: Rendered
  difference: string
  notes: string[]
}

/** Reads, renders, and lets the server judge every object; changes nothing. */
export async function planRolling(world: World, request: Request): Promise<RollingPlan> {
  const { environment, kubectl } = world
  const observed = await observe(environment.app, kubectl)
  const colored = observed.service?.spec.selector.color
  if (colored !== undefined) {
    const hint = 'use strategy: blue-green, or point the Service at the uncolored pods first'
    throw new DeployError(`Service ${environment.app} selects the color ${colored}: ${hint}`, Exit.usage)
  }
  const { id, version, image, kept } = request
  const release = { release: id, version, image }
  const declared = await render(world, { release, ...(kept && { kept }) })
  const rendered = { ...declared, painted: asScaled(declared.painted, observed) }
  const objects = [...rendered.painted, ...rendered.shared]
  const deployment = rendered.painted.find(({ kind }) => kind === 'Deployment')
  const from = observed.colors.plain.release
  const [changes, , notes] = await Promise.all([
    difference(world, from ? objects : []),
    dryRun(world, objects),
    deployment &&
      !kept &&
      checkQuota(kubectl, deployment, declaredReplicas(rendered.painted), observed.colors.plain),
  ])
  return { release, from, observed, rendered, difference: changes, notes: notes || [] }
}

/** An autoscaler has set the number of pods; the declared one would undo that in the middle of a rollout. */
function asScaled(painted: readonly Manifest[], { colors: { plain } }: Observed): Manifest[] {
  const current = declaredBounds(painted) && plain.deployment?.spec.replicas
  return withReplicas(painted, Math.max(declaredReplicas(painted), current ?? 0))
}

/** Carries a plan out. @throws DeployError (1) nothing was rolled out; AfterSwitch (3) the previous release is back, (4) it is not */
export async function roll(
  world: World,
  request: Request,
  planned: RollingPlan,
  gates: Gates,
): Promise<DeploymentRecord> {
  const { id, kept, supersede, waitFor } = request
  const claim = { id, seize: kept !== undefined || supersede !== undefined, waitFor }
  const clearUp = superseding(request, closeInterrupted)
  return await underLock(world, planned.observed, claim, gates, clearUp, async (held, found) => {
    if (!request.kept) refuseHeld(found.observed, held.clock.now(), held.environment)
    const plan = stillTrue(found, request, planned)
    return await recorded(held, entryOf(held, request, plan), plan.rendered.kept, async (attempt) => {
      let applied = false
      try {
        await rollOut(attempt, request, plan, () => (applied = true))
        if (!request.kept) return await bakeRolling(attempt)
      } catch (error) {
        if (!applied || isLockLoss(error) || error instanceof AfterSwitch) throw error
        if (!request.kept) throw await goBack(attempt, plan, error)
        await tidyUp(attempt, () => markLeft(attempt, plan, found))
        throw unwell(attempt, plan, error)
      }
      if (request.kept) await tidyUp(attempt, () => markLeft(attempt, plan, found))
      return { outcome: 'succeeded' }
    })
  })
}

/** A rolling update goes on by itself; the next one replaces what an interrupted run applied. */
async function closeInterrupted(held: Held, { past }: Omit<Found, 'repaired'>): Promise<boolean> {
  for (const entry of past.filter(({ outcome }) => outcome === 'open')) {
    const left = { ...held, journal: journal(held, entry) }
    await left.journal.close('interrupted', `followed by a run of ${held.by}`)
    tell(left)
  }
  return false
}

/** @throws DeployError (1) when somebody else deployed between the plan and the lock, (6) for a refused digest */
function stillTrue({ observed, past }: Found, request: Request, plan: RollingPlan): RollingPlan {
  refuseFailedDigest(request, past)
  const now = observed.colors.plain.release
  if (now?.release === plan.from?.release) return { ...plan, observed }
  throw new DeployError(
    `${plan.from?.version ?? 'Nothing'} ran when this was planned, and ${now?.version ?? 'nothing'} runs now: look, and run it again`,
  )
}

function entryOf({ gates, ...world }: Held, request: Request, plan: RollingPlan): DeploymentRecord {
  const { from, release, observed } = plan
  const { supersede } = request
  const smoke = request.kept ? request.smoke : gates.kept
  return newEntry(world, {
    id: request.id,
    kind: request.kept ? 'rollback' : 'deploy',
    from: from && side(observed.colors.plain),
    to: { color: 'plain', ...release },
    reason: request.reason ?? supersede,
    ...(supersede !== undefined && { supersedes: from?.release }),
    because: request.because,
    allowedFailedDigest: request.allowFailedDigest,
    override: request.override,
    acknowledged: request.acknowledged,
    smoke: smoke && [...smoke],
  })
}

async function rollOut(
  attempt: Attempt,
  { kept, smoke }: Request,
  plan: RollingPlan,
  onApply: () => void,
): Promise<void> {
  const { environment, log, lock } = attempt
  lock.check()
  await migrate(attempt, plan.rendered)
  log.step(`Roll out ${plan.release.version}`)
  if (plan.from && !kept) await noteUsers(attempt)
  lock.check()
  onApply()
  await applyAndWait(attempt, plan.rendered.painted)
  log.step('Verify through the live URL')
  await verify(attempt, kept ? 'back' : 'preview', { url: environment.url }, smoke)
}

async function applyAndWait(world: World, objects: readonly Manifest[]): Promise<void> {
  const { app } = world.environment
  await applyAll(world, objects)
  // It may have resized what was just applied.
  if (await pruneAutoscaler(world, 'plain', objects)) await applyAll(world, objects)
  const observed = await waitReady(world, 'plain', declaredReplicas(objects))
  await pruneLeftovers(world, 'plain', objects)
  for (const [name, current] of Object.entries({
    [names(app).live]: observed.service,
    [names(app).preview]: observed.preview,
  })) {
    if (!current || Object.keys(current.spec.selector).length > 0) continue
    await world.kubectl.change(
      patchService(name, [{ op: 'add', path: '/spec/selector', value: { app } }]),
      service,
    )
  }
  const opening = Object.keys(observed.service?.spec.selector ?? {}).length === 0
  await reached(world, world.environment.url, undefined, { opening })
}

/** Brings the previous release back, with the pods that there are now. @returns what to throw */
async function goBack(attempt: Attempt, plan: RollingPlan, error: unknown): Promise<AfterSwitch> {
  const { environment, kubectl, log, signal } = attempt
  const why = sentence(error)
  if (signal.aborted) return goesOn(attempt, why)
  log.warn(why)
  try {
    const before = plan.from && (await readRecord(attempt, plan.from.release))
    if (!before || before.manifests.length === 0)
      throw new DeployError('no earlier release is kept that could be brought back')
    log.step(`Roll back to ${before.entry.to.version}`)
    await applyAndWait(attempt, asScaled(before.manifests, await observe(environment.app, kubectl)))
    await verify(attempt, 'back', { url: environment.url }, before.entry.smoke)
    const message = `${why}. Rolled back: ${before.entry.to.version} runs again`
    return new AfterSwitch(message, Exit.rolledBack, { outcome: 'rolled-back', message: why })
  } catch (failure) {
    if (signal.aborted) return goesOn(attempt, why)
    const { context, namespace, app } = environment
    const todo = `kubectl --context=${context} --namespace=${namespace} rollout undo deployment/${app}`
    return new AfterSwitch(
      `${why}. The rollback failed too: ${sentence(failure)}. To try by hand:\n  ${todo}`,
      Exit.needsPerson,
      { outcome: 'needs-person', message: `${why}; and the rollback failed: ${sentence(failure)}` },
    )
  }
}

/** What was applied rolls out by itself: the record stays open until somebody has seen how it ends. */
function goesOn({ environment }: World, why: string): AfterSwitch {
  const next = `bun scripts/deployment-status.ts --env ${environment.name} --repair`
  return new AfterSwitch(`${why}. The rollout goes on by itself; ${next} verifies it`, Exit.needsPerson)
}

/** A person has gone back: what was left is not brought back, whatever is not as it should be. */
function unwell(world: World, { release }: RollingPlan, error: unknown): AfterSwitch {
  if (world.signal.aborted) return goesOn(world, sentence(error))
  const message = `${release.version} was brought back, but ${sentence(error)}`
  return new AfterSwitch(message, Exit.needsPerson, { outcome: 'needs-person', message })
}

/** The release that was gone back from is refused from here on, and the one that was gone back to is not. */
async function markLeft(attempt: Attempt, { from, release }: RollingPlan, { past }: Found): Promise<void> {
  const { by, journal, signal } = attempt
  const { id: record, startedAt: at, reason } = journal.entry
  if (signal.aborted) return
  const takenBack = { by, at, record, ...(reason && { reason }) }
  await markWayBack(attempt, { from, to: release }, takenBack, past)
}
