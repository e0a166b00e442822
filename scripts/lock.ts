#!/usr/bin/env bun
/**
 * Holds deployments up, says who does, or lets them go on. Changes: the Lease APP-hold, which deploy.ts and
 * switch-traffic.ts obey and a rollback does not. Never touches the lock of a run. Undo: --release.
 */
import { checkAccess, checkContext, needs } from '../lib/cluster/access.ts'
import { common, confirm, data, main, realWorld, text, type Run } from '../lib/cli/cli.ts'
import { DeployError, Exit } from '../lib/errors.ts'
import { holdLine, placeHold, readHold, releaseHold } from '../lib/history/hold.ts'
import type { Hold } from '../lib/app/observe.ts'
import { duration } from '../lib/settings/scalars.ts'

const usage = `Usage: bun scripts/lock.ts --env NAME [--hold WHY | --release] [flags]

Without --hold and --release: says whether deployments are held up.

  --env NAME       environment in deploy.yaml
  --hold WHY       no deployment and no switch until it is released; going
                   back stays allowed
  --until T        until then: 2026-12-01T08:00:00Z, or from now: 30m, 48h
  --release        deployments may go on
  --yes            do not ask (needed where there is no terminal)
  --context NAME   the kube context; to change something it must be the
                   environment's
  --config FILE    default deploy.yaml
  --json           the hold on standard output: by, since, reason, until; or
                   null

Exit: 0 done, 1 failed, 2 usage or configuration
`

const options = {
  ...common,
  hold: { type: 'string' },
  until: { type: 'string' },
  release: { type: 'boolean' },
  yes: { type: 'boolean' },
} as const

if (import.meta.main) {
  await main(usage, options, async (script) => {
    const { flags, log } = script
    const wanted = wish(flags, Date.now())
    const world = realWorld(script)
    const { environment, kubectl } = world
    const say = (hold: Hold | undefined): void => {
      const where = `${environment.app} in ${environment.name}`
      log.print(hold ? `${where} is on hold by ${holdLine(hold)}` : `Deployments of ${where} are not held up`)
    }
    if (wanted) {
      await checkContext(environment, text(flags, 'context'), kubectl)
      await checkAccess(kubectl, needs.hold)
    }
    const before = await readHold(world)
    say(before)
    const changes = wanted && (wanted.reason !== undefined || before !== undefined)
    if (!changes || !(await confirm(script, wanted.question))) {
      if (flags.json) data(before ?? null)
      return
    }
    const { reason, until } = wanted
    const after = reason === undefined ? await releaseHold(world) : await placeHold(world, reason, until)
    say(after)
    if (flags.json) data(after ?? null)
  })
}

interface Wish {
  question: string
  /** Without one, the hold is released. */
  reason?: string
  /** ms */
  until?: number | undefined
}

/** What the flags ask to be changed, if anything. @throws DeployError (2) when they contradict each other */
function wish(flags: Run['flags'], now: number): Wish | undefined {
  const [reason, end] = [text(flags, 'hold'), text(flags, 'until')]
  if (reason !== undefined && flags.release)
    throw new DeployError('--hold or --release, not both', Exit.usage)
  if (end !== undefined && reason === undefined) throw new DeployError('--until needs --hold', Exit.usage)
  if (reason === undefined) return flags.release ? { question: 'Let deployments go on?' } : undefined
  return { question: 'Hold deployments up?', reason, until: end === undefined ? end : moment(end, now) }
}

/** ms. @throws DeployError (2) for what is no time, or is over */
function moment(given: string, now: number): number {
  const span = duration.safeParse(given)
  const time = span.success
    ? now + span.data
    : Date.parse(/^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(given) ? given : '')
  if (time > now) return time
  const form = 'a time such as 2026-12-01T08:00:00Z, or a duration such as 30m or 48h'
  throw new DeployError(Number.isNaN(time) ? `--until is ${form}` : `--until ${given} is over`, Exit.usage)
}
