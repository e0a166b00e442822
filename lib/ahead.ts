/**
 * Programs that are started before it is known whether, or with what, they are needed. kubectl spends nine tenths of
 * its time on loading itself, and so do the scripts: whoever is in a hurry has all of them load side by side. This file
 * imports nothing of the project, so that it is there before anything else.
 */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { text } from 'node:stream/consumers'

interface Answer {
  stdout: string
  stderr: string
  exitCode: number
}

interface Ahead {
  /** Undefined where it could not be started. */
  answer: Promise<Answer | undefined>
  child?: ChildProcessWithoutNullStreams
  /** Whether it waits for its patch. */
  waits?: boolean
}

/** By their words, but for the patch that one of them waits for. */
const started = new Map<string, Ahead>()

/**
 * Starts a command that reads: its answer is there when it is asked for. The value after its `-p`, where it has one, is
 * left out, and handed over later: until then nothing is written, and without it nothing ever is.
 */
export function startAhead(command: readonly string[], variables: Readonly<Record<string, string>>): void {
  const { words, patch } = withoutPatch(command)
  const waits = patch !== undefined
  const [program = '', ...args] = words
  // kubectl opens what it reads a patch from, which a socket does not allow, and this pipe is one.
  const piped = ['-c', 'cat | "$@" --patch-file=/dev/stdin', 'sh', program, ...args]
  const options = { env: { ...process.env, ...variables }, detached: true }
  const child = waits ? spawn('sh', piped, options) : spawn(program, args, options)
  child.stdin.on('error', () => {}) // it has ended by itself: its exit code says why
  if (!waits) child.stdin.end()
  started.set(words.join('\0'), { child, answer: answerOf(child), waits })
}

async function answerOf(child: ChildProcessWithoutNullStreams): Promise<Answer | undefined> {
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve(code ?? 124))
  })
  try {
    const [exitCode, stdout, stderr] = await Promise.all([ended, text(child.stdout), text(child.stderr)])
    return { stdout, stderr, exitCode }
  } catch {
    return undefined
  }
}

/** For a command whose answer is known without asking. */
export function knownAhead(command: readonly string[], stdout: string): void {
  started.set(command.join('\0'), { answer: Promise.resolve({ stdout, stderr: '', exitCode: 0 }) })
}

/**
 * The answer of a command that was started ahead, once; undefined where it was not, or could not be. It is ended when
 * the signal aborts, or its time (ms from now) is over: its exit code is 124 then.
 */
export async function answerAhead(
  command: readonly string[],
  { signal, timeout }: { signal?: AbortSignal | undefined; timeout?: number | undefined } = {},
): Promise<Answer | undefined> {
  if (started.size === 0) return undefined
  const { words, patch } = withoutPatch(command)
  const found = started.get(words.join('\0'))
  if (!found || (patch !== undefined) !== (found.waits === true)) return undefined
  started.delete(words.join('\0'))
  if (patch !== undefined) found.child?.stdin.end(patch)
  const stop = (): void => end(found)
  const late = timeout === undefined ? undefined : setTimeout(stop, timeout)
  signal?.addEventListener('abort', stop, { once: true })
  if (signal?.aborted) stop()
  try {
    return await found.answer
  } finally {
    clearTimeout(late)
    signal?.removeEventListener('abort', stop)
  }
}

/** Ends what nobody has asked for. */
export function endAhead(): void {
  for (const unused of started.values()) end(unused)
  started.clear()
}

process.on('exit', endAhead)

function end({ child }: Ahead): void {
  try {
    if (child?.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL')
  } catch {
    // it has ended
  }
}

function withoutPatch(command: readonly string[]): { words: string[]; patch: string | undefined } {
  const at = command.indexOf('-p')
  if (at < 0) return { words: [...command], patch: undefined }
  return { words: [...command.slice(0, at), ...command.slice(at + 2)], patch: command[at + 1] }
}
