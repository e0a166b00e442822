#!/usr/bin/env bun
/**
 * Deploys a version into an environment: blue/green, or rolling where deploy.yaml says so.
 * Changes: the idle color's objects, the shared objects, the preview, and, once all gates have passed, the live
 * Service. Never touches the live color's workload. Undo: scripts/rollback-deployment.ts.
 */
import { common, confirm, data, main, realWorld, text, type Run } from '../lib/cli/cli.ts'
import { run } from '../lib/release/deployment.ts'
import { DeployError, Exit } from '../lib/errors.ts'
import { newId } from '../lib/history/record.ts'
import { resolveDigest } from '../lib/image/registry.ts'
import { readRelease } from '../lib/image/release-file.ts'
import { choiceOf, gatesOf } from '../verify/gates.ts'

const usage = `Usage: bun scripts/deploy.ts --env NAME (--version|--image|--release) [flags]

  --env NAME       environment in deploy.yaml
  --version TAG    tag of the image that deploy.yaml names
  --image REF      any image, by tag or digest
  --release FILE   the image of a release file, which docker-build.ts leaves
  --reason TEXT    why; goes into the history
  --skip KINDS     leave out kinds of checks (needs --reason; is recorded)
  --dry-run        show the plan and stop
  --yes            do not ask (needed where there is no terminal)
  --clean          scale the new color down again if the deployment fails
  --override WHY   deploy what lacks a proof that is required; is recorded
  --allow-failed-digest WHY   deploy what was rolled back automatically
  --context NAME   the kube context; it must be the environment's
  --config FILE    default deploy.yaml
  --out DIR        evidence goes to DIR/ID; default reports
  --json           the record on standard output
  --verbose        the whole difference, not only the lines that change

Exit: 0 done, 1 failed (traffic did not move), 2 usage or configuration,
3 rolled back, 4 needs a person, 5 locked, 6 refused, 70 timed out,
130 interrupted (traffic did not move)
`

const options = {
  ...common,
  out: { type: 'string' },
  version: { type: 'string' },
  image: { type: 'string' },
  reason: { type: 'string' },
  skip: { type: 'string' },
  'dry-run': { type: 'boolean' },
  yes: { type: 'boolean' },
  clean: { type: 'boolean' },
  'allow-failed-digest': { type: 'string' },
  release: { type: 'string' },
  override: { type: 'string' },
} as const

if (import.meta.main) {
  await main(usage, options, async (script) => {
    const { flags, log } = script
    const world = realWorld(script)
    const { environment } = world
    const { named, version } = wanted(flags, environment.image)
    const override = text(flags, 'override')
    const reason = text(flags, 'reason')
    const allowFailedDigest = text(flags, 'allow-failed-digest')

    log.print(
      log.style.bold(
        `${environment.app} → ${environment.name} (${environment.namespace}, ${environment.context})`,
      ),
    )
    const image = await resolveDigest(named, world.shell)
    const request = {
      id: newId(Date.now()),
      image,
      version,
      clean: flags.clean === true,
      reason,
      allowFailedDigest,
    }
    const record = await run(world, request, gatesOf(environment, choiceOf(flags)), {
      context: text(flags, 'context'),
      verbose: flags.verbose === true,
      override,
      proceed: async () => flags['dry-run'] !== true && (await confirm(script, 'Deploy?')),
    })
    if (!record) return log.print('Nothing was changed.')
    log.print(
      log.style.green(
        `${record.to.version} is live in ${environment.name} (${record.to.color}). Record ${record.id}`,
      ),
    )
    if (flags.json) data(record)
  })
}

/** Which image, and what people call it. A release file names a digest; what else it says is not believed. */
function wanted(flags: Run['flags'], repository: string): { named: string; version: string } {
  const [version, image, file] = ['version', 'image', 'release'].map((name) => text(flags, name))
  const named = image ?? (version && `${repository}:${version}`)
  if (file === undefined) {
    if (named) return { named, version: version ?? versionOf(named) }
    throw new DeployError('--version or --image is required, or --release', Exit.usage)
  }
  if (named) throw new DeployError('--release names the image: leave out --version and --image', Exit.usage)
  const release = readRelease(file)
  return { named: `${release.image}@${release.digest}`, version: release.version }
}

/** What people call an image that was named without `--version`: its tag, or the start of its digest. */
export function versionOf(reference: string): string {
  const [name = '', digest] = reference.split('@')
  return /:([^:/]+)$/.exec(name)?.[1] ?? digest?.slice('sha256:'.length, 'sha256:'.length + 12) ?? 'latest'
}
