import { DeployError, Exit } from './errors.ts'

/** Time as procedures see it, so that tests can pass their own. Milliseconds throughout. */
export interface Clock {
  /** As the wall clock tells it, for what people and other machines read; somebody may set it. */
  now(): number
  /**
   * From an arbitrary start, for what is measured and waited for: nobody sets it, and it goes on while this
   * process is stopped (a suspended machine may stop it).
   */
  monotonic(): number
  /** @throws what the signal was aborted with */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export const systemClock: Clock = {
  now: Date.now,
  // Whole ms, as records keep what is measured by it.
  monotonic: () => Math.floor(performance.now()),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(reasonOf(signal))
      const timer = setTimeout(resolve, ms)
      signal?.addEventListener('abort', () => (clearTimeout(timer), reject(reasonOf(signal))), { once: true })
    }),
}

export interface Wait {
  clock: Clock
  signal: AbortSignal
  /** ms from now until it times out */
  within: number
  /** ms between looks at first; up to four times as many when it takes long */
  every: number
  /** Told whenever the wait's state reads differently, and again every 30 s. */
  progress?: (state: string) => void
  /** What a time-out is called: "green did not become ready". */
  what: string
  timeout?: (state: string) => Error
}

/**
 * Looks until `look` answers `done`; a string is what it still waits for. A look is always taken at the
 * deadline, so that a slow machine is not taken for a failed one.
 * @throws DeployError (70) naming what is stuck
 */
export async function waitUntil<T>(look: () => Promise<{ done: T } | string>, wait: Wait): Promise<T> {
  const { clock, signal, within, every, progress, what } = wait
  const deadline = clock.monotonic() + within
  let reported = { state: '', at: Number.NEGATIVE_INFINITY }
  for (let pause = every; ; pause = Math.min(every * 4, pause * 1.15)) {
    signal.throwIfAborted()
    const late = !(clock.monotonic() < deadline)
    const answer = await look()
    if (typeof answer === 'object') return answer.done
    if (answer !== reported.state || clock.monotonic() - reported.at >= 30_000) {
      reported = { state: answer, at: clock.monotonic() }
      progress?.(answer)
    }
    if (late) {
      throw (
        wait.timeout?.(answer) ??
        new DeployError(`${what} within ${seconds(within)}: ${answer}`, Exit.timedOut)
      )
    }
    await clock.sleep(Math.max(0, Math.min(pause, deadline - clock.monotonic())), signal)
  }
}

/** `850 ms`, `4.2 s`, `3 m 20 s`: as people read it. */
export function seconds(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 120_000) return `${(ms / 1000).toFixed(1).replace(/\.0$/, '')} s`
  const whole = Math.round(ms / 1000)
  return `${Math.floor(whole / 60)} m ${whole % 60} s`
}

function reasonOf(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason))
}
