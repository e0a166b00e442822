#!/usr/bin/env bun
/** Runs the application's tests, as deploy.yaml declares them. Writes reports/test alone. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { data, main } from '../lib/cli/cli.ts'
import { belowFloor, neverLoaded, readLcov, shown, summary } from '../lib/stages/coverage.ts'
import type { CoverageSettings, TestSettings } from '../lib/settings/stages.ts'
import { readReport, recordStage, runCommand, type Outcome, type StageResult } from '../lib/stages/stage.ts'
import { declared, realStage, stageFlags, type StageRun } from '../lib/cli/stage.ts'
import { readJUnit } from '../lib/stages/test-report.ts'

const usage = `Usage: bun scripts/test-app.ts [--config FILE] [--json]

  Runs the command of stages.test, counts the tests in its JUnit reports,
  and holds the coverage in its lcov files against the floor.

  --config FILE    default deploy.yaml
  --json           the result on standard output
  --verbose        its command as a whole

Leaves reports/test/result.json, and coverage.json beside it.
Exit: 0 all passed, 1 a test failed, none ran, a report is missing or the
coverage is below its floor, 2 usage or configuration, 70 timed out,
130 interrupted
`

export async function testApp({ pipeline, world }: StageRun): Promise<StageResult> {
  const settings = declared(pipeline.test, 'test')
  const run = { ...settings, folder: pipeline.folder }
  return await recordStage('test', world, async (outcome, reports) => {
    await runCommand(run, world, outcome, reports, () => {
      countTests(outcome, reports, settings.reports)
      if (settings.coverage !== false) measure(outcome, reports, settings.coverage, pipeline.folder)
    })
  })
}

function countTests(outcome: Outcome, reports: string, suites: TestSettings['reports']): void {
  const total = { tests: 0, failed: 0, skipped: 0 }
  for (const [suite, file] of Object.entries(suites)) {
    const report = readReport(outcome, join(reports, file))
    if (report === undefined) continue
    const counts = readJUnit(report)
    if (!counts) outcome.problems.push(`${file} is not JUnit XML, or not all that it says it is`)
    const { tests, failed, skipped } = counts ?? { tests: 0, failed: 0, skipped: 0 }
    if (tests - skipped === 0) outcome.problems.push(`${suite}: no test ran`)
    if (failed > 0) outcome.problems.push(`${suite}: ${failed} of ${tests} tests failed`)
    outcome.counts[suite] = tests
    total.tests += tests
    total.failed += failed
    total.skipped += skipped
  }
  outcome.counts = { ...outcome.counts, ...total }
}

function measure(outcome: Outcome, reports: string, settings: CoverageSettings, folder: string): void {
  const runs = settings.files.map((file) => {
    const text = readReport(outcome, join(reports, file))
    const hits = text === undefined ? undefined : readLcov(text)
    if (text !== undefined && !hits) outcome.problems.push(`${file} is not lcov, or not all of it`)
    return hits ?? new Map<string, Map<number, number>>()
  })
  const coverage = summary(runs, settings.of, neverLoaded(runs, settings.of, folder))
  writeFileSync(join(reports, 'coverage.json'), `${JSON.stringify(coverage, undefined, 2)}\n`)
  outcome.counts = { ...outcome.counts, lines: coverage.lines, covered: coverage.covered }
  const problem = belowFloor(coverage, settings)
  if (problem !== undefined) outcome.problems.push(problem)
}

if (import.meta.main) {
  await main(usage, stageFlags, async (run) => {
    const result = await testApp(await realStage(run))
    const { tests, skipped, lines = 0, covered = 0 } = result.counts
    const covering = lines > 0 ? `, ${shown((100 * covered) / lines)} of ${lines} lines covered` : ''
    run.log.print(run.log.style.green(`${tests} tests passed, ${skipped} skipped${covering}.`))
    if (run.flags.json) data(result)
  })
}
