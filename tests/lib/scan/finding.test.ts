import { describe, expect, test } from 'bun:test'
import {
  canonicalId,
  fixedIn,
  merge,
  primaryId,
  rating,
  satisfies,
  type Finding,
} from '../../../lib/scan/finding.ts'

const GHSA = 'GHSA-aaaa-bbbb-cccc'
const CVE = 'CVE-2026-1234'

const found = (ids: string[], more: Partial<Finding> = {}): Finding => ({
  id: primaryId(ids),
  ids,
  title: '',
  package: 'victim',
  version: '1.0.0',
  severity: 'high',
  paths: ['node_modules/victim'],
  sources: ['npm audit'],
  ...more,
})

test.each([
  ['cve-2026-1234', CVE],
  ['ghsa-AAAA-bbbb-CCCC', GHSA],
  ['jquery issue: 162', 'jquery issue: 162'],
  ['CVE-2026-1234\n\u001B[31m', CVE],
])('the id %j is %s', (said, id) => expect(canonicalId(said)).toBe(id))

test.each([
  [['npm-1', CVE, GHSA], GHSA],
  [['npm-1', CVE], CVE],
  [['npm-1', 'other'], 'npm-1'],
  [[], 'unnamed'],
])('of the ids %j the first name is %s', (ids, id) => expect(primaryId(ids)).toBe(id))

describe('the rating', () => {
  test.each<[string | undefined, number | undefined, string]>([
    ['moderate', undefined, 'medium'],
    ['HIGH', undefined, 'high'],
    [' Critical ', 1, 'critical'],
    ['info', undefined, 'low'],
    ['low', 9.8, 'low'],
    [undefined, 9, 'critical'],
    ['', 8.9, 'high'],
    [undefined, 7, 'high'],
    [undefined, 4, 'medium'],
    [undefined, 3.9, 'low'],
    [undefined, 10, 'critical'],
    ['whatever', 6.9, 'medium'],
    ['Unknown', 0.1, 'low'],
    [undefined, undefined, 'unknown'],
    ['whatever', undefined, 'unknown'],
    [undefined, 0, 'unknown'],
    [undefined, Number.NaN, 'unknown'],
    [undefined, 11, 'unknown'],
    [undefined, -1, 'unknown'],
    ['constructor', undefined, 'unknown'],
  ])('of %j with %p is %s', (word, cvss, severity) => expect(rating(word, cvss)).toBe(severity as never))
})

describe('the version that fixes it', () => {
  test.each([
    ['<1.2.3', '1.0.0', '1.2.3'],
    ['>=2.0.0 <2.3.1', '2.1.0', '2.3.1'],
    ['<1.2.3 || >=2.0.0 <2.0.5', '2.0.1', '2.0.5'],
    ['<1.2.3 || >=2.0.0 <2.0.5', '1.0.0', '1.2.3'],
    ['<1.2.3 || >=2.0.0 <2.0.5', '', '1.2.3 or 2.0.5'],
    ['<=2.3.0', '2.0.0', 'after 2.3.0'],
    ['*', '1.0.0', undefined],
    ['>=1.0.0', '1.0.0', undefined],
    ['not a range <', '1.0.0', undefined],
    ['<1.2.3', '1.2.3-beta.1', '1.2.3'],
  ])('%j for %j is %p', (range, version, fixed) => expect(fixedIn(range, version)).toBe(fixed as string))
})

describe('a range', () => {
  test.each([
    ['1.2.2', '<1.2.3', true],
    ['1.2.3', '<1.2.3', false],
    // As npm has it: who runs a pre-release of what is vulnerable is vulnerable.
    ['1.2.0-beta.1', '<1.2.3', true],
    ['2.0.0-rc.1', '>=1.0.0 <2.0.0', true],
    ['1.0.0', 'not a range <', false],
    ['none', '<1.2.3', false],
    ['', '*', false],
  ])('%j in %j: %p', (version, range, holds) => expect(satisfies(version, range)).toBe(holds))
})

describe('merge', () => {
  const nvd = found([CVE, GHSA], { severity: 'critical', cvss: 9.8, sources: ['dependency-check'] })

  test('one vulnerability under two names is one, and the worst that is said of it counts', () => {
    const npm = found([GHSA], { severity: 'medium', cvss: 5.3, title: 'Pollution', fixedIn: '1.2.3' })
    for (const order of [
      [npm, nvd],
      [nvd, npm],
    ]) {
      expect(merge(order)).toEqual([
        {
          ...npm,
          id: GHSA,
          ids: expect.arrayContaining([GHSA, CVE]) as never,
          severity: 'critical',
          cvss: 9.8,
          sources: expect.arrayContaining(['npm audit', 'dependency-check']) as never,
        },
      ])
    }
  })

  test('names that only a third one brings together', () => {
    const merged = merge([found([CVE]), found([GHSA]), found([GHSA, CVE])])
    expect(merged.map(({ ids }) => ids.toSorted())).toEqual([[CVE, GHSA]])
  })

  test('a scanner that knows no severity does not hide the one that does, nor the other way round', () => {
    expect(merge([found([GHSA], { severity: 'unknown' }), found([GHSA], { severity: 'low' })])).toHaveLength(
      1,
    )
    expect(merge([found([GHSA], { severity: 'unknown' })])[0]?.severity).toBe('unknown')
  })

  test.each<[string, Finding, Finding]>([
    ['another package', found([CVE]), found([CVE], { package: 'other' })],
    ['another version', found([CVE]), found([CVE], { version: '2.0.0' })],
    ['no id in common', found([CVE]), found([GHSA])],
    ['two CVEs that mention one GHSA', found([CVE, GHSA]), found(['CVE-2026-9999', GHSA])],
    ['two GHSAs that mention one CVE', found([CVE, GHSA]), found(['GHSA-dddd-eeee-ffff', CVE])],
  ])('%s stays apart', (_, one, other) => expect(merge([one, other])).toHaveLength(2))

  test('a version that is not known is no other version', () => {
    expect(merge([found([CVE], { version: '' }), found([CVE])])).toEqual([found([CVE])])
  })

  test('of one severity the higher score stands first, what has none last, then by name', () => {
    const scored = [
      ['c', undefined],
      ['d', 0.5],
      ['e', undefined],
      ['a', 0.5],
      ['b', 7.5],
    ] as const
    const merged = merge(
      scored.map(([name, cvss]) => found([CVE], { package: name, ...(cvss !== undefined && { cvss }) })),
    )
    expect(merged.map((one) => one.package)).toEqual(['b', 'a', 'd', 'c', 'e'])
  })

  test('what nobody rated stands first, then the worst', () => {
    const rated = (['low', 'critical', 'unknown', 'medium', 'high'] as const).map((severity, i) =>
      found([`CVE-2026-000${i}`], { severity }),
    )
    expect(merge(rated).map(({ severity }) => severity)).toEqual([
      'unknown',
      'critical',
      'high',
      'medium',
      'low',
    ])
  })
})
