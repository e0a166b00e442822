/**
 * A blue/green deployment. `deploy` reads as its own log: everything down to the lock only reads; what fails
 * before the switch leaves traffic where it was, what fails after it brings traffic back.
 */
import { atCapacity, declaredBounds, restoreBounds } from '../app/autoscaler.ts'
import { colors, names, type Color } from '../app/color.ts'
import { isUnused, liveColor } from '../app/live.ts'
import { applyAll } from '../app/manifests.ts'
import { migrate } from '../app/migration.ts'
import { observe, side, type Observed } from '../app/observe.ts'
import { retire, waitReady } from '../app/rollout.ts'
import type { Gates } from '../check.ts'
import { scale } from '../cluster/commands.ts'
import type { World } from '../cluster/world.ts'
import { DeployError, Exit, sentence } from '../errors.ts'
import { journalled, openRecord, type Journal } from '../history/journal.ts'
import { fence, isLockLoss, type Lock } from '../history/lock.ts'
import { prune } from '../history/prune.ts'
import { newEntry, type DeploymentRecord } from '../history/record.ts'
import { unfinished } from '../history/store.ts'
import { pointPreview } from '../traffic/endpoints.ts'
import { withPreview } from '../traffic/preview.ts'
import { ensureLive, MovedAway } from './fence.ts'
import { pass } from './gates.ts'
import { planDeployment, refuseFailedDigest, type Plan, type Request } from './plan.ts'
import { AfterSwitch, closeFailed, closeWell, left, tidyUp } from './settle.ts'
import { switchOver, type Underway } from './switchover.ts'
import { underLock } from './under-lock.ts'

/**
 * Carries a plan out.
 * @throws DeployError with the exit code that says where users are now
 */
export async function deploy(
  outer: World,
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
      if (repaired) refuseFailedDigest(request, await unfinished(world))
      const holds = repaired ? await planDeployment(world, request) : stillHolding(world, plan, observed)
      const journal = await openRecord(world, newRecord(world, request, holds), holds.rendered.kept)
      return await carryOut(journalled(world, journal), lock, journal, request, holds, gates)
    },
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
    await withPreview(world, (preview) =>
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
