/** What strangers write into advisories must be inert wherever it is shown. */
import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import formats from 'ajv-formats'
import { stringify } from 'yaml'
import { z } from 'zod'
import { writeSummary } from '../../../lib/cli/github.ts'
import { commandLine } from '../../../lib/command.ts'
import { bunAudit } from '../../../lib/scan/bun-audit.ts'
import { readFindings } from '../../../lib/scan/dependency-check-report.ts'
import { dependencyCheck } from '../../../lib/scan/dependency-check.ts'
import { merge } from '../../../lib/scan/finding.ts'
import { scanHtml } from '../../../lib/scan/html.ts'
import { scanMarkdown } from '../../../lib/scan/markdown.ts'
import { npmAudit, readNpmAudit } from '../../../lib/scan/npm-audit.ts'
import { findingLine, judge, scanResult, type ScanResult } from '../../../lib/scan/result.ts'
import { sarif } from '../../../lib/scan/sarif.ts'
import { plain, redactor } from '../../../lib/text.ts'
import { readWaivers } from '../../../lib/scan/waivers.ts'
import { writeScan } from '../../../lib/scan/write.ts'
import { dependency, flaw, report } from './dependency-check-fixture.ts'
import { advisory, packageJson } from './registry.ts'
import official from './sarif-2.1.0.json'

/** OASIS's own schema, https://docs.oasis-open.org/sarif/sarif/v2.1.0, as SchemaStore carries it. */
const isSarif = formats
  .default(new Ajv({ strict: false, allErrors: true, unicodeRegExp: false }))
  .compile(official)

const folder = mkdtempSync(join(tmpdir(), 'hostile-test-'))
afterAll(() => rmSync(folder, { recursive: true }))

const hostile: [name: string, text: string][] = [
  ['a command', '$(touch /tmp/hostile) `touch /tmp/hostile` ; touch /tmp/hostile'],
  ['quotes', `' " \\' \\" \``],
  ['an option', '--fail-on=critical'],
  ['line breaks', 'a\nb\r\nc\u2028d\n\n# heading\n- list\n| new | row |'],
  ['a workflow command', '\n::error::owned\n::stop-commands::x\n##[error]owned ##[add-path]/tmp'],
  ['a Markdown link', '](http://evil.example) [x](javascript:alert(1)) ![i](http://evil.example/i.png)'],
  ['a Markdown table', 'a | b \\| c || d |'],
  ['backticks', '` `` ``` `````\\` ~~~'],
  ['links that make themselves', 'http://evil.example www.evil.example me@evil.example @everyone #1'],
  ['HTML', '</td></table><script>alert(1)</script><img src=x onerror=alert(1)><!-- <style>*{}'],
  ['HTML in an attribute', '" onmouseover="alert(1)\' x=\''],
  ['entities', '&lt;script&gt; &#60;script&#62; &amp;'],
  [
    'escape sequences',
    '\u001B[31mred\u001B[0m \u001B]8;;http://evil.example\u0007link\u001B]8;;\u0007 \u001B[2J\u009B31m',
  ],
  ['control characters', 'a\u0000b\u0007c\u0008d\u007Fe\u0085f'],
  ['directions', '\u202Egpj.exe\u202C \u2066x\u2069 \uFEFF\u200B\u{E0041}'],
  ['half a character', 'a\uD800b\uDC00'],
  ['SARIF placeholders and links', '{0} {{1}} [evil](http://evil.example) \\[x\\](1)'],
  ['a prototype', '__proto__'],
  ['10 kB', 'x'.repeat(10_240)],
  ['10 kB of markup', '<b>|`'.repeat(2048)],
]

