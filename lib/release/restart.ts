/**
 * A rollback to a release that no color holds any more: it is painted from its record, started in the idle color,
 * judged by the checks that it went live with, and entered by the law of the way back (S9).
 */
import { declaredBounds } from '../app/autoscaler.ts'
import { side } from '../app/observe.ts'
import { pruneLeftovers } from '../app/prune.ts'
import { waitServing } from '../app/rollout.ts'
import type { Gates } from '../check.ts'
import type { World } from '../cluster/world.ts'
import { DeployError, sentence } from '../errors.ts'
import { newEntry, type DeploymentRecord } from '../history/record.ts'
import { pointPreview } from '../traffic/endpoints.ts'
import { withPreview } from '../traffic/preview.ts'
import { recorded, type Attempt } from './attempt.ts'
import { beforeUsers } from './before-users.ts'
import { verify } from './gates.ts'
import { paintColor } from './paint-color.ts'
import type { Plan, Request } from './plan.ts'
import { clearAfter } from './rollback.ts'
import { tidyUp } from './settle.ts'
import { underLock } from './under-lock.ts'
import { comesBack, enter } from './way-back.ts'

/** What others left behind waits until users are back. */
const later = (): Promise<boolean> => Promise.resolve(false)

/** @throws DeployError (1, 70) when nothing moved; AfterSwitch (4) when users are there and something is not as it should be */
export async function restartRelease(
  world: World,
  request: Request,
  plan: Plan,
  gates: Gates,
): Promise<DeploymentRecord> {
  const { from, to, release } = plan
  if (!from) throw new DeployError('Nobody is served yet: there is nothing to go back from')
  return await underLock(
    world,
    plan.observed,
    { ...request, seize: true },
    gates,
    later,
    async (held, { observed }) => {
      const entry = newEntry(held, {
        id: request.id,
        kind: 'rollback',
        from: side(observed.colors[from]),
        to: { color: to, ...release },
        temporary: {
          autoscaler: declaredBounds(plan.rendered.painted),
          replicas: comesBack(held, observed.colors[from]),
        },
        reason: request.reason,
        smoke: request.smoke && [...request.smoke],
        drift: plan.drift,
      })
      return await recorded(held, entry, plan.rendered.kept, async (attempt) => {
        await beforeUsers(attempt, request, plan, () => startAgain(attempt, request, plan))
        const ending = await enter(attempt, { from, to }, 'rollback')
        await tidyUp(attempt, () => clearAfter(attempt, { from, release }))
        await pruneLeftovers(attempt, to, plan.rendered.painted)
        return ending
      })
    },
  )
}

async function startAgain(attempt: Attempt, { smoke }: Request, plan: Plan): Promise<void> {
  const { log } = attempt
  const { to, release, replicas } = plan
  log.step(`Start ${release.version} in ${to}`)
  await paintColor(attempt, plan)
  const observed = await waitServing(attempt, to, replicas)
  log.step(`Verify ${to} through the preview`)
  let asked = false
  try {
    await pointPreview(attempt, observed, to, 1)
    await withPreview(attempt, async (preview) => {
      asked = true
      await verify(attempt, 'back', { ...preview, color: to }, smoke)
    })
  } catch (error) {
    // That nobody can look at it first is no reason to keep users where they are.
    if (asked || attempt.signal.aborted) throw error
    log.warn(
      `The preview cannot be reached, so ${release.version} is verified once users are on it: ${sentence(error)}`,
    )
  }
}
