/** The one place that speaks to the cluster: runs the commands, and parses what comes back. */
import { z } from 'zod'
import type { Clock } from '../clock.ts'
import type { Command, Output, RunOptions, Shell } from '../command.ts'
import { DeployError } from '../errors.ts'
import { KUBECTL_VARIABLES, scoped, type Scope } from './commands.ts'
import { describe, failure, refusalOf, type Refusal } from './refusal.ts'

/** Later than kubectl's own time-out, so that kubectl is the one who says what happened. */
const PROCESS_TIMEOUT = 60_000

/** ms between the tries of a change that is insisted on, and from the first one how long another is begun. */
const INSISTING = { pauses: [300, 1000, 2000, 3000, 3000], within: 10_000 }

/** What the server says to a change that has been made already. */
const REPEATED: readonly Refusal[] = ['TestFailed', 'AlreadyExists', 'Conflict']

const list = z.object({ items: z.array(z.unknown()) })

export class Kubectl {
  readonly scope: Scope
  readonly #shell: Shell
  readonly #clock: Clock
  readonly #signal: AbortSignal

  constructor(scope: Scope, shell: Shell, clock: Clock, signal: AbortSignal) {
    this.scope = scope
    this.#shell = shell
    this.#clock = clock
    this.#signal = signal
  }

  /** The same cluster for what must still be done after an interrupt. */
  unstoppable(): Kubectl {
    return this.until(new AbortController().signal)
  }

  /** The same cluster, until another signal. */
  until(signal: AbortSignal): Kubectl {
    return new Kubectl(this.scope, this.#shell, this.#clock, signal)
  }

  /**
   * Objects that a `get` or a `create -o json` answers with, one or a list of them.
   * @throws KubectlError; DeployError when an object is not of the expected form
   */
  async objects<T>(command: Command, schema: z.ZodType<T>, options: RunOptions = {}): Promise<T[]> {
    return this.#parse(command, await this.read(command, options), schema)
  }

  /** Standard output of a command that changes nothing. A server that is briefly away is asked again. */
  async read(command: Command, options: RunOptions = {}): Promise<string> {
    const delays = [300, 1000, 3000]
    for (;;) {
      const output = await this.#shell.read(this.#scoped(command), this.#options(options))
      if (output.exitCode === 0) return output.stdout
      const delay = refusalOf(output) === 'Unreachable' ? delays.shift() : undefined
      if (delay === undefined) throw this.#failure(command, output)
      await this.#clock.sleep(delay, this.#signal)
    }
  }

  /** As `read`, but a non-zero exit is an answer too (`kubectl diff`, logs for a report). */
  async ask(command: Command, options: RunOptions = {}): Promise<Output> {
    return await this.#shell.read(this.#scoped(command), this.#options(options))
  }

  /** A change, printed before it is made. Never retried: the caller knows what a second time would mean. */
  async write(command: Command, options: RunOptions = {}): Promise<string> {
    const output = await this.#shell.write(this.#scoped(command), this.#options(options))
    if (output.exitCode !== 0) throw this.#failure(command, output)
    return output.stdout
  }

  /** A change whose answer is the object as it is now. */
  async change<T>(command: Command, schema: z.ZodType<T>, options: RunOptions = {}): Promise<T> {
    const [changed] = this.#parse(command, await this.write(command, options), schema)
    if (changed === undefined) throw new DeployError(`${describe(command)} answered with no object`)
    return changed
  }

  /** A change of the project's own bookkeeping (lease, journal, reviews): not worth a line on the terminal. */
  async quietly<T>(command: Command, schema: z.ZodType<T>, options: RunOptions = {}): Promise<T[]> {
    const output = await this.#shell.read(this.#scoped(command), this.#options(options))
    if (output.exitCode !== 0) throw this.#failure(command, output)
    return this.#parse(command, output.stdout, schema)
  }

  /**
   * As `quietly`, for a change that may be made twice. When its answer is lost it is made again: once at the
   * least, then for ten seconds. Where the server refuses it, `landed` reads back: what it finds is the change
   * that an earlier try had made.
   * @param options `told`: it is worth a line on the terminal
   * @throws KubectlError when `landed` found nothing, or no answer came
   */
  async insist<T>(
    command: Command,
    schema: z.ZodType<T>,
    options: RunOptions & { landed?: () => Promise<T | undefined>; told?: boolean } = {},
  ): Promise<T[]> {
    const { landed, told = false, ...running } = options
    const pauses = [...INSISTING.pauses]
    const started = this.#clock.monotonic()
    for (let tries = 1; ; tries++) {
      const how = told && tries === 1 ? 'write' : 'read'
      const output = await this.#shell[how](this.#scoped(command), this.#options(running))
      if (output.exitCode === 0) return this.#parse(command, output.stdout, schema)
      const reason = this.#failure(command, output)
      const refusal = refusalOf(output)
      const found = REPEATED.includes(refusal) ? await landed?.() : undefined
      if (found !== undefined) return [found]
      const late = tries > 1 && this.#clock.monotonic() - started > INSISTING.within
      const pause = refusal === 'Unreachable' && !late ? pauses.shift() : undefined
      if (pause === undefined) throw reason
      await this.#clock.sleep(pause, this.#signal)
    }
  }

  #scoped(command: Command): Command {
    return scoped(this.scope, command)
  }

  /** A kubectl that an interrupt ended says nothing of its own: the interrupt is the reason. */
  #failure(command: Command, output: Output): DeployError {
    this.#signal.throwIfAborted()
    return failure(command, output, this.scope)
  }

  #options(options: RunOptions): RunOptions {
    return { signal: this.#signal, timeout: PROCESS_TIMEOUT, env: KUBECTL_VARIABLES, ...options }
  }

  #parse<T>(command: Command, text: string, schema: z.ZodType<T>): T[] {
    this.#signal.throwIfAborted()
    if (text.trim() === '') return [] // what --ignore-not-found prints for one missing object
    const documents = jsonDocuments(text).flatMap((document) => {
      const several = list.safeParse(document)
      return several.success ? several.data.items : [document]
    })
    return documents.map((document) => {
      const parsed = schema.safeParse(document)
      if (parsed.success) return parsed.data
      throw new DeployError(
        `${describe(command)} answered in an unknown form: ${z.prettifyError(parsed.error)}`,
      )
    })
  }
}

/** kubectl prints several created objects one behind the other, each indented: a new one starts at column 0. */
function jsonDocuments(text: string): unknown[] {
  return text
    .split(/^(?=\{)/m)
    .filter((part) => part.trim() !== '')
    .map((part): unknown => JSON.parse(part))
}
