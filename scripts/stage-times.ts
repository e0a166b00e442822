#!/usr/bin/env bun
/** Says how each stage of the pipeline went and what it took. Changes nothing. */
import { writeSummary } from '../lib/cli/github.ts'
import { common, data, main, reports, text } from '../lib/cli/cli.ts'
import { DeployError, Exit } from '../lib/errors.ts'
import { readTimes, timeLines, timeTable } from '../lib/stages/times.ts'

const usage = `Usage: bun scripts/stage-times.ts [--exit CODE] [--json]

  Prints each stage that left a result, how it went and what it took; in
  GitHub Actions also as a table in the step's summary.

  --exit CODE   ends with it: the code of the stage that stopped the rest
  --out DIR     where the stages left their results; default reports
  --json        the same on standard output

Exit: 0, or CODE; 2 usage
`

const { json, help } = common
const options = { json, help, out: { type: 'string' }, exit: { type: 'string' } } as const

if (import.meta.main) {
  await main(usage, options, async ({ flags, log }) => {
    const code = text(flags, 'exit') ?? '0'
    if (!/^\d{1,3}$/.test(code) || Number(code) > 255) {
      throw new DeployError(`--exit is a number up to 255, not "${code}"`, Exit.usage)
    }
    process.exitCode = Number(code)
    const times = readTimes(reports(flags))
    const now = Date.now()
    log.print(log.style.bold('Stages'))
    for (const line of timeLines(times, now)) log.info(line)
    writeSummary(timeTable(times, now), process.env)
    if (flags.json) data(times)
  })
}
