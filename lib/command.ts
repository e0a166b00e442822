/**
 * Commands are values, and this is the one place that runs them. The line that is printed and the line that
 * is run are made from the same array.
 */
import type { Readable } from 'node:stream'
import type { Options as ZxOptions, ProcessOutput, ProcessPromise } from 'zx/core'
import { answerAhead } from './ahead.ts'
import { DeployError } from './errors.ts'

export function missingProgram(program: string): string {
  const install: Record<string, string> = {
    kubectl: 'https://kubernetes.io/docs/tasks/tools/ (Debian: apt-get install kubernetes-client)',
    docker: 'https://docs.docker.com/engine/install/ (Debian: apt-get install docker.io)',
    diff: 'apt-get install diffutils',
  }
  return `${program} is not on PATH. Install it: ${install[program] ?? `see the documentation of ${program}`}`
}

export type Command = readonly [program: string, ...args: string[]]

export interface Output {
  stdout: string
  stderr: string
  exitCode: number
}

export interface RunOptions {
  /** Goes to standard input, where secrets and manifests belong (never into argv). */
  input?: string
  signal?: AbortSignal
  /** ms; the whole process tree is ended then, and the exit code is 124 */
  timeout?: number
  /** Where it runs; without one, where this process does. */
  folder?: string
  /** Variables beside those of this process. */
  env?: Readonly<Record<string, string>>
  /** What it says goes to standard error as it says it, and is not kept. */
  live?: boolean
  /**
   * Nothing of it outlives it: its whole process group is killed when its time is over, when the signal aborts, and
   * when it has ended by itself. For a program whose children may be busy or deaf (a browser, a worker of tests).
   */
  leavesNothing?: boolean
  /** Told each line as it comes, and all of it is kept. */
  onLine?: (line: string, stream: 'stdout' | 'stderr') => void
}

/** How long a program that was told to end may take, in ms. */
const PATIENCE = 5_000

export interface Shell {
  /** Runs a command that changes nothing; also in a dry run. A non-zero exit is an answer, not an error. */
  read(command: Command, options?: RunOptions): Promise<Output>
  /** Prints a command that changes something, then runs it. */
  write(command: Command, options?: RunOptions): Promise<Output>
  /** Starts a command that serves until it is stopped, or this process ends, however it does. */
  start(command: Command, options?: Pick<RunOptions, 'env'>): Promise<Running>
}

export interface Running {
  /** The first line of its output that matches. @throws DeployError when it ends before, or it takes too long */
  line(pattern: RegExp, within: number): Promise<RegExpExecArray>
  stop(): Promise<void>
}

/** How a command is run for real. `print` is told each write before it runs. */
export function shell(print: (line: string) => void): Shell {
  return {
    read: run,
    write: async (command, options) => {
      print(commandLine(command))
      return await run(command, options)
    },
    start,
  }
}

/** As one could paste it into a terminal. */
export function commandLine(command: Command): string {
  return command.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : quotePosix(word))).join(' ')
}

