#!/usr/bin/env bun
/** Lists what was deployed and rolled back, by whom, why, and what users met; or one record in full. */
import { checkLines } from '../lib/check.ts'
import { common, data, main, realWorld, text } from '../lib/cli/cli.ts'
import { seconds } from '../lib/clock.ts'
import { DeployError, Exit } from '../lib/errors.ts'
import { history, readRecord } from '../lib/history/store.ts'
import type { DeploymentRecord } from '../lib/history/record.ts'

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
    const { environment, kubectl } = realWorld(script)
    const id = text(flags, 'id')
    if (id) {
      const found = await readRecord(environment.app, kubectl, id)
      if (!found) throw new DeployError(`There is no record ${id} in ${environment.name}`)
      for (const line of inFull(found.entry)) log.print(line)
      if (flags.json) data(found.entry)
      return
    }
    const limit = Number(text(flags, 'limit') ?? '20')
    if (!Number.isInteger(limit) || limit < 1) throw new DeployError('--limit is a number from 1', Exit.usage)
    const records = await history(environment.app, kubectl, limit)
    if (records.length === 0) log.print(`Nothing has been deployed to ${environment.name} yet.`)
    for (const record of records) log.print(oneLine(record))
    if (flags.json) data(records)
  })
}

/** `2026-11-23 08:00  deploy  1.0.0 → 1.1.0  succeeded  0 of 412 lost  alice@laptop` */
export function oneLine(record: DeploymentRecord): string {
  const { startedAt, kind, from, to, outcome, by, reason, override, switches, id } = record
  const when = startedAt.slice(0, 16).replace('T', ' ')
  const what = `${from?.version ?? 'nothing'} → ${to.version} (${to.color})`
  const failures = switches.reduce((sum, proof) => sum + proof.failures, 0)
  const requests = switches.reduce((sum, proof) => sum + proof.requests, 0)
  const lost = requests > 0 ? `, ${failures} of ${requests} requests lost` : ''
  const forced = override ? `, overriding what was missing: ${override.reason}` : ''
  return `${when}  ${kind.padEnd(8)}  ${what}  ${outcome}${lost}\n                  ${by}${reason ? `: ${reason}` : ''}${forced}  ${id}`
}

export function inFull(record: DeploymentRecord): string[] {
  const { steps, checks, switches, drift, override, message, to, finishedAt, startedAt } = record
  return [
    oneLine(record),
    `  image    ${to.image}`,
    ...(finishedAt ? [`  took     ${seconds(Date.parse(finishedAt) - Date.parse(startedAt))}`] : []),
    ...(drift ? [`  drift    ${drift}`] : []),
    ...(override?.missing ?? []).map((what) => `  missing  ${what}`),
    ...(message ? [`  message  ${message}`] : []),
    ...steps.map(({ name, ms }) => `  step     ${name}${ms === undefined ? '' : ` (${seconds(ms)})`}`),
    ...checkLines(checks, true).map((line) => `  check    ${line}`),
    ...switches.map(
      ({ converged, firstNew, lastOld, requests, failures }) =>
        `  switch   converged ${seconds(converged)}, first new ${firstNew === undefined ? '?' : seconds(firstNew)}, last old ${lastOld === undefined ? '?' : seconds(lastOld)}; ${failures} of ${requests} requests failed`,
    ),
  ]
}
