#!/usr/bin/env bun
/** Builds the application's image, pushes it, and leaves what the registry has in reports/release.json. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { writeOutputs, writeSummary } from '../lib/cli/github.ts'
import { data, main, text } from '../lib/cli/cli.ts'
import { sentence } from '../lib/errors.ts'
import { findRelease, pushRelease } from '../lib/image/beside.ts'
import { loggedIn } from '../lib/image/docker-login.ts'
import { buildAndPush, buildOnly, type Pushed } from '../lib/image/push.ts'
import { planImage } from '../lib/image/plan.ts'
import { readRelease, RELEASE, stageResults, writeRelease, type Release } from '../lib/image/release-file.ts'
import { readLockfiles, writeBill } from '../lib/image/sbom.ts'
import { recordStage } from '../lib/stages/stage.ts'
import { declared, realStage, stageFlags } from '../lib/cli/stage.ts'

const usage = `Usage: bun scripts/docker-build.ts [--image NAME] [--no-push] [--config FILE]

  --image NAME     without a tag; default image in deploy.yaml
  --no-push        build only: for pull requests, which have no login
  --config FILE    default deploy.yaml
  --json           the release on standard output
  --verbose        commands as a whole

Tags by the names of the commit, as docker/metadata-action does. Logs in
with REGISTRY_USERNAME and REGISTRY_PASSWORD, or as docker is logged in.
An image of this commit and version that is there is taken, and not built
anew: what broke off goes on, and what staging ran is what production gets.
Leaves reports/release.json, and the same beside the image in the registry,
where deploy.ts looks for it; result.json and sbom.cdx.json in reports/docker.
Exit: 0 done, 1 failed, 2 usage or configuration, 6 the version is in the
registry already with other content, or the tree is not the commit,
70 timed out, 130 interrupted
`

const options = { ...stageFlags, image: { type: 'string' }, 'no-push': { type: 'boolean' } } as const

if (import.meta.main) {
  await main(usage, options, async (run) => {
    const { flags, log } = run
    rmSync(RELEASE, { force: true }) // an earlier image's
    const { pipeline, world } = await realStage(run)
    const settings = declared(pipeline.docker, 'docker')
    const called = { ...pipeline, image: text(flags, 'image') ?? pipeline.image }
    const plan = planImage(called, settings, world.source, world.now())
    const installed = readLockfiles(pipeline.folder, settings.lockfiles)
    const push = !flags['no-push']
    let named: string[] = []
    await recordStage('docker', world, async (outcome, reports) => {
      const making = { ...world, outcome, warn: (line: string) => log.warn(line) }
      const bind = async ({ digest, tags }: Pushed): Promise<Release> => {
        const { image, version, commit } = plan
        const before = await findRelease(`${image}@${digest}`, world.shell).catch((error: unknown) =>
          making.warn(`It is replaced: ${sentence(error)}`),
        )
        const builtAt = before?.builtAt ?? new Date(world.now()).toISOString()
        const about = { image, digest, version, at: builtAt }
        const sbom = writeBill(join(reports, 'sbom.cdx.json'), installed, about)
        outcome.artifacts.push(sbom)
        outcome.counts = { packages: installed.packages.length, tags: tags.length }
        const stages = { ...before?.stages, ...stageResults() }
        const release = { image, digest, tags, version, commit, builtAt, sbom, stages }
        await pushRelease(release, world.shell)
        return release
      }
      if (push) {
        const login = { registry: plan.registry, shell: world.shell, variables: process.env }
        const pushed = await loggedIn(login, async () => await buildAndPush(plan, making, bind))
        named = pushed.tags
        writeRelease(pushed.bound)
      } else await buildOnly(plan, making)
    })
    if (!push) return log.print(log.style.green('Built, and not pushed.'))
    const release = readRelease()
    const { image, digest, version } = release
    const name = `${image}@${digest}`
    writeOutputs({ image: name, digest, version, tags: named.join('\n') }, process.env)
    writeSummary(`### Image ${version}\n\n\`${name}\`\n\nTags: \`${named.join('`, `')}\``, process.env)
    log.print(log.style.green(`Pushed ${name} as ${named.join(', ')}.`))
    if (flags.json) data(release)
  })
}
