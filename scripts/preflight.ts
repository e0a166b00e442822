#!/usr/bin/env bun
/**
 * Fills the checklist before a deployment: what a machine can know of each box, and what a person must answer for.
 * Changes nothing. deploy.ts asks the same where deploy.yaml sets `preflight`.
 */
import { existsSync } from 'node:fs'
import { checkAccess, checkContext, needsOf } from '../lib/cluster/access.ts'
import { acksOf } from '../lib/cli/acks.ts'
import { common, data, main, realWorld, text } from '../lib/cli/cli.ts'
import { newId } from '../lib/history/record.ts'
import { namedImage } from '../lib/image/named.ts'
import { resolveDigest } from '../lib/image/registry.ts'
import { RELEASE } from '../lib/image/release-file.ts'
import { boxLines, readAcks, refuseMissing, tick } from '../lib/preflight/tick.ts'
import { boxesOf, fillBoxes } from '../lib/release/checklist.ts'
import { planDeployment } from '../lib/release/plan.ts'
import { planRolling } from '../lib/release/rolling.ts'
import { boxIds } from '../lib/settings/preflight.ts'

const usage = `Usage: bun scripts/preflight.ts --env NAME [flags]

  --env NAME       environment in deploy.yaml
  --version TAG    tag of the image that deploy.yaml names
  --image REF      any image, by tag or digest
  --release FILE   the image of a release file; default reports/release.json
  --ack BOX WHY    answer for a box: --ack docs "nothing that users see";
                   repeatable. deploy.ts takes the same, and records it
  --context NAME   the kube context; it must be the environment's
  --config FILE    default deploy.yaml
  --json           the boxes on standard output
  --verbose        commands as a whole

Exit: 0 all is ticked or answered for, 1 the image is not known,
2 usage or configuration, 6 a box is not ticked, 130 interrupted
`

const options = {
  ...common,
  version: { type: 'string' },
  image: { type: 'string' },
  release: { type: 'string' },
  ack: { type: 'string' },
} as const

if (import.meta.main) {
  await main(usage, options, async (script) => {
    const { flags, log } = script
    const world = realWorld(script)
    const { environment, kubectl } = world
    const acks = readAcks(acksOf(flags))
    const built = ['version', 'image', 'release'].every((name) => flags[name] === undefined)
    const named = namedImage(
      built && existsSync(RELEASE) ? { ...flags, release: RELEASE } : flags,
      environment.image,
    )
    await checkContext(environment, text(flags, 'context'), kubectl)
    const image = await resolveDigest(named.image, world.shell)
    const request = { id: newId(Date.now()), version: named.version, image, reason: undefined }
    const planning = environment.strategy === 'rolling' ? planRolling : planDeployment
    const asked = boxesOf(environment)
    const configured = environment.preflight !== undefined && environment.preflight !== false
    log.print(log.style.bold(`${named.version} → ${environment.name}`))
    const about = {
      planned: planning(world, request),
      access: checkAccess(kubectl, needsOf(environment, false)),
    }
    const found = await fillBoxes(world, image, about, configured ? asked : boxIds)
    const warn = environment.preflight
      ? environment.preflight.warn
      : boxIds.filter((id) => !asked.includes(id))
    const ticked = tick(found, acks, world.by, warn)
    for (const line of boxLines(ticked.boxes, acks)) log.print(line)
    if (!configured)
      log.warn(
        `deploy.ts asks for ${asked.join(', ') || 'none of this'}: set "preflight: {}" for ${environment.name}`,
      )
    if (flags.json) data({ environment: environment.name, image, boxes: ticked.boxes })
    refuseMissing(ticked, environment.name)
  })
}
