import { afterEach, beforeEach, expect, spyOn, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CheckResult } from '../../lib/check.ts'
import { junit, keepResults, summary } from '../../verify/results.ts'

const results: CheckResult[] = Array.from({ length: 13 }, (_, i) => ({
  gate: 'smoke',
  name: `page ${i}`,
  verdict: i === 0 ? 'passed' : 'failed',
  ms: 1,
  expected: 'status 200',
  seen: `status ${500 + i}`,
}))

const { GITHUB_ACTIONS, GITHUB_STEP_SUMMARY } = process.env
let folder: string
const read = (name: string): string => readFileSync(join(folder, name), 'utf8')

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kept-test-'))
  process.env.GITHUB_ACTIONS = 'true'
  process.env.GITHUB_STEP_SUMMARY = join(folder, 'summary.md')
})
afterEach(() => {
  rmSync(folder, { recursive: true })
  // An undefined one would become the word.
  for (const [name, value] of Object.entries({ GITHUB_ACTIONS, GITHUB_STEP_SUMMARY }))
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
})

test('results are kept beside the evidence, for programs and for CI systems', async () => {
  const said = spyOn(process.stderr, 'write').mockReturnValue(true)
  await keepResults(join(folder, 'not/yet/there'), results).finally(() => said.mockRestore())
  expect(JSON.parse(read('not/yet/there/checks.json'))).toEqual(results)
  expect(read('not/yet/there/junit.xml')).toBe(junit(results))
})

test('GitHub’s page shows the first ten objections as errors, and all of them in the summary', async () => {
  const lines: string[] = []
  const said = spyOn(process.stderr, 'write').mockImplementation((line) => lines.push(String(line)) > 0)
  await keepResults(folder, results).finally(() => said.mockRestore())
  expect(lines).toHaveLength(10)
  expect(lines[0]).toBe('::error title=smoke%3A page 1::expected status 200, saw status 501\n')
  expect(lines[9]).toContain('page 10')
  expect(read('summary.md')).toBe(`${summary(results)}\n`)
  expect(read('summary.md')).toContain('page 12')
})

test('JUnit’s reader is told why a check was left out', () => {
  const [check] = results
  expect(junit([{ ...check!, verdict: 'skipped', seen: 'left out: no time' }])).toContain(
    '<skipped message="expected status 200, saw left out: no time"/></testcase>',
  )
})
