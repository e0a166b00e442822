#!/usr/bin/env bun
/** Runs the application's linter, as deploy.yaml declares it. Writes reports/lint alone. */
import { join } from 'node:path'
import { data, main } from '../lib/cli/cli.ts'
import { readReport, recordStage, runCommand, type StageResult } from '../lib/stages/stage.ts'
import { declared, realStage, stageFlags, type StageRun } from '../lib/cli/stage.ts'
import { readEslint } from '../lib/stages/test-report.ts'

const usage = `Usage: bun scripts/lint-app.ts [--config FILE] [--json]

  Runs the command of stages.lint and counts what it found in its report,
  which ESLint's JSON formatter writes into $REPORTS.

  --config FILE    default deploy.yaml
  --json           the result on standard output
  --verbose        its command as a whole

Leaves reports/lint/result.json.
Exit: 0 no errors, 1 errors or no report, 2 usage or configuration,
70 timed out, 130 interrupted
`

export async function lintApp({ pipeline, world }: StageRun): Promise<StageResult> {
  const settings = declared(pipeline.lint, 'lint')
  const run = { ...settings, folder: pipeline.folder }
  return await recordStage('lint', world, async (outcome, reports) => {
    await runCommand(run, world, outcome, reports, () => {
      if (settings.report === false) return
      const report = readReport(outcome, join(reports, settings.report))
      if (report === undefined) return
      const counts = readEslint(report)
      if (!counts) outcome.problems.push(`${settings.report} is not ESLint's JSON`)
      else if (counts.files === 0) outcome.problems.push('no file was linted')
      else if (counts.errors > 0) outcome.problems.push(`${counts.errors} errors in ${counts.files} files`)
      outcome.counts = { ...counts }
    })
  })
}

if (import.meta.main) {
  await main(usage, stageFlags, async (run) => {
    const result = await lintApp(await realStage(run))
    const { files, warnings } = result.counts
    run.log.print(
      run.log.style.green(`Linted${files === undefined ? '' : ` ${files} files, ${warnings} warnings`}.`),
    )
    if (run.flags.json) data(result)
  })
}
