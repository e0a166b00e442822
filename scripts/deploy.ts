#!/usr/bin/env bun
/**
 * Deploys a version into an environment: blue/green, or rolling where deploy.yaml says so.
 * Changes: the idle color's objects, the shared objects, the preview, and, once all gates have passed, the live
 * Service. Never touches the live color's workload. Undo: scripts/rollback-deployment.ts.
 */
import { askAhead } from '../lib/app/ahead.ts'
import type { Run } from '../lib/cli/cli.ts'
import type { Terms } from '../lib/release/deployment.ts'

// The modules take as long to load as kubectl does: both at once.
if (import.meta.main) askAhead(process.argv.slice(2))
const { common, confirm, data, main, milliseconds, realWorld, text } = await import('../lib/cli/cli.ts')
const { acksOf } = await import('../lib/cli/acks.ts')
const { DeployError, Exit } = await import('../lib/errors.ts')
const { newId } = await import('../lib/history/record.ts')
const { namedImage } = await import('../lib/image/named.ts')
const { resolveDigest } = await import('../lib/image/registry.ts')
const { run } = await import('../lib/release/deployment.ts')
const { reported } = await import('../lib/report/after.ts')
const { resume } = await import('../lib/release/resume.ts')
const { withFirstLook } = await import('../lib/diagnose/first-line.ts')
const { choiceOf, gatesOf } = await import('../verify/gates.ts')

const usage = `Usage: bun scripts/deploy.ts --env NAME (--version|--image|--release|--resume)

  --env NAME       environment in deploy.yaml
  --version TAG    tag of the image that deploy.yaml names
  --image REF      any image, by tag or digest
  --release FILE   the image of a release file, which docker-build.ts leaves
  --until verified   stop when its gates have passed; --resume ID opens it
  --reason TEXT    why; goes into the history
  --because WHAT   incident:ID and the like: it counts as rework
  --skip KINDS     leave out kinds of checks (needs --reason; is recorded)
  --dry-run        show the plan and stop
  --yes            do not ask (needed where there is no terminal)
  --clean          scale the new color down again if the deployment fails
  --wait-for-lock 10m   wait for somebody else's deployment to end
  --supersede WHY   end the watch of the release before; is recorded in both
  --override WHY   deploy what lacks a proof that is required; is recorded
  --ack BOX WHY    answer for a box of the checklist; repeatable; is recorded
  --allow-failed-digest WHY   deploy what was rolled back or taken back
  --context NAME   the kube context; --config FILE   default deploy.yaml
  --out DIR        evidence goes to DIR/ID; default reports
  --json, --verbose   the record as data, also of a failure; whole differences

Exit: 0 done, 2 usage, 3 rolled back, 4 needs a person, 5 locked or held,
6 refused; traffic did not move: 1 failed, 70 timed out, 130 interrupted
`

const options = {
  ...common,
  out: { type: 'string' },
  version: { type: 'string' },
  image: { type: 'string' },
  release: { type: 'string' },
  until: { type: 'string' },
  resume: { type: 'string' },
  reason: { type: 'string' },
  because: { type: 'string' },
  skip: { type: 'string' },
  'dry-run': { type: 'boolean' },
  yes: { type: 'boolean' },
  clean: { type: 'boolean' },
  'wait-for-lock': { type: 'string' },
  supersede: { type: 'string' },
  override: { type: 'string' },
  ack: { type: 'string' },
  'allow-failed-digest': { type: 'string' },
} as const

if (import.meta.main) {
  await main(usage, options, async (script) => {
    const { flags, log } = script
    const world = realWorld(script, reported)
    const { app, name, namespace, context, image: repository } = world.environment
    const waiting = text(flags, 'resume')
    const named = waiting === undefined ? namedImage(flags, repository) : undefined
    const request = {
      id: newId(Date.now()),
      clean: flags.clean === true,
      reason: text(flags, 'reason'),
      because: text(flags, 'because'),
      until: untilOf(flags),
      supersede: text(flags, 'supersede'),
      waitFor: milliseconds(flags, 'wait-for-lock'),
      allowFailedDigest: text(flags, 'allow-failed-digest'),
    }
    const gates = gatesOf(world.environment, choiceOf(flags))
    const terms: Terms = {
      context: text(flags, 'context'),
      verbose: flags.verbose === true,
      override: text(flags, 'override'),
      acks: acksOf(flags),
      proceed: async () => flags['dry-run'] !== true && (await confirm(script, 'Deploy?')),
    }
    log.print(log.style.bold(`${app} → ${name} (${namespace}, ${context})`))
    const deploy = async () => {
      if (!named) return await resume(world, waiting ?? '', request, gates, terms)
      const image = await resolveDigest(named.image, world.shell)
      return await run(world, { ...request, ...named, image }, gates, terms)
    }
    const record = await withFirstLook(world, deploy)
    if (!record) return log.print('Nothing was changed.')
    const { id, outcome, to } = record
    const what =
      outcome === 'verified'
        ? `is verified in ${to.color} of ${name}; --resume ${id} opens it to users`
        : `is live in ${name} (${to.color})`
    log.print(log.style.green(`${to.version} ${what}. Record ${id}`))
    if (flags.json) data(record)
  })
}

function untilOf(flags: Run['flags']): 'verified' | undefined {
  const until = text(flags, 'until')
  if (until === undefined || until === 'verified') return until
  throw new DeployError(`--until is verified, not "${until}"`, Exit.usage)
}
