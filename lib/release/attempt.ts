/**
 * One attempt to change what is live: the world, the lock it is made under, the record that tells it, the gates
 * that judge it. Its record is opened before anything is written, and closed after what was changed for a time is
 * back, whatever becomes of it.
 */
import { colors } from '../app/color.ts'
import { restoreBounds } from '../app/autoscaler.ts'
import { scaleColor } from '../app/fenced.ts'
import { observe } from '../app/observe.ts'
import type { Gates } from '../check.ts'
import type { Manifest } from '../cluster/objects.ts'
import type { World } from '../cluster/world.ts'
import { DeployError, Exit, sentence } from '../errors.ts'
import { journalled, openRecord, type Journal } from '../history/journal.ts'
import { isLockLoss, type Lock } from '../history/lock.ts'
import { prune } from '../history/prune.ts'
import type { DeploymentRecord } from '../history/record.ts'
import { tell, tellEnd } from '../notify/tell.ts'
import { isTheirs, TAKEN_OVER } from './fence.ts'
import { closeFailed, closeWell, left, tidyUp, type Ending } from './settle.ts'

export interface Attempt extends World {
  lock: Lock
  journal: Journal
  gates: Gates
}

/**
 * Opens a record, calls `body`, and closes the record as it ended.
 * @throws what `body` throws; AfterSwitch (4) when a success cannot be stored
 */
export async function recorded(
  { lock, gates, ...world }: World & { lock: Lock; gates: Gates },
  entry: DeploymentRecord,
  manifests: readonly Manifest[],
  body: (attempt: Attempt) => Promise<Ending>,
): Promise<DeploymentRecord> {
  const journal = await openRecord(world, entry, manifests)
  const attempt = { ...journalled(world, journal), lock, journal, gates }
  tell(attempt, 'started')
  return await closing(attempt, body)
}

/** The same for a record that is open already. */
export async function closing(
  attempt: Attempt,
  body: (attempt: Attempt) => Promise<Ending>,
): Promise<DeploymentRecord> {
  const { journal, log, signal } = attempt
  try {
    const ending = await body(attempt)
    if (isLockLoss(signal.reason)) throw await leftEarly(attempt, signal.reason)
    if (ending.remark !== undefined) {
      log.undone()
      log.warn(ending.remark)
    }
    log.step('Close the record')
    await closeWell(attempt, journal, ending, () => giveBack(attempt, journal.entry))
    tellEnd(attempt)
  } catch (error) {
    await closeFailed(attempt, journal, error, () => giveBack(attempt, journal.entry))
    tellEnd(attempt, error)
    if (error instanceof DeployError) error.record ??= journal.entry
    throw error
  } finally {
    if (!signal.aborted) await tidyUp(attempt, () => makeRoom(attempt))
  }
  return journal.entry
}

/** The lock was lost when all seemed done: whether it is somebody else's decides what is said. */
async function leftEarly(attempt: Attempt, reason: unknown): Promise<DeployError> {
  const to = colors.find((color) => color === attempt.journal.entry.to.color)
  return to ? await left(attempt, to, reason) : new DeployError(sentence(reason), Exit.locked)
}

/**
 * Puts back what a record names as changed for a time: an autoscaler's bounds, and the number of pods of a color
 * that nobody is served by. The color that is live keeps what it has.
 * @throws DeployError (5) when the lock was taken over: whoever has it now clears up
 */
export async function giveBack(
  world: World & { lock: Lock },
  { temporary }: DeploymentRecord,
): Promise<void> {
  const { autoscaler, replicas = [] } = temporary
  if (!autoscaler && replicas.length === 0) return
  const steady = { ...world, kubectl: world.kubectl.unstoppable() }
  const observed = await observe(world.environment.app, steady.kubectl)
  if (isTheirs(observed, world.lock)) throw new DeployError(TAKEN_OVER, Exit.locked)
  await restoreBounds(steady, observed, autoscaler)
  const selected = observed.service?.spec.selector.color
  for (const { color: name, release, replicas: wanted } of replicas) {
    const color = colors.find((candidate) => candidate === name && candidate !== selected)
    const state = color && observed.colors[color]
    if (state?.release?.release !== release || state.deployment?.spec.replicas === wanted) continue
    await scaleColor(steady, state, wanted)
  }
}

/** The history keeps to its limit at every end, also at one that failed. */
async function makeRoom(world: World): Promise<void> {
  const observed = await observe(world.environment.app, world.kubectl.unstoppable())
  const inUse = [...colors, 'plain' as const].map((color) => observed.colors[color].release?.release ?? '')
  await prune(world, [...inUse, observed.switch?.id ?? '', observed.switch?.from?.release ?? ''])
}
