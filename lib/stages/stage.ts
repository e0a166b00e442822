/**
 * A stage of the way from a commit to an image: commands of the application, run in its folder with their own
 * output to be seen, then judged by what they left behind. Whatever happens, `reports/<stage>/result.json` says
 * how it went; what an earlier run left there is removed before it starts.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { seconds } from '../clock.ts'
import { commandLine, type Command, type Shell } from '../command.ts'
import { DeployError, Exit, sentence } from '../errors.ts'
import { revision, type Source } from './git.ts'

const artifact = z.strictObject({ file: z.string(), sha256: z.string(), bytes: z.number() })
export type Artifact = z.infer<typeof artifact>

export const stageResult = z.strictObject({
  stage: z.string(),
  passed: z.boolean(),
  /** Why it did not pass, a sentence each. */
  problems: z.array(z.string()),
  command: z.array(z.string()),
  /** null: it did not come to an end */
  exitCode: z.number().nullable(),
  /** ISO 8601, UTC */
  startedAt: z.iso.datetime(),
  ms: z.number(),
  /** Tests, errors, files: whatever the stage counts. */
  counts: z.record(z.string(), z.number()),
  artifacts: z.array(artifact),
  /** A commit's name; with `-dirty` behind it when the tree held what the commit does not. */
  commit: z.string(),
})
export type StageResult = z.infer<typeof stageResult>

/** What is found out while a stage runs. A problem is a failure. */
export type Outcome = Pick<StageResult, 'problems' | 'command' | 'exitCode' | 'counts' | 'artifacts'>

/** What a stage is handed: everything it may touch, and what it runs on. */
export interface StageWorld {
  source: Pick<Source, 'commit' | 'dirty'>
  shell: Shell
  signal: AbortSignal
  /** ms */
  now: () => number
  /** Where every stage has a folder for its result and reports. */
  reports: string
}

/** The same, where the scripts run. */
export const REPORTS = 'reports'

/**
 * Runs a stage and leaves its result, also when it throws.
 * @throws DeployError (1) naming the problems, or what the stage threw
 */
export async function recordStage(
  stage: string,
  { source, now, reports: all }: Pick<StageWorld, 'source' | 'now' | 'reports'>,
  body: (outcome: Outcome, reports: string) => Promise<void>,
): Promise<StageResult> {
  const reports = join(all, stage)
  rmSync(reports, { recursive: true, force: true })
  mkdirSync(reports, { recursive: true })
  const outcome: Outcome = { problems: [], command: [], exitCode: null, counts: {}, artifacts: [] }
  const started = now()
  const leave = (): StageResult => {
    const times = { startedAt: new Date(started).toISOString(), ms: now() - started }
    const result = {
      stage,
      passed: outcome.problems.length === 0,
      ...outcome,
      ...times,
      commit: revision(source),
    }
    writeFileSync(join(reports, 'result.json'), `${JSON.stringify(result, undefined, 2)}\n`)
    return result
  }
  try {
    await body(outcome, reports)
  } catch (error) {
    outcome.problems.push(sentence(error))
    leave()
    throw error
  }
  const result = leave()
  if (!result.passed) throw new DeployError(`${stage} did not pass: ${result.problems.join('; ')}`)
  return result
}

export interface Run {
  command: Command
  folder: string
  /** ms */
  timeout: number
}

/**
 * Runs a stage's command with its output to be seen, then looks at what it left; also when it failed, for the
 * reports say in what.
 * @throws DeployError 70 when it takes too long; what the signal was aborted with
 */
export async function runCommand(
  { command, folder, timeout }: Run,
  world: StageWorld,
  outcome: Outcome,
  reports: string,
  judge: () => void,
): Promise<void> {
  outcome.command = [...command]
  const started = world.now()
  const env = { REPORTS: resolve(reports) }
  const { exitCode } = await world.shell.write(command, {
    live: true,
    folder,
    timeout,
    env,
    signal: world.signal,
  })
  const late = world.now() - started >= timeout
  outcome.exitCode = exitCode
  if (exitCode !== 0) outcome.problems.push(`${commandLine(command)} exited with ${exitCode}`)
  judge()
  world.signal.throwIfAborted()
  if (late)
    throw new DeployError(`${commandLine(command)} did not end within ${seconds(timeout)}`, Exit.timedOut)
}

/** A report's text, which becomes one of the stage's artifacts; undefined when the command did not leave it. */
export function readReport(outcome: Outcome, file: string): string | undefined {
  try {
    const content = readFileSync(file)
    outcome.artifacts.push(artifactOf(file, content))
    return content.toString()
  } catch (error) {
    outcome.problems.push(`it left no report ${file} (${sentence(error)})`)
    return undefined
  }
}

export function artifactOf(file: string, content: Uint8Array = readFileSync(file)): Artifact {
  const sha256 = createHash('sha256').update(content).digest('hex')
  return { file, sha256, bytes: content.byteLength }
}
