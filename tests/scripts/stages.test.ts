/** The stages as they are run: on a small application in a git repository of its own, with a docker that notes what it is told. */
import { afterAll, beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { shell } from '../../lib/command.ts'
import { findRelease } from '../../lib/image/beside.ts'
import { readRelease } from '../../lib/image/release-file.ts'
import { stageResult } from '../../lib/stages/stage.ts'
import { serveRegistry } from '../../sandbox/registry.ts'
import { fronted, immutable } from '../lib/image/registries.ts'
import { StandInDocker, type DockerSettings } from './docker.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

const root = realpathSync(mkdtempSync(join(tmpdir(), 'stages-test-')))
const registry = serveRegistry()
afterAll(() => {
  registry.stop()
  rmSync(root, { recursive: true })
})

const docker = new StandInDocker(join(root, 'bin'))
const PASSWORD = "s3cret-$(id)'pass"
const scripts = join(import.meta.dir, '../../scripts')
let app = ''
let count = 0

interface Ended {
  out: string
  err: string
  code: number
}

/** Runs a script where the application is. */
async function run(
  script: string,
  args: string[] = [],
  variables: Record<string, string> = {},
): Promise<Ended> {
  const PATH = [docker.folder, dirname(process.execPath), process.env.PATH].join(delimiter)
  const child = Bun.spawn([process.execPath, join(scripts, script), ...args], {
    cwd: app,
    env: { PATH, HOME: docker.folder, ...variables },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  expect(err).not.toContain('This is a bug of the scripts')
  return { out, err, code }
}

function git(...args: string[]): string {
  const who = {
    GIT_AUTHOR_NAME: 'a',
    GIT_AUTHOR_EMAIL: 'a@b',
    GIT_COMMITTER_NAME: 'a',
    GIT_COMMITTER_EMAIL: 'a@b',
  }
  const { stdout, stderr, exitCode } = Bun.spawnSync(['git', '-C', app, ...args], {
    env: { ...process.env, ...who },
  })
  if (exitCode !== 0) throw new Error(stderr.toString())
  return stdout.toString().trim()
}

const LOCK = { lockfileVersion: 3, packages: { 'node_modules/left-pad': { version: '1.3.0' } } }

/** A new application, all of it committed. */
function make(stages: object, content = 'one'): void {
  app = join(root, `app-${count++}`)
  mkdirSync(app)
  writeFileSync(join(app, '.gitignore'), 'reports\ndist\n')
  writeFileSync(join(app, 'content'), content)
  writeFileSync(join(app, 'package-lock.json'), JSON.stringify(LOCK))
  const image = `${registry.address}/chat-${count}`
  writeFileSync(join(app, 'deploy.yaml'), JSON.stringify({ app: 'chat', image, stages }))
  git('init', '--quiet', '--initial-branch', 'main')
  commit()
}

const commit = (): string => {
  git('add', '.')
  git('commit', '--quiet', '--allow-empty', '--message', '$(touch /tmp/pwned)\n--amend')
  return git('rev-parse', 'HEAD')
}

const result = (stage: string) =>
  stageResult.parse(JSON.parse(readFileSync(join(app, 'reports', stage, 'result.json'), 'utf8')))
const sh = (script: string): string[] => ['sh', '-c', script]
const leaves = (file: string, content: string) =>
  `mkdir -p "$(dirname "$REPORTS/${file}")"; printf '%s' '${content}' > "$REPORTS/${file}"`

const eslint = (errorCount: number) => JSON.stringify([{ filePath: '/a', errorCount, warningCount: 1 }])
const junit = (inside: string) => `<testsuites><testsuite>${inside}</testsuite></testsuites>`
const passed = '<testcase name="a"/>'
const failed = '<testcase name="b"><failure/></testcase>'
const skipped = '<testcase name="c"><skipped/></testcase>'
const lcov = 'SF:src/a.ts\nDA:1,1\nDA:2,1\nDA:3,0\nend_of_record\n'

describe('lint', () => {
  test.each<[string, string, number, string]>([
    ['a clean run', leaves('eslint.json', eslint(0)), 0, 'Linted 1 files, 1 warnings.'],
    ['an error', `${leaves('eslint.json', eslint(2))}; exit 1`, 1, '2 errors in 1 files'],
    ['an error that the exit code hides', leaves('eslint.json', eslint(2)), 1, '2 errors in 1 files'],
    ['no report', 'true', 1, 'it left no report'],
    ['no file', leaves('eslint.json', '[]'), 1, 'no file was linted'],
    ['no JSON', leaves('eslint.json', 'ok'), 1, "eslint.json is not ESLint's JSON"],
  ])('%s', async (_, script, code, says) => {
    make({ lint: { command: sh(`echo the linter speaks; ${script}`) } })
    const ended = await run('lint-app.ts')
    expect([ended.code, ended.out]).toEqual([code, ''])
    expect(ended.err).toContain(says)
    expect(ended.err).toContain('the linter speaks\n')
    expect(result('lint')).toMatchObject({
      stage: 'lint',
      passed: code === 0,
      commit: git('rev-parse', 'HEAD'),
    })
  })

  test('a linter without a report is believed only where deploy.yaml says so', async () => {
    make({ lint: { command: ['true'], report: false } })
    expect(await run('lint-app.ts', ['--json'])).toMatchObject({
      code: 0,
      out: expect.stringContaining('"passed": true'),
    })
  })

  test('one that is not declared', async () => {
    make({})
    expect(await run('lint-app.ts')).toMatchObject({
      code: 2,
      err: expect.stringContaining('no stages.lint'),
    })
  })

  test('an interrupt ends the tool, and is in the result', async () => {
    make({ lint: { command: sh('echo $$ > pid; exec sleep 60') } })
    const child = Bun.spawn([process.execPath, join(scripts, 'lint-app.ts')], {
      cwd: app,
      stdio: ['ignore', 'ignore', 'ignore'],
    })
    while (!existsSync(join(app, 'pid'))) await Bun.sleep(20)
    child.kill('SIGINT')
    expect(await child.exited).toBe(130)
    expect(result('lint').problems).toContain('Interrupted (SIGINT)')
    const pid = readFileSync(join(app, 'pid'), 'utf8').trim()
    expect(() => process.kill(Number(pid), 0)).toThrow()
  })
})

describe('test', () => {
  const reports = { unit: 'unit.xml', integration: 'integration.xml' }
  const coverage = { files: ['lcov.info'], floor: 60 }
  const good = [
    leaves('unit.xml', junit(passed + skipped)),
    leaves('integration.xml', junit(passed)),
    leaves('lcov.info', lcov),
  ]

  test.each<[string, string[], number, string]>([
    ['all passed', good, 0, '3 tests passed, 1 skipped, 66.6% of 3 lines covered.'],
    [
      'one failed',
      [...good, leaves('unit.xml', junit(passed + failed)), 'exit 1'],
      1,
      'unit: 1 of 2 tests failed',
    ],
    [
      'one failed, and the exit code hides it',
      [...good, leaves('unit.xml', junit(failed))],
      1,
      'unit: 1 of 1 tests failed',
    ],
    ['all passed, and the exit code says no', [...good, 'exit 1'], 1, 'exited with 1'],
    ['none ran', [...good, leaves('unit.xml', junit(skipped))], 1, 'unit: no test ran'],
    ['a suite did not run', [...good, 'rm "$REPORTS/integration.xml"'], 1, 'it left no report'],
    [
      'a report is cut off',
      [...good, leaves('unit.xml', '<testsuites><testcase/>')],
      1,
      'unit.xml is not JUnit XML',
    ],
    ['there is no coverage', [...good, 'rm "$REPORTS/lcov.info"'], 1, 'the coverage report knows no line'],
    [
      'too little is covered',
      [...good, leaves('lcov.info', 'SF:a\nDA:1,0\nDA:2,1\nend_of_record\n')],
      1,
      '50% of lines are covered, the floor is 60%',
    ],
  ])('%s', async (_, script, code, says) => {
    make({ test: { command: sh(script.join('\n')), reports, coverage } })
    expect(await run('test-app.ts')).toMatchObject({ code, err: expect.stringContaining(says) })
    expect(result('test').passed).toBe(code === 0)
  })

  test('a file that no test loads is not covered', async () => {
    make({ test: { command: sh(good.join('\n')), reports, coverage: { ...coverage, of: 'src/' } } })
    mkdirSync(join(app, 'src'))
    writeFileSync(join(app, 'src/a.ts'), 'a\nb\nc')
    expect((await run('test-app.ts')).code).toBe(0)
    writeFileSync(join(app, 'src/untested.ts'), 'export const a = 1\nexport const b = 2\n')
    const { code, err } = await run('test-app.ts')
    expect([code, err]).toEqual([1, expect.stringContaining('40% of lines are covered, the floor is 60%')])
  })

  test('the result counts each suite', async () => {
    make({ test: { command: sh(good.join('\n')), reports, coverage } })
    await run('test-app.ts')
    const counts = { unit: 2, integration: 1, tests: 3, failed: 0, skipped: 1, lines: 3, covered: 2 }
    expect(result('test').counts).toEqual(counts)
  })
})

const declareBuild = (script: string) => make({ build: { command: sh(script), artifacts: ['dist/**'] } })

describe('build', () => {
  test('what was built is named with its checksums, which sha256sum accepts', async () => {
    declareBuild(
      'mkdir -p "dist/a b"; echo 1 > "dist/a b/c.js"; echo 2 > dist/.hidden; echo 3 > "dist/new\nline"',
    )
    expect(await run('build-app.ts')).toMatchObject({
      code: 0,
      err: expect.stringContaining('Built 3 files'),
    })
    expect(result('build').artifacts.map(({ file }) => file)).toEqual([
      'dist/.hidden',
      'dist/a b/c.js',
      'dist/new\nline',
    ])
    const check = Bun.spawnSync(['sha256sum', '--check', '--strict', 'reports/build/SHA256SUMS'], {
      cwd: app,
    })
    expect([check.exitCode, check.stdout.toString().split('\n').length]).toEqual([0, 4])
    writeFileSync(join(app, 'dist/.hidden'), 'other')
    expect(
      Bun.spawnSync(['sha256sum', '--check', '--status', 'reports/build/SHA256SUMS'], { cwd: app }).exitCode,
    ).toBe(1)
  })

  test.each([
    ['nothing', 'true', 'no file is named dist/**'],
    ['less than all', 'mkdir dist; echo 1 > dist/a; exit 1', 'exited with 1'],
    ['nothing new', 'mkdir dist; touch -d "1 hour ago" dist/a', 'all artifacts are older than this build'],
  ])('a build of %s is none', async (_, script, says) => {
    declareBuild(script)
    expect(await run('build-app.ts')).toMatchObject({ code: 1, err: expect.stringContaining(says) })
    expect(result('build').passed).toBe(false)
  })
})

const stages = (more: object = {}) => ({ docker: { lockfiles: ['package-lock.json'], ...more } })
const build = (args: string[] = [], variables: Record<string, string> = {}) =>
  run('docker-build.ts', args, variables)
const image = () => (JSON.parse(readFileSync(join(app, 'deploy.yaml'), 'utf8')) as { image: string }).image
const digestOf = async (tag: string): Promise<string | null> => {
  const [host, name] = image().split('/')
  const response = await fetch(`http://${host}/v2/${name}/manifests/${tag}`, { method: 'HEAD' })
  return response.headers.get('docker-content-digest')
}
const verbs = () =>
  docker
    .calls()
    .map(([verb, sub = '', ...rest]) =>
      verb === 'push'
        ? `push ${sub.split(':').at(-1)}`
        : [verb, sub, ...rest].slice(0, /buildx|image/.test(verb ?? '') ? 2 : 1).join(' '),
    )
const use = (settings: DockerSettings) => docker.set(settings)

/** What the registry was given, in order, of what has a name. */
const given = (asked: readonly string[]): string[] =>
  asked.flatMap((line) => /^PUT .*\/manifests\/(?!sha256:)(.+)$/.exec(line)?.[1] ?? [])
/** The application's image goes to this registry. */
const pushTo = (host: string, stages: object): void => {
  make(stages)
  const file = join(app, 'deploy.yaml')
  writeFileSync(file, readFileSync(file, 'utf8').replace(registry.address, host))
  commit()
}
const ownTag = () => `sha-${git('rev-parse', 'HEAD').slice(0, 7)}`

describe('docker build', () => {
  beforeEach(() => {
    use({})
    docker.calls()
  })

  test('builds, tags, pushes, and takes the digest from the registry', async () => {
    make(stages({ buildArgs: { VERSION: '{version}' } }))
    git('tag', 'v1.2.3')
    const files = {
      GITHUB_OUTPUT: join(app, 'reports-output'),
      GITHUB_STEP_SUMMARY: join(app, 'reports-summary'),
    }
    mkdirSync(join(app, 'reports/test'), { recursive: true })
    const before = {
      stage: 'test',
      passed: true,
      commit: git('rev-parse', 'HEAD'),
      startedAt: new Date().toISOString(),
    }
    writeFileSync(join(app, 'reports/test/result.json'), JSON.stringify(before))

    const { code, err } = await build([], files)
    expect([code, err]).toEqual([0, expect.stringContaining('Pushed ')])
    const release = readRelease(join(app, 'reports/release.json'))
    const own = `sha-${git('rev-parse', 'HEAD').slice(0, 7)}`
    expect(release).toMatchObject({
      image: image(),
      version: '1.2.3',
      tags: ['1.2.3', '1.2', '1', 'main', own],
    })
    for (const tag of release.tags) expect(await digestOf(tag)).toBe(release.digest)
    expect(release.stages).toMatchObject({ test: { passed: true, commit: before.commit } })
    const byDigest = `${image()}@${release.digest}`
    expect(
      await findRelease(
        byDigest,
        shell(() => {}),
      ),
    ).toEqual(release)
    expect(result('docker')).toMatchObject({ passed: true, exitCode: 0, counts: { packages: 1, tags: 5 } })
    const bill = readFileSync(join(app, 'reports/docker/sbom.cdx.json'), 'utf8')
    expect(bill).toContain('pkg:npm/left-pad@1.3.0')
    expect(bill).toContain(encodeURIComponent(release.digest))
    const output = readFileSync(files.GITHUB_OUTPUT, 'utf8')
    for (const value of [`${image()}@${release.digest}`, release.digest, '1.2.3', release.tags.join('\n')])
      expect(output).toContain(`\n${value}\nend-`)
    expect(readFileSync(files.GITHUB_STEP_SUMMARY, 'utf8')).toContain(release.digest)
    expect(docker.calls().find(([verb]) => verb === 'build')).toContain('--build-arg=VERSION=1.2.3')
  })

  test("the commit's name comes first, then the proof, then the names that people use", async () => {
    using server = fronted(() => undefined)
    pushTo(server.host, stages())
    git('tag', 'v1.2.3')
    expect((await build()).code).toBe(0)
    const { digest } = readRelease(join(app, 'reports/release.json'))
    const proof = `${digest.replace(':', '-')}.release`
    expect(given(server.asked)).toEqual([ownTag(), proof, '1.2.3', '1.2', '1', 'main'])
  })

  test.each<[string, RegExp, string[]]>([
    ['the proof', /\.release$/, []],
    ['the version', /\/1\.2\.3$/, []],
    ['a name', /\/main$/, ['1.2.3', '1.2', '1']],
  ])('a push that broke off at %s is taken up again: nothing is built anew', async (_, at, named) => {
    let broken = true
    using server = fronted((request) =>
      broken && request.method === 'PUT' && at.test(new URL(request.url).pathname)
        ? new Response('', { status: 502 })
        : undefined,
    )
    pushTo(server.host, stages())
    git('tag', 'v1.2.3')
    expect(await build()).toMatchObject({ code: 1, err: expect.stringContaining('does not take') })
    expect(existsSync(join(app, 'reports/release.json'))).toBe(false)
    const first = await digestOf(ownTag())
    for (const tag of named) expect(await digestOf(tag)).toBe(first)

    broken = false
    docker.calls()
    const { code, err } = await build()
    expect([code, err]).toEqual([0, expect.stringContaining(`Nothing is built: ${first} is there`)])
    expect(verbs()).toEqual([])
    const { digest, tags } = readRelease(join(app, 'reports/release.json'))
    for (const tag of tags) expect([tag, await digestOf(tag)]).toEqual([tag, first])
    const kept = await findRelease(
      `${image()}@${digest}`,
      shell(() => {}),
    )
    expect(kept?.digest).toBe(first ?? '')
  })

  test('a version that was pushed before its proof, as earlier scripts did, is taken up as well', async () => {
    make(stages())
    git('tag', 'v1.2.3')
    await build()
    const first = await digestOf('1.2.3')
    const [host, name] = image().split('/')
    for (const tag of [ownTag(), `${first?.replace(':', '-')}.release`])
      await fetch(`http://${host}/v2/${name}/manifests/${tag}`, { method: 'DELETE' })
    expect((await build()).code).toBe(0)
    for (const tag of ['1.2.3', ownTag()]) expect(await digestOf(tag)).toBe(first)
  })

  test('results that the proof has already stay in it; those of this run are put over them', async () => {
    make(stages())
    const leave = (stage: string, passed: boolean) => {
      mkdirSync(join(app, 'reports', stage), { recursive: true })
      const startedAt = new Date().toISOString()
      const content = JSON.stringify({ stage, passed, commit: git('rev-parse', 'HEAD'), startedAt })
      writeFileSync(join(app, 'reports', stage, 'result.json'), content)
    }
    leave('lint', true)
    leave('test', true)
    await build()
    const { builtAt } = readRelease(join(app, 'reports/release.json'))
    rmSync(join(app, 'reports/lint'), { recursive: true })
    leave('test', false)
    await build()
    const release = readRelease(join(app, 'reports/release.json'))
    expect(release.builtAt).toBe(builtAt)
    expect(release.stages).toMatchObject({ lint: { passed: true }, test: { passed: false } })
  })

  test("a version's image is its own, also where its commit has one by a branch; neither name is moved", async () => {
    make(stages())
    expect((await build()).code).toBe(0)
    const branch = await digestOf(ownTag())
    git('tag', 'v1.2.3')
    expect((await build()).code).toBe(0)
    const { digest } = readRelease(join(app, 'reports/release.json'))
    expect(digest).not.toBe(branch ?? '')
    expect(await digestOf(`${ownTag()}-1.2.3`)).toBe(digest)
    expect(await digestOf('1.2.3')).toBe(digest)
    docker.calls()
    expect((await build()).code).toBe(0)
    expect(verbs()).toEqual([])
  })

  test.each([400, 409, 412])(
    'a registry that moves no tag (%d) gets each once; what stays is told',
    async (status) => {
      using server = immutable(status)
      pushTo(server.host, stages())
      expect((await build()).code).toBe(0)
      const first = await digestOf('main')
      writeFileSync(join(app, 'content'), 'two')
      commit()
      git('tag', 'v1.2.3')
      const { code, err } = await build()
      expect([code, err]).toEqual([
        0,
        expect.stringContaining(`The registry does not move main: it stays ${first}`),
      ])
      expect(err).toMatch(/Pushed \S+ as 1\.2\.3, 1\.2, 1, sha-\w{7}\./)
      const { digest } = readRelease(join(app, 'reports/release.json'))
      expect([await digestOf('1.2.3'), await digestOf('main')]).toEqual([digest, first])
    },
  )

  test('a version that is other content is refused before anything is built or pushed', async () => {
    make(stages())
    git('tag', 'v1.2.3')
    expect((await build()).code).toBe(0)
    const first = await digestOf('1.2.3')
    writeFileSync(join(app, 'content'), 'two')
    commit()
    git('tag', '--force', 'v1.2.3')
    docker.calls()
    const refused = await build()
    expect(refused).toMatchObject({
      code: 6,
      err: expect.stringContaining(`:1.2.3 is another image already (${first})`),
    })
    expect(verbs()).toEqual([])
    for (const tag of ['1.2.3', '1.2', '1', 'main']) expect(await digestOf(tag)).toBe(first)
    expect(existsSync(join(app, 'reports/release.json'))).toBe(false)
    expect(result('docker')).toMatchObject({
      passed: false,
      problems: [expect.stringContaining('a version never changes')],
    })
  })

  test('a branch called like a version cannot replace it', async () => {
    make(stages())
    git('tag', 'v1.2.3')
    await build()
    const first = await digestOf('1.2.3')
    git('checkout', '--quiet', '-b', '1.2.3')
    writeFileSync(join(app, 'content'), 'two')
    for (let again = 0; again < 2; again++) {
      commit()
      expect((await build()).code).toBe(0)
      expect(await digestOf('branch-1.2.3')).toBe(readRelease(join(app, 'reports/release.json')).digest)
    }
    expect(await digestOf('1.2.3')).toBe(first)
  })

  test('another push of a name at the same moment is noticed', async () => {
    using server = fronted(async (request, host) => {
      if (request.method !== 'PUT' || !request.url.endsWith('/main') || raced) return undefined
      raced = true
      // Somebody else has the last word, right after us.
      const { headers } = request
      await fetch(request.url, { method: 'PUT', headers, body: await request.arrayBuffer() })
      const theirs = JSON.stringify({ schemaVersion: 2, layers: [] })
      const [, name = ''] = /\/v2\/(.+)\/manifests/.exec(request.url) ?? []
      return await fetch(`http://${host}/v2/${name}/manifests/main`, { method: 'PUT', headers, body: theirs })
    })
    let raced = false
    pushTo(server.host, stages())
    expect(await build()).toMatchObject({
      code: 1,
      err: expect.stringMatching(/another push was at work: main → sha256/),
    })
    expect(existsSync(join(app, 'reports/release.json'))).toBe(false)
    expect(result('docker').passed).toBe(false)
  })

  test("and one of the commit's own name, or docker's word against the registry's", async () => {
    make(stages())
    use({ race: ownTag() })
    const says = expect.stringMatching(/The registry has sha256:\w+, but docker pushed \S+@/)
    expect(await build()).toMatchObject({ code: 1, err: says })
    make(stages())
    use({ lies: true })
    expect(await build()).toMatchObject({ code: 1, err: says })
  })

  test('a version of files that are not committed', async () => {
    make(stages())
    git('tag', 'v1.2.3')
    writeFileSync(join(app, 'content'), 'two')
    expect(await build()).toMatchObject({ code: 6, err: expect.stringContaining('commit or stash') })
    expect(docker.calls()).toEqual([])
  })

  test('without a push nothing leaves this machine', async () => {
    make(stages())
    expect((await build(['--no-push'])).code).toBe(0)
    expect(verbs()).toEqual(['buildx version', 'build'])
    expect(existsSync(join(app, 'reports/release.json'))).toBe(false)
  })

  test('nor does its cache: there is no login without a push', async () => {
    make(stages({ cache: { from: ['type=registry,ref=a/b:cache'], to: ['type=registry,ref=a/b:cache'] } }))
    use({ buildx: true })
    for (const [args, flags] of [
      [['--no-push'], ['from']],
      [[], ['from', 'to']],
    ] as const) {
      expect((await build([...args])).code).toBe(0)
      const built = docker.calls().find(([, verb]) => verb === 'build')
      const caches = built?.flatMap((arg) => /^--cache-(\w+)=/.exec(arg)?.[1] ?? [])
      expect(caches).toEqual([...flags])
    }
  })

  test('a build that fails', async () => {
    make(stages({ context: 'none' }))
    expect(await build()).toMatchObject({
      code: 1,
      err: expect.stringMatching(/docker build .* exited with 1\n$/),
    })
    expect(result('docker')).toMatchObject({ passed: false, exitCode: 1 })
  })

  test('no docker, no lockfile, no image name', async () => {
    make(stages({ lockfiles: ['none/bun.lock'] }))
    expect(await build()).toMatchObject({ code: 2, err: expect.stringContaining('There is no lockfile') })
    make(stages())
    expect(await build(['--image', 'ghcr.io/team/chat:1'])).toMatchObject({ code: 2 })
    expect(await build(['--image', '--help'])).toMatchObject({ code: 2 })
    const bare = join(root, 'bare')
    mkdirSync(bare)
    for (const name of ['git', 'bash', 'sh', 'ps']) Bun.spawnSync(['ln', '-s', Bun.which(name) ?? '', bare])
    expect(await build([], { PATH: bare })).toMatchObject({
      code: 2,
      err: expect.stringContaining('docker is not on PATH'),
    })
  })

  describe('several platforms', () => {
    const platforms = ['linux/amd64', 'linux/arm64']

    test('with buildx: pushed as it is built, named in the registry', async () => {
      make(stages({ platforms, cache: { from: ['type=gha'], to: ['type=gha'] } }))
      git('tag', 'v1.2.3')
      use({ buildx: true })
      expect((await build()).code).toBe(0)
      const calls = docker.calls()
      expect(calls[1]).toEqual(
        expect.arrayContaining(['--push', '--platform=linux/amd64,linux/arm64', '--cache-from=type=gha']),
      )
      const { digest, tags } = readRelease(join(app, 'reports/release.json'))
      for (const tag of tags) expect(await digestOf(tag)).toBe(digest)
      const first = digest

      writeFileSync(join(app, 'content'), 'two')
      commit()
      git('tag', '--force', 'v1.2.3')
      expect((await build()).code).toBe(6)
      expect(await digestOf('1.2.3')).toBe(first)
    })

    test('without: one sentence, and one platform', async () => {
      make(stages({ platforms }))
      const { code, err } = await build()
      expect(code).toBe(0)
      expect(err).toContain(
        "! Built for this machine's platform only: several need docker buildx, which is not here\n",
      )
    })
  })

  describe('a login', () => {
    const login = { REGISTRY_USERNAME: '--me', REGISTRY_PASSWORD: PASSWORD }

    test('is there while docker pushes, and nowhere afterwards', async () => {
      make(stages())
      mkdirSync(join(app, 'docker-home/cli-plugins'), { recursive: true })
      writeFileSync(
        join(app, 'docker-home/config.json'),
        '{"credsStore":"desktop","currentContext":"ci","credHelpers":{"other.io":"ecr-login"}}',
      )
      writeFileSync(join(app, '.gitignore'), 'reports\ndocker-home\n')
      commit()
      use({ password: PASSWORD })
      const { code, out, err } = await build(['--json'], {
        ...login,
        DOCKER_CONFIG: join(app, 'docker-home'),
      })
      expect([code, err]).toEqual([0, expect.stringContaining('Pushed')])
      const calls = docker.calls()
      expect(calls[0]).toEqual(['login', '--username=--me', '--password-stdin', registry.address])
      expect(docker.logins().map(({ folder }) => existsSync(folder))).not.toContain(true)
      expect(readFileSync(join(app, 'docker-home/config.json'), 'utf8')).toContain('"credsStore":"desktop"')
      // A store outside of the folder would keep the login; other registries keep theirs.
      expect(JSON.parse(docker.logins().at(-1)?.config || '')).toEqual({
        credsStore: 'desktop',
        currentContext: 'ci',
        credHelpers: { 'other.io': 'ecr-login', [registry.address]: '' },
      })
      const left = readdirSync(join(app, 'reports'), { recursive: true, encoding: 'utf8' })
        .filter((file) => file.endsWith('.json'))
        .map((file) => readFileSync(join(app, 'reports', file), 'utf8'))
      for (const text of [out, err, JSON.stringify(calls), ...left]) {
        expect(text).not.toContain(PASSWORD)
        expect(text).not.toContain(btoa(`--me:${PASSWORD}`))
      }
    })

    test("of Docker's hub is at its own name, and kept by its old one", async () => {
      make(stages())
      const file = join(app, 'deploy.yaml')
      writeFileSync(file, readFileSync(file, 'utf8').replace(`${registry.address}/`, 'docker.io/team/'))
      commit()
      use({ password: 'another' })
      docker.calls()
      expect((await build([], login)).err).toContain('refuses the login')
      expect(docker.calls()[0]?.at(-1)).toBe('docker.io')
      const kept = JSON.parse(docker.logins().at(-1)?.config || '')
      expect(kept).toEqual({ credHelpers: { 'https://index.docker.io/v1/': '' } })
    })

    test('that is refused', async () => {
      make(stages())
      use({ password: 'another' })
      const { code, err } = await build([], login)
      expect([code, err]).toEqual([
        1,
        expect.stringContaining('refuses the login of REGISTRY_USERNAME: Error: denied: ***'),
      ])
      expect(err).not.toContain(PASSWORD)
      expect(docker.logins().map(({ folder }) => existsSync(folder))).not.toContain(true)
    })

    test('half of one', async () => {
      make(stages())
      expect(await build([], { REGISTRY_USERNAME: 'me' })).toMatchObject({
        code: 2,
        err: expect.stringContaining('REGISTRY_PASSWORD is not set'),
      })
      expect(docker.calls()).toEqual([])
    })
  })

  test('hostile names in a run of GitHub Actions do nothing', async () => {
    make(stages({ buildArgs: { VERSION: '{version}' } }))
    const actions = {
      GITHUB_ACTIONS: 'true',
      GITHUB_SHA: git('rev-parse', 'HEAD'),
      GITHUB_SERVER_URL: 'https://github.com',
      GITHUB_REPOSITORY: 'team/chat',
    }
    const names = ['$(touch /tmp/pwned)\'"`id`\n::error::x\n\u001B[2J<b>', '--push', 'x'.repeat(10_000)]
    for (const name of names) {
      const { code, err } = await build([], { ...actions, GITHUB_REF: `refs/heads/${name}` })
      expect([code, err]).toEqual([0, expect.stringContaining('Pushed')])
      expect(err).not.toMatch(/^::error::x/m)
      expect(err).not.toContain('\u001B[2J')
      for (const tag of readRelease(join(app, 'reports/release.json')).tags)
        expect(tag).toMatch(/^\w[\w.-]{0,127}$/)
    }
    for (const [verb, ...args] of docker.calls().filter(([verb]) => verb === 'build' || verb === 'push')) {
      const allowed = verb === 'build' ? /^--(tag|file|label|build-arg)=|^\// : /^127\.0\.0\.1:/
      for (const arg of args) expect(arg).toMatch(allowed)
    }
    expect(existsSync('/tmp/pwned')).toBe(false)
  })
})
