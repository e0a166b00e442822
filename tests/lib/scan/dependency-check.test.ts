import { afterAll, describe, expect, test } from 'bun:test'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { commandLine, shell, type Command } from '../../../lib/command.ts'
import { readFindings } from '../../../lib/scan/dependency-check-report.ts'
import { containerised, dependencyCheck, runDependencyCheck } from '../../../lib/scan/dependency-check.ts'
import { writeReadableLock } from '../../../lib/scan/readable-lock.ts'
import { dependency, exception, flaw, report, standIn, updateException } from './dependency-check-fixture.ts'

const FOLDER = '/work/app'
const FLAGS = '--format JSON --data'
const OFF = '--disableOssIndex --disableNodeAudit'
const CVE = 'CVE-2026-1234'
const GHSA = 'GHSA-aaaa-bbbb-cccc'
const url = (id: string) => ({ url: `https://github.com/x/y/security/advisories/${id}` })
const read = (exitCode: number, given: unknown) => readFindings(exitCode, JSON.stringify(given), FOLDER)
const vulnerable = report([dependency(FOLDER, []), dependency(FOLDER, [flaw(CVE)])])

describe('the report', () => {
  test.each([0, 15])('with exit code %d is read', (exitCode) => {
    expect(read(exitCode, vulnerable)).toEqual([
      {
        id: GHSA,
        ids: [CVE, GHSA],
        title: 'victim before 1.2.3 allows prototype pollution.',
        package: 'victim',
        version: '1.0.0',
        severity: 'high',
        cvss: 7.5,
        fixedIn: '1.2.3',
        paths: ['package-lock.json?/victim:1.0.0'],
        sources: ['dependency-check'],
      },
    ])
  })

  const first = (more: Record<string, unknown>, of: Record<string, unknown> = {}) =>
    read(0, report([dependency(FOLDER, [flaw(CVE, more)], of)]))[0]

  test.each([
    [{ severity: 'moderate', cvssv3: undefined }, 'medium', undefined],
    [{ severity: 'CRITICAL', cvssv4: { baseScore: 9.3 }, cvssv2: { score: 5 } }, 'critical', 9.3],
    [{ severity: undefined, cvssv3: undefined, cvssv2: { score: 5 } }, 'medium', 5],
    [{ unscored: 'true', severity: 'Unknown', cvssv3: undefined }, 'unknown', undefined],
    [{ severity: undefined, cvssv3: undefined }, 'unknown', undefined],
  ])('%j is %s', (more, severity, cvss) => {
    expect([first(more)?.severity, first(more)?.cvss]).toEqual([severity as never, cvss])
  })

  test.each([
    [{ packages: [{ id: 'pkg:npm/%40scope%2Fname@1.2.3?x=y' }] }, '@scope/name', '1.2.3'],
    [{ packages: [{ id: 'cpe:2.3:a:b' }, { id: 'pkg:maven/org.x/y@2' }] }, 'org.x/y', '2'],
    [{ packages: [{ id: 'pkg:npm/%zz@1' }] }, '%zz', '1'],
    [{ packages: [{ id: 'pkg:npm/bare' }] }, 'bare', ''],
    [{ packages: undefined }, 'victim:1.0.0', ''],
  ])('%j is %s %s', (of, name, version) => {
    expect([first({}, of)?.package, first({}, of)?.version]).toEqual([name, version])
  })

  test('references that name several advisories name none: a waiver must not cover a neighbour', () => {
    expect(first({ references: [url(GHSA), url('GHSA-dddd-eeee-ffff')] })?.ids).toEqual([CVE])
    expect(first({ references: [url(GHSA), url(GHSA.toLowerCase())] })?.ids).toEqual([CVE, GHSA])
    expect(
      first({ name: GHSA, references: [{ url: `https://nvd.nist.gov/vuln/detail/${CVE}` }] })?.ids,
    ).toEqual([GHSA, CVE])
  })

  test('exit code 14 is believed when only analyzers that are switched off complain', () => {
    const complaints = [exception('OssIndexAnalyzer'), exception('NodeAuditAnalyzer')]
    expect(read(14, report([dependency(FOLDER, [flaw(CVE)])], complaints))).toHaveLength(1)
  })

  const some = [dependency(FOLDER, [])]
  const off = exception('OssIndexAnalyzer')
  test.each<[string, number, unknown, string]>([
    ['14 that gives no reason', 14, report(some), 'does not say what is missing'],
    ['14 of an analyzer that counts', 14, report(some, [off, exception('RetireJsAnalyzer', '404')]), '404'],
    ['14 because its data is old', 14, report(some, [updateException]), 'Error updating the NVD Data'],
    ['an exception that 0 hides', 0, report(some, [updateException]), 'Error updating the NVD Data'],
    ['an exception that 15 hides', 15, report(some, [updateException]), 'Error updating the NVD Data'],
    ['an exception from nowhere', 14, report(some, [{ exception: { message: 'x' } }]), 'incomplete: x'],
    ['15 without a vulnerability', 15, report(some), 'lists no vulnerability'],
    ['nothing to look at', 0, report([]), 'found nothing to look at'],
    ['no data', 0, { ...report(some), scanInfo: { dataSource: [] } }, 'names no source of its data'],
    ['another schema', 0, { ...report(some), reportSchema: '2.0' }, 'reportSchema'],
    ['null', 0, null, 'no report that can be read'],
    ['a list', 0, [], 'no report that can be read'],
    ['a flaw without a name', 0, report([dependency(FOLDER, [flaw('')])]), 'name'],
    [
      'a score that is text',
      0,
      report([dependency(FOLDER, [flaw(CVE, { cvssv3: { baseScore: '7' } })])]),
      'baseScore',
    ],
  ])('%s fails', (_, exitCode, given, message) => expect(() => read(exitCode, given)).toThrow(message))

  test.each(['', '{', '<html>', JSON.stringify(vulnerable).slice(0, -2)])('%j is no report', (text) =>
    expect(() => readFindings(0, text, FOLDER)).toThrow('no report that can be read'),
  )
})

