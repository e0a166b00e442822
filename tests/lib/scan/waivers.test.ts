import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DeployError } from '../../../lib/errors.ts'
import type { Finding, Rating } from '../../../lib/scan/finding.ts'
import { countsLine, findingLine, judge, objections, type Answers } from '../../../lib/scan/result.ts'
import { readWaivers, type Waiver } from '../../../lib/scan/waivers.ts'
import { severities } from '../../../lib/settings/gates.ts'

const folder = mkdtempSync(join(tmpdir(), 'waivers-test-'))
afterAll(() => rmSync(folder, { recursive: true }))
const file = join(folder, 'security-waivers.yaml')

const NOW = Date.parse('2026-11-23T23:59:59Z')
const CVE = 'CVE-2026-1234'
const GHSA = 'GHSA-aaaa-bbbb-cccc'
const entry = (more = ''): string => `- id: ${CVE}\n  reason: not reachable\n  owner: alice\n${more}`

function read(text: string): Waiver[] {
  writeFileSync(file, text)
  return readWaivers(file, true)
}

function whyNot(text: string): string {
  try {
    read(text)
  } catch (error) {
    if (error instanceof DeployError && error.exitCode === 2) return error.message.replaceAll(file, 'waivers')
    throw error
  }
  return 'it was read'
}

describe('the file', () => {
  test('names each waiver with its line', () => {
    const text = `# why\n\n${entry('  expires: 2027-01-31\n')}\n- { id: x, package: y, reason: r, owner: o, expires: 2027-02-01 }\n`
    expect(read(text)).toEqual([
      { id: CVE, reason: 'not reachable', owner: 'alice', expires: '2027-01-31', at: `${file}:3` },
      { id: 'x', package: 'y', reason: 'r', owner: 'o', expires: '2027-02-01', at: `${file}:8` },
    ])
  })

  test.each(['', '# nothing yet\n', '[]'])('%j holds none', (text) => expect(read(text)).toEqual([]))

  test('need not be there, unless it was named', () => {
    expect(readWaivers(join(folder, 'none.yaml'), false)).toEqual([])
    expect(() => readWaivers(join(folder, 'none.yaml'), true)).toThrow('none.yaml cannot be read')
  })

  test.each([
    [entry(), 'waivers:1: expires: '],
    [entry('  expires: soon\n'), 'waivers:4: expires: expected a date such as 2027-01-31'],
    [entry('  expires: 2027-02-30\n'), 'waivers:4: expires: '],
    [entry('  expires: 2027-01-31\n  until: never\n'), 'waivers:1: the entry: '],
    [`- id: ${CVE}\n  reason: ' '\n  owner: alice\n  expires: 2027-01-31\n`, 'waivers:2: reason: '],
    [`- id: ${CVE}\n  reason: why\n  expires: 2027-01-31\n`, 'waivers:1: owner: '],
    ['waivers: []', 'waivers:1: the entry: '],
    ['- a\n- [', 'waivers:2: '],
    ['- *nobody', 'waivers:1: '],
    ['- just text', 'waivers:1: the entry: '],
  ])('%j is refused', (text, message) => expect(whyNot(text)).toStartWith(message))
})

const found = (more: Partial<Finding> = {}): Finding => ({
  id: GHSA,
  ids: [GHSA, CVE],
  title: '',
  package: 'victim',
  version: '1.0.0',
  severity: 'high',
  paths: [],
  sources: ['npm audit'],
  ...more,
})
const waiver = (more: Partial<Waiver> = {}): Waiver => ({
  id: CVE,
  reason: 'not reachable',
  owner: 'alice',
  expires: '2026-11-23',
  at: 'security-waivers.yaml:1',
  ...more,
})
const judged = (
  answers: Partial<Answers>,
  waivers: Waiver[] = [],
  failOn: (typeof severities)[number] = 'high',
) => judge({ findings: [], failed: [], skipped: [], missed: 0, ...answers }, { failOn, waivers, now: NOW })

