/**
 * The one box that a second command is asked for: days may lie between `--until verified` and what opens it. All the
 * others were ticked when it was deployed, and it is the same digest.
 */
import type { World } from '../cluster/world.ts'
import type { DeploymentRecord } from '../history/record.ts'
import { readAcks, refuseMissing, tick } from '../preflight/tick.ts'
import { judgeWindows } from '../preflight/windows.ts'

/** Boxes that somebody answers for, each with its reason. */
export type Answers = readonly (readonly [ids: string, reason: string])[]

/**
 * For what moves users forward; a way back never asks.
 * @returns what goes into the record
 * @throws DeployError (6) outside of the windows or in a freeze
 */
export function checkCalendar(
  { environment, clock, by, log }: World,
  given: Answers,
): DeploymentRecord['acknowledged'] {
  const acks = readAcks(given)
  const { windows, preflight, name } = environment
  if (!windows || (preflight && preflight.off.includes('windows'))) return undefined
  const { next = '', ...found } = judgeWindows(windows, clock.now())
  const box = { id: 'windows', title: 'Deployments may begin now', ...found, next } as const
  const ticked = tick([box], acks, by, preflight ? preflight.warn : [])
  for (const { id, why } of ticked.warned) log.warn(`${id}: ${why}. ${next}`)
  refuseMissing(ticked, name)
  return ticked.acknowledged
}