describe('the command line', () => {
  const places = { folder: FOLDER, report: '/work/reports', data: '/cache' }

  test('of the program', () => {
    expect(commandLine(dependencyCheck('dependency-check', places))).toBe(
      `dependency-check --scan ${FOLDER} --out /work/reports ${FLAGS} /cache ${OFF}`,
    )
    expect(dependencyCheck('x', { ...places, properties: '/p' }).slice(-2)).toEqual(['--propertyfile', '/p'])
  })

  test('with a lockfile, here and in the container', () => {
    const own = commandLine(dependencyCheck('x', { ...places, lock: '/tmp/l' }))
    expect(own).toStartWith(`x --scan ${FOLDER} --scan /tmp/l --out`)
    const inside = commandLine(containerised('i', 'u', { ...places, lock: '/tmp/l' }))
    expect(inside).toContain('--mount type=bind,source=/tmp/l,target=/lock,readonly')
    expect(inside).toContain('--scan /src --scan /lock --out')
  })

  test('of the container', () => {
    const command = containerised('owasp/dependency-check:1', '10:20', { ...places, properties: '/tmp/p' })
    expect(commandLine(command)).toBe(
      'docker run --rm --user 10:20' +
        ` --mount type=bind,source=${FOLDER},target=/src,readonly` +
        ' --mount type=bind,source=/work/reports,target=/report' +
        ' --mount type=bind,source=/cache,target=/usr/share/dependency-check/data' +
        ' --mount type=bind,source=/tmp/p,target=/run/dependency-check.properties,readonly' +
        ` owasp/dependency-check:1 --scan /src --out /report ${FLAGS} /usr/share/dependency-check/data` +
        ` ${OFF} --propertyfile /run/dependency-check.properties`,
    )
  })

  test('a folder cannot add options to its mount', () => {
    const mounts = containerised('i', 'u', { ...places, folder: '/a,target=/,b "c"' })
    expect(mounts).toContain('type=bind,"source=/a,target=/,b ""c""",target=/src,readonly')
  })
})

const inLock = (...names: string[]) =>
  names.map((name) => {
    const place = { fileName: `${name}:1`, filePath: `/tmp/made/package-lock.json?/${name}:1`, packages: [] }
    return dependency('/tmp/made', name === 'victim' ? [flaw(CVE)] : [], place)
  })

