#!/usr/bin/env bun
/**
 * Sends what is still to be told of deployments: a receiver was away, or a run was killed before it could say how it
 * ended. With --test a marked example goes to each channel, and it is said what came back. Changes nothing but who
 * was told.
 */
import { checkContext } from '../lib/cluster/access.ts'
import { common, data, environmentOf, main, realWorld, text, type Run } from '../lib/cli/cli.ts'
import { systemClock } from '../lib/clock.ts'
import { DeployError, Exit } from '../lib/errors.ts'
import { sendDue } from '../lib/notify/due.ts'
import { sendExamples } from '../lib/notify/example.ts'
import type { Environment } from '../lib/settings/file.ts'

const usage = `Usage: bun scripts/notify.ts --env NAME [--test] [flags]

  --env NAME       environment in deploy.yaml
  --test           send a marked example, and say what came back
  --record ID      only what is due of this record
  --channel NAME   only to this channel
  --context NAME   the kube context; it must be the environment's
  --config FILE    default deploy.yaml
  --json           what came of it on standard output
  --verbose        commands as a whole

Exit: 0 everybody was told, 1 somebody was not, 2 usage or configuration,
130 interrupted
`

const options = {
  ...common,
  test: { type: 'boolean' },
  record: { type: 'string' },
  channel: { type: 'string' },
} as const

/** ms for receivers that are slow; nothing waits behind this script */
const WITHIN = 60_000

if (import.meta.main) {
  await main(usage, options, async (script) => {
    const { flags } = script
    const environment = environmentOf(flags)
    const channel = channelOf(environment, text(flags, 'channel'))
    await (flags.test ? test(script, environment, channel) : due(script, channel))
  })
}

/** @throws DeployError (2) when there is none, or none of that name */
function channelOf({ notify = {}, name }: Environment, wanted: string | undefined): string | undefined {
  const known = Object.keys(notify).filter((one) => notify[one] !== false)
  if (known.length === 0)
    throw new DeployError(`"notify" names no channel for ${name}: docs/notifications.md says how`, Exit.usage)
  if (wanted === undefined || known.includes(wanted)) return wanted
  throw new DeployError(`${name} has no channel "${wanted}": it has ${known.join(', ')}`, Exit.usage)
}

async function test({ flags, log, signal }: Run, environment: Environment, channel?: string): Promise<void> {
  const results = await sendExamples(environment, {
    channel,
    variables: process.env,
    clock: systemClock,
    signal,
  })
  for (const { channel: name, kind, ms, sent, failure } of results) {
    const what = `${name} (${kind})`
    log.info(sent === undefined ? `✗ ${what}: ${failure}` : `✓ ${what}: ${sent}, ${ms} ms`)
  }
  if (flags.json) data(results)
  if (results.some(({ sent }) => sent === undefined))
    throw new DeployError('Not every channel took its example')
}

async function due(script: Run, channel: string | undefined): Promise<void> {
  const { flags, log } = script
  const world = realWorld(script)
  await checkContext(world.environment, text(flags, 'context'), world.kubectl)
  const wish = { record: text(flags, 'record'), channel, left: true, within: WITHIN }
  const outcomes = await sendDue(world, wish)
  for (const { record, state, channel: name, sent, failure } of outcomes)
    log.info(`${sent === undefined ? '✗' : '✓'} ${name}: ${state} of ${record}: ${sent ?? failure}`)
  if (outcomes.length === 0) log.print('Nothing is due.')
  if (flags.json) data(outcomes)
  if (outcomes.some(({ sent }) => sent === undefined)) throw new DeployError('Somebody could not be told')
}
