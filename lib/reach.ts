/** Whether users' way into the cluster has followed: proxies learn of endpoints a moment after the API server. */
import type { Color } from './color.ts'
import { colorOf } from './witness.ts'
import type { World } from './world.ts'

/** How long proxies may take, in ms; kube-proxy's default is one second, and more on a node that is busy. */
const PROXIES = 10_000

/** How long one answer may take, in ms. */
const ANSWER = 2000

/**
 * Waits until a new connection no longer leads to nobody, or to another color than the one that is meant. Any answer that names no color
 * will do: what is wrong with it, or with an address that never answers, is for the gates to judge.
 */
export async function reached(
  { environment, clock, signal }: World,
  url: string,
  color: Color | undefined,
): Promise<void> {
  const { path, color: name } = environment.witness
  const deadline = clock.now() + PROXIES
  while (clock.now() < deadline) {
    const answer = await answerOf(new URL(path, url), signal)
    const named = answer === undefined ? 'nobody' : color && colorOf(answer, name)
    if (named === undefined || named === color) return
    await clock.sleep(100, signal)
  }
}

/** On a connection of its own; undefined when there is none to be had, or no answer in time. */
async function answerOf(url: URL, signal: AbortSignal): Promise<string | undefined> {
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(ANSWER)])
    const answer = await fetch(url, { keepalive: false, redirect: 'manual', signal: limit })
    return await answer.text()
  } catch {
    signal.throwIfAborted()
    return undefined
  }
}