describe('the lockfile that it can read', () => {
  const root = mkdtempSync(join(tmpdir(), 'readable-lock-test-'))
  afterAll(() => rmSync(root, { recursive: true }))

  const made = (file: string, text: string) => {
    const [from, to] = ['from-', 'to-'].map((name) => mkdtempSync(join(root, name)))
    if (from === undefined || to === undefined) throw new Error('there are two')
    writeFileSync(join(from, file), text)
    const lock = writeReadableLock(from, to)
    const content = lock && JSON.parse(readFileSync(join(to, 'package-lock.json'), 'utf8'))
    return { lock, content, beside: existsSync(join(to, 'node_modules')) }
  }

  test('is made of bun.lock, each package in its place; what is no version of a registry is left out', () => {
    const text = `{
      "lockfileVersion": 1,
      "workspaces": { "": { "name": "app" } },
      "packages": {
        "@a/b": ["@a/b@1.0.0", "", {}, "sha512-x"],
        "@a/b/c": ["c@2.0.0", "", { "optionalPeers": ["x"] }, "sha512-x"],
        "api/@a/b": ["other@3.0.0-rc.1", "", {}, "sha512-x"],
        "api": ["api@workspace:packages/api"],
        "fork": ["fork@github:x/fork#abc", {}, "x-fork-abc"],
      },
    }`
    const { lock, content, beside } = made('bun.lock', text)
    expect(beside).toBe(true)
    expect(lock?.file).toBe('bun.lock')
    expect([...(lock?.packages ?? [])].toSorted()).toEqual(['@a/b', 'c', 'other'])
    // A nameless one would not be read.
    const root = { name: 'lockfile', version: '0.0.0' }
    expect(content).toEqual({
      ...root,
      lockfileVersion: 3,
      packages: {
        '': root,
        'node_modules/@a/b': { version: '1.0.0' },
        'node_modules/@a/b/node_modules/c': { version: '2.0.0' },
        'node_modules/api/node_modules/other': { version: '3.0.0-rc.1' },
      },
    })
  })

  test('is made of package-lock.json: what is optional would be left out where it is not installed', () => {
    const packages = {
      '': { name: 'app' },
      'node_modules/a': { version: '1.0.0', optional: true },
      'node_modules/b': { version: '2.0.0', name: 'real' },
      'node_modules/linked': { link: true },
      'packages/own': { version: '1.0.0' },
    }
    const { content } = made('package-lock.json', JSON.stringify({ lockfileVersion: 3, packages }))
    expect(content.packages).toEqual({
      '': { name: 'lockfile', version: '0.0.0' },
      'node_modules/a': { version: '1.0.0' },
      'node_modules/real': { version: '2.0.0' },
    })
  })

  test('of version 1 is taken as it is', () => {
    const old = { name: 'app', lockfileVersion: 1, dependencies: { a: { version: '1.0.0' } } }
    expect(made('npm-shrinkwrap.json', JSON.stringify(old)).content).toEqual(old)
  })

  test('is none where there is none', () => expect(made('yarn.lock', '').lock).toBeUndefined())

  const lock = { folder: '/tmp/made', file: 'bun.lock', packages: new Set(['victim', 'a', 'b', 'c']) }
  const readWith = (...dependencies: unknown[]) =>
    readFindings(0, JSON.stringify(report(dependencies)), FOLDER, lock)

  test('is called what it was made of', () =>
    expect(readWith(...inLock('victim', 'a'))[0]?.paths).toEqual(['bun.lock?/victim:1']))

  test('and what is found elsewhere is called what it is', () => {
    const here = dependency(FOLDER, [flaw(CVE)])
    const [one, other] = readWith(...inLock('a', 'b'), here, { ...here, filePath: 'lib/x.jar' })
    expect([one?.paths, other?.paths]).toEqual([['package-lock.json?/victim:1.0.0'], ['lib/x.jar']])
  })

  test('that it did not read makes its report incomplete: less than half', () => {
    const five = { ...lock, packages: new Set(['victim', 'a', 'b', 'c', 'd']) }
    const text = JSON.stringify(report(inLock('victim', 'a')))
    expect(() => readFindings(0, text, FOLDER, five)).toThrow('it looked at 2 of the 5 packages')
    expect(() => readWith(...inLock('victim'))).toThrow('it looked at 1 of the 4 packages in bun.lock')
    expect(() => readWith(...inLock('other', 'more', 'than', 'enough'))).toThrow('it looked at 0 of the 4')
  })

  test('a package counts by its address, and where it is put together with others', () => {
    const packages = [{ id: 'pkg:npm/a@1' }]
    const together = dependency(FOLDER, [], {
      packages,
      relatedDependencies: [{ fileName: 'b:1' }],
      fileName: 'x',
    })
    expect(readWith(together)).toEqual([])
  })
})

const whyNot = async (scan: Promise<unknown>): Promise<string> =>
  await scan.then(
    () => 'it was believed',
    (error: unknown) => String(error),
  )