function quotePosix(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`
}

async function run(command: Command, options: RunOptions = {}): Promise<Output> {
  const { input, signal, timeout, folder, env, live, leavesNothing, onLine } = options
  const ahead = await answerAhead(command, { signal, timeout })
  if (ahead) return ahead
  const started = performance.now()
  const child = launch(await zx(), command, {
    // zx never closes a pipe into which it writes nothing.
    stdio: [input ? 'pipe' : 'ignore', live ? 2 : 'pipe', live ? 2 : 'pipe'],
    ...(input && { input }),
    ...(signal && !leavesNothing && { signal }),
    ...(timeout !== undefined && { timeout }),
    ...(leavesNothing && { timeoutSignal: 'SIGKILL' }),
    ...(folder !== undefined && { cwd: folder }),
    ...(env && { env: { ...process.env, ...env } }),
  })
  if (leavesNothing) sweep(child)
  const rests = onLine
    ? (['stdout', 'stderr'] as const).map((name) => eachLine(child[name], (line) => onLine(line, name)))
    : []
  const { stdout, stderr, exitCode } = await insisting(child, options)
  for (const rest of rests) rest()
  // A shell whose children were ended may still end well itself.
  const late = timeout !== undefined && performance.now() - started >= timeout
  const ended = late || (leavesNothing && signal?.aborted)
  return { stdout, stderr, exitCode: ended ? 124 : (exitCode ?? 124) }
}

/** Loaded with the first program that was not started ahead: a rollback moves users before that. */
const zx = async () => await import('zx/core')

type Zx = Awaited<ReturnType<typeof zx>>

/** Process groups of the programs that run. */
const groups = new Set<number>()

// Nothing outlives this process, if it can help it.
process.on('exit', () => groups.forEach(killGroup))

/**
 * Each program has a process group of its own: a Ctrl-C in a terminal reaches this process alone, which decides
 * what is told to end and what may finish.
 *
 * The shell is sh, which makes way for the program at once. Bash would read the user's ~/.bashrc before many of them
 * (its manual, "Invoked by remote shell daemon": standard input is a socket here), and hand on what that prints.
 */
function launch({ $ }: Zx, command: Command, options: Partial<ZxOptions>): ProcessPromise {
  const sh = { shell: '/bin/sh', prefix: 'exec ', quote: quotePosix }
  const child = $({ nothrow: true, quiet: true, detached: true, ...sh, ...options })`${command}`
  // One that ends before it has read its input says enough by its exit code.
  child.child?.stdin?.on('error', () => {})
  const { pid: group } = child
  if (group !== undefined) {
    groups.add(group)
    void child.finally(() => groups.delete(group))
  }
  return child
}

/** What is left of a program's group when it has ended goes with it; it may hold the program's output open, too. */
function sweep({ child, pid }: ProcessPromise): void {
  if (pid !== undefined) child?.once('exit', () => killGroup(pid))
}

function killGroup(group: number): void {
  try {
    process.kill(-group, 'SIGKILL')
  } catch {
    // nobody is left in it
  }
}

/** A program that ignores being told to end is ended all the same. */
async function insisting(
  child: ProcessPromise,
  { signal, timeout, leavesNothing }: RunOptions,
): Promise<ProcessOutput> {
  const end = (): void => {
    if (child.stage === 'running') void child.kill('SIGKILL')
  }
  let afterAbort: ReturnType<typeof setTimeout> | undefined
  const told = (): void => {
    afterAbort = setTimeout(end, leavesNothing ? 0 : PATIENCE)
  }
  const afterTimeout = timeout === undefined ? undefined : setTimeout(end, timeout + PATIENCE)
  signal?.addEventListener('abort', told, { once: true })
  if (signal?.aborted) told()
  try {
    return await child
  } finally {
    signal?.removeEventListener('abort', told)
    clearTimeout(afterTimeout)
    clearTimeout(afterAbort)
  }
}

/** Hands on each line; what it returns hands on what came after the last line break. */
function eachLine(stream: Readable, take: (line: string) => void): () => void {
  const decoder = new TextDecoder()
  let rest = ''
  stream.on('data', (chunk: Buffer) => {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) take(line)
  })
  return () => {
    if (rest) take(rest)
  }
}

/** Ends a program when its standard input ends, which is when who started it does, be it by kill -9. */
const TETHER = 'exec 3<&0; { read -r _ <&3; kill 0; } >/dev/null 2>&1 & exec "$@" </dev/null 3<&-'

async function start(command: Command, { env }: Pick<RunOptions, 'env'> = {}): Promise<Running> {
  const child = launch(await zx(), ['sh', '-c', TETHER, 'sh', ...command], {
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(env && { env: { ...process.env, ...env } }),
  })
  sweep(child)
  // Heard to its end: a program whose output nobody reads any more ends with the next line that it says.
  let heard = ''
  const listeners = new Set<() => void>()
  child.stdout.on('data', (chunk: Buffer) => {
    heard += chunk.toString()
    for (const listen of listeners) listen()
  })
  const line = async (pattern: RegExp, within: number): Promise<RegExpExecArray> => {
    const said = Promise.withResolvers<RegExpExecArray>()
    const fail = (why: string): void => said.reject(new DeployError(`${commandLine(command)} ${why}`))
    const listen = (): void => {
      const found = heard.split('\n').map((text) => pattern.exec(text))
      for (const match of found) if (match) said.resolve(match)
    }
    listeners.add(listen)
    listen()
    const timer = setTimeout(fail, within, 'says nothing')
    void child.then(({ stderr }) => fail(`ended: ${stderr.trim()}`))
    return await said.promise.finally(() => (clearTimeout(timer), listeners.delete(listen)))
  }
  const stop = async (): Promise<void> => {
    // One that has ended by itself cannot be signalled any more.
    if (child.stage === 'running') await child.kill('SIGTERM')
    await child
  }
  return { line, stop }
}
