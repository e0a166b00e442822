/** Whether users' way into the cluster has followed: proxies learn of endpoints a moment after the API server. */
import type { Color } from '../app/color.ts'
import type { World } from '../cluster/world.ts'
import { askOnce, type Answer, type Unanswered } from '../http.ts'
import { colorOf } from './witness.ts'

/**
 * Pause after a connection that nobody took, in ms. A refusal outlives itself: for two minutes the node sends
 * whoever opens a connection from the same port to the same address where the refused one went, which is to
 * nobody (conntrack, nf_conntrack_tcp_timeout_syn_sent), and busy clients come by the same port within half a
 * minute. So an address that has led nowhere so far is asked as rarely as can be.
 */
const REFUSED = 1000

/** Pause after an answer of another color, in ms. */
const OTHER = 100

/**
 * One right answer may be luck: balancers follow one after the other, or a part of one never does. So four
 * connections at once are opened four more times, a quarter of a second apart: a third that did not follow goes
 * unnoticed once in a thousand times, and not at all where it has its turn.
 */
const RUN = { rounds: 4, atOnce: 4, every: 250 } as const

/** How long one answer may take, in ms, and how much of it is read: it is to name a color. */
const ANSWER = { within: 2000, most: 1_000_000 } as const

/** What came of waiting for an address to lead to a color. Times are in ms from when the wait began. */
export interface Reached {
  /** Whether new connections met the color, one and all, for a second; false when the time was over before. */
  converged: boolean
  /** What the wait took in all. */
  ms: number
  /** The first answer of the color (any, where none is named): from then on some users were there. */
  first?: number
  /** When the run of right answers began that the wait ended with: from then on all of them were. */
  since?: number
  /** What the last wrong answer was: `blue`, `status 503`, or why there was none. */
  lastOther?: string
}

/**
 * Waits until new connections lead to the color that is meant, all of them, for a second; for at most
 * `timeouts.reach`. What answers without naming a color will do, as it is for the gates to judge; but for an error
 * while users are taken away from a color, which may be that color's still. Where the application names no color,
 * one answer is enough, as more would say no more.
 * @param how `opening`: it has led to nobody until now; `leaving`: users are taken away from a color
 * @throws what the run was aborted with; never that the time was over, which is for the caller to judge
 */
export async function reached(
  { environment, clock, signal }: World,
  url: string,
  color: Color | undefined,
  how: { opening?: boolean; leaving?: boolean } = {},
): Promise<Reached> {
  const { path, color: name } = environment.witness
  const meant: Meant = { ...(name !== undefined && color && { name, color }), ...how }
  const target = new URL(path, url)
  const began = clock.monotonic()
  const passed = (): number => clock.monotonic() - began
  const left = (): number => environment.timeouts.reach - passed()
  const pause = async (ms: number): Promise<void> => await clock.sleep(Math.max(0, ms), signal)
  const found: Reached = { converged: false, ms: 0 }

  if (how.opening) await pause(Math.min(REFUSED, left()))
  let rounds = 0
  do {
    const at = passed()
    const atOnce = rounds === 0 ? 1 : RUN.atOnce
    const asking = Array.from({ length: atOnce }, () => askOnce(target, { ...ANSWER, signal }))
    const judged = (await Promise.all(asking)).map((answer) => judge(answer, meant))
    const [other] = judged.flatMap((answer) => answer.other ?? [])
    if (judged.some(({ right }) => right)) found.first ??= passed()
    if (other !== undefined) {
      rounds = 0
      delete found.since
      found.lastOther = other
      await pause(Math.min(judged.some(({ nobody }) => nobody) ? REFUSED : OTHER, left()))
    } else {
      found.since ??= at
      if (!meant.color || rounds === RUN.rounds) return { ...found, converged: true, ms: passed() }
      rounds++
      await pause(at + RUN.every - passed())
    }
    // A run that has begun is seen to its end.
  } while (rounds > 0 || left() > 0)
  return { ...found, ms: passed() }
}

interface Meant {
  /** Where an answer names its color; together with the one that is waited for. */
  name?: string
  color?: Color
  leaving?: boolean
}

/** What one answer says: whether it is the color's, and if it is not good enough, what it was instead. */
function judge(
  answer: Answer | Unanswered,
  { name, color, leaving }: Meant,
): { right: boolean; other?: string; nobody?: boolean } {
  if ('failure' in answer) return { right: false, other: answer.failure, nobody: true }
  const named = colorOf(answer.text, name)
  if (color && named !== undefined) return named === color ? { right: true } : { right: false, other: named }
  if (leaving && answer.status >= 500) return { right: false, other: `status ${answer.status}` }
  return { right: color === undefined }
}
