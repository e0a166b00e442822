/** Reports that must not be believed; the real npm and the real Bun are asked in tests/scripts/security-scan.test.ts. */
import { describe, expect, test } from 'bun:test'
import type { Output } from '../../../lib/command.ts'
import { readBunAudit, refuseNarrowed } from '../../../lib/scan/bun-audit.ts'
import { readNpmAudit } from '../../../lib/scan/npm-audit.ts'
import { advisory, bunLock, packageJson, packageLock } from './registry.ts'

const ANSWERED = 'npm http fetch POST 200 http://127.0.0.1:1/-/npm/v1/security/advisories/bulk 20ms\n'
const via = { ...advisory('high'), source: 1001, range: '<1.2.3' }
const clean = {
  auditReportVersion: 2,
  vulnerabilities: {},
  metadata: { vulnerabilities: { total: 0 }, dependencies: { total: 2 } },
}
const vulnerable = {
  ...clean,
  vulnerabilities: {
    parent: { via: ['victim'], nodes: ['node_modules/parent'] },
    victim: { via: [via], nodes: ['node_modules/victim'] },
  },
  metadata: { vulnerabilities: { total: 2 }, dependencies: { total: 2 } },
}

const output = (report: unknown, exitCode: number, stderr = ANSWERED): Output => ({
  stdout: typeof report === 'string' ? report : JSON.stringify(report),
  stderr,
  exitCode,
})
const npm = (given: Output, lock = packageLock, manifest = packageJson) => readNpmAudit(given, lock, manifest)

describe('npm audit', () => {
  const total = (count: number) => ({ ...clean.metadata, vulnerabilities: { total: count } })

  test('an advisory is a finding of the version that is installed', () => {
    expect(npm(output(vulnerable, 1))).toEqual([
      {
        id: 'GHSA-aaaa-bbbb-cccc',
        ids: ['GHSA-aaaa-bbbb-cccc'],
        title: 'Prototype pollution',
        package: 'victim',
        version: '1.0.0',
        severity: 'high',
        fixedIn: '1.2.3',
        paths: ['node_modules/victim'],
        sources: ['npm audit'],
      },
    ])
  })

  test('of the versions installed only those in its range', () => {
    const nodes = ['node_modules/victim', 'node_modules/parent/node_modules/victim']
    const report = {
      ...vulnerable,
      vulnerabilities: { ...vulnerable.vulnerabilities, victim: { via: [via], nodes } },
    }
    const lock = JSON.stringify({
      packages: { [nodes[0]!]: { version: '1.2.3' }, [nodes[1]!]: { version: '1.1.0' } },
    })
    expect(npm(output(report, 1), lock).map(({ version, paths }) => [version, paths])).toEqual([
      ['1.1.0', [nodes[1]!]],
    ])
    expect(npm(output(report, 1), '{}').map(({ version, paths }) => [version, paths])).toEqual([['', nodes]])
  })

  test('an advisory for which npm names no place is a finding all the same', () => {
    const report = { ...clean, vulnerabilities: { victim: { via: [via], nodes: [] } }, metadata: total(1) }
    expect(npm(output(report, 1))).toMatchObject([{ package: 'victim', version: '', paths: [] }])
    const more = { ...vulnerable.vulnerabilities, other: { via: [via], nodes: [] } }
    const both = { ...clean, vulnerabilities: more, metadata: total(3) }
    expect(npm(output(both, 1)).map((one) => one.package)).toEqual(['victim', 'other'])
  })

  test('npm says clean by its exit code when audit-level is set: the report counts', () => {
    expect(npm(output(vulnerable, 0))).toHaveLength(1)
  })

  test('nothing found', () => expect(npm(output(clean, 0))).toEqual([]))

  test('a package without dependencies need not ask', () => {
    const alone = { ...clean, metadata: { ...clean.metadata, dependencies: { total: 0 } } }
    expect(npm(output(alone, 0, ''), packageLock, '{"name":"alone"}')).toEqual([])
    for (const manifest of [packageJson, '{"devDependencies":{"a":"1"}}', '', 'no JSON']) {
      expect(() => npm(output(alone, 0, ''), packageLock, manifest)).toThrow('did not ask the registry')
    }
    expect(() => npm(output(clean, 0, ''), packageLock, '{"name":"alone"}')).toThrow(
      'did not ask the registry',
    )
  })

  test.each<[string, Output, string]>([
    ['is not there', output('', 127), 'npm cannot be run'],
    ['may not be run', output('', 126), 'npm cannot be run'],
    ['took too long', output('', 124), 'npm took too long'],
    ['was killed', output('', 137, 'Killed'), 'npm was ended by signal 9'],
    ['lost its terminal', output('', 129, ''), 'npm was ended by signal 1: it said nothing'],
    ['ends with no signal', output('', 128, ''), 'npm audit ended with 128: it said nothing'],
    ['says nothing', output('', 0), 'left no report that can be read'],
    ['says nothing and fails', output('', 1), 'left no report that can be read'],
    ['says null', output('null', 0), 'left no report'],
    ['says []', output('[]', 0), 'left no report'],
    ['says {}', output('{}', 0), 'left no report'],
    ['stops in the middle', output(JSON.stringify(vulnerable).slice(0, -3), 1), 'left no report'],
    ['has another report version', output({ ...clean, auditReportVersion: 3 }, 0), 'auditReportVersion'],
    ['has a clean report but for its exit code', output(clean, 1), 'ended with 1 and names no advisory'],
    ['has an unknown exit code', output(vulnerable, 2), 'npm audit ended with 2: npm http fetch'],
    ['counts what it does not list', output({ ...clean, metadata: total(3) }, 1), 'counts 3'],
    ['lists what it does not count', output({ ...vulnerable, metadata: total(0) }, 1), 'counts 0'],
    [
      'names dependants and no advisory',
      output(
        { ...vulnerable, vulnerabilities: { parent: { via: ['x'], nodes: [] } }, metadata: total(1) },
        0,
      ),
      'names no advisory',
    ],
    ['asked nobody', output(clean, 0, 'npm warn using --offline\n'), 'did not ask the registry'],
    ['was refused', output(clean, 0, ANSWERED.replace('200', '404')), 'did not ask the registry'],
    ['says what failed', output({ message: '503 - POST', error: {} }, 1), 'npm audit failed: 503 - POST'],
    ['has no lockfile', output({ error: { summary: 'ENOLOCK' } }, 1), 'npm audit failed: ENOLOCK'],
  ])('that %s fails', (_, given, message) => expect(() => npm(given)).toThrow(message))
})