/** The same words as an advisory's title, a package's name, a version, a path, an id, a reason: wherever they fit. */
function scanOf(text: string): ScanResult {
  const npm = {
    auditReportVersion: 2,
    vulnerabilities: {
      // JSON.parse makes a property of __proto__, a literal does not.
      [text === '__proto__' ? 'p__' : text]: {
        via: [{ ...advisory(text, text), source: text, url: text, range: text }],
        nodes: [text],
      },
    },
    metadata: { vulnerabilities: { total: 1 }, dependencies: { total: 1 } },
  }
  const answered = 'npm http fetch POST 200 http://r/-/npm/v1/security/advisories/bulk 1ms'
  const output = { stdout: JSON.stringify(npm), stderr: answered, exitCode: 1 }
  const lock = JSON.stringify({ packages: { [text]: { version: text } } })
  const odc = report([
    dependency(
      folder,
      [
        flaw(text, {
          severity: text,
          cvssv3: undefined,
          description: text,
          references: [{ url: text }, { url: `https://github.com/advisories/GHSA-aaaa-bbbb-cccc${text}` }],
          vulnerableSoftware: [{ software: { vulnerabilityIdMatched: 'true', versionEndExcluding: text } }],
        }),
        flaw('CVE-2026-1234'),
      ],
      {
        fileName: text,
        filePath: join(folder, text),
        packages: [{ id: `pkg:npm/${encodeURIComponent(text.toWellFormed())}@${text}` }],
      },
    ),
  ])
  const findings = merge([
    ...readNpmAudit(output, lock, packageJson),
    ...readFindings(15, JSON.stringify(odc), folder),
  ])
  const waiver = { id: 'CVE-2026-1234', reason: text, owner: text, expires: '2999-01-01' }
  writeFileSync(join(folder, 'waivers.yaml'), stringify([waiver]))
  const waivers = readWaivers(join(folder, 'waivers.yaml'), true)
  const answers = { findings, failed: [], skipped: [{ scanner: 'audit', reason: plain(text) }], missed: 0 }
  return {
    stage: 'security-scan',
    ...judge(answers, {
      failOn: 'low',
      waivers,
      now: 0,
    }),
    problems: [text],
    startedAt: '2026-11-23T08:00:00.000Z',
    ms: 1,
    commit: 'c0ffee',
    commands: [{ scanner: 'audit', command: [...npmAudit(text)], exitCode: 1, ms: 1 }],
    artifacts: [],
  }
}

const strange = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u
const manifest = { path: 'package-lock.json', lines: [] }
/** Our own pages of advisories are the only links. */
const ours =
  /^https:\/\/(github\.com\/advisories\/GHSA-[a-z0-9-]{14}|nvd\.nist\.gov\/vuln\/detail\/CVE-[\d-]+)$/

/** Every element with its attributes, as a browser would make of it. */
function elements(html: string): { tag: string; attributes: [string, string][] }[] {
  const seen: { tag: string; attributes: [string, string][] }[] = []
  new HTMLRewriter()
    .on('*', {
      element: ({ tagName, attributes }) => {
        const pairs = [...attributes].map(([name, value]): [string, string] => [name, value])
        seen.push({ tag: tagName, attributes: pairs })
      },
    })
    .transform(html)
  return seen
}

