#!/usr/bin/env bun
/** Lists what was deployed and rolled back, by whom, why, and what users met; or one record in full. */
import { common, data, main, realWorld, text } from '../lib/cli/cli.ts'
import { DeployError, Exit } from '../lib/errors.ts'
import { inFull, inTable } from '../lib/history/listing.ts'
import { history, readRecord } from '../lib/history/store.ts'

const usage = `Usage: bun scripts/deployment-history.ts --env NAME [--limit N | --id ID]

  --env NAME       environment in deploy.yaml
  --limit N        how many, newest first; default 20
  --id ID          one record in full
  --context NAME   not needed: nothing is changed
  --config FILE    default deploy.yaml
  --json           the records on standard output
`

const options = { ...common, limit: { type: 'string' }, id: { type: 'string' } } as const

if (import.meta.main) {
  await main(usage, options, async (script) => {
    const { flags, log } = script
    const world = realWorld(script)
    const { environment } = world
    const id = text(flags, 'id')
    if (id) {
      const found = await readRecord(world, id)
      if (!found) throw new DeployError(`There is no record ${id} in ${environment.name}`)
      for (const line of inFull(found.entry)) log.print(line)
      if (flags.json) data(found.entry)
      return
    }
    const limit = Number(text(flags, 'limit') ?? '20')
    if (!Number.isInteger(limit) || limit < 1) throw new DeployError('--limit is a number from 1', Exit.usage)
    const records = await history(world, limit)
    if (records.length === 0) log.print(`Nothing has been deployed to ${environment.name} yet.`)
    for (const line of inTable(records, process.stderr.columns)) log.print(line)
    if (flags.json) data(records)
  })
}
