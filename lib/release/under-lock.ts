/** One writer: what was left behind is finished or undone first, under the lock. */
import { observe, type Observed } from '../app/observe.ts'
import type { Gates } from '../check.ts'
import type { World } from '../cluster/world.ts'
import { acquireLock, fence, lockedBy, seizeLock, type Lock } from '../history/lock.ts'
import type { DeploymentRecord } from '../history/record.ts'
import { unfinished } from '../history/store.ts'

/** A world whose lock is ours; it stops when the lock is lost. */
export interface Held extends World {
  lock: Lock
  gates: Gates
}

/** What was found once nobody else writes. */
export interface Found {
  observed: Observed
  /** Records that are open, and those whose digest is refused. */
  past: readonly DeploymentRecord[]
  /** An interrupted predecessor was finished or undone: what was planned before may not hold. */
  repaired: boolean
}

export interface Claim {
  id: string
  /** Takes the lock from whoever has it: a way back must not wait for a deployment. */
  seize?: boolean
  /** How long somebody else's lock is waited for, in ms; without it, not at all. */
  waitFor?: number | undefined
}

/**
 * Takes the lock, marks the live Service with it, has what was left behind cleared up, calls `use`, and lets the
 * lock go. `seen` is what was read before: the Service's mark must not be read after the lock was taken.
 * @param clearUp finishes or undoes what is open; returns whether there was anything to do
 */
export async function underLock<T>(
  outer: World,
  seen: Observed,
  { id, seize = false, waitFor }: Claim,
  gates: Gates,
  clearUp: (held: Held, found: Omit<Found, 'repaired'>) => Promise<boolean>,
  use: (held: Held, found: Found) => Promise<T>,
): Promise<T> {
  const { environment, log } = outer
  log.step('Take the lock')
  const lock = seize
    ? await seizeLock(outer, id)
    : await acquireLock(outer, seen, id, waitFor === undefined ? {} : { waitFor })
  const held = { ...lockedBy(outer, lock), lock, gates }
  const look = async (): Promise<Omit<Found, 'repaired'>> => {
    const [observed, past] = await Promise.all([observe(environment.app, held.kubectl), unfinished(held)])
    return { observed, past }
  }
  try {
    if (seen.service) await fence(held, seen.service, lock)
    // Read again: what was open when it was seen may have ended well since.
    const found = await look()
    const repaired = await clearUp(held, found)
    const result = await use(held, { ...(repaired ? await look() : found), repaired })
    log.done()
    return result
  } finally {
    await lock.release()
  }
}
