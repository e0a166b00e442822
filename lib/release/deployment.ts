/** From a request to a plan that is shown, and from there, once it is agreed to, to the record of how it went. */
import type { Gates } from '../check.ts'
import { checkAccess, checkContext, needsOf } from '../cluster/access.ts'
import type { World } from '../cluster/world.ts'
import type { DeploymentRecord } from '../history/record.ts'
import { release, unfinished } from '../history/store.ts'
import { DeployError, Exit } from '../errors.ts'
import { refuseHeld } from '../history/hold.ts'
import { tooLargeToKeep } from '../history/pack.ts'
import { deploy } from './blue-green.ts'
import type { Answers } from './calendar.ts'
import { planDeployment, refuseFailedDigest, type Request } from './plan.ts'
import { NOTHING_REQUIRED, overridden, proofLines, prove } from './promotion.ts'
import { restartRelease } from './restart.ts'
import { leftBehind } from './repair.ts'
import { planRolling, roll } from './rolling.ts'
import { refuseUnlessWatching, watched, watchHint } from './supersede.ts'
import { changedLines, sharedChanges, showPlan, showRolling } from './show.ts'

export interface Terms {
  /** `--context`, where it was given. */
  context: string | undefined
  /** The whole difference, not only the lines that change. */
  verbose: boolean
  /** Why an image is deployed that lacks what the environment requires. */
  override?: string | undefined
  /** Boxes of the checklist that somebody answers for, each with its reason. */
  acks?: Answers
  /** Asked once the plan is on the screen; false ends the run with nothing touched. */
  proceed(): Promise<boolean>
}

/**
 * @returns undefined when the plan was not agreed to
 * @throws DeployError (6) once the plan has been shown, when the image lacks what the environment requires
 */
export async function run(
  world: World,
  request: Request,
  gates: Gates,
  terms: Terms,
): Promise<DeploymentRecord | undefined> {
  const { environment, kubectl, log } = world
  const rolling = environment.strategy === 'rolling'
  log.step('Check access, render, compare')
  const context = checkContext(environment, terms.context, kubectl)
  const access = checkAccess(kubectl, needsOf(environment, request.kept !== undefined))
  const records = unfinished(world)
  const planned = rolling ? planRolling(world, request) : planDeployment(world, request)
  // Going back to what was live is never refused.
  const requires = request.kept ? undefined : environment.requires
  const proving = requires ? prove(world, requires, request.image) : NOTHING_REQUIRED
  const { preflight, windows } = environment
  const checking =
    (preflight || windows) && !request.kept
      ? import('./checklist.ts').then(({ check }) => check(world, request.image, { planned, access }))
      : undefined
  // All at once; but the first reason that is told is the first in this order, not the first in time.
  await Promise.allSettled([context, access, records, planned, proving, checking])
  await context
  await access
  const past = await records
  const plan = await planned
  const proof = await proving
  const checklist = await checking
  log.done()
  const large = tooLargeToKeep(plan.rendered.kept)
  if (large) throw new DeployError(large, Exit.usage)
  if (!request.kept) refuseHeld(plan.observed, world.clock.now(), environment)
  const failed = refuseFailedDigest(request, past)
  if (request.supersede !== undefined) refuseUnlessWatching(plan.observed, past)
  for (const left of leftBehind(
    plan.observed,
    past.filter(({ outcome }) => outcome === 'open'),
  )) {
    log.warn(`If its lock is free, ${left} and is finished or undone first`)
  }
  for (const line of 'to' in plan ? showPlan(world, plan, gates) : showRolling(world, plan, gates))
    log.info(line)
  for (const line of proofLines(proof)) log.info(line)
  const changes = terms.verbose ? plan.difference : changedLines(plan.difference)
  if (changes) log.block('changes to what is live', changes)
  const shared = sharedChanges(plan.difference, plan.rendered.shared)
  if (shared.length > 0)
    log.warn(`${shared.join(', ')} is shared: users meet its change before any gate has passed`)
  const acknowledged = checklist?.(terms.acks ?? [], terms.override)
  const override = overridden(proof, environment.name, terms.override)
  if (override) log.warn(`${environment.name} requires what this image lacks: overridden, and recorded`)

  if (!(await terms.proceed())) return undefined
  const agreed = { ...request, override, acknowledged }
  const carryOut = (): Promise<DeploymentRecord> => {
    if (!('to' in plan)) return roll(world, agreed, plan, gates)
    return (request.kept ? restartRelease : deploy)(world, agreed, plan, gates)
  }
  const record = await carryOut().catch((error: unknown) => {
    throw lockedOut(error, watched(plan.observed, past))
  })
  for (const entry of failed) await release(world, entry)
  return record
}

/** Whoever is locked out by a watch is told until when, and what he may do. */
function lockedOut(error: unknown, by: DeploymentRecord | undefined): unknown {
  if (by && error instanceof DeployError && error.exitCode === Exit.locked && !error.record)
    error.message += `. ${watchHint(by)}`
  return error
}