describe.each(hostile)('%s', (_, text) => {
  const result = scanOf(text)

  test('is in findings that nobody rated, and they block', () => {
    expect(result.passed).toBe(false)
    expect(result.findings.length).toBeGreaterThanOrEqual(2)
    expect(result.counts.unknown).toBeGreaterThanOrEqual(1)
    expect(scanResult.parse(JSON.parse(JSON.stringify(result)))).toEqual(result)
  })

  test('is one line on a terminal, and no command to a runner', () => {
    for (const line of [...result.findings.map(findingLine), plain(text)]) {
      expect(line).not.toMatch(strange)
      expect(line).not.toContain('##[')
      expect(line.length).toBeLessThan(1500)
    }
    for (const line of result.findings.map(findingLine)) expect(line).not.toMatch(/^\s*::/)
  })

  test('is a word of a command line, whatever is in it', () => {
    const bare = text.replaceAll('\0', '').toWellFormed()
    for (const command of [
      npmAudit(bare),
      bunAudit(bare),
      dependencyCheck('d', { folder: bare, report: 'r', data: 'd' }),
    ]) {
      const { stdout } = Bun.spawnSync(['sh', '-c', `set -- ${commandLine(command)}; printf '%s\\0' "$@"`])
      expect(stdout.toString().split('\0').slice(0, -1)).toEqual([...command])
    }
  })

  test('is text in Markdown: rows stay rows, and no link is theirs', () => {
    const markdown = scanMarkdown(result)
    const html = Bun.markdown.html(markdown, { tables: true, autolinks: true })
    const seen = elements(html)
    const allowed = [
      'h2',
      'p',
      'strong',
      'ul',
      'li',
      'code',
      'table',
      'thead',
      'tbody',
      'tr',
      'th',
      'td',
      'a',
      'br',
    ]
    expect(seen.map(({ tag }) => tag).filter((tag) => !allowed.includes(tag))).toEqual([])
    for (const { tag, attributes } of seen) {
      for (const [name, value] of attributes) {
        expect([tag, name]).toEqual(['a', 'href'])
        expect(value).toMatch(ours)
      }
    }
    expect(seen.filter(({ tag }) => tag === 'tr')).toHaveLength(1 + result.findings.length)
    expect(seen.filter(({ tag }) => tag === 'td')).toHaveLength(8 * result.findings.length)
    for (const line of markdown.split('\n')) expect(line).not.toMatch(/^\s*(::|##\[)/)
  })

  test('is text in HTML: no element, attribute or link is theirs', () => {
    const html = scanHtml(result)
    const seen = elements(html)
    const allowed = 'html head meta title style body h1 h2 p br small ul li table tr th td span a'.split(' ')
    expect(seen.map(({ tag }) => tag).filter((tag) => !allowed.includes(tag))).toEqual([])
    expect(seen.filter(({ tag }) => tag === 'td')).toHaveLength(7 * result.findings.length)
    const names = new Set(seen.flatMap(({ attributes }) => attributes.map(([name]) => name)))
    expect([...names].filter((name) => /^on|^style$|^src/.test(name))).toEqual([])
    const links = seen.flatMap(({ attributes }) => attributes.filter(([name]) => name === 'href'))
    for (const [, href] of links) expect(href).toMatch(ours)
    expect(html).toContain(`<meta http-equiv="Content-Security-Policy" content="default-src 'none';`)
  })

  test('is text in SARIF, without links and placeholders', () => {
    const written: unknown = JSON.parse(JSON.stringify(sarif(result, manifest)))
    isSarif(written)
    expect(isSarif.errors).toBeNull()
    const file = valid.parse(written)
    const { results, tool } = file.runs[0]
    expect(results).toHaveLength(result.findings.filter(({ waiver }) => !waiver).length)
    const texts = [
      ...results.map(({ message }) => message.text),
      ...tool.driver.rules.flatMap((rule) => [rule.shortDescription.text, rule.help.text]),
    ]
    for (const words of texts) expect(words).not.toMatch(/[[\]{}\\]/)
  })

  test('fits the summary of a step', () => {
    const file = join(folder, 'summary.md')
    rmSync(file, { force: true })
    const many = { ...result, findings: Array.from({ length: 3000 }, () => result.findings).flat() }
    writeSummary(scanMarkdown(many), { GITHUB_STEP_SUMMARY: file })
    const summary = readFileSync(file, 'utf8')
    expect(Buffer.byteLength(summary)).toBeLessThanOrEqual(900_000)
    expect(summary.isWellFormed()).toBe(true)
  })
})

/** What code scanning asks of a file, beside the types that are made of the schema of SARIF 2.1.0. */
const message = z.object({ text: z.string().min(1) })
const valid = z.strictObject({
  $schema: z.url(),
  version: z.literal('2.1.0'),
  runs: z.tuple([
    z.strictObject({
      tool: z.strictObject({
        driver: z.strictObject({
          name: z.string().min(1),
          rules: z.array(
            z.strictObject({
              id: z.string().min(1).max(255),
              shortDescription: z.strictObject({ text: z.string().min(1).max(1024) }),
              fullDescription: z.strictObject({ text: z.string().min(1).max(1024) }),
              help: message,
              helpUri: z.url().optional(),
              properties: z.strictObject({
                'security-severity': z.string().regex(/^(10|\d)\.\d$/),
                tags: z.array(z.string()).max(10),
              }),
            }),
          ),
        }),
      }),
      invocations: z.tuple([
        z.strictObject({
          executionSuccessful: z.literal(true),
          startTimeUtc: z.iso.datetime(),
          endTimeUtc: z.iso.datetime(),
        }),
      ]),
      results: z.array(
        z.strictObject({
          ruleId: z.string().min(1).max(255),
          ruleIndex: z.int().nonnegative(),
          level: z.enum(['error', 'warning', 'note']),
          message,
          locations: z.tuple([
            z.strictObject({
              physicalLocation: z.strictObject({
                artifactLocation: z.strictObject({
                  uri: z.string().regex(/^[\w.%~!*'()-]+(\/[\w.%~!*'()-]+)*$/),
                  uriBaseId: z.literal('%SRCROOT%'),
                }),
                region: z.strictObject({ startLine: z.int().positive() }),
              }),
            }),
          ]),
          partialFingerprints: z.strictObject({
            primaryLocationLineHash: z.string().regex(/^[0-9a-f]{64}$/),
          }),
        }),
      ),
    }),
  ]),
})

describe('SARIF', () => {
  test('what is none is seen: the schema refuses a level, a name and a place that are not its own', () => {
    const { runs, ...rest } = valid.parse(sarif(scanOf('text'), manifest))
    const [first] = runs[0].results
    const wrong = [{ level: 'high' }, { rule: 'x' }, { locations: [{ physicalLocation: { path: 'x' } }] }]
    for (const about of wrong)
      expect(isSarif({ ...rest, runs: [{ ...runs[0], results: [{ ...first, ...about }] }] })).toBe(false)
  })

  const result = scanOf('text')
  const [found] = result.findings
  const lines = ['{', '  "x": 1,', '  "node_modules/victim": {', '}']
  const of = (findings: object[], where = { path: 'a b/#ü/package-lock.json', lines }) =>
    valid.parse(sarif({ ...result, findings: findings as ScanResult['findings'] }, where)).runs[0]
  const victim = { ...found, package: 'victim', paths: ['node_modules/victim'], id: 'GHSA-aaaa-bbbb-cccc' }

  test('shows the place in the lockfile, by an address that is one', () => {
    const place = of([victim])?.results[0]?.locations[0].physicalLocation
    expect(place?.artifactLocation.uri).toBe('a%20b/%23%C3%BC/package-lock.json')
    expect(place?.region.startLine).toBe(3)
    expect(
      of([{ ...victim, package: 'ghost', paths: [] }])?.results[0]?.locations[0].physicalLocation.region,
    ).toEqual({
      startLine: 1,
    })
  })

  test('has each rule once, with the worst of its scores, and results that point to it', () => {
    const run = of([
      { ...victim, severity: 'medium', cvss: 5 },
      { ...victim, version: '2.0.0', severity: 'high', cvss: 8.8 },
      { ...victim, id: 'CVE-2026-1', severity: 'critical', cvss: undefined },
      { ...victim, id: 'CVE-2026-2', severity: 'unknown', cvss: undefined },
      { ...victim, id: 'CVE-2026-3', severity: 'low', cvss: undefined },
      { ...victim, id: 'CVE-2026-4', severity: 'high', cvss: undefined },
      { ...victim, id: 'CVE-2026-5', severity: 'medium', cvss: undefined },
    ])
    expect(run?.tool.driver.rules.map(({ id, properties }) => [id, properties['security-severity']])).toEqual(
      [
        ['GHSA-aaaa-bbbb-cccc', '8.8'],
        ['CVE-2026-1', '9.0'],
        ['CVE-2026-2', '9.0'],
        ['CVE-2026-3', '0.1'],
        ['CVE-2026-4', '7.0'],
        ['CVE-2026-5', '4.0'],
      ],
    )
    expect(run?.results.map(({ ruleIndex, level }) => [ruleIndex, level])).toEqual([
      [0, 'warning'],
      [0, 'error'],
      [1, 'error'],
      [2, 'error'],
      [3, 'note'],
      [4, 'error'],
      [5, 'warning'],
    ])
  })

  test('knows a finding again after an upgrade that does not help, and tells two places apart', () => {
    const prints = of([
      victim,
      { ...victim, version: '1.1.0', title: 'other words' },
      { ...victim, paths: ['node_modules/a/node_modules/victim'] },
    ])?.results.map(({ partialFingerprints }) => partialFingerprints.primaryLocationLineHash)
    expect(prints?.[0]).toBe(prints?.[1] as string)
    expect(prints?.[2]).not.toBe(prints?.[0] as string)
  })

  test('says what it is, what mends it, and where it is, as far as one reads', () => {
    const paths = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => `node_modules/${name}`)
    const run = of([
      { ...victim, version: '1.0.0', title: 'Pollution', fixedIn: '1.2.3', paths },
      { ...victim, id: 'CVE-2026-1', version: '1.0.0', title: '', fixedIn: undefined, paths: ['x'] },
    ])
    expect(run?.results.map(({ message: said }) => said.text)).toEqual([
      `victim 1.0.0: Pollution. Fixed in 1.2.3. Installed at ${paths.slice(0, 5).join(', ')}.`,
      'victim 1.0.0: CVE-2026-1. Installed at x.',
    ])
    const described = run?.tool.driver.rules.map(({ shortDescription }) => shortDescription.text)
    expect(described).toEqual(['Pollution', 'CVE-2026-1'])
  })

  test('leaves out what is waived, and its rule: code scanning would show it as open', () => {
    const waiver = { reason: 'r', owner: 'o', expires: '2027-01-31' }
    const run = of([
      { ...victim, waiver },
      { ...victim, id: 'CVE-2026-1', waiver: undefined },
    ])
    expect(run?.results.map(({ ruleId }) => ruleId)).toEqual(['CVE-2026-1'])
    expect(run?.tool.driver.rules.map(({ id }) => id)).toEqual(['CVE-2026-1'])
  })

  test('is not more than is taken', () => {
    expect(of(Array.from({ length: 25_001 }, () => victim))?.results).toHaveLength(25_000)
  })
})