describe('with a program that stands in for it', () => {
  const root = mkdtempSync(join(tmpdir(), 'dependency-check-test-'))
  afterAll(() => rmSync(root, { recursive: true }))
  const app = join(root, 'app')
  const out = join(root, 'reports')
  const data = join(root, 'data')
  for (const folder of [app, out]) mkdirSync(folder)
  const KEY = 'n0t-for=everybody: \\eyes!'

  /** The folder with the one program in it that there is. */
  function only(name: string, exitCode: number, given?: string): { bin: string; told: string } {
    const bin = mkdtempSync(join(root, 'bin-'))
    const told = standIn(bin, name)
    writeFileSync(join(told, 'exit'), String(exitCode))
    if (given !== undefined) writeFileSync(join(told, 'report'), given)
    return { bin, told }
  }

  const commands: Command[] = []
  async function run(bin: string, key?: string) {
    const variables = { PATH: bin, DEPENDENCY_CHECK_DATA: data, ...(key && { NVD_API_KEY: key }) }
    return await runDependencyCheck(
      { folder: app, report: out, image: 'odc:1' },
      variables,
      async (command) => {
        commands.push(command)
        const [program, ...rest] = command
        return await shell(() => {}).write([join(bin, program), ...rest])
      },
    )
  }
  const good = JSON.stringify(report([dependency(app, [flaw(CVE)])]))

  test.each(['dependency-check', 'dependency-check.sh'])(
    '%s is run, and its key is nowhere to be seen',
    async (name) => {
      const { bin, told } = only(name, 0, good)
      expect(await run(bin, KEY)).toMatchObject([{ id: GHSA, paths: ['package-lock.json?/victim:1.0.0'] }])
      const [, , ...argv] = readFileSync(join(told, 'argv'), 'utf8').trimEnd().split('\n')
      const properties = argv.pop()
      expect(argv.join(' ')).toBe(`--scan ${app} --out ${out} ${FLAGS} ${data} ${OFF} --propertyfile`)
      const [mode, line] = readFileSync(join(told, 'properties'), 'utf8').split('\n')
      expect(mode).toBe('600')
      expect(JSON.parse(`"${line?.replace('nvd.api.key=', '')}"`)).toBe(KEY)
      const everybody = readFileSync(join(told, 'everybody'), 'utf8')
      expect(everybody).toContain('--disableOssIndex')
      expect(everybody).not.toContain('n0t-for')
      expect(existsSync(properties ?? '/')).toBe(false)
      expect(existsSync(data)).toBe(true)
    },
  )

  test('without a key there is no file for it', async () => {
    const { bin, told } = only('dependency-check', 0, good)
    await run(bin)
    expect(existsSync(join(told, 'properties'))).toBe(false)
    expect(readFileSync(join(told, 'argv'), 'utf8')).not.toContain('propertyfile')
  })

  test('else its image is', async () => {
    const inside = JSON.stringify(report([dependency('/src', [flaw(CVE)])]))
    const { bin, told } = only('docker', 0, inside)
    expect(await run(bin, KEY)).toMatchObject([{ id: GHSA, paths: ['package-lock.json?/victim:1.0.0'] }])
    const { uid, gid } = userInfo()
    expect(commands.at(-1)?.slice(0, 5)).toEqual(['docker', 'run', '--rm', '--user', `${uid}:${gid}`])
    expect(readFileSync(join(told, 'properties'), 'utf8')).toStartWith('600\nnvd.api.key=')
    expect(readFileSync(join(told, 'everybody'), 'utf8')).not.toContain('n0t-for')
  })

  test('without any of them it fails, and says what to do', async () => {
    expect(await whyNot(run(mkdtempSync(join(root, 'empty-'))))).toContain(
      'install one, or --skip dependency-check',
    )
  })

  test('a report of an earlier run is not this one', async () => {
    writeFileSync(join(out, 'dependency-check-report.json'), good)
    const { bin } = only('dependency-check', 0)
    expect(await whyNot(run(bin))).toContain('ended with 0 and left no report: ::error::key is')
  })

  test('a folder that reads as a wildcard is not scanned', async () => {
    const { bin } = only('dependency-check', 0, good)
    const scan = runDependencyCheck({ folder: '/a*', report: out, image: '' }, { PATH: bin }, () => {
      throw new Error('it was run')
    })
    expect(await whyNot(scan)).toContain('wildcard')
  })

  test.each<[number, string | undefined, string]>([
    [
      13,
      undefined,
      'ended with 13 (the analysis failed, mostly because its data cannot be reached): ::error::key is',
    ],
    [13, good, 'ended with 13'],
    [1, good, 'ended with 1 (a file was not found)'],
    [8, good, 'its data cannot be updated'],
    [9, good, 'its database failed'],
    [42, good, 'no code that it is known for'],
    [127, undefined, 'cannot be run'],
    [139, good, 'signal 11'],
    [0, undefined, 'left no report'],
    [14, undefined, 'left no report'],
    [15, undefined, 'left no report'],
    [0, 'garbage', 'no report that can be read'],
    [14, good, 'does not say what is missing'],
  ])('exit code %d with the report %p fails', async (exitCode, given, message) => {
    const { bin } = only('dependency-check', exitCode, given)
    expect(await whyNot(run(bin))).toContain(message)
  })

  test.each([
    [0, good],
    [15, good],
    [14, JSON.stringify(report([dependency(app, [flaw(CVE)])], [exception('NodeAuditAnalyzer')]))],
  ])('exit code %d with its report counts', async (exitCode, given) => {
    expect(await run(only('dependency-check', exitCode, given).bin)).toHaveLength(1)
  })
})
