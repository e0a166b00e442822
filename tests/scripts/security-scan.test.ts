/** The stage as CI calls it: with the real npm and the real Bun, which ask a registry of known behaviour. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { shell } from '../../lib/command.ts'
import { findRelease, pushRelease } from '../../lib/image/beside.ts'
import { readRelease, writeRelease } from '../../lib/image/release-file.ts'
import { serveRegistry } from '../../sandbox/registry.ts'
import { scanResult } from '../../lib/scan/result.ts'
import { dependency, flaw, report, standIn } from '../lib/scan/dependency-check-fixture.ts'
import { bunLock, packageJson, packageLock, registry, type Registry } from '../lib/scan/registry.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

const root = mkdtempSync(join(tmpdir(), 'security-scan-test-'))
const bin = join(root, 'bin')
const told = standIn(bin, 'dependency-check')
/** The programs that the stage and the tools it runs need, and no docker. */
const bare = join(root, 'bare')
mkdirSync(bare)
for (const name of ['bash', 'sh', 'node', 'npm', 'bun', 'git', 'cat', 'cp', 'tr', 'stat', 'sleep', 'ps']) {
  symlinkSync(Bun.which(name) ?? '', join(bare, name))
}

function folder(name: string, files: Record<string, string>): string {
  const path = join(root, name)
  mkdirSync(path)
  for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text)
  return path
}
const apps = {
  npm: folder('npm', { 'package.json': packageJson, 'package-lock.json': packageLock }),
  bun: folder('bun', { 'package.json': packageJson, 'bun.lock': bunLock }),
}
for (const args of [
  ['init', '-q'],
  ['-c', 'user.name=x', '-c', 'user.email=x@x', 'commit', '-qm', 'x', '--allow-empty'],
]) {
  Bun.spawnSync(['git', '-C', root, ...args])
}

let fixture: Registry
let closed: string
beforeAll(async () => {
  fixture = registry()
  const gone = registry()
  closed = gone.url('none')
  await gone[Symbol.asyncDispose]()
})
afterAll(async () => {
  await fixture[Symbol.asyncDispose]()
  rmSync(root, { recursive: true })
})

