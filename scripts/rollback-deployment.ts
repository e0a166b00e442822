#!/usr/bin/env bun
/**
 * Brings back what was live before: one read, one patch, when it is still warm in the other color.
 * Changes: the live Service's selector; the color that was left, which is emptied so that nobody stays behind;
 * where pods are missing or the release is no longer there, the idle color. Takes the lock from a running
 * deployment. Undo: the same command with --to-version.
 */
import { askAhead } from '../lib/app/ahead.ts'
import type { Run } from '../lib/cli/cli.ts'
import type { World } from '../lib/cluster/world.ts'
import type { DeploymentRecord } from '../lib/history/record.ts'

// The modules take as long to load as kubectl does: both at once.
if (import.meta.main) askAhead(process.argv.slice(2), { patch: true })
const { drift } = await import('../lib/app/live.ts')
const { observe } = await import('../lib/app/observe.ts')
const { common, confirm, data, main, realWorld, text } = await import('../lib/cli/cli.ts')
const { checkContext } = await import('../lib/cluster/access.ts')
const { DeployError } = await import('../lib/errors.ts')
const { newId } = await import('../lib/history/record.ts')
const { rollBack } = await import('../lib/release/rollback.ts')
const { reported } = await import('../lib/report/after.ts')
const { broughtBack, stateLine } = await import('../lib/release/show.ts')
const { chooseTarget } = await import('../lib/release/target.ts')
const { choiceOf, gatesOf } = await import('../verify/gates.ts')

const usage = `Usage: bun scripts/rollback-deployment.ts --env NAME [flags]

  --env NAME          environment in deploy.yaml
  --to-version TAG    any version whose record is kept; default: the one before
  --now               whatever is ready there, this instant
  --reason TEXT       why; goes into the history
  --skip KINDS        leave out kinds of checks (needs --reason; is recorded)
  --dry-run           say what would be done and stop
  --yes               do not ask (needed where there is no terminal)
  --context NAME      the kube context; --config FILE   default deploy.yaml
  --out DIR           evidence goes to DIR/ID; default reports
  --json              the record on standard output
  --verbose           the whole difference, and commands as a whole

Exit: 0 done, 1 failed (traffic did not move), 2 usage or configuration,
3 put back again (rolling), 4 traffic moved but is not proven, or needs a
person, 5 somebody else took over, 6 refused, 70 timed out, 130 interrupted
(traffic did not move)
`

const options = {
  ...common,
  out: { type: 'string' },
  'to-version': { type: 'string' },
  now: { type: 'boolean' },
  reason: { type: 'string' },
  skip: { type: 'string' },
  'dry-run': { type: 'boolean' },
  yes: { type: 'boolean' },
} as const

if (import.meta.main) {
  await main(usage, options, async (script) => {
    const { flags, log } = script
    const world = realWorld(script, reported)
    const rolling = world.environment.strategy === 'rolling'
    const record = rolling ? await redeploy(script, world) : await back(script, world)
    if (!record) return log.print('Nothing was changed.')
    log.print(log.style.green(broughtBack(record)))
    if (flags.json) data(record)
  })
}

/** Blue/green: to the other color, if it holds what is wanted. */
async function back(script: Run, world: World): Promise<DeploymentRecord | undefined> {
  const { flags, log } = script
  const { environment, kubectl } = world
  const wish = { version: text(flags, 'to-version'), now: flags.now === true }
  const context = checkContext(environment, text(flags, 'context'), kubectl)
  const reading = observe(environment.app, kubectl)
  await Promise.allSettled([context, reading])
  await context
  const observed = await reading
  const target = chooseTarget(environment, observed, wish)
  if (target.kind === 'search' || target.kind === 'redeploy') return await redeploy(script, world, target)
  const found = drift(environment.app, observed)
  if (found) log.warn(found)
  log.info(`live     ${stateLine(observed.colors[target.from])}`)
  log.info(`back to  ${stateLine(observed.colors[target.to])}`)
  if (target.kind === 'scale') log.info(`first    pods are started in ${target.to}: ${target.missing}`)
  if (flags['dry-run'] || !(await confirm(script, 'Roll back?'))) return undefined
  // Nobody knows how long the question stood there.
  const fresh = flags.yes ? observed : await observe(environment.app, kubectl)
  const chosen = flags.yes ? target : chooseTarget(environment, fresh, wish)
  if (chosen.kind !== target.kind || chosen.to !== target.to) {
    throw new DeployError('What is live or idle has changed meanwhile: look, and run it again')
  }
  const request = { id: newId(Date.now()), reason: text(flags, 'reason') }
  return await rollBack(world, request, fresh, chosen, gatesOf(environment, choiceOf(flags)))
}

/** The release is painted again from the manifests that its record kept, and started. */
async function redeploy(
  script: Run,
  world: World,
  wanted?: { version: string } | { release: { release: string } },
): Promise<DeploymentRecord | undefined> {
  const { findKept, previousRolling } = await import('../lib/history/kept.ts')
  const { run } = await import('../lib/release/deployment.ts')
  const { flags, log } = script
  const { entry, manifests } = wanted
    ? await findKept(world, wanted)
    : await previousRolling(world, text(flags, 'to-version'))
  const { version, image } = entry.to
  log.info(`${version} must be started again from its record ${entry.id}`)
  const reason = text(flags, 'reason')
  const request = { id: newId(Date.now()), version, image, kept: manifests, smoke: entry.smoke, reason }
  return await run(world, request, gatesOf(world.environment, choiceOf(flags)), {
    context: text(flags, 'context'),
    verbose: flags.verbose === true,
    proceed: async () => flags['dry-run'] !== true && (await confirm(script, 'Roll back?')),
  })
}
