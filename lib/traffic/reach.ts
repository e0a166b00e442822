/** Whether users' way into the cluster has followed: proxies learn of endpoints a moment after the API server. */
import type { Color } from '../app/color.ts'
import type { World } from '../cluster/world.ts'
import { colorOf } from './witness.ts'

/** How long proxies may take, in ms; kube-proxy's default is one second, and more on a node that is busy. */
const PROXIES = 10_000

/**
 * Pause after a connection that nobody took, in ms. A refusal outlives itself: for two minutes the node sends
 * whoever opens a connection from the same port to the same address where the refused one went, which is to
 * nobody (conntrack, nf_conntrack_tcp_timeout_syn_sent), and busy clients come by the same port within half a
 * minute. So an address that has led nowhere so far is asked as rarely as can be.
 */
const REFUSED = 1000

/** How long one answer may take, in ms. */
const ANSWER = 2000

/**
 * Waits until a new connection no longer leads to nobody, or to another color than the one that is meant. What
 * answers without naming a color will do, as it is for the gates to judge; but for an error while users are
 * taken away from a color, which may be that color's still.
 * @param how `opening`: it has led to nobody until now; `leaving`: users are taken away from a color
 */
export async function reached(
  { environment, clock, signal }: World,
  url: string,
  color: Color | undefined,
  how: { opening?: boolean; leaving?: boolean } = {},
): Promise<void> {
  const { path, color: name } = environment.witness
  const deadline = clock.now() + PROXIES
  if (how.opening) await clock.sleep(REFUSED, signal)
  while (clock.now() < deadline) {
    const answer = await answerOf(new URL(path, url), signal)
    const nobody = answer === undefined || (how.leaving && answer.status >= 500)
    const named = nobody ? 'nobody' : color && colorOf(answer.text, name)
    if (named === undefined || named === color) return
    await clock.sleep(answer === undefined ? REFUSED : 100, signal)
  }
}

/** On a connection of its own; undefined when there is none to be had, or no answer in time. */
async function answerOf(
  url: URL,
  signal: AbortSignal,
): Promise<{ status: number; text: string } | undefined> {
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(ANSWER)])
    const answer = await fetch(url, { keepalive: false, redirect: 'manual', signal: limit })
    return { status: answer.status, text: await answer.text() }
  } catch {
    signal.throwIfAborted()
    return undefined
  }
}
