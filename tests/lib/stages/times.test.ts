import { afterAll, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readTimes, timeLines, timeTable } from '../../../lib/stages/times.ts'
import { hostile } from '../hostile.ts'

const root = mkdtempSync(join(tmpdir(), 'times-test-'))
afterAll(() => rmSync(root, { recursive: true }))

let count = 0
/** A folder of reports with these results, each in a folder of its stage. */
function reports(results: Record<string, unknown>): string {
  const folder = join(root, `reports-${count++}`)
  mkdirSync(folder)
  for (const [stage, result] of Object.entries(results)) {
    mkdirSync(join(folder, stage))
    const text = typeof result === 'string' ? result : JSON.stringify(result)
    writeFileSync(join(folder, stage, 'result.json'), text)
  }
  return folder
}

const START = '2026-11-23T10:00:00.000Z'
const stage = (name: string, more: object = {}) => ({
  stage: name,
  passed: true,
  startedAt: START,
  ms: 1500,
  problems: [],
  ...more,
})
const now = Date.parse(START) + 200_000

describe('stage times', () => {
  test('stand in the order in which the stages began, with why one did not pass', () => {
    const folder = reports({
      build: stage('build', {
        startedAt: '2026-11-23T10:02:00Z',
        passed: false,
        ms: 61_000,
        problems: ['no', 'x'],
      }),
      lint: stage('lint'),
      'security-scan': stage('security-scan', { startedAt: '2026-11-23T10:01:00Z', ms: 130_000 }),
    })
    expect(timeLines(readTimes(folder), now)).toEqual([
      '✓ lint           1.5 s',
      '✓ security-scan  2 m 10 s',
      '✗ build          61 s  no; x',
      '3 m 20 s since the first stage began',
    ])
  })

  test.each([
    ['nothing', ''],
    ['half of it', '{"stage":"test","passed":true'],
    ['no verdict', JSON.stringify({ ...stage('test'), passed: undefined })],
    ['a word for a verdict', stage('test', { passed: 'yes' })],
    ['no time', stage('test', { ms: null })],
    ['less than no time', stage('test', { ms: -1 })],
    ['no date', stage('test', { startedAt: 'today' })],
  ])('a result that is %s is no pass (S6)', (_, result) => {
    const times = readTimes(reports({ lint: stage('lint'), test: result }))
    expect(timeLines(times, now)).toContain('✗ test  its result cannot be read')
    expect(timeTable(times, now)).toContain('| ❌ | `test` | | its result cannot be read |')
    expect(timeLines(times, now).join('\n')).not.toContain('✓ test')
  })

  test('without a result there is one line', () => {
    expect(timeLines(readTimes(join(root, 'nowhere')), now)).toEqual(['No stage ran'])
  })

  test('a failed one always says something', () => {
    const times = readTimes(reports({ lint: stage('lint', { passed: false }) }))
    expect(timeLines(times, now)[0]).toBe('✗ lint  1.5 s  did not pass')
    expect(timeTable(times, now)).toContain('| ❌ | `lint` | 1.5 s | `did not pass` |')
  })

  test.each(hostile)('%j is inert', (text) => {
    const folder = reports({ a: stage(text, { passed: false, problems: [text] }) })
    const times = readTimes(folder)
    const [line = '', ...rest] = timeLines(times, now)
    expect(rest).toHaveLength(1)
    expect(line).not.toMatch(/[\p{Cc}\p{Cf}]/u)
    const table = timeTable(times, now).split('\n')
    expect(table).toHaveLength(8)
    expect(table[4]?.split('|')).toHaveLength(6)
    // Outside of code there is no markup but ours.
    expect(table[4]?.replaceAll(/`[^`]*`|–/g, '')).toBe('| ❌ |  | 1.5 s |  |')
  })
})

async function run(args: string[], more: Record<string, string> = {}) {
  const script = join(import.meta.dir, '../../../scripts/stage-times.ts')
  const child = Bun.spawn([process.execPath, script, ...args], {
    env: { PATH: '/nowhere', ...more },
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  return { out, err, code }
}

describe('stage-times.ts', () => {
  test('ends with the code that it is given, and writes the summary', async () => {
    const folder = reports({ lint: stage('lint', { passed: false }) })
    const GITHUB_STEP_SUMMARY = join(folder, 'summary.md')
    const { out, err, code } = await run(['--out', folder, '--exit', '70'], { GITHUB_STEP_SUMMARY })
    expect([code, out]).toEqual([70, ''])
    expect(err).toContain('✗ lint  1.5 s  did not pass\n')
    expect(readFileSync(GITHUB_STEP_SUMMARY, 'utf8')).toStartWith('### Stages\n')
    expect((await run(['--out', folder])).code).toBe(0)
  })

  test.each(['', 'x', '-1', '256', '1e1', '0x1'])('--exit=%s is wrong usage', async (code) => {
    expect(await run([`--exit=${code}`])).toMatchObject({ code: 2, out: '' })
  })
})
