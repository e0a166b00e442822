/** A switch without a deployment: under the lock, recorded, proven, verified. */
import type { Color } from '../app/color.ts'
import { drift, liveColor } from '../app/live.ts'
import { observe, side } from '../app/observe.ts'
import type { Gates } from '../check.ts'
import type { World } from '../cluster/world.ts'
import { DeployError } from '../errors.ts'
import { journalled, openRecord } from '../history/journal.ts'
import { newEntry, type DeploymentRecord } from '../history/record.ts'
import { closeFailed, closeWell } from './settle.ts'
import { switchOver } from './switchover.ts'
import { underLock } from './under-lock.ts'

interface SwitchRequest {
  id: string
  to: Color
  reason: string | undefined
}

/** @throws DeployError (1) when the color may not have traffic, and as `switchOver` */
export async function switchAlone(
  outer: World,
  request: SwitchRequest,
  gates: Gates,
): Promise<DeploymentRecord> {
  const seen = await observe(outer.environment.app, outer.kubectl)
  return await underLock(outer, seen, request, gates, async ({ world, lock, observed }) => {
    const { to } = request
    const from = liveColor(outer.environment.app, observed)
    if (from === to) throw new DeployError(`Users are on ${to} already`)
    const ends = { from: side(observed.colors[from]), to: side(observed.colors[to]) }
    const entry = newEntry(world, {
      id: request.id,
      kind: 'switch',
      reason: request.reason,
      drift: drift(outer.environment.app, observed),
      ...ends,
    })
    const journal = await openRecord(world, entry, [])
    const change = { kind: 'switch', from, to, atLeast: 1, lock, journal, gates } as const
    try {
      const underway = await switchOver(journalled(world, journal), change)
      await underway.settle()
      await closeWell(world, journal, to)
    } catch (error) {
      await closeFailed(world, journal, error, async () => {})
      throw error
    }
    return journal.entry
  })
}

/** Finishes or undoes what an interrupted run left behind, and nothing else. */
export async function repairAlone(outer: World, id: string, gates: Gates): Promise<boolean> {
  const seen = await observe(outer.environment.app, outer.kubectl)
  return await underLock(outer, seen, { id }, gates, async ({ repaired }) => await Promise.resolve(repaired))
}
