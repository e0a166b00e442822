import { describe, expect, test } from 'bun:test'
import { checkLines, objections, type Verdict } from '../../lib/check.ts'

const result = (verdict: Verdict) => ({
  gate: 'smoke',
  name: verdict,
  verdict,
  ms: 0,
  expected: '',
  seen: '',
})

test.each<[Verdict[], Verdict[]]>([
  [['passed'], []],
  [['passed', 'skipped'], []],
  [['skipped'], []],
  [['failed'], ['failed']],
  [['inconclusive'], ['inconclusive']],
  [
    ['passed', 'inconclusive', 'skipped', 'failed'],
    ['failed', 'inconclusive'],
  ],
  [[], ['inconclusive']],
])('%j: in the way of traffic are %j (S6)', (verdicts, expected) => {
  expect(objections(verdicts.map(result)).map(({ verdict }) => verdict)).toEqual(expected)
})

test('no results at all say so', () => {
  expect(objections([])).toMatchObject([{ expected: 'at least one check', seen: 'no check ran' }])
})

describe('for people', () => {
  const ui = (name: string, verdict: Verdict) => ({ ...result(verdict), gate: 'ui', name })
  const results = [
    { ...result('passed'), name: 'health' },
    ui('sign in', 'passed'),
    { ...ui('sign out', 'failed'), ms: 1500, expected: 'a 401', seen: 'a 200', evidence: ['ui/out.png'] },
    ui('keyboard', 'skipped'),
    { ...result('skipped'), gate: 'security' },
  ]

  test('a line for each kind, and each check that did not pass with what shows it', () => {
    expect(checkLines(results)).toEqual([
      '✓ smoke: 1 passed',
      '✗ ui: 1 passed, 1 did not, 1 left out or not applicable',
      '  ✗ sign out 1.5 s: expected a 401, saw a 200 (ui/out.png)',
      '– security: 0 passed, 1 left out or not applicable',
    ])
  })

  test('or every check', () => {
    expect(checkLines(results, true)).toHaveLength(3 + results.length)
  })
})
