/** One run of a container: a process from its start to its end, and how it is stopped. */
import type { Handler } from '../kinds.ts'
import type { Target } from './handlers.ts'
import { attempt } from './handlers.ts'
import type { Exit, Invocation, Output } from './process.ts'
import { LocalProcess } from './process.ts'

/** What a kubelet leaves a process at least, even when a hook has used the grace period up. */
const LEAST_GRACE_MS = 2000

export interface StopHook {
  preStop: Handler | undefined
  target: Target
  failed: (output: string) => void
}

export class Run {
  readonly pid: number
  readonly exited: Promise<Exit>
  readonly #process: LocalProcess
  readonly #hook: StopHook
  readonly #ended = new AbortController()
  #grace = { end: 0, over: Promise.withResolvers<void>() }
  #timer: Timer | undefined
  #stopping: Promise<void> | undefined

  /** @throws StartError */
  constructor(invocation: Invocation, output: Output, hook: StopHook) {
    this.#process = new LocalProcess(invocation, output, hook.target.watchdog)
    this.#hook = hook
    this.pid = this.#process.pid
    this.exited = this.#process.exited.finally(() => {
      this.#ended.abort()
      clearTimeout(this.#timer)
    })
  }

  /** Aborted when the process has ended. */
  get ended(): AbortSignal {
    return this.#ended.signal
  }

  /**
   * The preStop hook, then SIGTERM, then SIGKILL. The grace period counts from now and includes the hook.
   * Called again, it only sets a new end to the period.
   */
  stop(graceSeconds: number): Promise<void> {
    if (this.#ended.signal.aborted) return Promise.resolve()
    this.#graceEnds(Date.now() + Math.max(LEAST_GRACE_MS, graceSeconds * 1000))
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  kill(): void {
    this.#process.signal('SIGKILL')
  }

  #graceEnds(end: number): void {
    clearTimeout(this.#timer)
    const { over } = this.#grace
    this.#grace.end = end
    this.#timer = setTimeout(() => over.resolve(), end - Date.now())
  }

  async #stop(): Promise<void> {
    if (this.#hook.preStop) await this.#runHook(this.#hook.preStop)
    this.#process.signal('SIGTERM')
    await Promise.race([this.exited, this.#grace.over.promise])
    this.kill()
    await this.exited
  }

  async #runHook(preStop: Handler): Promise<void> {
    const enough = new AbortController()
    const { target, failed } = this.#hook
    const done = attempt(preStop, target, enough.signal)
    const outcome = await Promise.race([done, this.exited, this.#grace.over.promise])
    enough.abort()
    if (outcome && 'isSuccess' in outcome && !outcome.isSuccess) failed(outcome.output)
    const least = Date.now() + LEAST_GRACE_MS
    if (this.#grace.end >= least) return
    this.#grace.over = Promise.withResolvers()
    this.#graceEnds(least)
  }
}
