/**
 * A blue/green deployment. `deploy` reads as its own log: everything down to the lock only reads; what fails
 * before the switch leaves traffic where it was, what fails after it brings traffic back.
 */
import { checkQuota } from './access.ts'
import type { Gates } from './check.ts'
import {
  capacity,
  colors,
  isUnused,
  drift,
  liveColor,
  names,
  observe,
  other,
  side,
  type Color,
  type Observed,
  type Release,
} from './color.ts'
import type { Shell } from './command.ts'
import { DeployError, Exit, sentence } from './errors.ts'
import { scale } from './kubectl.ts'
import { fence, isLockLoss, type Lock } from './lock.ts'
import {
  applyAll,
  atCapacity,
  declaredBounds,
  declaredReplicas,
  difference,
  dryRun,
  render,
  type Rendered,
} from './manifests.ts'
import { migrate } from './migration.ts'
import type { Manifest } from './objects.ts'
import { withPreview } from './preview.ts'
import { newEntry, openRecord, prune, unfinished, type DeploymentRecord, type Journal } from './record.ts'
import { underLock } from './repair.ts'
import { restoreBounds, retire, waitReady } from './rollout.ts'
import { pointPreview } from './traffic.ts'
import {
  AfterSwitch,
  closeFailed,
  closeWell,
  ensureLive,
  left,
  MovedAway,
  pass,
  switchOver,
  tidyUp,
  type Underway,
} from './switchover.ts'
import { journalled, type World } from './world.ts'

export interface Request {
  id: string
  /** The image by digest, and what people call it. */
  image: string
  version: string
  reason: string | undefined
  /** Why a digest that was rolled back automatically may be tried again. */
  allowFailedDigest?: string | undefined
  /** What it lacks of what the environment requires, and why it is deployed all the same. */
  override?: DeploymentRecord['override']
  /** Scale the new color down again when the deployment fails before the switch. */
  clean?: boolean
  /** Manifests that an earlier release's record kept, instead of the overlay's. */
  kept?: readonly Manifest[]
  /** Take the lock from whoever has it, as a rollback does. */
  seize?: boolean
}

/** What is going to be done, and all that was read to decide it. */
export interface Plan {
  release: Release
  /** The color that users are on; undefined on a first deployment. */
  from: Color | undefined
  to: Color
  /** Pods that the new color gets: what the live one has now, and no fewer than the manifests say. */
  replicas: number
  observed: Observed
  rendered: Rendered
  /** How what is live would change, as `kubectl diff` tells it. */
  difference: string
  drift: string | undefined
}

/** Reads, renders, and lets the server judge every object; changes nothing. */
export async function planDeployment(world: World, request: Request): Promise<Plan> {
  const { environment, kubectl } = world
  const { app } = environment
  const observed = await observe(app, kubectl)
  const from = isUnused(observed) ? undefined : liveColor(app, observed)
  const to = from ? other(from) : 'blue'
  const { id: release, version, image, kept } = request
  const live = from && { color: from, release: observed.colors[from].release ?? { release, version, image } }
  const painting = {
    release: { release, version, image },
    color: to,
    ...(live && { live }),
    ...(kept && { kept }),
  }
  const rendered = await render(world, painting)
  const replicas = replicasFor(rendered.painted, observed, from)
  const painted = atCapacity(rendered.painted, replicas)
  const deployment = painted.find(({ kind }) => kind === 'Deployment')
  const [changes] = await Promise.all([
    difference(world, from ? [...atCapacity(rendered.compared, replicas), ...rendered.shared] : []),
    dryRun(world, [...painted, ...rendered.shared]),
    deployment && checkQuota(kubectl, deployment, replicas, observed.colors[to]),
  ])
  const plan = { release: painting.release, from, to, replicas, observed, rendered }
  return { ...plan, difference: changes, drift: drift(app, observed) }
}

/** The live color's present number, so that the switch does not cost capacity (S1), and the declared one. */
function replicasFor(
  painted: readonly Manifest[],
  { colors: states }: Observed,
  from: Color | undefined,
): number {
  const declared = declaredReplicas(painted)
  if (!from) return declared
  return Math.max(declared, capacity(states[from]), states[from].deployment?.spec.replicas ?? 0)
}

/**
 * Carries a plan out.
 * @throws DeployError with the exit code that says where users are now
 */
export async function deploy(
  outer: World,
  shell: Shell,
  request: Request,
  plan: Plan,
  gates: Gates,
): Promise<DeploymentRecord> {
  return await underLock(
    outer,
    plan.observed,
    request,
    gates,
    async ({ world, lock, observed, repaired }) => {
      if (repaired) refuseFailedDigest(request, await unfinished(world.environment.app, world.kubectl))
      const holds = repaired ? await planDeployment(world, request) : stillHolding(world, plan, observed)
      const journal = await openRecord(world, newRecord(world, request, holds), holds.rendered.kept)
      return await carryOut(journalled(world, journal), shell, lock, journal, request, holds, gates)
    },
  )
}

