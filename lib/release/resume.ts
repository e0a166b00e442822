/**
 * The second half of a deployment in two commands: `deploy --until verified` has left a color that passed its
 * gates, and its record; this looks again at what may have changed since, and opens it to users.
 */
import { colors, type Color } from '../app/color.ts'
import { liveColor, obstacles } from '../app/live.ts'
import { observe, side, type Observed } from '../app/observe.ts'
import type { Gates } from '../check.ts'
import { checkAccess, checkContext, needs } from '../cluster/access.ts'
import type { World } from '../cluster/world.ts'
import { DeployError, Exit } from '../errors.ts'
import { refuseHeld } from '../history/hold.ts'
import { journal, journalled } from '../history/journal.ts'
import type { DeploymentRecord } from '../history/record.ts'
import { readRecord, reopen, unfinished } from '../history/store.ts'
import { pointPreview } from '../traffic/endpoints.ts'
import { withPreview } from '../traffic/preview.ts'
import { closing, type Attempt } from './attempt.ts'
import { beforeUsers } from './before-users.ts'
import { openToUsers } from './blue-green.ts'
import { checkCalendar } from './calendar.ts'
import type { Terms } from './deployment.ts'
import { ensureLive } from './fence.ts'
import { noteUsers, verify } from './gates.ts'
import { refuseFailedDigest, type Request } from './plan.ts'
import { NOTHING_REQUIRED, overridden, proofLines, prove } from './promotion.ts'
import { repair } from './repair.ts'
import { stateLine } from './show.ts'
import { wasLeft } from './target.ts'
import { underLock } from './under-lock.ts'

type Resume = Pick<Request, 'id' | 'waitFor' | 'allowFailedDigest'>

/** A deployment that waits, and where it stands. */
interface Waiting {
  entry: DeploymentRecord
  from: Color | undefined
  to: Color
  replicas: number
}

/**
 * @returns undefined when it was not agreed to
 * @throws DeployError (1) when what was verified is not what is there any more, (6) when it lacks what is required, no
 * deployment may begin now, or users were brought back from it meanwhile
 */
export async function resume(
  world: World,
  waiting: string,
  request: Resume,
  gates: Gates,
  terms: Terms,
): Promise<DeploymentRecord | undefined> {
  const { environment, kubectl, log } = world
  log.step('Check access, and what has changed since')
  const looks = [
    checkContext(environment, terms.context, kubectl),
    checkAccess(kubectl, needs.rollback),
    observe(environment.app, kubectl),
    readRecord(world, waiting),
    unfinished(world),
  ] as const
  await Promise.allSettled(looks)
  const [, , observed, record, past] = await Promise.all(looks)
  const found = stillWaiting(world, waiting, observed, record?.entry)
  const { image } = found.entry.to
  const proof = environment.requires ? await prove(world, environment.requires, image) : NOTHING_REQUIRED
  log.done()
  refuseHeld(observed, world.clock.now(), environment)
  refuseFailedDigest({ image, ...request }, past)
  log.info(`live     ${found.from ? stateLine(observed.colors[found.from]) : 'nothing yet'}`)
  log.info(`open     ${stateLine(observed.colors[found.to])}, verified ${found.entry.finishedAt}`)
  for (const line of proofLines(proof)) log.info(line)
  const override = overridden(proof, environment.name, terms.override)
  const acknowledged = checkCalendar(world, terms.acks ?? [])
  if (!(await terms.proceed())) return undefined
  return await underLock(world, observed, request, gates, repair, async (held, now) => {
    refuseHeld(now.observed, held.clock.now(), environment)
    refuseFailedDigest({ image, ...request }, now.past)
    const place = stillWaiting(held, waiting, now.observed, (await readRecord(held, waiting))?.entry)
    const answered = [...(place.entry.acknowledged ?? []), ...(acknowledged ?? [])]
    const entry = await reopen(held, {
      ...place.entry,
      ...(override && { override }),
      ...(answered.length > 0 && { acknowledged: answered }),
    })
    const opened = journal(held, entry)
    return await closing(
      { ...journalled(held, opened), lock: held.lock, gates, journal: opened },
      (attempt) => open(attempt, place),
    )
  })
}

async function open(attempt: Attempt, place: Waiting) {
  const { from, to, replicas, entry } = place
  await beforeUsers(attempt, {}, place, async () => {
    attempt.log.step(`Verify ${to} through the preview once more`)
    const observed = await ensureLive(attempt, from)
    await pointPreview(attempt, observed, to, 1)
    await withPreview(attempt, (preview) => verify(attempt, 'back', { ...preview, color: to }, entry.smoke))
    if (from) await noteUsers(attempt)
  })
  return await openToUsers(attempt, {}, { from, to, replicas })
}

/**
 * @throws DeployError (1) when the record does not wait, users are elsewhere by now, or the color holds something else,
 * (6) when users have been on it and were brought back
 */
function stillWaiting(
  { environment }: World,
  id: string,
  observed: Observed,
  entry: DeploymentRecord | undefined,
): Waiting {
  const again = 'deploy it again'
  if (entry?.outcome !== 'verified')
    throw new DeployError(
      `${id} is no deployment that waits to be resumed: ${entry ? `it ended ${entry.outcome}` : 'there is no such record'}`,
    )
  const to = colors.find((color) => color === entry.to.color)
  if (!to) throw new DeployError(`The record ${id} names no color: ${again}`)
  const state = observed.colors[to]
  if (side(state).release !== entry.to.release)
    throw new DeployError(`${to} holds ${side(state).version} by now, not what was verified there: ${again}`)
  const { switch: last } = observed
  if (last && wasLeft(observed, side(state)))
    throw new DeployError(
      `Users were brought back from ${entry.to.version} (${last.at}, ${last.by}): ${again}`,
      Exit.refused,
    )
  const from = entry.from && liveColor(environment, observed)
  if (from && side(observed.colors[from]).release !== entry.from?.release)
    throw new DeployError(
      `Users are on ${side(observed.colors[from]).version} (${from}) by now; ${entry.to.version} was verified beside ${entry.from?.version}: ${again}`,
    )
  const spoilt = obstacles(state, 1).filter((what) => what.includes('by hand'))
  if (spoilt.length > 0) throw new DeployError(`${spoilt.join('; ')}: ${again}`)
  return { entry, from, to, replicas: Math.max(1, state.deployment?.spec.replicas ?? 1) }
}