describe('bun audit', () => {
  const bulk = { victim: [advisory('high')] }

  test('an advisory is a finding of the version that bun.lock has', () => {
    expect(readBunAudit(output(bulk, 1, ''), bunLock)).toEqual([
      {
        id: 'GHSA-aaaa-bbbb-cccc',
        ids: ['GHSA-aaaa-bbbb-cccc'],
        title: 'Prototype pollution',
        package: 'victim',
        version: '1.0.0',
        severity: 'high',
        fixedIn: '1.2.3',
        paths: ['victim'],
        sources: ['bun audit'],
      },
    ])
  })

  test('a package that bun.lock does not have is found all the same', () => {
    expect(readBunAudit(output({ ghost: [advisory('low')] }, 1, ''), bunLock)).toMatchObject([
      { package: 'ghost', version: '', paths: [] },
    ])
  })

  test.each([
    [9.8, 'critical', 9.8],
    [10, 'critical', 10],
    [0.1, 'low', 0.1],
    // None, or none that there is: what nobody rated stays unknown, and blocks.
    [0, 'unknown', undefined],
    [null, 'unknown', undefined],
    [-1, 'unknown', undefined],
    [10.1, 'unknown', undefined],
  ])('a score of %p without a word is %s', (score, severity, cvss) => {
    const scored = { ...advisory(''), severity: undefined, cvss: { score } }
    const [found] = readBunAudit(output({ victim: [scored] }, 1, ''), bunLock)
    expect([found?.severity, found?.cvss, found && 'cvss' in found]).toEqual([
      severity as never,
      cvss,
      cvss !== undefined,
    ])
  })

  test.each([
    ['<1.2.3', [['1.0.0', ['victim']]]],
    // The registry says that one is: of those that are installed none is known to be out of it.
    [
      '>=5.0.0',
      [
        ['1.2.3', ['parent/victim']],
        ['1.0.0', ['victim']],
      ],
    ],
  ])('of the versions in bun.lock those in the range %s', (range, expected) => {
    const two = bunLock.replace(
      '"victim": ["',
      '"parent/victim": ["victim@1.2.3", "", {}, "sha512-x"],\n"victim": ["',
    )
    const answer = { victim: [{ ...advisory('high'), vulnerable_versions: range }] }
    const found = readBunAudit(output(answer, 1, ''), two).map(({ version, paths }) => [version, paths])
    expect(found).toEqual(expected)
  })

  test('an advisory without an address goes by its number', () => {
    const [found] = readBunAudit(output({ victim: [{ ...advisory('low'), url: undefined }] }, 1, ''), bunLock)
    expect(found?.ids).toEqual(['npm-1001'])
  })

  test('nothing found', () => expect(readBunAudit(output({}, 0, ''), bunLock)).toEqual([]))

  test.each<[string, Output, string]>([
    ['is not there', output('', 127), 'bun cannot be run'],
    ['cannot reach the registry', output('', 1, 'error: POST http://r - 503\n'), 'POST http://r - 503'],
    ['says nothing and exits 0', output('', 0, ''), 'bun audit failed with 0'],
    ['prints an answer that is none', output([], 1, 'error: not a list'), 'left no report that can be read'],
    ['prints another', output({ victim: 'x' }, 1, 'error: not a list'), 'left no report that can be read'],
    ['has an advisory without a range', output({ victim: [{ id: 1 }] }, 1), 'vulnerable_versions'],
    ['has a clean report but for its exit code', output({}, 1, 'error: x'), 'names no advisory: error: x'],
    ['crashed', output({}, 132), 'ended by signal 4'],
  ])('that %s fails', (_, given, message) => expect(() => readBunAudit(given, bunLock)).toThrow(message))

  test.each(['', '{', '{}', '{"packages": {"a": []}}', '{"packages": {"a": [1]}}'])(
    'bun.lock %j fails',
    (lock) => expect(() => readBunAudit(output(bulk, 1), lock)).toThrow('bun.lock cannot be read'),
  )

  test.each([
    ['bunfig.toml', '[install]\nproduction = true\n'],
    ['bunfig.toml', '[install]\ndev=false # small images\n'],
    ['/home/x/.npmrc', 'registry=http://r\nomit=dev\n'],
    ['.npmrc', 'omit[]=dev'],
    ['.npmrc', 'production=true'],
    ['.npmrc', 'only = production'],
  ])('a setting in %s that leaves packages out unsaid is refused: %j', (file, text) =>
    expect(() => refuseNarrowed([{ file, text }])).toThrow(`in ${file}: take it out`),
  )

  test.each([
    ['bunfig.toml', 'env = false\n[install]\nexact = true\nproduction = false\ndev = true\n'],
    ['.npmrc', 'registry=http://omit=dev/\n//r/:_authToken=${NPM_TOKEN}\nproduction=false\nomit=\n'],
  ])('others in %s are not: %j', (file, text) => expect(() => refuseNarrowed([{ file, text }])).not.toThrow())
})
