#!/usr/bin/env bun
/**
 * Says what is live, what is idle, who holds the lock or deployments up, whether somebody changed traffic by
 * hand, and what a rollback would take. Changes nothing, unless --repair: then it finishes or undoes what an
 * interrupted run left.
 */
import { checkContext } from '../lib/cluster/access.ts'
import { common, data, main, realWorld, text } from '../lib/cli/cli.ts'
import { observe } from '../lib/app/observe.ts'
import { DeployError, Exit } from '../lib/errors.ts'
import { sendDue } from '../lib/notify/due.ts'
import { newId } from '../lib/history/record.ts'
import { unfinished } from '../lib/history/store.ts'
import { repairAlone } from '../lib/release/switch-alone.ts'
import { unattended } from '../lib/release/unattended.ts'
import { statusLines, statusOf } from '../lib/release/status.ts'
import { reported } from '../lib/report/after.ts'
import { gatesOf } from '../verify/gates.ts'

const usage = `Usage: bun scripts/deployment-status.ts --env NAME [--repair] [flags]

  --env NAME       environment in deploy.yaml
  --repair         finish or undo what an interrupted run left behind
  --check          exit 4 for a run that nobody goes on with, and for traffic
                   that no record explains
  --context NAME   the kube context; it must be the environment's
  --config FILE    default deploy.yaml
  --out DIR        evidence goes to DIR/ID; default reports
  --json           the status on standard output
  --verbose        commands as a whole

Exit: 0 the status is known, 1 it is not, 2 usage or configuration,
4 needs a person (--repair, --check), 5 locked (--repair), 130 interrupted
`

const options = {
  ...common,
  out: { type: 'string' },
  repair: { type: 'boolean' },
  check: { type: 'boolean' },
} as const

if (import.meta.main) {
  await main(usage, options, async (script) => {
    const { flags, log } = script
    const world = realWorld(script, reported)
    const { environment, kubectl } = world
    const context = text(flags, 'context')
    if (flags.repair || context) await checkContext(environment, context, kubectl)
    if (flags.repair) {
      await repairAlone(world, newId(Date.now()), gatesOf(environment))
    }
    const [observed, past] = await Promise.all([observe(environment.app, kubectl), unfinished(world)])
    const status = statusOf(environment, observed, past, world.clock.now())
    log.print(
      log.style.bold(
        `${environment.app} in ${environment.name} (${environment.namespace}, ${environment.context})`,
      ),
    )
    for (const line of statusLines(status, observed)) log.info(line)
    if (flags.json) data(status)
    const left = flags.check ? await unattended(world, observed, past) : []
    if (flags.check) await sendDue(world, { left: true, within: 20_000 })
    if (left.length > 0) throw new DeployError(left.join('\n'), Exit.needsPerson)
  })
}
