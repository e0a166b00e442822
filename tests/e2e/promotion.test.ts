/** Production takes what has been through the stages and through staging, or says in its history why not. */
import { expect } from 'bun:test'
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { output, ROOT, run as program, type Finished } from '../../examples/rehearsal/program.ts'
import type { Script, Workspace } from '../../examples/rehearsal/workspace.ts'
import { writeRelease, type Release } from '../../lib/image/release-file.ts'
import { boxIds, type BoxId } from '../../lib/settings/preflight.ts'
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

/** A repository with a commit for each set of files; nothing is taken away between them. */
async function repository(folder: string, ...commits: Readonly<Record<string, string>>[]): Promise<string[]> {
  const git = async (...args: string[]) =>
    (await output(['git', '-C', folder, '-c', 'user.name=a', '-c', 'user.email=a@b', ...args])).trim()
  await git('init', '--quiet')
  mkdirSync(join(folder, 'migrations'))
  const hashes: string[] = []
  for (const files of commits) {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
    await git('add', '.')
    await git('commit', '--quiet', '--message', 'a change')
    hashes.push(await git('rev-parse', 'HEAD'))
  }
  return hashes
}

const BOXES: readonly BoxId[] = ['tests', 'scan', 'staging', 'migrations', 'docs']

safely('the checklist reads the commits and the registry together', async () => {
  const staging = await stage().open({ replicas: 1 }, '67.0.0', '68.0.0', '69.0.0')
  const production = await stage().open({ replicas: 1 })
  const run = both(staging, production)
  const image = stage().images.name
  const folder = mkdtempSync(join(production.folder, 'repository-'))
  const versions = ['67.0.0', '68.0.0', '69.0.0']
  const hashes = await repository(
    folder,
    { 'README.md': 'one', 'migrations/1.sql': 'CREATE TABLE moods (id bigint);' },
    { 'README.md': 'two', 'migrations/2.sql': 'ALTER TABLE moods ADD COLUMN name text;' },
    { 'migrations/3.sql': 'ALTER TABLE moods DROP COLUMN name;' },
  )
  for (const [i, version] of versions.entries()) {
    const digest = await digestOf(image, version)
    const built = { ...passed, commit: hashes[i] ?? '' }
    const stages = { lint: built, test: { ...built, passed: version !== '69.0.0' }, 'security-scan': built }
    await pushRelease(image, digest, { ...releaseOf(image, digest, version), commit: built.commit, stages })
  }
  for (const version of ['67.0.0', '68.0.0'])
    exits(await run('deploy', 'staging', '--version', version, '--yes'), 0)
  exits(await run('deploy', 'production', '--version', '67.0.0', '--yes'), 0)

  const config = join(production.folder, 'asked.yaml')
  const declared: Declared = parse(readFileSync(join(production.folder, 'both.yaml'), 'utf8'))
  const preflight = {
    off: boxIds.filter((id) => !BOXES.includes(id)),
    migrations: { files: ['migrations/*.sql'] },
    docs: ['README.md'],
  }
  declared.environments.production = { ...declared.environments.production, preflight }
  writeFileSync(config, stringify(declared))
  const asked = async (version: string): Promise<Finished> => {
    const script = [process.execPath, join(ROOT, 'scripts/preflight.ts'), '--config', config]
    const flags = ['--env', 'production', '--version', version]
    return await program([...script, ...flags], { cwd: folder, env: production.cluster.env })
  }

  const good = exits(await asked('68.0.0'), 0)
  for (const id of BOXES) expect(good.stderr).toMatch(new RegExp(`✓ ${id} `))
  const bad = exits(await asked('69.0.0'), 6)
  for (const id of ['tests', 'staging', 'migrations']) expect(bad.stderr).toMatch(new RegExp(`[✗?] ${id} `))
  // Between what is live in production and this one, documentation has changed.
  expect(bad.stderr).toMatch(/✓ scan [^]*✓ docs /)
})
