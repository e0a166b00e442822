/** What people read of an ordinary scan; what strangers' words may do to it is in hostile.test.ts. */
import { expect, test } from 'bun:test'
import { scanHtml } from '../../../lib/scan/html.ts'
import { scanMarkdown } from '../../../lib/scan/markdown.ts'
import type { Judged, ScanResult } from '../../../lib/scan/result.ts'

const GHSA = 'GHSA-aaaa-bbbb-cccc'
const found: Judged = {
  id: GHSA,
  ids: [GHSA, 'npm-1'],
  title: 'Pollution',
  package: 'victim',
  version: '1.0.0',
  severity: 'high',
  cvss: 7.5,
  fixedIn: '1.2.3',
  paths: ['a', 'b', 'c'],
  sources: ['npm audit', 'dependency-check'],
  blocks: true,
}
const { cvss: _, fixedIn: __, ...plain } = found
const waiver = { reason: 'not reachable', owner: 'alice', expires: '2027-01-31' }
const result = (more: Partial<ScanResult>): ScanResult => ({
  stage: 'security-scan',
  passed: false,
  complete: true,
  whole: true,
  problems: [],
  failOn: 'high',
  startedAt: '2026-11-23T08:00:00.000Z',
  ms: 1500,
  commit: 'c0ffee',
  commands: [],
  skipped: [],
  counts: { critical: 0, high: 1, medium: 0, low: 0, unknown: 0, waived: 0 },
  findings: [
    found,
    { ...plain, blocks: false, paths: ['a'], waiver },
    { ...plain, blocks: false, severity: 'low', paths: [], sources: ['npm audit'] },
  ],
  artifacts: [],
  ...more,
})

const code = (text: string): string => (text === '' ? '–' : `\`${text}\``)
const link = `[${GHSA}](https://github.com/advisories/${GHSA})`

test('as Markdown: a row for each, how it ends for it, and the rest of its places as a number', () => {
  const lines = scanMarkdown(result({})).split('\n')
  expect(lines[0]).toBe('## Security scan ❌ failed')
  expect(lines).not.toContain('**Problems**')
  expect(lines.filter((line) => line.startsWith('| ')).slice(1)).toEqual([
    `| ❌ | high 7.5 | ${code('victim')} | ${code('1.0.0')} | ${link} ${code('npm-1')}<br>${code('Pollution')} | ${code('1.2.3')} | ${code('a')} and 2 more | npm audit, dependency-check |`,
    `| ⚠️ | high | ${code('victim')} | ${code('1.0.0')} | ${link} ${code('npm-1')}<br>${code('Pollution')}<br>waived until 2027-01-31 by ${code('alice')}: ${code('not reachable')} | ${code('')} | ${code('a')} | npm audit, dependency-check |`,
    `|  | low | ${code('victim')} | ${code('1.0.0')} | ${link} ${code('npm-1')}<br>${code('Pollution')} | ${code('')} | ${code('')} | npm audit |`,
  ])
  expect(lines).toContain(
    '1 high. Blocks from **high** on; an unknown severity always blocks. 2026-11-23T08:00:00.000Z, 1.5 s.',
  )
})

test('as Markdown: of two places the second is not forgotten', () => {
  const two = result({ findings: [{ ...found, paths: ['a', 'b'] }] })
  expect(scanMarkdown(two)).toContain(`${code('a')} and 1 more`)
})

test('one finding is a table, too', () => {
  const one = result({ findings: [found] })
  expect(scanMarkdown(one)).toContain('|---|')
  expect(scanHtml(one)).toContain('<table>')
})

test('as Markdown: problems and what was skipped, and no table of nothing', () => {
  const skipped = [{ scanner: 'audit', reason: 'down' }]
  const text = scanMarkdown(result({ passed: true, findings: [], problems: ['old'], skipped }))
  expect(text).toStartWith('## Security scan ✅ passed')
  expect(text).toContain(`**Problems**\n\n- ${code('old')}\n`)
  expect(text).toContain(`**Skipped**\n\n- audit: ${code('down')}\n`)
  expect(text).not.toContain('|---|')
})

test('as a page: the same', () => {
  const html = scanHtml(result({ problems: ['old'], skipped: [{ scanner: 'audit', reason: 'down' }] }))
  const anchor = `<a href="https://github.com/advisories/${GHSA}" rel="noreferrer">${GHSA}</a> npm-1<br>Pollution`
  expect(html).toContain('<h1>✗ Security scan failed</h1>')
  expect(html).toContain('<small>c0ffee, 2026-11-23T08:00:00.000Z, 1.5 s</small>')
  expect(html).toContain('<h2>Problems</h2>\n<ul><li>old</li></ul>')
  expect(html).toContain('<h2>Skipped</h2>\n<ul><li>audit: down</li></ul>')
  expect(html.split('\n').filter((line) => line.includes('<td>'))).toEqual([
    `<tr class="blocks"><td><span class="high">high 7.5</span></td><td>victim</td><td>1.0.0</td><td>${anchor}</td><td>1.2.3</td><td>a<br>b<br>c</td><td>npm audit, dependency-check</td></tr>`,
    `<tr><td><span class="high">high</span></td><td>victim</td><td>1.0.0</td><td>${anchor}<br><small>waived until 2027-01-31 by alice: not reachable</small></td><td></td><td>a</td><td>npm audit, dependency-check</td></tr>`,
    `<tr><td><span class="low">low</span></td><td>victim</td><td>1.0.0</td><td>${anchor}</td><td></td><td></td><td>npm audit</td></tr>`,
  ])
  const empty = scanHtml(result({ passed: true, findings: [] }))
  expect(empty).toContain('<h1>✓ Security scan passed</h1>')
  expect(empty).not.toMatch(/<h2>|<table>/)
})
