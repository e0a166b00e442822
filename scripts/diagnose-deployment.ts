#!/usr/bin/env bun
/**
 * Says why checks fail, why traffic does not switch, or where errors come from: causes, the true one first, each
 * with its evidence and the next command. Reads the cluster, and asks users' address a few times; changes nothing.
 */
import { common, data, main, realWorld } from '../lib/cli/cli.ts'
import { diagnosed } from '../lib/diagnose/diagnose.ts'
import { diagnosisLines } from '../lib/diagnose/lines.ts'
import { look } from '../lib/diagnose/look.ts'
import { DeployError } from '../lib/errors.ts'
import { history } from '../lib/history/store.ts'
import { redactor } from '../lib/text.ts'

const usage = `Usage: bun scripts/diagnose-deployment.ts --env NAME [flags]

  --env NAME       environment in deploy.yaml
  --context NAME   not needed: nothing is changed
  --config FILE    default deploy.yaml
  --json           the diagnosis on standard output

Reads what the Role viewer (k8s/rbac) may read; what it may not is named.

Exit: 0 healthy, 1 something is wrong, or nothing could be read,
2 usage or configuration, 130 interrupted
`

if (import.meta.main) {
  await main(usage, common, async (script) => {
    const { flags, log } = script
    const world = realWorld(script)
    const { app, name, namespace, context } = world.environment
    log.print(log.style.bold(`${app} in ${name} (${namespace}, ${context})`))
    const [last] = await history(world, 1)
    const diagnosis = diagnosed(await look(world, { last, redact: redactor(process.env) }))
    for (const line of diagnosisLines(diagnosis)) log.info(line)
    if (flags.json) data(diagnosis)
    const [first] = diagnosis.causes
    if (!diagnosis.healthy)
      throw new DeployError(first?.what ?? `${app} is not well, and it is not known why`)
  })
}
