/** What the stages before a deployment need: their part of deploy.yaml and a commit; no environment, no cluster. */
import { shell } from '../command.ts'
import { DeployError, Exit } from '../errors.ts'
import { loadPipeline } from '../settings/load.ts'
import type { StagesSettings } from '../settings/stages.ts'
import { readSource, type Source } from '../stages/git.ts'
import { REPORTS, type StageWorld } from '../stages/stage.ts'
import { common, text, type Run } from './cli.ts'

/** What deploy.yaml says of the stages; `folder` is absolute. */
export interface Pipeline extends StagesSettings {
  app: string
  image: string
}

/** A stage's settings. @throws DeployError (2) when the file does not declare it */
export function declared<T>(settings: T | undefined, name: string): T {
  if (settings !== undefined) return settings
  throw new DeployError(
    `deploy.yaml has no ${['stages', name].filter(Boolean).join('.')}: say there how the application does it`,
    Exit.usage,
  )
}

/** Flags that every stage has. */
export const stageFlags = {
  config: common.config,
  json: common.json,
  verbose: common.verbose,
  help: common.help,
}

export interface StageRun {
  pipeline: Pipeline
  world: StageWorld & { source: Source }
}

/** Everything a stage may touch, for real. @throws DeployError (2) */
export async function realStage({ flags, log, signal }: Run): Promise<StageRun> {
  const { app, image, ...declares } = loadPipeline(text(flags, 'config') ?? 'deploy.yaml', process.env)
  const pipeline = { app, image, ...declared(declares.stages, '') }
  const sh = shell((line) => log.command(line))
  const source = await readSource(pipeline.folder, sh, process.env)
  return { pipeline, world: { source, shell: sh, signal, now: Date.now, reports: REPORTS } }
}
