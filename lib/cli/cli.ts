/**
 * What every script shares: flags, help, the world they run in, signals, and the one place that prints an
 * error and sets the exit code.
 */
import { constants, hostname, userInfo } from 'node:os'
import { parseArgs, type ParseArgsConfig } from 'node:util'
import { endAhead } from '../ahead.ts'
import { systemClock } from '../clock.ts'
import { Kubectl } from '../cluster/kubectl.ts'
import { openReader } from '../cluster/reader.ts'
import type { World } from '../cluster/world.ts'
import { shell } from '../command.ts'
import { DeployError, Exit, sentence } from '../errors.ts'
import type { Environment } from '../settings/file.ts'
import { duration } from '../settings/scalars.ts'
import { loadEnvironment } from '../settings/load.ts'
import { harmless } from '../text.ts'
import { gatherAcks } from './acks.ts'
import { annotate } from './github.ts'
import { terminal, type TerminalLog } from './terminal.ts'

type Options = NonNullable<ParseArgsConfig['options']>

type Values = Record<string, string | boolean | undefined>

/** Flags that mean the same in every script. */
export const common = {
  config: { type: 'string' },
  env: { type: 'string' },
  context: { type: 'string' },
  json: { type: 'boolean' },
  verbose: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const satisfies Options

export interface Run {
  flags: Values
  log: TerminalLog
  signal: AbortSignal
  /** Called however it ended, once it has said so; it never throws, and changes no exit code. */
  after?: () => Promise<void>
  /** What was started for the run, and ends after all of it. */
  stops: AsyncDisposableStack
}

/** Runs a script: parses its flags, prints its help, turns what it throws into a sentence and an exit code. */
export async function main(
  usage: string,
  options: Options,
  body: (run: Run) => Promise<void>,
): Promise<void> {
  const output = {
    write: (text: string) => process.stderr.write(text),
    isTTY: process.stderr.isTTY,
    get columns() {
      return process.stderr.columns ?? 80
    },
    verbose: false,
  }
  const log = terminal(output, wantsColor())
  const stop = interruptible()
  await using stops = new AsyncDisposableStack()
  const run: Run = { flags: {}, log, signal: stop.signal, stops }
  try {
    const flags = (run.flags = parse(usage, options))
    output.verbose = flags.verbose === true
    if (flags.help) process.stdout.write(usage)
    else await body(run)
  } catch (error) {
    report(log, error, stop.signal, process.argv.includes('--json'))
  } finally {
    endAhead()
  }
  await run.after?.()
}

/** Aborted by a signal that asks to stop. */
function interruptible(): AbortController {
  const stop = new AbortController()
  // nohup has taken the terminal's end away, and a handler would bring it back.
  const hangup = process.stderr.isTTY ? (['SIGHUP'] as const) : []
  for (const name of ['SIGINT', 'SIGTERM', ...hangup] as const) {
    process.on(name, () => stop.abort(new DeployError(`Interrupted (${name})`, Exit.interrupted)))
  }
  // At once, but with the programs that were started and the folders that were made.
  process.on('SIGQUIT', () => process.exit(128 + constants.signals.SIGQUIT))
  // A terminal that was closed takes no more text: nobody reads it, and there is more to do.
  process.stderr.on('error', () => {})
  return stop
}

function report(log: TerminalLog, error: unknown, signal: AbortSignal, json: boolean): void {
  const cause: unknown = signal.aborted && !(error instanceof DeployError) ? signal.reason : error
  if (cause instanceof DeployError) {
    log.fail(cause.message)
    annotate('error', '', cause.message)
    process.exitCode = cause.exitCode
    if (json && cause.record !== undefined) data(cause.record)
    return
  }
  log.fail(
    `This is a bug of the scripts: ${cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)}`,
  )
  process.exitCode = Exit.failed
}

function parse(usage: string, options: Options): Values {
  try {
    const args = 'ack' in options && { args: gatherAcks(process.argv.slice(2)) }
    const { values, positionals } = parseArgs({ ...args, options, allowPositionals: true, strict: true })
    const [unexpected] = positionals
    if (unexpected !== undefined) throw new Error(`Unexpected argument '${unexpected}'`)
    return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, single(value)]))
  } catch (error) {
    const [line = ''] = usage.split('\n')
    throw new DeployError(`${sentence(error).split('. ')[0]}. ${line}`, Exit.usage)
  }
}

