/**
 * Commands are values, and this is the one place that runs them. The line that is printed and the line that
 * is run are made from the same array.
 */
import { $, quote } from 'zx/core'
import { DeployError } from './errors.ts'

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
}

export interface Shell {
  /** Runs a command that changes nothing; also in a dry run. A non-zero exit is an answer, not an error. */
  read(command: Command, options?: RunOptions): Promise<Output>
  /** Prints a command that changes something, then runs it. */
  write(command: Command, options?: RunOptions): Promise<Output>
  /** Starts a command that serves until it is stopped. */
  start(command: Command): Running
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

async function run(command: Command, { input, signal, timeout }: RunOptions = {}): Promise<Output> {
  const options = {
    nothrow: true,
    quiet: true,
    quote,
    // zx never closes a pipe into which it writes nothing.
    stdio: [input ? 'pipe' : 'ignore', 'pipe', 'pipe'] as const,
    ...(input && { input }),
    ...(signal && { signal }),
    ...(timeout !== undefined && { timeout }),
  }
  const started = performance.now()
  const { stdout, stderr, exitCode } = await $({ ...options, stdio: [...options.stdio] })`${command}`
  // A shell whose children were ended may still end well itself.
  const late = timeout !== undefined && performance.now() - started >= timeout
  return { stdout, stderr, exitCode: late ? 124 : (exitCode ?? 124) }
}

function start(command: Command): Running {
  const child = $({ nothrow: true, quiet: true, quote, stdio: ['ignore', 'pipe', 'pipe'] })`${command}`
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
