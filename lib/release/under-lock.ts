/** One writer: what was left behind is finished or undone first, under the lock. */
import { observe, type Observed } from '../app/observe.ts'
import type { Gates } from '../check.ts'
import type { World } from '../cluster/world.ts'
import { acquireLock, fence, lockedBy, seizeLock, type Lock } from '../history/lock.ts'
import { unfinished } from '../history/store.ts'
import { repair } from './repair.ts'
import { narrow } from './switchover.ts'

export interface Held {
  /** Stops when the lock is lost. */
  world: World
  lock: Lock
  /** As it is now that nobody else writes. */
  observed: Observed
  /** An interrupted predecessor was finished or undone: what was planned before may not hold. */
  repaired: boolean
}

/**
 * Takes the lock, marks the live Service with it, finishes or undoes what was left behind, calls `use`, and lets
 * the lock go. `seen` is what was read before: the Service's mark must not be read after the lock was taken.
 */
export async function underLock<T>(
  outer: World,
  seen: Observed,
  { id, seize = false }: { id: string; seize?: boolean },
  gates: Gates,
  use: (held: Held) => Promise<T>,
): Promise<T> {
  const { environment, log } = outer
  log.step('Take the lock')
  const lock = seize ? await seizeLock(outer, id) : await acquireLock(outer, seen, id)
  const world = lockedBy(outer, lock)
  try {
    if (seen.service) await fence(world, seen.service, lock)
    // Read again: what was open when it was seen may have ended well since.
    const look = () => observe(environment.app, world.kubectl)
    const [observed, past] = await Promise.all([look(), unfinished(world)])
    const open = past.filter(({ outcome }) => outcome === 'open')
    const finished = await repair(world, lock, observed, open, gates)
    const repaired = (await narrow(world, lock, finished ? await look() : observed)) || finished
    const result = await use({ world, lock, repaired, observed: repaired ? await look() : observed })
    log.done()
    return result
  } finally {
    await lock.release()
  }
}
