#!/usr/bin/env bun
/**
 * The switch alone: moves traffic to a color that is ready, proves it, verifies it. A color that users have been
 * on is gone back to, whatever is ready there; any other must have passed its gates, and is left if it does not hold.
 * Changes: the live Service's selector, and the pods of the color that is left. Undo: the same with the other color.
 */
import { checkAccess, checkContext, needs } from '../lib/cluster/access.ts'
import { acksOf } from '../lib/cli/acks.ts'
import { common, confirm, data, main, milliseconds, realWorld, text } from '../lib/cli/cli.ts'
import { colors } from '../lib/app/color.ts'
import { DeployError, Exit } from '../lib/errors.ts'
import { newId } from '../lib/history/record.ts'
import { reported } from '../lib/report/after.ts'
import { switchAlone } from '../lib/release/switch-alone.ts'
import { gatesOf } from '../verify/gates.ts'

const usage = `Usage: bun scripts/switch-traffic.ts --env NAME --to blue|green [flags]

  --env NAME       environment in deploy.yaml
  --to COLOR       blue or green
  --reason TEXT    why; goes into the history
  --override WHY   open what has not passed its gates, or was gone back from;
                   is recorded
  --ack windows WHY   open it although no deployment may begin now
  --wait-for-lock 10m   wait for somebody else's deployment to end
  --yes            do not ask (needed where there is no terminal)
  --context NAME   the kube context; it must be the environment's
  --config FILE    default deploy.yaml
  --out DIR        evidence goes to DIR/ID; default reports
  --json           the record on standard output
  --verbose        commands as a whole

Exit: 0 done, 1 failed (traffic did not move), 2 usage or configuration,
3 switched back, 4 needs a person, 5 locked or held, 6 refused,
70 timed out, 130 interrupted (traffic did not move)
`

const options = {
  ...common,
  out: { type: 'string' },
  to: { type: 'string' },
  reason: { type: 'string' },
  override: { type: 'string' },
  ack: { type: 'string' },
  'wait-for-lock': { type: 'string' },
  yes: { type: 'boolean' },
} as const

if (import.meta.main) {
  await main(usage, options, async (script) => {
    const { flags, log } = script
    const world = realWorld(script, reported)
    const { environment, kubectl } = world
    const to = colors.find((color) => color === text(flags, 'to'))
    if (!to) throw new DeployError('--to is blue or green', Exit.usage)
    if (environment.strategy === 'rolling')
      throw new DeployError(`${environment.name} has no colors`, Exit.usage)
    await checkContext(environment, text(flags, 'context'), kubectl)
    await checkAccess(kubectl, needs.rollback)
    if (!(await confirm(script, `Move users of ${environment.name} to ${to}?`)))
      return log.print('Nothing was changed.')
    const request = {
      id: newId(Date.now()),
      to,
      reason: text(flags, 'reason'),
      override: text(flags, 'override'),
      acks: acksOf(flags),
      waitFor: milliseconds(flags, 'wait-for-lock'),
    }
    const record = await switchAlone(world, request, gatesOf(environment))
    log.print(log.style.green(`Users of ${environment.name} are on ${to}. Record ${record.id}`))
    if (flags.json) data(record)
  })
}
