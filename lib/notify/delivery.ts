/** One message to one receiver: tried until it has arrived, is refused for good, or there is no more time. */
import { randomUUID } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { HIDDEN } from '../secrets.ts'
import type { Message } from './message.ts'
import type { Delivery } from './notices.ts'
import type { Result, Sender } from './post.ts'

/** ms before the second try; twice as long each time after. */
const PAUSE = 1000

/** A receiver that cannot sort out repeats is told twice at the most. */
const MOST_UNSURE = 2

const UNCONFIRMED = 'twice it was not confirmed'

export interface Delivering {
  clock: Clock
  /** Aborted when there is no more time. */
  signal: AbortSignal
  /** On the monotonic clock: no try begins after it. */
  deadline: number
  ref: string | undefined
  /** Stores what has become of it so far; where somebody else is at it, `delivery` says so then. Never throws. */
  note: () => Promise<void>
  /** What the receiver called it. */
  learnt: (ref: string) => void
}

/** Changes `delivery` as it goes. Never throws. @returns whether it was the receiver that took nothing now */
export async function deliver(
  sender: Sender,
  message: Message,
  delivery: Delivery,
  delivering: Delivering,
): Promise<boolean> {
  const { clock, signal, deadline, note } = delivering
  for (let pause = PAUSE; ; pause *= 2) {
    if (signal.aborted) {
      delivery.failure ??= 'there was no time'
      return true
    }
    const own = begin(delivery, clock.now())
    if (!sender.once && (delivery.unsure ?? 0) >= MOST_UNSURE) {
      await giveUp(delivery, note)
      return false
    }
    await note()
    if (delivery.open !== own) return false
    const result = await once(sender, message, delivery, delivering)
    end(delivery, result, sender)
    if (result.ref !== undefined) delivering.learnt(result.ref)
    await note()
    if ('sent' in result || !result.again) return false
    const wait = Math.max(pause, result.after ?? 0)
    if (delivery.over !== undefined || signal.aborted || clock.monotonic() + wait > deadline) return true
    await clock.sleep(wait, signal).catch(() => {})
    if (signal.aborted) return true
  }
}

/** What was begun and never ended may have arrived. Pure but for `delivery`. */
function begin(delivery: Delivery, now: number): string {
  if (delivery.open !== undefined) delivery.unsure = (delivery.unsure ?? 0) + 1
  delivery.open = randomUUID()
  delivery.at = new Date(now).toISOString()
  return delivery.open
}

async function giveUp(delivery: Delivery, note: () => Promise<void>): Promise<void> {
  delete delivery.open
  delivery.over = UNCONFIRMED
  await note()
}

async function once(
  sender: Sender,
  message: Message,
  delivery: Delivery,
  { clock, signal, ref }: Delivering,
): Promise<Result> {
  const repeated = (delivery.unsure ?? 0) > 0
  try {
    const said = { ...message, repeated: repeated && !sender.once }
    return await sender.send(said, { signal, ref, now: clock.now(), repeated })
  } catch {
    return { failure: 'no time was left', again: true, unsure: true }
  }
}

function end(delivery: Delivery, result: Result, { secrets, once: sorted }: Sender): void {
  delete delivery.open
  if ('sent' in result) {
    delivery.sent = without(secrets, result.sent)
    delete delivery.failure
    return
  }
  delivery.failure = without(secrets, result.failure)
  if (!result.unsure) return
  delivery.unsure = (delivery.unsure ?? 0) + 1
  if (!sorted && delivery.unsure >= MOST_UNSURE) delivery.over = UNCONFIRMED
}

const without = (secrets: readonly string[], text: string): string =>
  secrets.reduce((rest, secret) => (secret === '' ? rest : rest.replaceAll(secret, HIDDEN)), text)
