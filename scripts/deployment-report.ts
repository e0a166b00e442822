#!/usr/bin/env bun
/**
 * Writes the report of one attempt: a page that stands alone, the same as Markdown and as JSON. Of any record in the
 * cluster, on any machine; the checks' evidence is in it where it is. Changes nothing but files.
 */
import { common, data, main, realWorld, text } from '../lib/cli/cli.ts'
import { DeployError, Exit } from '../lib/errors.ts'
import { history, readRecord } from '../lib/history/store.ts'
import type { World } from '../lib/cluster/world.ts'
import type { DeploymentRecord } from '../lib/history/record.ts'
import { gather } from '../lib/report/gather.ts'
import { writeReport } from '../lib/report/write.ts'

const usage = `Usage: bun scripts/deployment-report.ts --env NAME [--id ID | --last]

  Writes report.html, report.md and report.json of a deployment or a rollback.
  Each writes its own at its end; this writes it anew, or on another machine.

  --env NAME       environment in deploy.yaml
  --id ID          which record; default, and --last: the newest
  --out DIR        it goes to DIR/ID, where the evidence is; default reports
  --context NAME   not needed: nothing is changed
  --config FILE    default deploy.yaml
  --json           the record on standard output

Exit: 0 written, 1 no such record, 2 usage or configuration
`

const options = {
  ...common,
  id: { type: 'string' },
  last: { type: 'boolean' },
  out: { type: 'string' },
} as const

if (import.meta.main) {
  await main(usage, options, async (script) => {
    const { flags, log } = script
    const world = realWorld(script)
    const id = text(flags, 'id')
    if (id !== undefined && flags.last) throw new DeployError('--id or --last, not both', Exit.usage)
    const record = await chosen(world, id)
    const report = await gather(record, world)
    if (!report) throw new DeployError(`The record ${record.id} has no form that could be reported`)
    log.print(log.style.bold(report.told.headline))
    log.print(report.told.summary)
    for (const line of report.missing) log.warn(line)
    log.print(writeReport(report, world.reports))
    if (flags.json) data(record)
  })
}

async function chosen(world: World, id: string | undefined): Promise<DeploymentRecord> {
  const { name } = world.environment
  if (id === undefined) {
    const [newest] = await history(world, 1)
    if (newest) return newest
    throw new DeployError(`Nothing has been deployed to ${name} yet: there is nothing to report`)
  }
  const found = await readRecord(world, id)
  if (found) return found.entry
  const list = `bun scripts/deployment-history.ts --env ${name}`
  throw new DeployError(`There is no record ${id} in ${name}. Those that there are: ${list}`)
}
