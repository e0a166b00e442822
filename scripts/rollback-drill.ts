#!/usr/bin/env bun
/**
 * Goes to the release before and back again, to show that a rollback works. Changes: the live Service's selector, twice;
 * each color that is left, which is emptied. Takes the lock from nobody. Undo: scripts/rollback-deployment.ts.
 */
import { observe } from '../lib/app/observe.ts'
import { checkAccess, checkContext, needs } from '../lib/cluster/access.ts'
import { common, confirm, data, main, realWorld, text } from '../lib/cli/cli.ts'
import { DeployError, Exit } from '../lib/errors.ts'
import { drill, drillTarget } from '../lib/release/drill.ts'
import { broughtBack, stateLine } from '../lib/release/show.ts'
import { gatesOf } from '../verify/gates.ts'

const usage = `Usage: bun scripts/rollback-drill.ts --env NAME [flags]

  --env NAME       environment in deploy.yaml
  --reason TEXT    why; goes into the history
  --dry-run        say what would be done and stop
  --yes            do not ask (needed where there is no terminal)
  --context NAME   the kube context; it must be the environment's
  --config FILE    default deploy.yaml
  --out DIR        evidence goes to DIR/ID; default reports
  --json           both records on standard output
  --verbose        commands as a whole

Exit: 0 there and back without a lost request, 1 nothing moved or requests
were lost, 2 usage or configuration, 4 needs a person, 5 locked or held,
6 refused, 130 interrupted
`

const options = {
  ...common,
  out: { type: 'string' },
  reason: { type: 'string' },
  'dry-run': { type: 'boolean' },
  yes: { type: 'boolean' },
} as const

if (import.meta.main) {
  await main(usage, options, async (script) => {
    const { flags, log } = script
    const world = realWorld(script)
    const { environment, kubectl, clock } = world
    if (environment.strategy === 'rolling')
      throw new DeployError(`${environment.name} has no colors (strategy: rolling)`, Exit.usage)
    await checkContext(environment, text(flags, 'context'), kubectl)
    await checkAccess(kubectl, needs.rollback)
    const observed = await observe(environment.app, kubectl)
    const target = drillTarget(world, observed, clock.now())
    log.info(`live     ${stateLine(observed.colors[target.from])}`)
    log.info(`there    ${stateLine(observed.colors[target.to])}, and back again`)
    if (flags['dry-run'] || !(await confirm(script, 'Move users there and back?')))
      return log.print('Nothing was changed.')
    const fresh = flags.yes ? observed : await observe(environment.app, kubectl)
    const records = await drill(world, fresh, text(flags, 'reason'), gatesOf(environment))
    for (const record of records) log.print(broughtBack(record))
    log.print(log.style.green(`The way back works in ${environment.name}.`))
    if (flags.json) data(records)
  })
}
