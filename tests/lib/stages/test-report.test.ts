import { afterAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readEslint, readJUnit } from '../../../lib/stages/test-report.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

const folder = mkdtempSync(join(tmpdir(), 'junit-test-'))
afterAll(() => rmSync(folder, { recursive: true }))

describe('JUnit XML', () => {
  test('as bun test writes it, with names that look like results', () => {
    const tests = [
      `import { expect, test } from 'bun:test'`,
      `test('a <failure/> "in" the name $(id) ]]>', () => expect(1).toBe(1))`,
      `test('bad', () => expect('<testcase name="x"/>').toBe('</testcase>'))`,
      `test('throws', () => { throw new Error('<skipped/>') })`,
      `test.skip('skipped', () => {})`,
      `test.todo('later')`,
    ]
    writeFileSync(join(folder, 'a.test.ts'), tests.join('\n'))
    const report = ['--reporter=junit', `--reporter-outfile=${join(folder, 'out.xml')}`]
    Bun.spawnSync([process.execPath, 'test', ...report], { cwd: folder })
    expect(readJUnit(readFileSync(join(folder, 'out.xml'), 'utf8'))).toEqual({
      tests: 5,
      failed: 2,
      skipped: 2,
    })
  })

  test.each<[string, string, object]>([
    [
      'as jest-junit and vitest write it',
      `<?xml version="1.0"?><testsuites name="x" tests="2"><testsuite><testcase name='a>b'></testcase>
       <testcase name="c"><failure message="m"><![CDATA[</testcase><testcase/>]]></failure></testcase></testsuite></testsuites>`,
      { tests: 2, failed: 1, skipped: 0 },
    ],
    [
      'as surefire writes it: one suite, errors, output',
      `<testsuite tests="3"><properties><property name="p" value="<"/></properties><testcase><error/></testcase>
       <testcase><skipped/></testcase><testcase><system-out>failure</system-out></testcase></testsuite>`.replace(
        '"<"',
        '"&lt;"',
      ),
      { tests: 3, failed: 1, skipped: 1 },
    ],
    ['a comment is none', '<testsuite><!-- <testcase/> --></testsuite>', { tests: 0, failed: 0, skipped: 0 }],
    [
      'a retried failure',
      '<testsuite><testcase><skipped/><failure/></testcase></testsuite>',
      { tests: 1, failed: 1, skipped: 0 },
    ],
    [
      'declared as it is',
      '<testsuites tests="3" failures="1" errors="1"><testsuite tests="2" failures="1" errors="1"><testcase/><testcase><failure/><error/></testcase></testsuite><testsuite tests="1" failures="0"><testcase/></testsuite></testsuites>',
      { tests: 3, failed: 1, skipped: 0 },
    ],
    ['empty', '<testsuites/>', { tests: 0, failed: 0, skipped: 0 }],
  ])('%s', (_, xml, counts) =>
    expect(readJUnit(xml)).toEqual({ ...(counts as { tests: number; failed: number; skipped: number }) }),
  )

  test.each([
    ['nothing', ''],
    ['cut off', '<testsuites><testsuite><testcase name="a"/>'],
    ['cut off within a test', '<testsuites><testsuite><testcase><failure'],
    ['HTML', '<html><body></body></html>'],
    ['JSON', '{"tests": 3}'],
    ['a root of its own', '<results><testcase/></results>'],
    ['ends in the wrong order', '<testsuites><testsuite></testsuites></testsuite>'],
    ['more tests than there are', '<testsuites tests="5"><testcase/></testsuites>'],
    ['failures that are none', '<testsuites failures="3"><testcase/></testsuites>'],
    ['errors of an inner suite', `<testsuites><testsuite errors = '1'><testcase/></testsuite></testsuites>`],
    [
      'tests of an inner suite that stand in another',
      '<testsuites><testsuite tests="2"><testcase/></testsuite><testsuite><testcase/></testsuite></testsuites>',
    ],
    ['an empty suite that declares some', '<testsuites><testsuite tests="2"/></testsuites>'],
    ['text that is no XML', '<testsuite><testcase/>1 < 2 & 3</testsuite>'],
    ['two roots', '<testsuite><testcase/></testsuite><testsuite><testcase/></testsuite>'],
    ['an attribute without a value', '<testsuite><testcase name/></testsuite>'],
    ['an end too many', '<testsuite></testsuite></testsuite>'],
  ])('%s is none', (_, xml) => expect(readJUnit(xml)).toBeUndefined())

  test('a report of 10 MB of one line is read at once', () => {
    const name = 'x'.repeat(5_000_000)
    const xml = `<testsuite><testcase name="${name}"><failure>${name}</failure></testcase></testsuite>`
    const started = performance.now()
    expect(readJUnit(xml)).toEqual({ tests: 1, failed: 1, skipped: 0 })
    expect(readJUnit(`<testsuite><testcase name="${name}`)).toBeUndefined()
    expect(performance.now() - started).toBeLessThan(20_000)
  })
})

const file = (errorCount: number, warningCount: number) => ({
  filePath: '/a',
  errorCount,
  warningCount,
  messages: [],
})

describe('ESLint', () => {
  test('counts', () =>
    expect(readEslint(JSON.stringify([file(2, 1), file(0, 3)]))).toEqual({
      files: 2,
      errors: 2,
      warnings: 4,
    }))

  test.each([
    '',
    '{}',
    'null',
    '[{"filePath":"a"}]',
    '[{"filePath":"a","errorCount":"0","warningCount":0}]',
    '[1',
  ])('%j is none', (json) => expect(readEslint(json)).toBeUndefined())
})
