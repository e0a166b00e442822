#!/usr/bin/env bun
/**
 * Looks at both colors as they are now: the checks of deploy.yaml through users' address and of each pod, and every metric
 * of the guide, side by side. Changes nothing. What is not known is said to be unknown.
 */
import { checkContext } from '../lib/cluster/access.ts'
import { common, data, main, milliseconds, realWorld, text } from '../lib/cli/cli.ts'
import { liveColor } from '../lib/app/live.ts'
import { observe, type Observed } from '../lib/app/observe.ts'
import { objections } from '../lib/check.ts'
import type { World } from '../lib/cluster/world.ts'
import { Exit, sentence } from '../lib/errors.ts'
import { boardLines, type Board } from '../lib/monitor/board.ts'
import { healthOf } from '../lib/monitor/health.ts'
import { meter, placesOf, type Measured } from '../lib/monitor/measured.ts'
import { smoke } from '../verify/smoke.ts'

const usage = `Usage: bun scripts/monitor-deployment.ts --env NAME [--for 10m] [flags]

  --env NAME       environment in deploy.yaml
  --for TIME       look again and again for so long, each bake.every (15s)
  --context NAME   the kube context; it must be the environment's
  --config FILE    default deploy.yaml
  --json           each look on standard output
  --verbose        commands as a whole

Exit: 0 every check passed, 1 one did not, or nobody is live,
2 usage or configuration, 130 interrupted
`

const options = { ...common, for: { type: 'string' } } as const

if (import.meta.main) {
  await main(usage, options, async (script) => {
    const { flags, log, signal } = script
    const world = realWorld(script)
    const { environment, kubectl, clock } = world
    const context = text(flags, 'context')
    if (context) await checkContext(environment, context, kubectl)
    const until = clock.monotonic() + (milliseconds(flags, 'for') ?? 0)
    const every = environment.bake === false ? 15_000 : environment.bake.every
    const measure = meter(world)
    for (let drawn = 0; ;) {
      const began = clock.monotonic()
      const board = await look(world, measure)
      const lines = boardLines(board)
      // On a terminal in the place of the look before.
      if (process.stderr.isTTY && drawn > 0) process.stderr.write(`\u001B[${drawn}A\u001B[J`)
      for (const line of lines) log.print(line)
      drawn = lines.length
      if (flags.json) data(board)
      const healthy = board.checks.length > 0 && objections(board.checks).length === 0
      process.exitCode = healthy && !board.live.startsWith('?') ? Exit.done : Exit.failed
      const next = began + every
      if (next > until) return
      await clock.sleep(Math.max(0, next - clock.monotonic()), signal)
    }
  })
}

async function look(world: World, measure: (observed: Observed) => Promise<Measured>): Promise<Board> {
  const { environment, kubectl, clock, signal } = world
  const { app, name, strategy, url, smoke: checks, witness } = environment
  const observed = await observe(app, kubectl)
  const places = placesOf(strategy)
  const target = { url, verification: `monitor-${clock.now()}`, evidence: '' }
  const [answered, pods, measured] = await Promise.all([
    smoke(checks, witness)(target, signal),
    healthOf(world, observed, places),
    measure(observed),
  ])
  const at = new Date(clock.now()).toISOString()
  return {
    app,
    environment: name,
    live: liveOf(world, observed),
    at,
    checks: answered,
    pods,
    measured,
    places,
  }
}

function liveOf({ environment }: World, observed: Observed): string {
  if (environment.strategy === 'rolling') return 'without colors'
  try {
    return `${liveColor(environment, observed)} is live`
  } catch (error) {
    return `? ${sentence(error)}`
  }
}
