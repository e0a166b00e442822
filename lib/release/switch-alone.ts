/** A switch without a deployment: under the lock, recorded, proven, verified. */
import type { Color } from '../app/color.ts'
import { capacity, drift, liveColor } from '../app/live.ts'
import { observe, side, type ColorState, type Observed } from '../app/observe.ts'
import { waitServing } from '../app/rollout.ts'
import type { Gates } from '../check.ts'
import type { World } from '../cluster/world.ts'
import { DeployError, Exit } from '../errors.ts'
import { refuseHeld } from '../history/hold.ts'
import { newEntry, type DeploymentRecord } from '../history/record.ts'
import { readRecord } from '../history/store.ts'
import { recorded, type Attempt } from './attempt.ts'
import { checkCalendar, type Answers } from './calendar.ts'
import { openGradually } from './gradual.ts'
import { repair } from './repair.ts'
import { superseding } from './supersede.ts'
import type { Ending } from './settle.ts'
import { settleForward } from './settle-forward.ts'
import { wasLeft, wasLive } from './target.ts'
import { underLock } from './under-lock.ts'
import { comesBack, enter, type Way } from './way-back.ts'

interface SwitchRequest {
  id: string
  to: Color
  reason: string | undefined
  /** Why users are sent to what has not passed its gates, or was gone back from. */
  override?: string | undefined
  /** What somebody answers for where no deployment may begin. */
  acks?: Answers | undefined
  /** How long somebody else's lock is waited for, in ms. */
  waitFor?: number | undefined
}

/**
 * Sends users to the other color. One that they have been on before is gone back to, by the law of the way back;
 * any other must have passed its gates, and is opened as a deployment opens it.
 * @throws DeployError (1) when the color may not have traffic, (70) when none of its pods is ready in time, (6) when
 * it has not passed its gates, users were brought back from it, or no deployment may begin now; AfterSwitch
 */
export async function switchAlone(
  outer: World,
  request: SwitchRequest,
  gates: Gates,
): Promise<DeploymentRecord> {
  const { environment } = outer
  const seen = await observe(environment.app, outer.kubectl)
  // Whoever moves users does not wait for a watch whose command has died.
  const clearUp = superseding({ id: request.id, supersede: request.reason ?? 'switch-traffic' }, repair)
  return await underLock(outer, seen, request, gates, clearUp, async (held, { observed }) => {
    const { to } = request
    const from = liveColor(environment, observed)
    if (from === to) throw new DeployError(`Users are on ${to} already`)
    const state = observed.colors[to]
    const known = wasLive(observed, side(state)) && !wasLeft(observed, side(state))
    // A freeze keeps nobody on what they want to leave.
    if (!known) refuseHeld(observed, held.clock.now(), environment)
    const override = known ? undefined : await refuseUnproven(held, observed, state, request.override)
    const acknowledged = known ? undefined : checkCalendar(held, request.acks ?? [])
    const entry = newEntry(held, {
      id: request.id,
      kind: 'switch',
      reason: request.reason,
      drift: drift(environment.app, observed),
      from: side(observed.colors[from]),
      to: side(state),
      // Of the two, what is left in the end is emptied: the old one, or the new one where users are brought back.
      temporary: { replicas: comesBack(held, observed.colors[known ? from : to]) },
      ...(override && { override }),
      ...(acknowledged && { acknowledged }),
    })
    return await recorded(held, entry, [], async (attempt) =>
      known ? await enter(attempt, { from, to }, 'switch') : await forward(attempt, { from, to }),
    )
  })
}

/** Outcomes of the record of a release that has passed its gates. */
const PROVEN: readonly string[] = ['succeeded', 'released', 'verified', 'superseded']

/**
 * What the gates have refused, or somebody has gone back from, is not opened by another door.
 * @returns what goes into the record where it is opened all the same
 * @throws DeployError (6)
 */
async function refuseUnproven(
  world: World,
  observed: Observed,
  state: ColorState,
  override: string | undefined,
): Promise<DeploymentRecord['override']> {
  const record = state.release && (await readRecord(world, state.release.release))
  const { outcome, message } = record?.entry ?? {}
  const { switch: last } = observed
  const ended = outcome && `its deployment ended ${outcome}${message ? ` (${message})` : ''}`
  const missing = [
    ...(last && wasLeft(observed, side(state))
      ? [`users were brought back from it (${last.at}, ${last.by})`]
      : []),
    ...(PROVEN.includes(outcome ?? '') ? [] : [ended ?? 'no record says that it has passed its gates']),
  ]
  if (missing.length === 0) return undefined
  if (override !== undefined) return { reason: override, missing }
  throw new DeployError(
    `${side(state).version} in ${state.color} may not be opened to users: ${missing.join('; ')}. ` +
      'If it must be all the same: --override "<reason>"',
    Exit.refused,
  )
}

/** Users are sent to what has passed its gates and that they have not been on, as a deployment does it. */
async function forward(attempt: Attempt, { from, to }: Way): Promise<Ending> {
  const { colors } = await observe(attempt.environment.app, attempt.kubectl)
  const needed = Math.max(1, capacity(colors[from]))
  // Its pods may be on their way, since somebody has left it a moment ago.
  if ((colors[to].deployment?.spec.replicas ?? 0) >= needed) await waitServing(attempt, to, needed)
  const underway = await openGradually(attempt, { kind: 'switch', from, to, atLeast: 1 })
  return await settleForward(attempt, { from, to }, underway)
}

/** Finishes or undoes what an interrupted run left behind, and nothing else. */
export async function repairAlone(outer: World, id: string, gates: Gates): Promise<boolean> {
  const seen = await observe(outer.environment.app, outer.kubectl)
  return await underLock(outer, seen, { id }, gates, repair, (_, { repaired }) => Promise.resolve(repaired))
}