/** Starts the script where the repository is, with a home of its own. */
function start(args: string[], answer: string, more: Record<string, string> = {}) {
  const url = answer === 'unreachable' ? closed : fixture.url(answer)
  const out = mkdtempSync(join(root, 'out-'))
  const env = {
    PATH: `${bin}:${bare}`,
    HOME: root,
    npm_config_registry: url,
    BUN_CONFIG_REGISTRY: url,
    // npm keeps what it worked out for an advisory.
    npm_config_cache: join(out, 'npm-cache'),
    npm_config_fetch_retries: '0',
    BUN_CONFIG_HTTP_RETRY_COUNT: '0',
    npm_config_update_notifier: 'false',
    DEPENDENCY_CHECK_DATA: join(root, 'data'),
    ...more,
  }
  const script = join(import.meta.dir, '../../scripts/security-scan.ts')
  const child = Bun.spawn([process.execPath, script, '--out', out, ...args], {
    cwd: root,
    env,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  return { child, reports: join(out, 'security-scan') }
}

async function scan(args: string[], answer: string, more: Record<string, string> = {}) {
  const { child, reports } = start(args, answer, more)
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  const file = join(reports, 'result.json')
  const result = existsSync(file) ? scanResult.parse(JSON.parse(readFileSync(file, 'utf8'))) : undefined
  return { out, err, code, reports, result }
}

const toBuild = (text: string): string => text.replace('"dependencies"', '"devDependencies"')
const skip = ['--skip', 'dependency-check', '--reason', 'not asked here']

function answersWith(vulnerabilities: ReturnType<typeof flaw>[], exitCode = 0): void {
  writeFileSync(join(told, 'report'), JSON.stringify(report([dependency(apps.npm, vulnerabilities)])))
  writeFileSync(join(told, 'exit'), String(exitCode))
}

describe.each(['npm', 'bun'] as const)('%s audit', (tool) => {
  test.each<[string, number, Record<string, number>]>([
    ['none', 0, {}],
    ['low', 0, { low: 1 }],
    ['high', 1, { high: 1 }],
  ])('with the answer "%s" ends with %d', async (answer, exitCode, counts) => {
    const { code, result, err, out, reports } = await scan(['--folder', tool, '--json', ...skip], answer)
    const none = { critical: 0, high: 0, medium: 0, low: 0, unknown: 0, waived: 0 }
    expect(result).toMatchObject({
      passed: exitCode === 0,
      complete: true,
      // What is skipped this once must not close its alerts.
      whole: false,
      problems: [],
      counts: { ...none, ...counts },
    })
    expect(code).toBe(exitCode)
    expect(JSON.parse(out)).toEqual(JSON.parse(JSON.stringify(result)))
    expect(existsSync(join(reports, 'results.sarif'))).toBe(false)
    expect(err).toContain(`$ ${tool} audit --json`)
    expect(fixture.asked.at(-1)).toEqual({ parent: ['1.0.0'], victim: ['1.0.0'] })
    expect(result?.skipped).toEqual([{ scanner: 'dependency-check', reason: 'not asked here' }])
    for (const found of result?.findings ?? []) {
      expect(found).toMatchObject({
        id: 'GHSA-aaaa-bbbb-cccc',
        package: 'victim',
        version: '1.0.0',
        fixedIn: '1.2.3',
        paths: [tool === 'npm' ? 'node_modules/victim' : 'victim'],
        sources: [`${tool} audit`],
      })
    }
  })

  test.each([
    ['malformed', 'audit: '],
    ['list', 'audit: '],
    ['broken', '500'],
    ['unreachable', 'audit: '],
  ])('with the answer "%s" fails, and says why', async (answer, why) => {
    const { code, result, err, reports } = await scan(['--folder', tool, ...skip], answer)
    expect(result).toMatchObject({ passed: false, complete: false, findings: [] })
    expect(result?.problems).toEqual([expect.stringContaining(why)])
    expect(result?.problems[0]).toMatch(new RegExp(`^audit: ${tool} audit `))
    expect(err).toContain(result?.problems[0] ?? 'nothing')
    expect(code).toBe(1)
    expect(existsSync(join(reports, 'results.sarif'))).toBe(false)
    expect(readFileSync(join(reports, 'report.html'), 'utf8')).toContain('Security scan failed')
  })

  test('is asked about what is only needed to build, too', async () => {
    const dev = folder(`${tool}-dev`, {
      'package.json': toBuild(packageJson),
      ...(tool === 'bun'
        ? { 'bun.lock': toBuild(bunLock) }
        : {
            'package-lock.json': toBuild(packageLock).replaceAll(
              '"version": "1.0.0",\n      "res',
              '"dev": true, $&',
            ),
          }),
    })
    const { code } = await scan(['--folder', dev, ...skip], 'high', { NODE_ENV: 'production' })
    expect([code, fixture.asked.at(-1)]).toEqual([1, { parent: ['1.0.0'], victim: ['1.0.0'] }])
  })
})

describe('what would pass by not asking', () => {
  test('npm, told to stay offline, asks all the same', async () => {
    const { result } = await scan(['--folder', 'npm', ...skip], 'low', { npm_config_offline: 'true' })
    expect(result).toMatchObject({ passed: true, problems: [], counts: { low: 1 } })
  })

  test('npm, with a lockfile that holds no packages, asks nobody', async () => {
    const { packages, ...rest } = JSON.parse(packageLock)
    const lock = JSON.stringify({ ...rest, packages: { '': packages[''] } })
    const empty = folder('empty', { 'package.json': packageJson, 'package-lock.json': lock })
    const { code, result } = await scan(['--folder', empty, ...skip], 'high')
    expect(result?.problems).toEqual([expect.stringContaining('did not ask the registry')])
    expect(code).toBe(1)
  })

  test('Bun leaves packages out when its settings say so', async () => {
    const narrow = folder('narrow', {
      'package.json': packageJson,
      'bun.lock': bunLock,
      'bunfig.toml': '[install]\nproduction = true\n',
    })
    const { code, result } = await scan(['--folder', narrow, ...skip], 'none')
    expect(result?.problems).toEqual([expect.stringContaining('"production = true" in ')])
    expect(code).toBe(1)
  })

  test.each(['.bunfig.toml', '.npmrc'])('a setting at home that leaves packages out: %s', async (file) => {
    const text = file === '.npmrc' ? 'omit=dev\n' : '[install]\ndev = false\n'
    const home = folder(`home${file}`, { [file]: text })
    const lone = folder(`of-home${file}`, { 'package.json': packageJson, 'bun.lock': bunLock })
    const { code, result } = await scan(['--folder', lone, ...skip], 'none', { HOME: home })
    expect(result?.problems).toEqual([expect.stringContaining(`in ${join(home, file)}`)])
    expect(code).toBe(1)
  })

  test('a folder without a lockfile', async () => {
    const { code, result } = await scan(
      ['--folder', folder('unlocked', { 'package.json': packageJson }), ...skip],
      'none',
    )
    expect(result?.problems).toEqual([expect.stringContaining('has no lockfile')])
    expect(code).toBe(1)
  })
})

describe('both scanners', () => {
  const cve = flaw('CVE-2026-1234', { severity: 'CRITICAL', cvssv4: { baseScore: 9.3 } })

  test('say one thing of what is one: npm by its GHSA, Dependency-Check by its CVE', async () => {
    answersWith([cve], 15)
    const { code, result, reports } = await scan(['--folder', 'npm'], 'low')
    expect(code).toBe(1)
    expect(result?.findings).toMatchObject([
      {
        id: 'GHSA-aaaa-bbbb-cccc',
        ids: ['GHSA-aaaa-bbbb-cccc', 'CVE-2026-1234'],
        severity: 'critical',
        cvss: 9.3,
        sources: ['npm audit', 'dependency-check'],
        paths: ['node_modules/victim', 'package-lock.json?/victim:1.0.0'],
        blocks: true,
      },
    ])
    expect(result?.commands.map(({ scanner, exitCode }) => [scanner, exitCode])).toEqual([
      ['audit', 1],
      ['dependency-check', 15],
    ])
    const [, , ...argv] = readFileSync(join(told, 'argv'), 'utf8').trimEnd().split('\n')
    const lock = argv[3] ?? ''
    expect(existsSync(lock)).toBe(false)
    expect(argv.join(' ')).toBe(
      `--scan ${apps.npm} --scan ${lock} --out ${reports} --format JSON --data ${join(root, 'data')} --disableOssIndex --disableNodeAudit`,
    )
    const files = ['report.md', 'report.html', 'results.sarif', 'dependency-check-report.json']
    expect(result?.artifacts.map(({ file }) => file)).toEqual(files)
  })

  test.each(['npm', 'bun'] as const)('%s: the lockfile is what Dependency-Check looks at', async (tool) => {
    writeFileSync(join(told, 'blind'), '')
    writeFileSync(join(told, 'exit'), '0')
    writeFileSync(
      join(told, 'report'),
      JSON.stringify(report([dependency(apps[tool], [], { fileName: 'x', packages: [] })])),
    )
    const blind = await scan(['--folder', tool], 'none')
    rmSync(join(told, 'blind'))
    const file = tool === 'npm' ? 'package-lock.json' : 'bun.lock'
    expect(blind.result).toMatchObject({
      complete: false,
      problems: [
        `dependency-check: Dependency-Check is incomplete: it looked at 0 of the 2 packages in ${file}`,
      ],
    })
    expect((await scan(['--folder', tool], 'none')).result).toMatchObject({ complete: true, passed: true })
  })

  test('what Dependency-Check alone fails at fails the stage, and the rest is told', async () => {
    answersWith([], 13)
    const { code, result } = await scan(['--folder', 'npm'], 'low')
    expect(result).toMatchObject({ passed: false, complete: false, counts: { low: 1 } })
    expect(result?.problems).toEqual([
      expect.stringContaining('dependency-check: Dependency-Check ended with 13'),
    ])
    expect(code).toBe(1)
  })

  test('Dependency-Check that is nowhere is no pass', async () => {
    const { code, err, result } = await scan(['--folder', 'npm'], 'none', { PATH: bare })
    expect(result?.problems).toEqual([
      expect.stringContaining('neither dependency-check, dependency-check.sh nor docker'),
    ])
    expect(err).toContain('--skip dependency-check --reason TEXT')
    expect(code).toBe(1)
  })

  test('its output is live, in one line each, and gives no orders to a runner', async () => {
    answersWith([])
    writeFileSync(join(told, 'wait'), '')
    const { child } = start(['--folder', 'npm'], 'none')
    const decoder = new TextDecoder()
    let seen = ''
    for await (const chunk of child.stderr) {
      seen += decoder.decode(chunk)
      // It goes on only when what it said has been seen.
      if (seen.includes('│ [INFO] Checking for updates')) rmSync(join(told, 'wait'), { force: true })
    }
    expect(await child.exited).toBe(0)
    expect(seen).toContain('│ ::error::key is')
    expect(seen.split('\n').filter((line) => /^\s*::/.test(line))).toEqual([])
  })

  test('an interrupted scan leaves no result, not even an earlier one', async () => {
    answersWith([])
    writeFileSync(join(told, 'wait'), '')
    const { child, reports } = start(['--folder', 'npm'], 'none')
    mkdirSync(reports)
    writeFileSync(join(reports, 'result.json'), '{"passed":true}')
    const decoder = new TextDecoder()
    let seen = ''
    for await (const chunk of child.stderr) {
      seen += decoder.decode(chunk)
      if (seen.includes('│ [INFO] Checking') && !child.killed) child.kill('SIGINT')
    }
    rmSync(join(told, 'wait'))
    expect(await child.exited).toBe(130)
    expect(readdirSync(reports)).not.toContain('result.json')
  })
})

const entry = (id: string, expires: string): string =>
  `# accepted\n- id: ${id}\n  reason: not reachable\n  owner: alice\n  expires: ${expires}\n`

const old = (startedAt: string, commit: string) => ({
  passed: true,
  commit,
  startedAt,
  failOn: 'critical' as const,
  file: 'reports/security-scan/result.json',
  sha256: 'a'.repeat(64),
  counts: { high: 1 },
})

describe('what a release was built of is scanned anew', () => {
  const repository = join(root, 'released')
  const kept = serveRegistry()
  afterAll(() => kept.stop())
  const image = `${kept.address}/chat`
  const digest = `sha256:${'c'.repeat(64)}`
  const git = (...args: string[]): string => {
    const command = ['git', '-C', repository, '-c', 'user.name=x', '-c', 'user.email=x@x', ...args]
    const { stdout, stderr, exitCode } = Bun.spawnSync(command)
    if (exitCode !== 0) throw new Error(stderr.toString())
    return stdout.toString().trim()
  }
  const before = '2026-11-01T08:00:00.000Z'
  const silent = shell(() => {})
  const find = async () => await findRelease(`${image}@${digest}`, silent)
  let commit = ''

  beforeAll(async () => {
    mkdirSync(join(repository, 'app'), { recursive: true })
    writeFileSync(join(repository, 'app/package.json'), packageJson)
    writeFileSync(join(repository, 'app/bun.lock'), bunLock)
    const config = { app: 'chat', image, scan: { folder: 'app', scanners: ['audit'] } }
    writeFileSync(join(repository, 'deploy.yaml'), JSON.stringify(config))
    // Nothing is left out of it, whatever git is told of archives.
    writeFileSync(join(repository, '.gitattributes'), 'app/bun.lock export-ignore')
    git('init', '-q')
    git('add', '.')
    git('commit', '-qm', 'x')
    commit = git('rev-parse', 'HEAD')
    // Since then the vulnerable package has gone.
    writeFileSync(
      join(repository, 'app/bun.lock'),
      '{ "lockfileVersion": 1, "workspaces": { "": {} }, "packages": {} }',
    )
    await pushRelease(
      {
        image,
        digest,
        tags: ['1.2.3'],
        version: '1.2.3',
        commit,
        builtAt: before,
        sbom: { file: 'x', sha256: 'a'.repeat(64), bytes: 1 },
        stages: { lint: old(before, commit), 'security-scan': old(before, commit) },
      },
      silent,
    )
  })
  const renew = async (release: string, answer: string, ...more: string[]) =>
    await scan(['--config', join(repository, 'deploy.yaml'), '--release', release, ...more], answer)

  test('and its proof says what was found, be it bad; nothing else in it changes', async () => {
    const { code, result, err } = await renew(digest, 'high')
    expect([code, err]).toEqual([1, expect.stringContaining('1 finding blocks')])
    expect(result).toMatchObject({ commit, findings: [{ package: 'victim', paths: ['victim'] }] })
    const release = await find()
    expect(release?.stages['security-scan']).toMatchObject({
      passed: false,
      commit,
      failOn: 'high',
      counts: { critical: 0, high: 1, medium: 0, low: 0, unknown: 0, waived: 0 },
      without: ['dependency-check'],
    })
    expect(Date.parse(release?.stages['security-scan']?.startedAt ?? '')).toBeGreaterThan(Date.parse(before))
    expect(release?.stages.lint).toEqual(old(before, commit))
    expect(git('status', '--porcelain')).toBe('M app/bun.lock')
  })

  test('or good, by its whole name or its file, which is written anew', async () => {
    const { code, result, reports } = await renew(`${image}@${digest}`, 'none')
    // The one scanner that is ever asked has answered.
    expect([code, result?.whole, existsSync(join(reports, 'results.sarif'))]).toEqual([0, true, true])
    const release = await find()
    expect(release?.stages['security-scan']).toMatchObject({ passed: true, failOn: 'high' })
    const file = join(root, 'release.json')
    if (release) writeRelease(release, file)
    expect((await renew(file, 'none', '--fail-on', 'low')).code).toBe(0)
    expect(readRelease(file).stages['security-scan']?.failOn).toBe('low')
    expect(await find()).toEqual(readRelease(file))
  })

  test('where the scanner did not answer the proof stays as it is', async () => {
    const release = await find()
    expect(await renew(digest, 'unreachable')).toMatchObject({ code: 1 })
    expect(await find()).toEqual(release)
  })

  test.each([
    ['nothing', 2, 'expected a release file, a digest, or IMAGE@DIGEST'],
    [`${image}:1.2.3`, 2, 'expected a release file, a digest, or IMAGE@DIGEST'],
    [`sha256:${'d'.repeat(64)}`, 1, 'The registry keeps no release beside'],
  ])('%s is none', async (release, code, says) => {
    const ended = await renew(release, 'none')
    expect([ended.code, ended.err]).toEqual([code, expect.stringContaining(says)])
  })

  test.each([
    ['f'.repeat(40), 'If it is not here yet: git fetch origin ffff'],
    ['--help', '"--help" is no commit whose files git has'],
    ['dirty', 'is no commit whose files git has'],
  ])('a release of commit %s cannot be', async (name, says) => {
    const release = await find()
    const other = `sha256:${'e'.repeat(64)}`
    const wrong = name === 'dirty' ? `${commit}-dirty` : name
    if (release) await pushRelease({ ...release, digest: other, commit: wrong }, silent)
    const ended = await renew(other, 'none')
    expect([ended.code, ended.err]).toEqual([2, expect.stringContaining(says)])
  })
})

describe('waivers', () => {
  const file = join(root, 'security-waivers.yaml')
  const cve = 'CVE-2026-1234'

  test.each([
    ['covers what npm calls otherwise', entry(cve, '2999-12-31'), 0, 'waived until 2999-12-31'],
    [
      'has expired',
      entry(cve, '2026-01-01'),
      1,
      `security-waivers.yaml:2: the waiver of ${cve} expired on 2026-01-01`,
    ],
    [
      'covers nothing',
      entry('CVE-2020-1', '2999-12-31'),
      1,
      'security-waivers.yaml:2: the waiver of CVE-2020-1 covers',
    ],
    [
      'gives no reason',
      entry(cve, '2999-12-31').replace('not reachable', ''),
      2,
      'security-waivers.yaml:3: reason',
    ],
  ])('one that %s', async (_, text, exitCode, says) => {
    writeFileSync(file, text)
    answersWith([flaw(cve)])
    const { code, err } = await scan(['--folder', 'npm'], 'high')
    rmSync(file)
    expect(err).toContain(says)
    expect(code).toBe(exitCode)
  })
})

/** In a folder of its own, with the application below it. */
function declare(name: string, scan?: object): string {
  const place = folder(name, {
    'deploy.yaml': JSON.stringify({ app: 'chat', image: 'r/chat', ...(scan && { scan }) }),
    'waivers.yaml': entry('GHSA-aaaa-bbbb-cccc', '2999-12-31'),
  })
  cpSync(apps.npm, join(place, 'app'), { recursive: true })
  return join(place, 'deploy.yaml')
}

describe('deploy.yaml', () => {
  const section = { folder: 'app', scanners: ['audit'], failOn: 'low', waivers: 'none.yaml', timeout: '9m' }

  test('says what no flag says, with paths from where it is', async () => {
    const config = declare('declared', section)
    const { code, err, result } = await scan(['--config', config], 'low')
    expect([code, err]).toEqual([1, expect.stringContaining('1 finding blocks (fails on low and worse)')])
    expect(result?.skipped).toEqual([{ scanner: 'dependency-check', reason: 'not in scan.scanners' }])
    const { result: over } = await scan(['--config', config, '--fail-on', 'high'], 'low')
    expect(over).toMatchObject({ passed: true, failOn: 'high', counts: { low: 1 } })
  })

  test('names the accepted findings', async () => {
    const config = declare('accepted', { ...section, waivers: 'waivers.yaml' })
    const { code, result } = await scan(['--config', config], 'high')
    expect([code, result?.counts]).toEqual([0, expect.objectContaining({ high: 0, waived: 1 })])
  })

  test('without a scan section: the defaults, where it is', async () => {
    const { code, result } = await scan(['--config', declare('silent'), ...skip], 'high')
    expect(result?.problems).toEqual([expect.stringContaining(`${join(root, 'silent')} has no lockfile`)])
    expect(code).toBe(1)
  })

  test.each([
    [join(root, 'nowhere.yaml'), 'nowhere.yaml cannot be read'],
    [declare('wrong', { failOn: 'terrible' }), 'deploy.yaml:1: scan.failOn: '],
  ])('%s is wrong usage', async (config, says) => {
    const { code, err, result } = await scan(['--config', config], 'none')
    expect([code, err, result]).toEqual([2, expect.stringContaining(says), undefined])
  })
})

test('in GitHub Actions: the summary, and one annotation; secrets are nowhere (S7)', async () => {
  answersWith([flaw('CVE-2026-1234', { description: '`</td><script>|\n::error::x' })])
  const summary = join(root, 'summary.md')
  writeFileSync(summary, '')
  const sha = Bun.spawnSync(['git', '-C', root, 'rev-parse', 'HEAD']).stdout.toString().trim()
  const actions = {
    GITHUB_ACTIONS: 'true',
    GITHUB_SHA: sha,
    GITHUB_REF: 'refs/heads/main',
    GITHUB_SERVER_URL: 'https://github.com',
    GITHUB_REPOSITORY: 'o/r',
    GITHUB_STEP_SUMMARY: summary,
  }
  const secrets = { NVD_API_KEY: 's3cret-of-the-nvd', NPM_TOKEN: 's3cret-of-the-registry' }
  writeFileSync(join(apps.npm, '.npmrc'), `//127.0.0.1/:_authToken=\${NPM_TOKEN}\n`)
  fixture.titles.high = '\u001B[31m$(id) ::error::x\n##[error]x'
  const { code, out, err, result, reports } = await scan(['--folder', 'npm', '--json'], 'high', {
    ...actions,
    ...secrets,
  })
  expect(code).toBe(1)
  expect(result?.commit).toStartWith(sha)
  expect(readFileSync(summary, 'utf8')).toStartWith('## Security scan ❌ failed')
  expect(err.split('\n').filter((line) => /^\s*::|##\[/.test(line))).toEqual([
    expect.stringMatching(/^::error::1 finding blocks/),
  ])
  expect(err).not.toContain('\u001B')
  expect(err).toContain('::error::key is ***')
  const files = readdirSync(reports).map((file) => readFileSync(join(reports, file), 'utf8'))
  expect(files).toHaveLength(5)
  const everything = [
    out,
    err,
    ...files,
    readFileSync(join(told, 'everybody'), 'utf8'),
    readFileSync(summary, 'utf8'),
  ]
  for (const text of everything) expect(text).not.toContain('s3cret')
  expect(readFileSync(join(told, 'properties'), 'utf8')).toBe('600\nnvd.api.key=s3cret-of-the-nvd\n')
})

describe('wrong usage ends with 2, before anything is asked', () => {
  test.each([
    [['--fail-on', 'terrible'], '--fail-on: '],
    [['--timeout', 'soon'], '--timeout: expected a duration'],
    [['--skip', 'dependency-check'], '--skip SCANNER and --reason TEXT go together'],
    [['--reason', 'x'], '--skip SCANNER and --reason TEXT go together'],
    [['--skip', 'everything', '--reason', 'x'], '--skip is audit or dependency-check, not "everything"'],
    [['--skip', 'audit', '--reason', ' '], '--reason is empty'],
    [['--waivers', 'nowhere.yaml'], 'nowhere.yaml cannot be read'],
    [['--folder', 'nowhere'], 'nowhere'],
  ])('%j', async (args, says) => {
    const { code, err, out } = await scan(args, 'unreachable')
    expect(err).toContain(says)
    expect([out, code]).toEqual(['', 2])
  })

  test('skipping every scanner is no pass', async () => {
    const { code, result } = await scan(['--skip', 'audit,dependency-check', '--reason', 'x'], 'none')
    expect(result?.problems).toEqual(['no scanner was asked'])
    expect(code).toBe(1)
  })
})
