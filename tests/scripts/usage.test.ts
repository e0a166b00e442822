/** Every script is run: what it prints for --help, and what it does with flags that are wrong. */
import { afterAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

const root = join(import.meta.dir, '../..')
const scripts = readdirSync(join(root, 'scripts')).filter((name) => name.endsWith('.ts'))
/** What is built once, for all environments, and the schema know of none. */
const withoutEnvironment =
  /^(config-schema|(lint|test|build)-app|security-scan|docker-build|stage-times)\.ts$/
const withEnvironment = scripts.filter((name) => !withoutEnvironment.test(name))

/** What Bun made of the sources: without a home it has none, and makes it anew with each start. */
const transpiled = mkdtempSync(join(tmpdir(), 'usage-test-'))
afterAll(() => rmSync(transpiled, { recursive: true }))

/** Runs a script with no program but Bun within reach, so that nothing can be touched. */
async function run(name: string, ...args: string[]) {
  const child = Bun.spawn([process.execPath, join('scripts', name), ...args], {
    cwd: root,
    env: { PATH: '/nowhere', BUN_RUNTIME_TRANSPILER_CACHE_PATH: transpiled },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  return { out, err, code }
}

test('there are scripts', () => expect(scripts).toContain('deploy.ts'))

describe.each(scripts)('%s', (name) => {
  test('--help fits a screen', async () => {
    const { out, err, code } = await run(name, '--help')
    expect([err, code]).toEqual(['', 0])
    const lines = out.trimEnd().split('\n')
    expect(lines[0]).toStartWith(`Usage: bun scripts/${name}`)
    expect(lines.length).toBeLessThanOrEqual(24)
    expect(lines.filter((line) => line.length > 80)).toEqual([])
  })

  test('an unknown flag is wrong usage', async () => {
    const { out, err, code } = await run(name, '--no-such-flag')
    expect(err).toStartWith(`✗ Unknown option '--no-such-flag'. Usage: bun scripts/${name}`)
    expect([out, code]).toEqual(['', 2])
  })
})

describe.each(withEnvironment)('%s', (name) => {
  test('no default points at an environment (S8)', async () => {
    const { err, code } = await run(name, ...(name === 'switch-traffic.ts' ? ['--to', 'green'] : []))
    expect(err).toContain('--env is required: development, staging, production')
    expect(code).toBe(2)
  })
})

describe('what is wrong is said before anything is asked', () => {
  test.each([
    ['deploy.ts', ['--env', 'staging'], '--version or --image is required'],
    ['deploy.ts', ['--env', 'staging', '--release', 'none.json'], 'There is no release file none.json'],
    ['deploy.ts', ['--env', 'staging', '--release', 'package.json'], 'package.json is no release file: '],
    ['deploy.ts', ['--env', 'staging', '--release', 'a', '--version', '1'], '--release names the image'],
    ['deploy.ts', ['--env', 'staging', '--release', 'a', '--image', 'b'], '--release names the image'],
    ['deploy.ts', ['--env', 'staging', '--version', '1', '--override', ' '], '--override is empty'],
    ['deploy.ts', ['--env', 'staging', '--image', '$(id)'], '"$(id)" is not an image reference'],
    ['deployment-history.ts', ['--env', 'staging', '--limit', 'x'], '--limit is a number from 1'],
    ['lock.ts', ['--env', 'staging', '--hold', ' '], '--hold is empty'],
    ['lock.ts', ['--env', 'staging', '--hold', 'a', '--release'], '--hold or --release, not both'],
    ['lock.ts', ['--env', 'staging', '--until', '2h'], '--until needs --hold'],
    ['lock.ts', ['--env', 'staging', '--hold', 'a', '--until', 'noon'], '--until is a time such as 2026-'],
    ['lock.ts', ['--env', 'staging', '--hold', 'a', '--until', '2020-01-01T00:00Z'], 'T00:00Z is over'],
    ['switch-traffic.ts', ['--env', 'staging', '--to', 'red'], '--to is blue or green'],
    ['switch-traffic.ts', ['--env', 'development', '--to', 'blue'], 'development has no colors'],
    [
      'verify-deployment.ts',
      ['--env', 'staging', '--url', 'chat'],
      '--url: expected an http:// or https:// address',
    ],
    ['rollback-deployment.ts', ['--env', 'staging'], 'kubectl is not on PATH'],
    ['monitoring.ts', ['--env', 'development'], 'development has no colors (strategy: rolling)'],
  ])('%s %j', async (name, args, message) => {
    const { out, err, code } = await run(name, ...args)
    expect(err).toContain(message)
    expect([out, code]).toEqual(['', 2])
  })
})

test('the schema of deploy.yaml is JSON that knows its settings', async () => {
  const { out, code } = await run('config-schema.ts')
  expect(JSON.parse(out)).toMatchObject({
    type: 'object',
    required: expect.arrayContaining(['app', 'image', 'environments']),
  })
  expect(code).toBe(0)
})