/** @throws DeployError (6) for a digest that was rolled back automatically, unless it is allowed with a reason */
export function refuseFailedDigest(
  { image, allowFailedDigest, kept }: Request,
  past: readonly DeploymentRecord[],
): DeploymentRecord[] {
  const failed = past.filter(({ outcome, to }) => outcome === 'rolled-back' && to.image === image)
  const [newest] = failed
  if (newest === undefined || allowFailedDigest !== undefined || kept) return failed
  throw new DeployError(
    `${image} was rolled back automatically at ${newest.finishedAt} (${newest.message}). ` +
      'If it is not to blame: --allow-failed-digest "<reason>"',
    Exit.refused,
  )
}

/** @throws DeployError (1) when somebody else deployed between the plan and the lock */
function stillHolding({ environment }: World, plan: Plan, observed: Observed): Plan {
  const live = isUnused(observed) ? undefined : liveColor(environment.app, observed)
  if (live === plan.from) return { ...plan, observed }
  throw new DeployError(
    `Traffic moved from ${plan.from} to ${live} while this was planned: look, and run it again`,
  )
}

function newRecord(world: World, request: Request, plan: Plan): DeploymentRecord {
  const { observed, from, to, release, rendered, drift } = plan
  return newEntry(world, {
    id: request.id,
    kind: request.kept ? 'rollback' : 'deploy',
    from: from && side(observed.colors[from]),
    to: { color: to, ...release },
    temporary: { autoscaler: declaredBounds(rendered.painted) },
    reason: request.reason,
    allowedFailedDigest: request.allowFailedDigest,
    override: request.override,
    drift,
  })
}

async function carryOut(
  world: World,
  shell: Shell,
  lock: Lock,
  journal: Journal,
  request: Request,
  plan: Plan,
  gates: Gates,
): Promise<DeploymentRecord> {
  const { log } = world
  const { from, to, rendered } = plan
  try {
    lock.check()
    if (rendered.migration.length > 0) await migrate(world, rendered)

    log.step(`Start ${plan.release.version} in ${to}`)
    await ensureLive(world, lock, from)
    await applyAll(world, [...rendered.shared, ...atCapacity(rendered.painted, plan.replicas)])
    const observed = await waitReady(world, to, plan.replicas)
    if (!plan.observed.service && observed.service) await fence(world, observed.service, lock)

    log.step(`Verify ${to} through the preview`)
    lock.check()
    await pointPreview(world, observed, to, plan.replicas)
    const live = from && { live: world.environment.url }
    await withPreview(world, shell, (preview) =>
      pass(world, journal, gates, 'preview', { ...preview, ...live, color: to }),
    )

    const atLeast = plan.replicas
    const kind = journal.entry.kind
    const underway = await switchOver(world, { kind, from, to, atLeast, lock, journal, gates })
    await settle(world, lock, journal, plan, underway)
    return journal.entry
  } catch (error) {
    const moved = error instanceof AfterSwitch
    if (!moved) log.warn(from ? `Traffic did not move: users are on ${from}` : 'No traffic was opened')
    await closeFailed(world, journal, error, async () => {
      await putBack(world, plan)
      if (request.clean && !moved) await scaleDown(world, to)
    })
    throw error
  }
}

/** The new color is left for diagnosis, unless it was asked to be cleaned. */
async function scaleDown({ environment, kubectl }: World, color: Color): Promise<void> {
  await kubectl.unstoppable().write(scale(names(environment.app).deployment(color), 0))
}

/** Users are on the new color for good. What fails now is told, but is no reason to move them again. */
async function settle(
  world: World,
  lock: Lock,
  journal: Journal,
  plan: Plan,
  underway: Underway,
): Promise<void> {
  const { environment, kubectl, log, clock, signal } = world
  const problems: string[] = []
  let stop: unknown
  try {
    if (plan.from) {
      log.step(`Drain ${plan.from}`)
      await clock.sleep(environment.drain, signal)
    }
    await ensureLive(world, lock, plan.to)
    if (plan.from) await retire(world, plan.from)
    lock.check()
    await putBack(world, plan)
  } catch (error) {
    problems.push(`${plan.from ?? plan.to} was not settled: ${sentence(error)}`)
    if (isLockLoss(error) || error instanceof MovedAway) stop = error
  }
  const proof = await underway.settle()
  if (signal.aborted) throw left(world, plan.to, signal.reason)
  if (stop instanceof MovedAway) {
    throw new AfterSwitch(stop.message, Exit.needsPerson, { outcome: 'needs-person', message: stop.message })
  }
  if (stop) throw left(world, plan.to, stop)
  const { failures, requests, lastOld } = proof
  if (failures > environment.witness.allowedFailures)
    problems.push(`${failures} of ${requests} requests failed`)
  for (const problem of problems) log.warn(problem)
  if (lastOld !== undefined)
    log.info(`the last client left ${plan.from} ${Math.round(lastOld)} ms after the patch`)

  log.step('Close the record')
  await closeWell(world, journal, plan.to, problems.length > 0 ? problems.join('; ') : undefined)
  await tidyUp(world, async () => {
    const observed = await observe(environment.app, kubectl)
    const inUse = colors.map((color) => observed.colors[color].release?.release ?? '')
    await prune(world, [...inUse, observed.switch?.id ?? '', observed.switch?.from?.release ?? ''])
  })
}

/** The autoscaler's bounds, which were raised for the switch. */
async function putBack(world: World, { rendered }: Plan): Promise<void> {
  await restoreBounds(
    world,
    await observe(world.environment.app, world.kubectl.unstoppable()),
    declaredBounds(rendered.painted),
  )
}
