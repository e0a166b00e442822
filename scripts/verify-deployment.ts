#!/usr/bin/env bun
/**
 * Runs the checks of deploy.yaml against any address, or against an environment's live or idle color.
 * Changes nothing.
 */
import { join } from 'node:path'
import { common, data, environmentOf, main, realWorld, text } from '../lib/cli.ts'
import { objections, type CheckResult } from '../lib/check.ts'
import { colors, liveColor, observe, other } from '../lib/color.ts'
import { DeployError, Exit } from '../lib/errors.ts'
import { withPreview } from '../lib/preview.ts'
import { newId } from '../lib/record.ts'
import { checkLine } from '../lib/switchover.ts'
import { gatesOf } from '../verify/gates.ts'

const usage = `Usage: bun scripts/verify-deployment.ts --env NAME [--color WHICH | --url URL]

  --env NAME       environment in deploy.yaml, which declares the checks
  --color WHICH    live (the default), idle, blue or green
  --url URL        check this address instead; no cluster is needed
  --context NAME   the kube context, for --color
  --config FILE    default deploy.yaml
  --json           the results on standard output

Exit: 0 all passed, 1 a check failed or could not be made,
2 usage or configuration
`

const options = { ...common, color: { type: 'string' }, url: { type: 'string' } } as const

if (import.meta.main) {
  await main(usage, options, async (script) => {
    const { flags, log, signal } = script
    const url = text(flags, 'url')
    const verification = newId(Date.now())
    const check = async (address: string, color?: string): Promise<CheckResult[]> => {
      log.step(`Verify ${address}`)
      const gates = gatesOf(environmentOf(flags))
      const evidence = join('reports', verification)
      const target = { url: address, verification, evidence, ...(color && { color }) }
      const results = await gates.preview(target, signal, (state) => log.progress(state))
      log.done()
      return results
    }
    const results = url ? await check(address(url)) : await ofColor()
    for (const result of results) log.info(checkLine(result))
    if (flags.json) data(results)
    const bad = objections(results)
    if (bad.length > 0) throw new DeployError(`${bad.length} of ${results.length} checks did not pass`)
    log.print(log.style.green(`All ${results.length} checks passed.`))

    async function ofColor(): Promise<CheckResult[]> {
      const { world, shell } = realWorld(script)
      const { environment, kubectl } = world
      const which = text(flags, 'color') ?? 'live'
      if (environment.strategy === 'rolling') return await check(environment.url)
      const observed = await observe(environment.app, kubectl)
      const live = liveColor(environment.app, observed)
      const color =
        which === 'live' ? live : which === 'idle' ? other(live) : colors.find((name) => name === which)
      if (!color) throw new DeployError(`--color is live, idle, blue or green, not "${which}"`, Exit.usage)
      if (color === live) return await check(environment.url, color)
      if (observed.preview?.spec.selector.color !== color) {
        throw new DeployError(`The preview does not lead to ${color}: it is pointed there by a deployment`)
      }
      return await withPreview(world, shell, (preview) => check(preview.url, color))
    }
  })
}

function address(url: string): string {
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return url
  throw new DeployError(`--url "${url}" is not an http:// or https:// address`, Exit.usage)
}
