/** Exit codes, the same in every script; the README's table lists them. */
export const Exit = {
  done: 0,
  failed: 1,
  usage: 2,
  rolledBack: 3,
  needsPerson: 4,
  locked: 5,
  refused: 6,
  timedOut: 70,
  interrupted: 130,
} as const

export type ExitCode = (typeof Exit)[keyof typeof Exit]

/**
 * What a user can act on: a message that says what is wrong, where, and what to do next. `main` prints it
 * without a stack trace and exits with its code; any other error is a bug of ours and is shown as one.
 */
export class DeployError extends Error {
  readonly exitCode: ExitCode
  /** What the run has written down of itself, for programs that read its output. */
  record?: unknown

  constructor(message: string, exitCode: ExitCode = Exit.failed, options?: ErrorOptions) {
    super(message, options)
    this.exitCode = exitCode
  }
}

/** The one sentence of whatever was thrown. */
export function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
