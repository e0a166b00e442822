#!/usr/bin/env bun
/** Builds the application for production, as deploy.yaml declares it. Writes what the build writes, and reports/build. */
import { statSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { data, main } from '../lib/cli/cli.ts'
import { artifactOf, recordStage, runCommand, type Artifact, type StageResult } from '../lib/stages/stage.ts'
import { declared, realStage, stageFlags, type StageRun } from '../lib/cli/stage.ts'

const usage = `Usage: bun scripts/build-app.ts [--config FILE] [--json]

  Runs the command of stages.build, and takes the checksums of what it left.

  --config FILE    default deploy.yaml
  --json           the result on standard output
  --verbose        its command as a whole

Leaves reports/build/result.json, and SHA256SUMS beside it, which
sha256sum --check reads in the application's folder.
Exit: 0 built, 1 failed or nothing was built, 2 usage or configuration,
70 timed out, 130 interrupted
`

export async function buildApp({ pipeline, world }: StageRun): Promise<StageResult> {
  const settings = declared(pipeline.build, 'build')
  const { folder } = pipeline
  return await recordStage('build', world, async (outcome, reports) => {
    const started = world.now()
    await runCommand({ ...settings, folder }, world, outcome, reports, () => {
      const files = built(folder, settings.artifacts)
      outcome.artifacts = files.map((file) => artifactOf(file))
      outcome.counts = {
        files: files.length,
        bytes: outcome.artifacts.reduce((sum, { bytes }) => sum + bytes, 0),
      }
      if (files.length === 0) outcome.problems.push(`no file is named ${settings.artifacts.join(' or ')}`)
      // What an earlier build left must not pass for this one's. A file system may tell time by the second.
      else if (!files.some((file) => statSync(file).mtimeMs >= started - 1000))
        outcome.problems.push('nothing was built: all artifacts are older than this build')
      writeFileSync(join(reports, 'SHA256SUMS'), checksums(folder, outcome.artifacts))
    })
  })
}

/** The files that the globs name, from where the scripts run. */
function built(folder: string, globs: readonly string[]): string[] {
  const files = globs.flatMap((glob) => [...new Bun.Glob(glob).scanSync({ cwd: folder, dot: true })])
  return [...new Set(files)].toSorted().map((file) => relative('', join(folder, file)))
}

/** As sha256sum(1) writes them; a name that would break the line is written with escapes and a mark in front. */
export function checksums(folder: string, artifacts: readonly Artifact[]): string {
  return artifacts
    .map(({ file, sha256 }) => {
      const name = relative(folder, file)
      const escaped = name.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r')
      return `${escaped === name ? '' : '\\'}${sha256}  ${escaped}\n`
    })
    .join('')
}

if (import.meta.main) {
  await main(usage, stageFlags, async (run) => {
    const result = await buildApp(await realStage(run))
    const { files, bytes = 0 } = result.counts
    run.log.print(run.log.style.green(`Built ${files} files, ${Math.ceil(bytes / 1024)} kB.`))
    if (run.flags.json) data(result)
  })
}
