/**
 * The one hook of the procedures: says that an attempt has come to a state, and goes on. Whoever must know is told
 * behind its back, so a receiver delays nothing and fails nothing. What that takes is loaded with the first state, and
 * so not before a rollback's patch.
 */
import type { World } from '../cluster/world.ts'
import { sentence } from '../errors.ts'
import type { Journal } from '../history/journal.ts'
import { isLockLoss } from '../history/lock.ts'
import type { State } from '../settings/notify.ts'
import type { Courier } from './courier.ts'
import { stateOf, table } from './states.ts'

/** An attempt, as far as it is told of. */
export type Tellable = World & { journal: Journal }

/** ms for what earlier runs could not say */
const WITHIN = 30_000

const couriers = new WeakMap<Journal, Promise<Courier>>()
const underway = new Set<Promise<void>>()

/** Never throws, never waits. Each state of a record is told once. @param about what is known beyond the record */
export function tell(attempt: Tellable, state: State = stateOf(attempt.journal.entry), about?: string): void {
  const { journal, clock } = attempt
  const subject = structuredClone(journal.entry)
  const at = new Date(clock.now()).toISOString()
  const last = table[state].ends || subject.outcome !== 'open'
  const told = { state, at, ...(about !== undefined && { about }) }
  behind(
    attempt,
    courierFor(attempt).then(async (courier) => await courier.tell(subject, told, last)),
  )
}

/** How it ended: by its record, or by what it is left with. */
export function tellEnd(attempt: Tellable, error?: unknown): void {
  const { entry } = attempt.journal
  const about = error === undefined ? undefined : sentence(error)
  if (isLockLoss(error) || isLockLoss(attempt.signal.reason)) tell(attempt, 'lock-taken-over', about)
  else if (entry.outcome === 'open') tell(attempt, 'needs-person', about)
  else tell(attempt, stateOf(entry), about)
}

/** Once everything that was told has arrived, or is due. */
export async function allTold(): Promise<void> {
  while (underway.size > 0) await Promise.all(underway)
}

function courierFor(attempt: Tellable): Promise<Courier> {
  const known = couriers.get(attempt.journal)
  if (known) return known
  const made = load(attempt)
  couriers.set(attempt.journal, made)
  return made
}

async function load(attempt: Tellable): Promise<Courier> {
  const { courierOf } = await import('./courier.ts')
  const { id } = attempt.journal.entry
  const courier = courierOf(attempt, id, { variables: process.env })
  if (attempt.environment.notify) behind(attempt, sweep(attempt, id, courier.over))
  return courier
}

/** What earlier runs could not say. */
async function sweep(attempt: Tellable, except: string, until: AbortSignal): Promise<void> {
  const { sendDue } = await import('./due.ts')
  await sendDue(attempt, { except, until, within: WITHIN })
}

/** Goes on while the procedure does. */
function behind({ log }: Tellable, work: Promise<void>): void {
  const going = work
    .catch((error: unknown) => log.warn(`Not everybody was told: ${sentence(error)}`))
    .finally(() => underway.delete(going))
  underway.add(going)
}
