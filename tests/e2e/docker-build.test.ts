/**
 * The image, made by a real Docker Engine and pushed to a real registry: `$REGISTRY`, beside the real cluster.
 * Elsewhere, tests/scripts/stages.test.ts says the same of a docker that only notes what it is told.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { shell } from '../../lib/command.ts'
import { findRelease } from '../../lib/image/beside.ts'
import { readRelease, type Release } from '../../lib/image/release-file.ts'
import { putBeside } from '../lib/image/putting.ts'
import { failure } from '../lib/world.ts'
import { REAL } from './suite.ts'

setDefaultTimeout(300_000)

const root = join(import.meta.dir, '../..')
const example = join(root, 'examples/chatbot-platform')
const SECRET = `s3cret-${crypto.randomUUID()}`

describe.skipIf(!REAL)('docker build', () => {
  const registry = process.env.REGISTRY ?? ''
  const image = `${registry}/docker-build-${Date.now()}`
  let app = ''

  function output(command: string[], env: Record<string, string> = {}): string {
    const ended = Bun.spawnSync(command, { cwd: app, env: { ...process.env, ...env } })
    if (ended.exitCode !== 0) throw new Error(`${command.join(' ')}: ${ended.stderr.toString()}`)
    return ended.stdout.toString().trim()
  }

  function commit(): void {
    output(['git', 'add', '--all'])
    output([
      'git',
      '-c',
      'user.name=a',
      '-c',
      'user.email=a@b',
      'commit',
      '--quiet',
      '--message',
      '$(touch pwned)',
    ])
  }

  /** What docker was called with, each time, and every other program that was seen; and how it ended. */
  async function build() {
    // Seen by chance alone, one that is over in a few ms is missed on a busy machine.
    const [bin, calls] = [join(app, '.git/bin'), join(app, '.git/calls')]
    mkdirSync(bin, { recursive: true })
    writeFileSync(calls, '')
    const real = Bun.which('docker') ?? ''
    const script = `#!/bin/sh\nprintf '%s\\n' "docker $*" >> '${calls}'\nexec '${real}' "$@"\n`
    writeFileSync(join(bin, 'docker'), script, { mode: 0o755 })
    const PATH = `${bin}:${process.env.PATH}`
    const child = Bun.spawn([process.execPath, join(root, 'scripts/docker-build.ts'), '--json'], {
      cwd: app,
      env: { ...process.env, PATH, GITHUB_ACTIONS: '', REGISTRY_USERNAME: 'ci', REGISTRY_PASSWORD: SECRET },
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    })
    const said = Promise.all([child.stdout.text(), child.stderr.text()])
    const called = new Set<string>()
    while (child.exitCode === null) {
      for (const line of commandLines()) called.add(line)
      await Bun.sleep(2)
    }
    const [out, err] = await said
    for (const line of readFileSync(calls, 'utf8').split('\n')) called.add(line)
    return { out, err, called, code: child.exitCode }
  }

  const head = async (reference: string): Promise<string | null> => {
    const url = `http://${registry}/v2/${image.slice(registry.length + 1)}/manifests/${reference}`
    const accept = 'application/vnd.docker.distribution.manifest.v2+json'
    return (await fetch(url, { method: 'HEAD', headers: { accept } })).headers.get('docker-content-digest')
  }

  beforeAll(() => {
    app = mkdtempSync(join(tmpdir(), 'docker-build-'))
    for (const name of ['Dockerfile', '.dockerignore', 'bun.lock', 'package.json'])
      cpSync(join(example, name), join(app, name))
    const dist = join(app, 'dist')
    Bun.spawnSync([process.execPath, 'run', 'build'], { cwd: example, env: { ...process.env, OUT: dist } })
    const BASE_IMAGE = output([join(example, 'base-image.sh')], { BUN: process.execPath })
    const buildArgs = { APP_VERSION: '{version}', APP_COMMIT: '{commit}', BASE_IMAGE }
    const stages = { docker: { lockfiles: ['bun.lock'], buildArgs } }
    writeFileSync(join(app, 'deploy.yaml'), JSON.stringify({ app: 'chatbot-platform', image, stages }))
    writeFileSync(join(app, '.gitignore'), 'reports\n')
    output(['git', 'init', '--quiet', '--initial-branch', "feature/$(touch${IFS}pwned)'--push"])
    commit()
    output(['git', 'tag', 'v1.2.3'])
  })

  afterAll(() => {
    if (!app) return
    const ids = output(['docker', 'image', 'ls', '--quiet', image]).split('\n')
    Bun.spawnSync(['docker', 'rmi', '--force', ...new Set(ids)])
    rmSync(app, { recursive: true })
  })

  let release: Release

  test('builds, tags, pushes and reads the digest back; the secret is in no argument, output or layer', async () => {
    const { out, err, called, code } = await build()
    expect([code, err]).toEqual([0, expect.stringContaining('Pushed ')])
    release = readRelease(join(app, 'reports/release.json'))
    const own = `sha-${output(['git', 'rev-parse', 'HEAD']).slice(0, 7)}`
    expect(release.tags).toEqual(['1.2.3', '1.2', '1', 'feature-touch-IFS-pwned---push', own])
    for (const tag of release.tags) expect(await head(tag)).toBe(release.digest)

    const login = [...called].filter((line) => line.includes('--password-stdin'))
    expect(login.length).toBeGreaterThan(0)
    // Here it has the commit's name alone; the others were given to it in the registry.
    const layers = output(['docker', 'history', '--no-trunc', `${image}:${own}`])
    const config = output(['docker', 'image', 'inspect', `${image}:${own}`])
    const reports = readdirSync(join(app, 'reports'), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.json'))
      .map((file) => readFileSync(join(app, 'reports', file), 'utf8'))
    for (const text of [out, err, ...called, layers, config, ...reports]) expect(text).not.toContain(SECRET)
    expect(existsSync(join(app, 'pwned')) || existsSync('pwned')).toBe(false)
  })

  test('the release is beside the image, and one of another digest is none', async () => {
    const byDigest = `${image}@${release.digest}`
    expect(
      await findRelease(
        byDigest,
        shell(() => {}),
      ),
    ).toEqual(release)
    const other = JSON.stringify({ ...release, digest: `sha256:${'0'.repeat(64)}` })
    await putBeside(image, release.digest, other)
    expect(
      await failure(
        findRelease(
          byDigest,
          shell(() => {}),
        ),
      ),
    ).toMatchObject({
      code: 1,
      message: expect.stringContaining("another digest's"),
    })
  })

  test('what is pulled by that digest is that image', () => {
    const name = `${image}@${release.digest}`
    output(['docker', 'rmi', '--force', ...release.tags.map((tag) => `${image}:${tag}`)])
    output(['docker', 'pull', '--quiet', name])
    const labels = JSON.parse(
      output(['docker', 'image', 'inspect', '--format={{json .Config.Labels}}', name]),
    ) as object
    expect(labels).toMatchObject({
      'org.opencontainers.image.version': '1.2.3',
      'org.opencontainers.image.revision': release.commit,
      'org.opencontainers.image.title': 'chatbot-platform',
    })
    expect(
      output(['docker', 'run', '--rm', '--entrypoint=bun', name, '--print', 'process.env.APP_VERSION']),
    ).toBe('1.2.3')
  })

  test('the version is refused to other content, and stays what it is', async () => {
    writeFileSync(join(app, 'dist/other.js'), 'other')
    commit()
    output(['git', 'tag', '--force', 'v1.2.3'])
    const { err, code } = await build()
    expect([code, err]).toEqual([
      6,
      expect.stringContaining(`:1.2.3 is another image already (${release.digest})`),
    ])
    for (const tag of release.tags) expect(await head(tag)).toBe(release.digest)
    expect(await head(`sha-${output(['git', 'rev-parse', 'HEAD']).slice(0, 7)}`)).toBeNull()
    expect(existsSync(join(app, 'reports/release.json'))).toBe(false)
  })

  test('a registry that is not there', async () => {
    const file = join(app, 'deploy.yaml')
    writeFileSync(file, readFileSync(file, 'utf8').replace(registry, '127.0.0.1:9'))
    commit()
    const { err, code } = await build()
    expect([code, err]).toEqual([1, expect.stringContaining('The registry 127.0.0.1:9 refuses the login')])
    expect(err).not.toContain(SECRET)
  })
})

/** The command line of every process on this machine, words separated by spaces. */
function commandLines(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
      } catch {
        return [] // it has ended
      }
    })
}
