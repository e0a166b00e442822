/**
 * The one place that speaks to the cluster. Builders are pure and return the command; `Kubectl` runs them,
 * parses what comes back, and gives the server's refusals their names.
 */
import { z } from 'zod'
import type { Command, Output, RunOptions, Shell } from './command.ts'
import { DeployError, Exit } from './errors.ts'
import type { Clock } from './clock.ts'

export interface Scope {
  context: string
  namespace: string
}

/** A server that does not answer within this is taken for away; watches and waits have deadlines of their own. */
const REQUEST_TIMEOUT = '15s'

/** Later than kubectl's own time-out, so that kubectl is the one who says what happened. */
const PROCESS_TIMEOUT = 60_000

/** Writes made under this name: what the project owns of an object. */
export const FIELD_MANAGER = 'deploy-scripts'
/** Owns the selectors of the live and the preview Service, and nothing else (design §4). */
export const SWITCH_MANAGER = 'deploy-scripts-switch'

export const get = (resources: readonly string[], ...flags: string[]): Command => [
  'kubectl',
  'get',
  resources.join(','),
  ...flags,
  '-o',
  'json',
]
export const getNamed = (...names: string[]): Command => [
  'kubectl',
  'get',
  ...names,
  '--ignore-not-found',
  '-o',
  'json',
]
/** For the project's own objects, whose form is known: without the download of the server's schema (150 ms). */
const UNCHECKED = '--validate=false'
export const create = (): Command => ['kubectl', 'create', UNCHECKED, '-f', '-', '-o', 'json']
export const replace = (): Command => ['kubectl', 'replace', UNCHECKED, '-f', '-', '-o', 'json']
export const patchService = (name: string, operations: readonly JsonPatch[]): Command =>
  patch('service', name, operations, `--field-manager=${SWITCH_MANAGER}`)
export const patch = (
  kind: string,
  name: string,
  operations: readonly JsonPatch[],
  ...flags: string[]
): Command => [
  'kubectl',
  'patch',
  kind,
  name,
  '--type=json',
  '-p',
  JSON.stringify(operations),
  '-o',
  'json',
  ...flags,
]
/** From a file, which holds more than an argument can; kubectl reads no patch from a pipe. */
export const patchFrom = (file: string, kind: string, name: string): Command => [
  'kubectl',
  'patch',
  kind,
  name,
  '--type=json',
  `--patch-file=${file}`,
  '-o',
  'json',
]
export const apply = (...flags: string[]): Command => [
  'kubectl',
  'apply',
  '--server-side',
  '--force-conflicts',
  `--field-manager=${FIELD_MANAGER}`,
  '-f',
  '-',
  ...flags,
]
export const diff = (): Command => [
  'kubectl',
  'diff',
  '--server-side',
  '--force-conflicts',
  `--field-manager=${FIELD_MANAGER}`,
  '-f',
  '-',
]
export const remove = (kind: string, names: readonly string[], ...flags: string[]): Command => [
  'kubectl',
  'delete',
  kind,
  ...names,
  '--ignore-not-found',
  ...flags,
]
export const restart = (deployment: string): Command => [
  'kubectl',
  'rollout',
  'restart',
  `deployment/${deployment}`,
]
export const scale = (deployment: string, replicas: number): Command => [
  'kubectl',
  'scale',
  `deployment/${deployment}`,
  `--replicas=${replicas}`,
]
export const logs = (pod: string, container: string, ...flags: string[]): Command => [
  'kubectl',
  'logs',
  pod,
  '-c',
  container,
  '--tail=250',
  ...flags,
]
export const events = (objectName: string): Command => [
  'kubectl',
  'get',
  'events',
  `--field-selector=involvedObject.name=${objectName}`,
  '--sort-by=.lastTimestamp',
]
export const kustomize = (folder: string): Command => ['kubectl', 'kustomize', folder]

/** An RFC 6902 operation. A `test` that fails makes the server refuse the whole patch. */
export type JsonPatch =
  | { op: 'test' | 'add' | 'replace'; path: string; value: unknown }
  | { op: 'remove'; path: string }

