/** Programs that a rehearsal runs: with a deadline, as arrays, and their output kept. */

export interface Finished {
  code: number
  stdout: string
  stderr: string
  ms: number
}

export interface Options {
  cwd?: string
  env?: Record<string, string | undefined>
  input?: string
  /** Told each line of standard error as it comes. */
  onLine?: (line: string) => void
  /** ms, after which the program is killed; it has failed then, whatever it says */
  within?: number
}

export interface Started {
  pid: number
  ended: Promise<Finished>
  signal(name: NodeJS.Signals): void
}

/** The repository, from where the scripts are run. */
export const ROOT = new URL('../..', import.meta.url).pathname.replace(/\/$/, '')

/** ms, far more than anything here takes on a machine that is not overloaded. */
const PATIENCE = 180_000

/** Starts a program. `ended` never rejects: a deadline that passed is exit code 137. */
export function start(command: readonly string[], options: Options = {}): Started {
  const { cwd = ROOT, env = {}, input, onLine, within = PATIENCE } = options
  const began = performance.now()
  const child = Bun.spawn([...command], {
    cwd,
    env: { ...process.env, ...env },
    stdin: input === undefined ? 'ignore' : new Blob([input]),
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: within,
    killSignal: 'SIGKILL',
  })
  const ended = async (): Promise<Finished> => {
    const output = [new Response(child.stdout).text(), read(child.stderr, onLine)] as const
    const [stdout, stderr, code] = await Promise.all([...output, child.exited])
    return { code, stdout, stderr, ms: performance.now() - began }
  }
  return { pid: child.pid, ended: ended(), signal: (name) => child.kill(name) }
}

async function read(stream: ReadableStream<Uint8Array>, onLine?: (line: string) => void): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  let told = 0
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true })
    for (let end = text.indexOf('\n', told); end >= 0; end = text.indexOf('\n', told)) {
      onLine?.(text.slice(told, end))
      told = end + 1
    }
  }
  return text
}

/** Runs a program to its end; any exit code is an answer. */
export async function run(command: readonly string[], options: Options = {}): Promise<Finished> {
  return await start(command, options).ended
}

/** Standard output of a program that must succeed. @throws Error with what it said */
export async function output(command: readonly string[], options: Options = {}): Promise<string> {
  const { code, stdout, stderr } = await run(command, options)
  if (code === 0) return stdout
  throw new Error(`${command.join(' ')} exited with ${code}: ${stderr.trim() || stdout.trim()}`)
}

/**
 * Looks until `look` answers something, by default for as long as a program may run: what is waited for is mostly one's
 * doing, and a slow machine is no fault of it. @throws Error naming what was waited for
 */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined> | T | undefined,
  within = PATIENCE,
): Promise<T> {
  const deadline = performance.now() + within
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    if (performance.now() > deadline) throw new Error(`${what}: not within ${within / 1000} s`)
    await Bun.sleep(100)
  }
}
