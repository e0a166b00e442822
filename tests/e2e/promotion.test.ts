/** Production takes what has been through the stages and through staging, or says in its history why not. */
import { expect } from 'bun:test'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import type { Finished } from '../../examples/rehearsal/program.ts'
import type { Script, Workspace } from '../../examples/rehearsal/workspace.ts'
import { writeRelease, type Release } from '../../lib/image/release-file.ts'
import { putBeside } from '../lib/image/putting.ts'
import { exits, rehearsal, safely, unharmed, versions } from './suite.ts'

const stage = rehearsal()

type Run = (script: Script, environment: string, ...flags: string[]) => Promise<Finished>

interface Declared {
  environments: { production: object; staging?: object }
}

const read = ({ config }: Workspace): Declared => parse(readFileSync(config, 'utf8')) as Declared

/** The scripts with a deploy.yaml that has both environments. */
function both(staging: Workspace, production: Workspace): Run {
  const declared = read(production)
  const manifests = join(staging.folder, 'overlay')
  declared.environments.staging = { ...read(staging).environments.production, manifests }
  const requires = { stages: ['lint', 'test'], maxScanAge: '24h', passed: 'staging' }
  declared.environments.production = { ...declared.environments.production, requires }
  const config = join(production.folder, 'both.yaml')
  writeFileSync(config, stringify(declared))
  return (script, environment, ...flags) =>
    production.start(script, ['--config', config, '--env', environment, ...flags]).ended
}

const commit = 'a'.repeat(40)
const passed = {
  passed: true,
  commit,
  startedAt: new Date().toISOString(),
  file: 'x',
  sha256: '0'.repeat(64),
  failOn: 'high' as const,
}

const releaseOf = (image: string, digest: string, version: string): Release => ({
  image,
  digest,
  tags: [version],
  version,
  commit,
  builtAt: passed.startedAt,
  sbom: { file: 'x', sha256: '0'.repeat(64), bytes: 1 },
  stages: { lint: passed, test: passed, 'security-scan': passed },
})

/** As docker-build.ts leaves it beside an image. */
const pushRelease = async (image: string, digest: string, release: Release): Promise<void> =>
  await putBeside(image, digest, JSON.stringify(release))

async function digestOf(image: string, version: string): Promise<string> {
  const [host, name] = image.split('/')
  const response = await fetch(`http://${host}/v2/${name}/manifests/${version}`, {
    method: 'HEAD',
    headers: { accept: 'application/vnd.docker.distribution.manifest.v2+json, */*' },
  })
  return response.headers.get('docker-content-digest') ?? ''
}

safely('a digest never goes to production without its proofs, unless the history says why', async () => {
  const staging = await stage().open({}, '61.0.0', '62.0.0')
  const production = await stage().open()
  const run = both(staging, production)
  const image = stage().images.name

  // Nothing is proven.
  const before = await production.resourceVersions()
  for (const how of ['--yes', '--dry-run']) {
    const refused = exits(await run('deploy', 'production', '--version', '61.0.0', how), 6)
    expect(refused.stderr).toMatch(
      /production requires what this image lacks: whether lint, test and security-scan passed: no release is kept beside it .*; it has not been live in staging\. .*--override/,
    )
  }
  expect(await production.resourceVersions()).toBe(before)

  // Overridden: live, and in the history.
  const why = 'the first release; $(nothing) is run'
  exits(await run('deploy', 'production', '--version', '61.0.0', '--yes', '--override', why), 0)
  const [forced] = await production.history()
  expect(forced).toMatchObject({ outcome: 'succeeded', override: { reason: why } })
  const told = await run('deployment-history', 'production', '--id', forced?.id ?? '')
  expect(told.stderr.replace(/\s+/g, ' ')).toContain(`overriding what was missing: ${why}`)
  expect(told.stderr).toContain('  missing  it has not been live in staging')

  // Staging asks for nothing; then only the stages are missing, and another digest's are none.
  const traffic = await production.traffic()
  exits(await run('deploy', 'staging', '--version', '62.0.0', '--yes'), 0)
  const digest = await digestOf(image, '62.0.0')
  const release = releaseOf(image, digest, '62.0.0')
  await pushRelease(image, digest, { ...release, digest: await digestOf(image, '61.0.0') })
  const file = join(production.folder, 'release.json')
  writeRelease(release, file)
  const spoiled = exits(await run('deploy', 'production', '--release', file, '--yes'), 6)
  expect(spoiled.stderr).toContain("what the registry keeps beside it is another digest's")
  expect(spoiled.stderr).not.toContain('it has not been live in staging')

  // Everything is proven.
  await pushRelease(image, digest, release)
  const done = exits(await run('deploy', 'production', '--release', file, '--yes', '--json'), 0)
  expect(done.stderr).toMatch(
    /proof {4}lint, test, security-scan \(\d+ m ago\), live in staging since \d{4}-/,
  )
  expect(JSON.parse(done.stdout)).toMatchObject({ to: { version: '62.0.0' } })
  expect(JSON.parse(done.stdout)).not.toHaveProperty('override')

  // Going back is never refused.
  exits(await run('rollback-deployment', 'production', '--yes'), 0)
  const samples = await traffic.stop()
  unharmed(samples)
  expect(versions(samples)).toEqual(['61.0.0', '62.0.0'])
})
