/**
 * A blue/green deployment. `deploy` reads as its own log: everything down to the lock only reads; what fails
 * before the switch leaves traffic where it was, what fails after it brings traffic back.
 */
import { declaredBounds } from '../app/autoscaler.ts'
import { isUnused, liveColor } from '../app/live.ts'
import { migrate } from '../app/migration.ts'
import { side } from '../app/observe.ts'
import { pruneLeftovers } from '../app/prune.ts'
import { keepPace, waitReady } from '../app/rollout.ts'
import type { Gates } from '../check.ts'
import type { World } from '../cluster/world.ts'
import { DeployError } from '../errors.ts'
import { refuseHeld } from '../history/hold.ts'
import { fence } from '../history/lock.ts'
import { newEntry, type DeploymentRecord } from '../history/record.ts'
import { tell } from '../notify/tell.ts'
import { pointPreview } from '../traffic/endpoints.ts'
import { withPreview } from '../traffic/preview.ts'
import { recorded, type Attempt } from './attempt.ts'
import { bake, byBake } from './bake.ts'
import { beforeUsers } from './before-users.ts'
import { ensureLive } from './fence.ts'
import { verify } from './gates.ts'
import { openGradually } from './gradual.ts'
import { paintColor } from './paint-color.ts'
import { planDeployment, refuseFailedDigest, type Plan, type Request } from './plan.ts'
import { repair } from './repair.ts'
import type { Ending } from './settle.ts'
import { settleForward } from './settle-forward.ts'
import { superseding } from './supersede.ts'
import { underLock, type Found, type Held } from './under-lock.ts'

/**
 * Carries a plan out.
 * @throws DeployError with the exit code that says where users are now
 */
export async function deploy(
  world: World,
  request: Request,
  planned: Plan,
  gates: Gates,
): Promise<DeploymentRecord> {
  const claim = { ...request, seize: request.supersede !== undefined }
  const clearUp = superseding(request, repair)
  return await underLock(world, planned.observed, claim, gates, clearUp, async (held, found) => {
    const plan = await stillTrue(held, found, request, planned)
    const entry = entryOf(held, request, plan)
    return await recorded(held, entry, plan.rendered.kept, async (attempt) => {
      await beforeUsers(attempt, request, plan, async () => {
        await ensureLive(attempt, plan.from)
        await migrate(attempt, plan.rendered)
        await startColor(attempt, plan)
        await verifyPreview(attempt, plan)
        tell(attempt, 'verified')
      })
      if (request.until) return { outcome: request.until }
      return await openToUsers(attempt, request, plan)
    })
  })
}

/** From the last look at capacity to the end of the color that is left. */
export async function openToUsers(
  attempt: Attempt,
  request: Pick<Request, 'clean'>,
  plan: Pick<Plan, 'from' | 'to' | 'replicas'>,
): Promise<Ending> {
  const { from, to, replicas: atLeast } = plan
  const underway = await beforeUsers(attempt, request, plan, async () => {
    if (from) await keepPace(attempt, { color: to, live: from, atLeast }, () => ensureLive(attempt, from))
    return await openGradually(attempt, { kind: 'deploy', from, to, atLeast }, byBake)
  })
  return await bake(attempt, { from, to }, underway, () => settleForward(attempt, { from, to }, underway))
}

/**
 * What was shown and agreed to is what is done: live is what it was then, and nobody has gone back from this
 * digest since. After a repair the plan is made anew.
 * @throws DeployError (1) when somebody else deployed between the plan and the lock, (6) for a refused digest
 */
async function stillTrue(
  held: Held,
  { observed, past, repaired }: Found,
  request: Request,
  plan: Plan,
): Promise<Plan> {
  refuseHeld(observed, held.clock.now(), held.environment)
  refuseFailedDigest(request, past)
  if (repaired) return await planDeployment(held, request)
  const live = isUnused(observed) ? undefined : liveColor(held.environment, observed)
  const now = live && side(observed.colors[live])
  const before = plan.from && side(plan.observed.colors[plan.from])
  if (now?.color === before?.color && now?.release === before?.release) return { ...plan, observed }
  throw new DeployError(
    `Users were on ${before?.version} (${before?.color}) when this was planned, and are on ${now?.version} (${now?.color}) now: look, and run it again`,
  )
}

function entryOf({ gates, ...world }: Held, request: Request, plan: Plan): DeploymentRecord {
  const { observed, from, to, release, rendered, replicas, drift } = plan
  return newEntry(world, {
    id: request.id,
    kind: 'deploy',
    from: from && side(observed.colors[from]),
    to: { color: to, ...release },
    temporary: {
      autoscaler: declaredBounds(rendered.painted),
      replicas:
        world.environment.afterSwitch === 'scale-down'
          ? []
          : [{ color: to, release: release.release, replicas }],
    },
    reason: request.reason ?? request.supersede,
    ...(request.supersede !== undefined && { supersedes: observed.switch?.id }),
    because: request.because,
    allowedFailedDigest: request.allowFailedDigest,
    override: request.override,
    acknowledged: request.acknowledged,
    smoke: [...gates.kept],
    drift,
  })
}

async function startColor(attempt: Attempt, plan: Plan): Promise<void> {
  const { log, lock } = attempt
  const { to, rendered, replicas } = plan
  log.step(`Start ${plan.release.version} in ${to}`)
  await paintColor(attempt, plan)
  const observed = await waitReady(attempt, to, replicas)
  await pruneLeftovers(attempt, to, rendered.painted)
  if (!plan.observed.service && observed.service) await fence(attempt, observed.service, lock)
}

async function verifyPreview(attempt: Attempt, { from, to, replicas }: Plan): Promise<void> {
  const { environment, log } = attempt
  log.step(`Verify ${to} through the preview`)
  const observed = await ensureLive(attempt, from)
  await pointPreview(attempt, observed, to, replicas)
  const users = { address: environment.url, ...(from && { live: environment.url }) }
  await withPreview(attempt, (preview) =>
    verify(attempt, 'preview', { ...preview, ...users, color: to, pods: replicas }),
  )
}
