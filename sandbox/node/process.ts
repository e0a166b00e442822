/** A container's process: a local program in a process group of its own. */
import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import type { Watchdog } from './watchdog.ts'

export interface Invocation {
  argv: string[]
  env: Record<string, string>
  cwd: string
}

export interface Exit {
  /** 128 + the signal's number after a signal, as a container runtime counts. */
  exitCode: number
  signal?: number
}

export type Output = (stream: 'stdout' | 'stderr', chunk: Uint8Array) => void

/** How long output may still arrive after the end, from a grandchild that left the group with the pipe. */
const LAST_WORDS_MS = 300

/** A program that could not be started at all, in the words of a container runtime. */
export class StartError extends Error {}

export class LocalProcess {
  readonly pid: number
  /** Settles when the process has ended, its whole group with it, and its output has been read. */
  readonly exited: Promise<Exit>
  #hasEnded = false

  /** @throws StartError */
  constructor(invocation: Invocation, output: Output, watchdog: Watchdog) {
    const child = spawn(invocation)
    this.pid = child.pid
    watchdog.guard(child.pid)
    const read = Promise.all([drain(child.stdout, 'stdout', output), drain(child.stderr, 'stderr', output)])
    this.exited = child.exited.then(async () => {
      this.signal('SIGKILL') // what the main process left behind, as a container's end would
      this.#hasEnded = true
      watchdog.release(child.pid)
      await Promise.race([read, Bun.sleep(LAST_WORDS_MS)])
      return exitOf(child.exitCode, child.signalCode)
    })
  }

  /** Signals the whole group. One that has ended is left alone: its number may be another's by now. */
  signal(name: NodeJS.Signals): void {
    if (this.#hasEnded) return
    try {
      process.kill(-this.pid, name)
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
    }
  }
}

/** Runs a program to its end: exec probes and hooks. Aborting kills it. @throws StartError */
export async function runToEnd(
  invocation: Invocation,
  watchdog: Watchdog,
  signal: AbortSignal,
): Promise<{ exitCode: number; output: string }> {
  const chunks: Uint8Array[] = []
  const child = new LocalProcess(invocation, (_stream, chunk) => chunks.push(chunk), watchdog)
  const kill = () => child.signal('SIGKILL')
  signal.addEventListener('abort', kill, { once: true })
  if (signal.aborted) kill()
  const { exitCode } = await child.exited
  signal.removeEventListener('abort', kill)
  return { exitCode, output: Buffer.concat(chunks).toString().trim() }
}

function spawn({ argv, env, cwd }: Invocation) {
  try {
    return Bun.spawn(argv, { env, cwd, detached: true, stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' })
  } catch (error) {
    const why = existsSync(cwd)
      ? `exec: "${argv[0]}": ${reasonOf(error, argv[0])}`
      : `chdir to cwd ("${cwd}") failed`
    throw new StartError(`unable to start container process: ${why}`)
  }
}

function reasonOf(error: unknown, program = ''): string {
  if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) return String(error)
  return program.includes('/')
    ? `stat ${program}: no such file or directory`
    : 'executable file not found in $PATH'
}

async function drain(from: ReadableStream<Uint8Array>, stream: 'stdout' | 'stderr', output: Output) {
  for await (const chunk of from) output(stream, chunk)
}

function exitOf(exitCode: number | null, signalled: NodeJS.Signals | number | null): Exit {
  const signal = typeof signalled === 'string' ? constants.signals[signalled] : signalled
  if (signal) return { exitCode: 128 + signal, signal }
  return { exitCode: exitCode ?? 255 }
}
