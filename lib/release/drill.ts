/**
 * A rollback that nobody needs, so that the one that somebody needs works: to the release before, and back again,
 * each under the witness and in the history. Nothing is refused afterwards that was not before.
 */
import { observe, side, type Observed } from '../app/observe.ts'
import type { Gates } from '../check.ts'
import type { World } from '../cluster/world.ts'
import { DeployError, Exit } from '../errors.ts'
import { refuseHeld } from '../history/hold.ts'
import { holder } from '../history/lock.ts'
import { newId, type DeploymentRecord } from '../history/record.ts'
import { rollBack } from './rollback.ts'
import { chooseTarget, type Target } from './target.ts'

type Reachable = Target & { kind: 'warm' | 'scale' }

/**
 * Where a drill leads. Unlike a rollback it takes nothing over. Pure; `now` in ms.
 * @throws DeployError (1) where there is nothing to go to, (5) while somebody deploys or holds deployments up
 */
export function drillTarget({ environment }: World, observed: Observed, now: number): Reachable {
  const { lease } = observed
  refuseHeld(observed, now, environment)
  if (lease?.spec.holderIdentity)
    throw new DeployError(`A drill waits for nobody and stops nobody: ${holder(lease)}`, Exit.locked)
  const target = chooseTarget(environment, observed)
  if (target.kind === 'warm' || target.kind === 'scale') return target
  throw new DeployError(
    `The release before is not in the other color any more, so there is nothing to go back to at once: ` +
      'deploy twice, or once with afterSwitch: recycle',
  )
}

/**
 * There and back.
 * @returns both records
 * @throws DeployError (1) when nothing moved, when somebody else deployed between, or requests were lost; AfterSwitch (4)
 */
export async function drill(
  world: World,
  observed: Observed,
  reason: string | undefined,
  gates: Gates,
): Promise<DeploymentRecord[]> {
  const { environment, kubectl, clock, log } = world
  const go = async (target: Reachable, seen: Observed): Promise<DeploymentRecord> =>
    await rollBack(
      world,
      { id: newId(clock.now()), reason: reason ?? 'a drill of the way back', drill: true },
      seen,
      target,
      gates,
    )
  const there = drillTarget(world, observed, clock.now())
  const left = side(observed.colors[there.from])
  const first = await go(there, observed)
  log.info(`Users are on ${there.release.version} (${there.to}); now back to ${left.version}`)
  const fresh = await observe(environment.app, kubectl)
  const back = drillTarget(world, fresh, clock.now())
  if (back.release.release !== left.release)
    throw new DeployError(
      `Somebody deployed in the middle of the drill: ${back.to} holds ${back.release.version} now, and users stay on ${there.release.version}`,
    )
  const second = await go(back, fresh)
  refuseLosses([first, second])
  return [first, second]
}

/** @throws DeployError (1) */
function refuseLosses(records: readonly DeploymentRecord[]): void {
  const proofs = records.flatMap(({ switches }) => switches.slice(-1))
  const lost = proofs.reduce((sum, { failures }) => sum + failures, 0)
  const asked = proofs.reduce((sum, { requests }) => sum + requests, 0)
  if (asked > 0 && lost === 0) return
  throw new DeployError(
    `Users are where they were, but ${lost} of ${asked} requests were lost on the way: the way back is not proven`,
  )
}