/** One segment of a JSON pointer: annotations' names hold slashes. */
export const pointer = (...segments: string[]): string =>
  segments.map((segment) => `/${segment.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')

/** The reasons the scripts act on; `Unreachable` and `TestFailed` are told by kubectl's words. */
export type Refusal =
  | 'NotFound'
  | 'AlreadyExists'
  | 'Conflict'
  | 'Forbidden'
  | 'Unauthorized'
  | 'TestFailed'
  | 'Unreachable'
  | 'Other'

export class KubectlError extends DeployError {
  readonly refusal: Refusal

  constructor(refusal: Refusal, message: string) {
    super(message, Exit.failed)
    this.refusal = refusal
  }
}

/** Whether an error means that the object is not there. */
export const isMissing = (error: unknown): boolean =>
  error instanceof KubectlError && error.refusal === 'NotFound'

const UNREACHABLE =
  /connection to the server|Unable to connect|connection refused|i\/o timeout|TLS handshake|no such host|context deadline|Client\.Timeout|EOF$|http2: |etcdserver|ServiceUnavailable|Internal error occurred/m

const NAMED: readonly Refusal[] = ['NotFound', 'AlreadyExists', 'Conflict', 'Forbidden', 'Unauthorized']

/** What the server answers to a JSON patch whose `test` fails. */
const TEST_FAILED = /server rejected our request due to an error in our request|jsonpatch test operation/i

/** Which refusal kubectl's standard error speaks of. Pure. */
export function refusalOf({ stderr }: Pick<Output, 'stderr'>): Refusal {
  if (TEST_FAILED.test(stderr)) return 'TestFailed'
  const reason = /Error from server \((\w+)\)/.exec(stderr)?.[1]
  const named = NAMED.find((candidate) => candidate === reason)
  if (named) return named
  if (/must be logged in|Unauthorized/.test(stderr)) return 'Unauthorized'
  return UNREACHABLE.test(stderr) ? 'Unreachable' : 'Other'
}

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

  #scoped([program, verb = '', ...rest]: Command): Command {
    const { context, namespace } = this.scope
    const flags = [`--context=${context}`, `--namespace=${namespace}`, `--request-timeout=${REQUEST_TIMEOUT}`]
    return verb === 'kustomize' ? [program, verb, ...rest] : [program, ...flags, verb, ...rest]
  }

  /** A kubectl that an interrupt ended says nothing of its own: the interrupt is the reason. */
  #failure(command: Command, output: Output): DeployError {
    this.#signal.throwIfAborted()
    return failure(command, output, this.scope)
  }

  #options(options: RunOptions): RunOptions {
    return { signal: this.#signal, timeout: PROCESS_TIMEOUT, ...options }
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

function failure(command: Command, output: Output, scope: Scope): DeployError {
  const refusal = refusalOf(output)
  const said = output.stderr.trim() || `exit code ${output.exitCode}`
  if (output.exitCode === 127) return new DeployError(missingProgram(command[0]), Exit.usage)
  if (/context .* does not exist|no context exists/i.test(said)) {
    const hint = 'add it to your kubeconfig, or set KUBECONFIG'
    return new DeployError(`kubectl knows no context "${scope.context}": ${hint}`, Exit.usage)
  }
  const cluster = `The cluster of context "${scope.context}"`
  if (refusal === 'Unreachable')
    return new KubectlError(refusal, `${cluster} does not answer: ${lastLine(said)}`)
  if (refusal === 'Unauthorized')
    return new KubectlError(refusal, `${cluster} does not accept these credentials`)
  return new KubectlError(refusal, `${describe(command)}: ${said}`)
}

export function missingProgram(program: string): string {
  const install: Record<string, string> = {
    kubectl: 'https://kubernetes.io/docs/tasks/tools/ (Debian: apt-get install kubernetes-client)',
    docker: 'https://docs.docker.com/engine/install/ (Debian: apt-get install docker.io)',
    diff: 'apt-get install diffutils',
  }
  return `${program} is not on PATH. Install it: ${install[program] ?? `see the documentation of ${program}`}`
}

const describe = ([program, verb = '', ...rest]: Command): string =>
  [program, verb, rest.find((word) => !word.startsWith('-')) ?? ''].join(' ').trim()

const lastLine = (text: string): string =>
  text
    .split('\n')
    .findLast((line) => line.trim() !== '')
    ?.trim() ?? text
