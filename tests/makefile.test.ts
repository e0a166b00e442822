/** The Makefile with a Bun that only notes what it is called with: which scripts run, in which order, and what stops them. */
import { afterAll, beforeEach, describe, expect, test } from 'bun:test'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const root = mkdtempSync(join(tmpdir(), 'makefile-test-'))
afterAll(() => rmSync(root, { recursive: true }))

cpSync(join(import.meta.dir, '../Makefile'), join(root, 'Makefile'))
const bin = join(root, '.tools/node_modules/.bin')
mkdirSync(bin, { recursive: true })
writeFileSync(
  join(bin, 'bun'),
  `#!/bin/sh
echo "$*" >> calls
case "$*" in "scripts/stage-times.ts --exit "*) exit "\${3}" ;; "scripts/$FAILS".ts*) exit 6 ;; esac
`,
)
chmodSync(join(bin, 'bun'), 0o755)

/** `-o`: what is installed is not looked at. */
function make(target: string, variables: string[] = [], FAILS = 'none') {
  const flags = ['-j4', '-o', 'install', target, ...variables]
  const env = { PATH: process.env.PATH ?? '', FAILS, REASON: '', OVERRIDE: '', ACK: '' }
  const { exitCode } = Bun.spawnSync(['make', ...flags], { cwd: root, env })
  const file = join(root, 'calls')
  const calls = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []
  return { exitCode, calls, names: calls.map((call) => /^scripts\/(.+)\.ts/.exec(call)?.[1]) }
}

beforeEach(() => rmSync(join(root, 'calls'), { force: true }))

const image = ['lint-app', 'test-app', 'security-scan', 'build-app', 'docker-build']

test('ci runs every stage up to the image, in order, and says what each took', () => {
  expect(make('ci')).toMatchObject({ exitCode: 0, names: [...image, 'stage-times'] })
})

describe.each([
  ['deploy-dev', 'development'],
  ['deploy-staging', 'staging'],
  ['deploy-prod', 'production'],
])('%s', (target, environment) => {
  test('runs every stage, and deploys the image that they made', () => {
    const { names, calls } = make(target, ['YES=1', 'CONFIG=other.yaml'])
    expect(names).toEqual([...image, 'deploy', 'stage-times'])
    expect(calls[5]).toBe(
      `scripts/deploy.ts --env ${environment} --release reports/release.json --config other.yaml --yes`,
    )
    for (const call of calls.slice(0, 5)) expect(call).toEndWith('--config other.yaml')
  })

  test.each([
    ['VERSION=1.2.3', '--version 1.2.3'],
    ['IMAGE=r/chat@sha256:0', '--image r/chat@sha256:0'],
  ])('with %s deploys that, and nothing runs before', (variable, flags) => {
    expect(make(target, [variable]).calls).toEqual([
      `scripts/deploy.ts --env ${environment} ${flags} --config deploy.yaml`,
    ])
  })
})

test.each([...image, 'deploy'])('nothing runs after %s when it fails, but for the times', (stage) => {
  const all = [...image, 'deploy']
  const { exitCode, names, calls } = make('deploy-prod', [], stage)
  expect(names).toEqual([...all.slice(0, all.indexOf(stage) + 1), 'stage-times'])
  expect(calls.at(-1)).toBe('scripts/stage-times.ts --exit 6')
  expect(exitCode).toBe(2)
})

test('what an earlier run left is gone before the first stage', () => {
  const left = ['lint/result.json', 'docker/result.json', 'release.json'].map((name) =>
    join(root, 'reports', name),
  )
  for (const file of left) {
    mkdirSync(join(file, '..'), { recursive: true })
    writeFileSync(file, '{}')
  }
  make('ci', [], 'lint-app')
  expect(left.filter((file) => existsSync(file))).toEqual([])
})

test.each([
  ['lint', 'lint-app'],
  ['test-app', 'test-app'],
  ['scan', 'security-scan'],
  ['build', 'build-app'],
  ['docker', 'docker-build'],
])('%s is one stage', (target, script) => {
  expect(make(target)).toMatchObject({ exitCode: 0, calls: [`scripts/${script}.ts --config deploy.yaml`] })
  expect(make(target, [], script).exitCode).toBe(2)
})

test('a reason reaches the script as it is', () => {
  const reason = `it's "$(touch pwned)"; exit`
  const { calls } = make('deploy-prod', [
    'VERSION=1',
    `REASON=${reason.replace('$', () => '$$')}`,
    'OVERRIDE=none',
    'ACK=docs,team: it is a fix',
  ])
  expect(calls).toEqual([
    `scripts/deploy.ts --env production --version 1 --config deploy.yaml --reason ${reason} --override none --ack docs,team: it is a fix`,
  ])
  expect(existsSync(join(root, 'pwned'))).toBe(false)
})

test.each([
  [
    'preflight',
    ['ENV=staging', 'ACK=docs: none'],
    'preflight.ts --env staging --config deploy.yaml --ack docs: none',
  ],
  ['preflight', ['ENV=x', 'VERSION=1'], 'preflight.ts --env x --config deploy.yaml --version 1'],
  ['drill', ['ENV=staging', 'YES=1'], 'rollback-drill.ts --env staging --config deploy.yaml --yes'],
])('%s %j', (target, variables, call) => {
  expect(make(target, variables).calls).toEqual([`scripts/${call}`])
})

describe('without kubectl', () => {
  test.each([
    ['apk', 'apk add kubectl'],
    ['brew', 'brew install kubectl'],
    [undefined, 'curl -fL --create-dirs -o ~/.local/bin/kubectl https://dl.k8s.io/release/v1'],
  ])('the command that installs it is named: %s', (program, command) => {
    const path = mkdtempSync(join(root, 'bin-'))
    for (const name of ['bash', 'sed', 'head', 'uname', 'curl', ...(program ? [program] : [])])
      symlinkSync(Bun.which(name) ?? '/bin/true', join(path, name))
    const env = { PATH: path, HOME: root }
    const make = Bun.which('make') ?? 'make'
    const { exitCode, stdout } = Bun.spawnSync([make, 'kubectl'], { cwd: root, env })
    expect(exitCode).toBe(2)
    expect(stdout.toString()).toContain(`kubectl is not on PATH. Install it: ${command}`)
  })
})

test('the demo and the tests bring a browser, and only the tests need it', () => {
  const calls = make('demo', ['-o', 'kubectl']).calls
  expect(calls).toEqual(['verify/fetch-browser.ts', 'examples/rehearsal/demo.ts'])
  expect(make('test', ['-o', 'kubectl', '-o', 'check']).calls[0]).toBe('verify/fetch-browser.ts')
})
