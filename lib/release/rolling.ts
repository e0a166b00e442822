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
import { checkQuota } from '../app/quota.ts'
import { waitReady } from '../app/rollout.ts'
import type { Gates } from '../check.ts'
import { patchService } from '../cluster/commands.ts'
import { service, type Manifest } from '../cluster/objects.ts'
import type { World } from '../cluster/world.ts'
import { DeployError, Exit, sentence } from '../errors.ts'
import { journal as journalOf, journalled, openRecord, type Journal } from '../history/journal.ts'
import { acquireLock, fence, isLockLoss, lockedBy, seizeLock, type Lock } from '../history/lock.ts'
import { prune } from '../history/prune.ts'
import { newEntry, type DeploymentRecord } from '../history/record.ts'
import { readRecord, unfinished } from '../history/store.ts'
import { reached } from '../traffic/reach.ts'
import { pass } from './gates.ts'
import type { Request } from './plan.ts'
import { closeFailed, closeWell, tidyUp } from './settle.ts'

export interface RollingPlan {
  release: Release
  from: Release | undefined
  observed: Observed
  rendered: Rendered
  difference: string
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
  const [changes] = await Promise.all([
    difference(world, from ? objects : []),
    dryRun(world, objects),
    deployment && checkQuota(kubectl, deployment, declaredReplicas(rendered.painted), observed.colors.plain),
  ])
  return { release, from, observed, rendered, difference: changes }
}

/** An autoscaler has set the number of pods; the declared one would undo that in the middle of a rollout. */
function asScaled(painted: readonly Manifest[], { colors: { plain } }: Observed): Manifest[] {
  const current = declaredBounds(painted) && plain.deployment?.spec.replicas
  return withReplicas(painted, Math.max(declaredReplicas(painted), current ?? 0))
}

/** Carries a plan out. @throws DeployError (1) nothing was rolled out, (3) the previous release is back, (4) it is not */
export async function roll(
  outer: World,
  request: Request,
  plan: RollingPlan,
  gates: Gates,
): Promise<DeploymentRecord> {
  const { log } = outer
  log.step('Take the lock')
  const lock = request.seize
    ? await seizeLock(outer, request.id)
    : await acquireLock(outer, plan.observed, request.id)
  const held = lockedBy(outer, lock)
  try {
    if (plan.observed.service) await fence(held, plan.observed.service, lock)
    await closeInterrupted(held)
    const journal = await openRecord(held, entryOf(held, request, plan), plan.rendered.kept)
    const world = journalled(held, journal)
    let applied = false
    try {
      await rollOut(world, lock, plan, journal, gates, () => (applied = true))
    } catch (error) {
      if (applied && !isLockLoss(error)) throw await goBack(world, plan, journal, gates, error)
      await closeFailed(world, journal, error, async () => {})
      throw error
    }
    await closeWell(world, journal, plan.release.version)
    await tidyUp(world, () => prune(world, [plan.release.release, plan.from?.release ?? '']))
    log.done()
    return journal.entry
  } finally {
    await lock.release()
  }
}

/** A rolling update goes on by itself; the next one replaces what an interrupted run applied. */
async function closeInterrupted(world: World): Promise<void> {
  for (const entry of await unfinished(world)) {
    if (entry.outcome === 'open')
      await journalOf(world, entry).close('interrupted', `followed by a run of ${world.by}`)
  }
}

async function rollOut(
  world: World,
  lock: Lock,
  plan: RollingPlan,
  journal: Journal,
  gates: Gates,
  onApply: () => void,
): Promise<void> {
  const { environment, log } = world
  lock.check()
  await migrate(world, plan.rendered)
  log.step(`Roll out ${plan.release.version}`)
  lock.check()
  onApply()
  await applyAndWait(world, plan.rendered.painted)
  log.step('Verify through the live URL')
  await pass(world, journal, gates, 'preview', { url: environment.url })
}

async function applyAndWait(world: World, objects: readonly Manifest[]): Promise<void> {
  const { app } = world.environment
  await applyAll(world, objects)
  const observed = await waitReady(world, 'plain', declaredReplicas(objects))
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

/** @returns what to throw */
async function goBack(
  world: World,
  plan: RollingPlan,
  journal: Journal,
  gates: Gates,
  error: unknown,
): Promise<DeployError> {
  const { environment, log, signal } = world
  const why = sentence(error)
  if (signal.aborted) {
    // What was applied rolls out by itself: the record stays open until somebody has seen how it ends.
    const next = `bun scripts/deployment-status.ts --env ${environment.name} --repair`
    return new DeployError(`${why}. The rollout goes on by itself; ${next} verifies it`, Exit.needsPerson)
  }
  log.warn(why)
  try {
    const before = plan.from && (await readRecord(world, plan.from.release))
    if (!before || before.manifests.length === 0)
      throw new DeployError('no earlier release is kept that could be brought back')
    log.step(`Roll back to ${before.entry.to.version}`)
    await applyAndWait(world, before.manifests)
    await pass(world, journal, gates, 'back', { url: environment.url })
    await journal.close('rolled-back', why)
    return new DeployError(`${why}. Rolled back: ${before.entry.to.version} runs again`, Exit.rolledBack)
  } catch (failure) {
    await journal.close('needs-person', `${why}; and the rollback failed: ${sentence(failure)}`)
    const { context, namespace } = environment
    const todo = `kubectl --context ${context} -n ${namespace} rollout undo deployment/${environment.app}`
    return new DeployError(
      `${why}. The rollback failed too: ${sentence(failure)}. To try by hand:\n  ${todo}`,
      Exit.needsPerson,
    )
  }
}

function entryOf(world: World, request: Request, { from, release, observed }: RollingPlan): DeploymentRecord {
  return newEntry(world, {
    id: request.id,
    kind: request.kept ? 'rollback' : 'deploy',
    from: from && side(observed.colors.plain),
    to: { color: 'plain', ...release },
    reason: request.reason,
    allowedFailedDigest: request.allowFailedDigest,
    override: request.override,
  })
}
