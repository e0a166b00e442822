#!/usr/bin/env bun
/** Writes the alert rules and the dashboard of an environment, made of the table in lib/monitor. Asks no cluster. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { common, data, environmentOf, main, text } from '../lib/cli/cli.ts'
import { DeployError, Exit } from '../lib/errors.ts'
import { monitoringFiles } from '../lib/monitor/files.ts'

const usage = `Usage: bun scripts/monitoring.ts --env NAME [--out DIR]

  Writes rules.yaml, prometheus-rule.yaml and dashboard.json.

  --env NAME       environment in deploy.yaml: its namespace is in the rules
  --out DIR        default k8s/monitoring
  --config FILE    default deploy.yaml, which names where the runbooks are
  --json           the names of the files on standard output

Exit: 0 written, 2 usage or configuration
`

const { env, config, json, help } = common
const options = { env, config, json, help, out: { type: 'string' } } as const

if (import.meta.main) {
  await main(usage, options, ({ flags, log }) => {
    const { app, namespace, name, strategy, runbooks } = environmentOf(flags)
    if (strategy === 'rolling') {
      throw new DeployError(
        `${name} has no colors (strategy: rolling), and the rules tell them apart`,
        Exit.usage,
      )
    }
    if (!runbooks) throw new DeployError(`${name} names no runbooks, which each alert links to`, Exit.usage)
    const out = text(flags, 'out') ?? 'k8s/monitoring'
    mkdirSync(out, { recursive: true })
    const written = Object.entries(monitoringFiles({ app, namespace }, runbooks)).map(([name, content]) => {
      const path = join(out, name)
      writeFileSync(path, content)
      log.info(path)
      return path
    })
    if (flags.json) data(written)
    return Promise.resolve()
  })
}