describe('the verdict', () => {
  const table = severities.flatMap((failOn, limit) =>
    severities.map((severity, rank) => [severity, failOn, rank < limit] as const),
  )
  test.each<readonly [Rating, (typeof severities)[number], boolean]>([
    ...table,
    ...severities.map((failOn) => ['unknown', failOn, false] as const),
  ])('on %s with --fail-on %s passes: %p', (severity, failOn, passes) => {
    expect(judged({ findings: [found({ severity })] }, [], failOn).passed).toBe(passes)
  })

  test('one that blocks among many that do not', () => {
    const findings = [
      found({ severity: 'low' }),
      found({ severity: 'critical' }),
      found({ severity: 'medium' }),
    ]
    const result = judged({ findings })
    expect(result.passed).toBe(false)
    expect(result.findings.map(({ blocks }) => blocks)).toEqual([false, true, false])
    expect(result.counts).toEqual({ critical: 1, high: 0, medium: 1, low: 1, unknown: 0, waived: 0 })
  })

  test('nothing found passes; a scanner that failed does not, whatever the others found', () => {
    expect(judged({})).toMatchObject({ passed: true, complete: true, problems: [] })
    expect(judged({ failed: ['audit: 503'] })).toMatchObject({
      passed: false,
      complete: false,
      problems: ['audit: 503'],
    })
  })

  test('a skip that is recorded passes', () => {
    const skipped = [{ scanner: 'dependency-check', reason: 'NVD is down' }]
    expect(judged({ skipped })).toMatchObject({ passed: true, skipped })
  })

  test.each([CVE, GHSA, CVE.toLowerCase(), 'ghsa-AAAA-BBBB-CCCC'])('a waiver of %s covers it', (id) => {
    const result = judged({ findings: [found()] }, [waiver({ id })])
    expect(result).toMatchObject({ passed: true, problems: [], counts: { high: 0, waived: 1 } })
    expect(result.findings[0]?.waiver).toEqual({
      reason: 'not reachable',
      owner: 'alice',
      expires: '2026-11-23',
    })
  })

  test.each<[string, Waiver, string]>([
    ['expired yesterday', waiver({ expires: '2026-11-22' }), 'expired on 2026-11-22; alice answers for it'],
    ['is of another package', waiver({ package: 'other' }), 'covers nothing that was found'],
    ['is of another id', waiver({ id: 'CVE-2026-123' }), 'covers nothing that was found'],
  ])('a waiver that %s covers nothing, and is a problem with its line', (_, given, message) => {
    const result = judged({ findings: [found()] }, [given])
    expect(result).toMatchObject({ passed: false, counts: { high: 1, waived: 0 } })
    expect(result.problems).toEqual([expect.stringMatching(/^security-waivers\.yaml:1: the waiver of /)])
    expect(result.problems[0]).toContain(message)
  })

  test('an expired waiver is a problem even of what does not block', () => {
    const low = { findings: [found({ severity: 'low' })] }
    expect(judged(low, [waiver({ expires: '2026-01-01' })]).passed).toBe(false)
  })

  test('whether a waiver is unused is not known while a scanner did not answer', () => {
    const skipped = [{ scanner: 'dependency-check', reason: 'NVD is down' }]
    expect(judged({ skipped, missed: 1 }, [waiver()])).toMatchObject({ passed: true, whole: false })
    expect(judged({ failed: ['audit: 503'] }, [waiver()]).problems).toEqual(['audit: 503'])
  })

  test('it is known where one scanner is all that is ever asked', () => {
    const skipped = [{ scanner: 'dependency-check', reason: 'not in scan.scanners' }]
    const result = judged({ skipped }, [waiver()])
    expect(result.whole).toBe(true)
    expect(result.problems).toEqual([expect.stringContaining('covers nothing that was found')])
  })

  test('a waiver that covers one finding of several is used', () => {
    const findings = [found(), found({ id: 'CVE-2026-9', ids: ['CVE-2026-9'], severity: 'low' })]
    expect(judged({ findings }, [waiver()]).problems).toEqual([])
  })

  test('what is wrong is said in sentences', () => {
    const low = found({ id: 'CVE-2026-9', ids: ['CVE-2026-9'], severity: 'low' })
    const result = judged({ findings: [found(), low], failed: ['audit: 503'] })
    const rest = { startedAt: '', ms: 0, commit: '', commands: [], artifacts: [] }
    expect(objections({ stage: 'security-scan', ...result, ...rest })).toEqual([
      '1 finding blocks (fails on high and worse)',
      'audit: 503',
    ])
  })
})

describe('what is said of it in a line', () => {
  const none = { critical: 0, high: 0, medium: 0, low: 0, unknown: 0, waived: 0 }
  test.each([
    [none, 'nothing found'],
    [{ ...none, critical: 1, low: 2 }, '1 critical, 2 low'],
    [{ ...none, unknown: 1, waived: 3 }, '1 unknown, 3 waived'],
  ])('%j: %s', (counts, line) => expect(countsLine(counts)).toBe(line))

  const one = { ...found({ title: 'Pollution' }), blocks: false }
  const accepted = { reason: 'r', owner: 'o', expires: '2027-01-31' }
  test.each([
    [{ ...one, blocks: true, fixedIn: '1.2.3' }, `✗ high victim 1.0.0 ${GHSA} Pollution, fixed in 1.2.3`],
    [one, `– high victim 1.0.0 ${GHSA} Pollution`],
    [{ ...one, waiver: accepted }, `waived until 2027-01-31: high victim 1.0.0 ${GHSA} Pollution`],
  ])('%#', (judgedOne, line) => expect(findingLine(judgedOne)).toBe(line))
})