describe('files', () => {
  test('are all there, and the result names each with its digest', () => {
    const written = writeScan(scanOf('text'), folder, folder)
    expect(written.artifacts.map(({ file }) => file)).toEqual(['report.md', 'report.html', 'results.sarif'])
    for (const { file, sha256 } of written.artifacts) {
      const content = readFileSync(join(folder, file))
      expect(new Bun.CryptoHasher('sha256').update(content).digest('hex')).toBe(sha256)
    }
    expect(scanResult.parse(JSON.parse(readFileSync(join(folder, 'result.json'), 'utf8')))).toEqual(written)
  })

  test('a scan that lacks a scanner leaves no SARIF: its upload would close alerts', () => {
    rmSync(join(folder, 'results.sarif'), { force: true })
    const written = writeScan({ ...scanOf('text'), whole: false }, folder, folder)
    expect(written.artifacts.map(({ file }) => file)).not.toContain('results.sarif')
  })
})

test('escape sequences go as a whole', () => {
  expect(plain('\u001B[31mred\u001B[0m \u001B]8;;http://evil.example\u0007link\u001B]8;;\u0007')).toBe(
    'red link',
  )
})

test('secrets are taken out of what programs say', () => {
  const redact = redactor({ NVD_API_KEY: 'k3y-k3y', NPM_TOKEN: 't0k(en', SHORT_KEY: 'abc', HOME: '/home/x' })
  expect(redact('k3y-k3y t0k(en abc /home/x http://u:p@r/ https://r/@scope/x')).toBe(
    '*** *** abc /home/x http://***@r/ https://r/@scope/x',
  )
})