const single = (value: unknown): string | boolean | undefined =>
  typeof value === 'string' || typeof value === 'boolean' ? value : undefined

function wantsColor(): boolean {
  if (process.env.NO_COLOR) return false
  return Boolean(process.env.FORCE_COLOR) || process.stderr.isTTY
}

/** A flag's text. @throws DeployError (2) when it is empty */
export function text(flags: Values, name: string): string | undefined {
  const value = flags[name]
  if (value === undefined || typeof value === 'boolean') return undefined
  if (value.trim() === '') throw new DeployError(`--${name} is empty`, Exit.usage)
  return value
}

/** A flag's duration in ms, such as `10m`. @throws DeployError (2) */
export function milliseconds(flags: Values, name: string): number | undefined {
  const value = text(flags, name)
  if (value === undefined) return undefined
  const parsed = duration.safeParse(value)
  if (parsed.success) return parsed.data
  throw new DeployError(`--${name} ${value}: ${parsed.error.issues[0]?.message}`, Exit.usage)
}

/** The environment that `--env` names, in the file that `--config` names. */
export function environmentOf(flags: Values): Environment {
  return loadEnvironment(text(flags, 'config') ?? 'deploy.yaml', text(flags, 'env'), process.env)
}

/** Where reports and evidence go. */
export const reports = (flags: Values): string => text(flags, 'out') ?? 'reports'

/** Everything a procedure may touch, for real; `after` is called at the end of the run, where it has written to a record. */
export function realWorld(run: Run, after?: (world: World) => Promise<void>): World {
  const { flags, log, signal, stops } = run
  const environment = environmentOf(flags)
  const sh = shell((line) => log.command(line))
  const reader = stops.use(openReader(environment, sh))
  const world = {
    environment,
    kubectl: new Kubectl(environment, reader.shell, systemClock, signal),
    shell: sh,
    clock: systemClock,
    log,
    signal,
    by: actor(process.env),
    reports: reports(flags),
    written: new Set(),
  }
  run.after = async () => {
    if (world.written.size > 0) await after?.(world)
  }
  return world
}

/** Who is at work: the person who started the CI run, or who sits at this machine. */
export function actor(variables: Readonly<Record<string, string | undefined>>): string {
  const { GITHUB_ACTOR, GITHUB_RUN_ID, USER, LOGNAME } = variables
  if (GITHUB_ACTOR) return `${GITHUB_ACTOR}@github-run-${GITHUB_RUN_ID}`
  // In a container and under cron neither may be set, and then Bun's userInfo() knows no name but "unknown".
  return `${USER || LOGNAME || `uid-${userInfo().uid}`}@${hostname()}`
}

/**
 * Asks before something is changed; `--yes` answers for it, and must where nobody can be asked.
 * @throws DeployError (130) at Ctrl-C and Ctrl-D
 */
export async function confirm({ flags, signal }: Run, question: string): Promise<boolean> {
  if (flags.yes) return true
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new DeployError('There is no terminal to ask for confirmation: pass --yes', Exit.usage)
  }
  const { createInterface } = await import('node:readline/promises')
  const prompt = createInterface({ input: process.stdin, output: process.stderr })
  const closed = new Promise<never>((_, reject) => {
    prompt.once('close', () => reject(new Error('closed')))
  })
  try {
    const answer = prompt.question(`${harmless(question)} [y/N] `, { signal })
    return /^y(es)?$/i.test(await Promise.race([answer, closed]))
  } catch {
    process.stderr.write('\n')
    signal.throwIfAborted()
    throw new DeployError('Interrupted at the question. Nothing was changed', Exit.interrupted)
  } finally {
    prompt.close()
  }
}

/** Data, for programs: the only thing on standard output. */
export function data(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`)
}
