import { afterAll, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { belowFloor, neverLoaded, readLcov, shown, summary } from '../../../lib/stages/coverage.ts'

const record = (file: string, ...lines: string[]) =>
  [
    'TN:',
    `SF:${file}`,
    'FNF:1',
    'FNH:1',
    ...lines.map((line) => `DA:${line}`),
    'LF:9',
    'LH:9',
    'end_of_record',
    '',
  ].join('\n')

const runs = (...texts: string[]) =>
  texts.map((text) => {
    const hits = readLcov(text)
    if (!hits) throw new Error('it is lcov')
    return hits
  })

describe('the share of lines', () => {
  test('is counted from the lines, whatever the report sums up', () =>
    expect(summary(runs(record('src/a.ts', '1,5', '2,0', '3,1', '4,0')), '')).toMatchObject({
      lines: 4,
      covered: 2,
      percent: 50,
    }))

  test('of several runs: a line that one of them ran is covered, and counted once', () => {
    const [one, two] = [record('src/a.ts', '1,5', '2,0'), record('src/a.ts', '1,0', '2,1', '3,0')]
    expect(summary(runs(one, two), '')).toMatchObject({ lines: 3, covered: 2 })
  })

  test('only of the files that are meant, the least covered first', () => {
    const text = record('src/a.ts', '1,1') + record('tests/a.ts', '1,0') + record('src/b.ts', '1,0', '2,1')
    expect(summary(runs(text), 'src/').files).toEqual([
      { file: 'src/b.ts', lines: 2, covered: 1 },
      { file: 'src/a.ts', lines: 1, covered: 1 },
    ])
  })
})

describe('files that no test loads', () => {
  const root = mkdtempSync(join(tmpdir(), 'coverage-test-'))
  afterAll(() => rmSync(root, { recursive: true }))
  const put = (file: string, text: string): void => {
    mkdirSync(dirname(join(root, file)), { recursive: true })
    writeFileSync(join(root, file), text)
  }
  put('app/src/a.ts', 'export const a = 1\n')
  put('app/src/deep/untested.ts', '// why\nexport function b(): number {\n\n  return 1\n}\n')
  put('app/src/types.ts', 'export interface C { c: number }\nexport type D = C\n')
  put('app/src/a.test.ts', 'export const test = 1\n')
  put('app/src/global.d.ts', 'declare const x: number\n')
  put('app/src/node_modules/x/index.ts', 'export const x = 1\n')
  put('app/src/page.css', 'a {}\n')
  put('app/other/c.ts', 'export const c = 1\n')

  test.each([
    ['app', 'src/'],
    // Reports may name files from a folder above.
    ['app', 'app/src/'],
    ['app', `${root}/app/src/`],
  ])('are not covered: from %s, files of %s', (folder, of) => {
    const hits = runs(record(`${of}a.ts`, '1,1'))
    const missing = neverLoaded(hits, of, join(root, folder))
    expect(missing).toEqual([{ file: `${of}deep/untested.ts`, lines: 2, covered: 0 }])
    expect(summary(hits, of, missing)).toMatchObject({ lines: 3, covered: 1 })
  })

  test('are not looked for where no folder is named, or where none of the files is', () => {
    expect(neverLoaded(runs(record('src/a.ts', '1,1')), '', join(root, 'app'))).toEqual([])
    expect(neverLoaded(runs(record('gone/a.ts', '1,1')), 'gone/', join(root, 'app'))).toEqual([])
  })
})

describe('what is no report is none', () => {
  test.each([
    '',
    'all good',
    '<html>',
    'DA:1,1\nend_of_record\n',
    'SF:a.ts\nDA:1,1\n',
    'SF:a.ts\nDA:1,1\nSF:b.ts\nDA:1,1\nend_of_record\n',
    'SF:a.ts\nDA:1,NaN\nend_of_record\n',
    'SF:a.ts\nDA:1\nend_of_record\n',
    'SF:a.ts\nDA:x,1\nend_of_record\n',
    'SF:a.ts\nDA:1,-1\nend_of_record\n',
  ])('%j', (text) => expect(readLcov(text)).toBeUndefined())
})

const lines = (covered: number, all: number) =>
  summary(runs(record('a.ts', ...Array.from({ length: all }, (_, i) => `${i},${i < covered ? 1 : 0}`))), '')

describe('the floor', () => {
  test.each([
    [80, 100, 80, undefined],
    [81, 100, 80, undefined],
    [7999, 10_000, 80, '79.9% of lines are covered, the floor is 80%'],
    [0, 10, 0, undefined],
    [0, 10, 1, '0% of lines are covered, the floor is 1%'],
  ])('%d of %d against %d%%', (covered, all, floor, problem) =>
    expect(belowFloor(lines(covered, all), { floor, of: '', files: ['x'] })).toBe(problem),
  )

  test('nothing covers nothing, even when nothing is asked for', () => {
    const settings = { floor: 0, of: 'src/', files: ['x'] }
    expect(belowFloor(summary([], ''), settings)).toBe('the coverage report knows no line of src/')
    expect(belowFloor(summary(runs(record('lib/a.ts', '1,1')), 'src/'), settings)).toContain(
      'no line of src/',
    )
    expect(belowFloor(summary(runs(record('src/a.ts')), 'src/'), settings)).toContain('no line of src/')
  })

  test('is not reached by rounding', () => expect(shown(79.96)).toBe('79.9%'))
})
