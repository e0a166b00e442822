#!/usr/bin/env bun
/**
 * Tries the bake of deploy.yaml on what Prometheus keeps: at how many moments of the past, at which nothing was deployed, it
 * would have rolled back, and how soon it would have found a fault. Changes nothing.
 */
import { common, data, main, milliseconds, realWorld, text } from '../lib/cli/cli.ts'
import { DeployError, Exit } from '../lib/errors.ts'
import { backtestLines } from '../lib/monitor/backtest-report.ts'
import { tryBakes, type Trial } from '../lib/monitor/backtest.ts'
import { pastOf } from '../lib/monitor/past.ts'
import { duration } from '../lib/settings/scalars.ts'

const usage = `Usage: bun scripts/backtest-bake.ts --env NAME [--days 7] [--inject 5%@10m]

  --env NAME       environment in deploy.yaml; its bake.prometheus is asked
  --days N         how much of the past; default 7
  --inject S@T     let a share S of the requests fail for the time T, from each
                   moment on: how soon that is found
  --time TIME      how long a bake watches; default bake.time
  --config FILE    default deploy.yaml
  --json           the outcome on standard output

Exit: 0 it was tried, 1 Prometheus does not answer, or keeps nothing,
2 usage or configuration, 130 interrupted
`

const options = {
  ...common,
  days: { type: 'string' },
  inject: { type: 'string' },
  time: { type: 'string' },
} as const

if (import.meta.main) {
  await main(usage, options, async (script) => {
    const { flags, log } = script
    const world = realWorld(script)
    const { bake } = world.environment
    if (bake === false)
      throw new DeployError(`${world.environment.name} has no bake (bake: false)`, Exit.usage)
    const days = Number(text(flags, 'days') ?? 7)
    if (!(days > 0 && days <= 400))
      throw new DeployError('--days expects a number of days, such as 7', Exit.usage)
    const inject = injected(text(flags, 'inject'))
    const time = milliseconds(flags, 'time') ?? bake.time
    const to = world.clock.now()
    log.step(`Read ${days} days`)
    const { past, indicators } = await pastOf(world, bake, { from: to - days * 86_400_000, to })
    log.done()
    const trial: Trial = { time, every: bake.every, indicators, inject }
    const tried = tryBakes(past, trial)
    for (const line of backtestLines(tried, trial)) log.print(line)
    if (flags.json) data({ ...tried, time, days, ...(inject && { inject }) })
    if (tried.moments === 0) process.exitCode = Exit.failed
  })
}

/** `5%@10m` */
function injected(given: string | undefined): Trial['inject'] {
  if (given === undefined) return undefined
  const [, percent = '', lasting = ''] = /^(\d+(?:\.\d+)?)%@(.+)$/.exec(given) ?? []
  const parsed = duration.safeParse(lasting)
  const share = Number(percent) / 100
  if (!parsed.success || !(share > 0 && share <= 1))
    throw new DeployError(`--inject expects a share and a time, such as 5%@10m, not "${given}"`, Exit.usage)
  return { share, lasting: parsed.data }
}
