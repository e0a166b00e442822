#!/usr/bin/env bun
/**
 * Runs the checks of deploy.yaml against any address, or against an environment's live or idle color.
 * Changes nothing, but for what the test accounts do.
 */
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { checkLines, counted, objections, type Target } from '../lib/check.ts'
import { common, data, environmentOf, main, realWorld, reports, text } from '../lib/cli/cli.ts'
import { checkContext } from '../lib/cluster/access.ts'
import { colors, other } from '../lib/app/color.ts'
import { liveColor } from '../lib/app/live.ts'
import { observe } from '../lib/app/observe.ts'
import { DeployError, Exit } from '../lib/errors.ts'
import { withPreview } from '../lib/traffic/preview.ts'
import { newId } from '../lib/history/record.ts'
import { httpUrl } from '../lib/settings/scalars.ts'
import { choiceOf, gatesOf } from '../verify/gates.ts'

const usage = `Usage: bun scripts/verify-deployment.ts --env NAME [--color WHICH | --url URL]

  --env NAME       environment in deploy.yaml, which declares the checks
  --color WHICH    live (the default), idle, blue or green
  --url URL        check this address instead; no cluster is needed
  --only KINDS     smoke,performance,ui,security,page-quality; default all
                   that deploy.yaml declares
  --skip KINDS     leave these out; needs --reason, and is in the results
  --reason TEXT    why
  --context NAME   the kube context; it must be the environment's
  --config FILE    default deploy.yaml
  --out DIR        evidence goes to DIR/ID; default reports
  --junit FILE     the results as JUnit XML, too
  --json           the results on standard output
  --verbose        every check, not only those that did not pass

Exit: 0 all passed, 1 a check failed or could not be made,
2 usage or configuration, 130 interrupted
`

const options = {
  ...common,
  out: { type: 'string' },
  color: { type: 'string' },
  url: { type: 'string' },
  only: { type: 'string' },
  skip: { type: 'string' },
  reason: { type: 'string' },
  junit: { type: 'string' },
} as const

type Where = Pick<Target, 'url' | 'color' | 'forwarded' | 'live' | 'address' | 'pods'>

if (import.meta.main) {
  await main(usage, options, async (script) => {
    const { flags, log, signal } = script
    const url = text(flags, 'url')
    const junit = text(flags, 'junit')
    const gates = gatesOf(environmentOf(flags), choiceOf(flags))
    if (url) await check({ url: address(url) })
    else await ofColor()

    async function check(where: Where): Promise<void> {
      const verification = newId(Date.now())
      const evidence = join(reports(flags), verification)
      log.step(`Verify ${where.url}`)
      const results = await gates.preview({ ...where, verification, evidence }, signal, (state) =>
        log.progress(state),
      )
      log.done()
      for (const line of checkLines(results, flags.verbose === true)) log.info(line)
      log.info(`evidence: ${evidence}`)
      if (junit) await copyFile(join(evidence, 'junit.xml'), junit)
      if (flags.json) data(results)
      const bad = objections(results)
      if (bad.length > 0) throw new DeployError(`${bad.length} of ${results.length} checks did not pass`)
      log.print(log.style.green(`Nothing objects: ${counted(results)}.`))
    }

    async function ofColor(): Promise<void> {
      const world = realWorld(script)
      const { environment, kubectl } = world
      const which = text(flags, 'color') ?? 'live'
      const context = text(flags, 'context')
      if (context) await checkContext(environment, context, kubectl)
      if (environment.strategy === 'rolling') return await check({ url: environment.url })
      const observed = await observe(environment.app, kubectl)
      const live = liveColor(environment, observed)
      const color =
        which === 'live' ? live : which === 'idle' ? other(live) : colors.find((name) => name === which)
      if (!color) throw new DeployError(`--color is live, idle, blue or green, not "${which}"`, Exit.usage)
      const pods = observed.colors[color].ready.length
      if (color === live) return await check({ url: environment.url, color, pods })
      if (observed.preview?.spec.selector.color !== color) {
        throw new DeployError(`The preview does not lead to ${color}: it is pointed there by a deployment`)
      }
      const users = { live: environment.url, address: environment.url }
      await withPreview(world, (preview) => check({ ...preview, ...users, color, pods }))
    }
  })
}

function address(url: string): string {
  const { data, error } = httpUrl.safeParse(url)
  if (data !== undefined) return data
  throw new DeployError(`--url: ${error?.issues[0]?.message}`, Exit.usage)
}
