/** The server's refusals, and kubectl's own, by name. */
import { missingProgram, type Command, type Output } from '../command.ts'
import { DeployError, Exit } from '../errors.ts'
import type { Scope } from './commands.ts'

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

/** Whether an error means that the object is not as it was read any more. */
export const isConflict = (error: unknown): boolean =>
  error instanceof KubectlError && error.refusal === 'Conflict'

/** Whether an error means that the object is not there. */
export const isMissing = (error: unknown): boolean =>
  error instanceof KubectlError && error.refusal === 'NotFound'

/**
 * The server, or what stands in front of it, is briefly away: kubectl's words, Go's, and the reasons of
 * k8s.io/apimachinery's `metav1.StatusReason` that ask for another try. A 502 reads `InternalError` with an empty
 * or an HTML message.
 */
const UNREACHABLE = new RegExp(
  [
    'connection to the server|Unable to connect|connection refused|connection reset by peer|broken pipe',
    'i/o timeout|TLS handshake|no such host|no route to host|network is unreachable|EOF$',
    'context deadline|Client\\.Timeout|http2: |etcdserver|Internal error occurred',
    '\\((ServiceUnavailable|InternalError|Timeout|ServerTimeout|TooManyRequests)\\)',
    'getting credentials: exec', // a plugin asks a server, too
  ].join('|'),
  'm',
)

const NAMED: readonly Refusal[] = ['NotFound', 'AlreadyExists', 'Conflict', 'Forbidden', 'Unauthorized']

/** What the server answers to a JSON patch whose `test` fails. */
const TEST_FAILED = /server rejected our request due to an error in our request|jsonpatch test operation/i

/** Which refusal kubectl's standard error speaks of. Pure. */
export function refusalOf({ stderr }: Pick<Output, 'stderr'>): Refusal {
  if (TEST_FAILED.test(stderr)) return 'TestFailed'
  const reason = /Error from server \((\w+)\)/.exec(stderr)?.[1]
  const named = NAMED.find((candidate) => candidate === reason)
  if (named) return named
  if (/Operation cannot be fulfilled on/.test(stderr)) return 'Conflict' // as apply says it
  if (/must be logged in|Unauthorized/.test(stderr)) return 'Unauthorized'
  return UNREACHABLE.test(stderr) ? 'Unreachable' : 'Other'
}

export function failure(command: Command, output: Output, scope: Scope): DeployError {
  const refusal = refusalOf(output)
  const said = output.stderr.trim() || silence(output)
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

/** What a kubectl that says nothing leaves to be told. */
const silence = ({ exitCode }: Output): string =>
  exitCode === 124 ? 'it was ended before it had an answer; is the cluster slow?' : `exit code ${exitCode}`

export const describe = ([program, verb = '', ...rest]: Command): string =>
  [program, verb, rest.find((word) => !word.startsWith('-')) ?? ''].join(' ').trim()

const lastLine = (text: string): string =>
  text
    .split('\n')
    .findLast((line) => line.trim() !== '')
    ?.trim() ?? text
