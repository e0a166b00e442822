import { expect, test } from 'bun:test'
import { objections, type Verdict } from '../../lib/check.ts'

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
    ['passed', 'failed', 'skipped', 'inconclusive'],
    ['failed', 'inconclusive'],
  ],
  [[], ['inconclusive']],
])('%j: in the way of traffic are %j (S6)', (verdicts, expected) => {
  expect(objections(verdicts.map(result)).map(({ verdict }) => verdict)).toEqual(expected)
})

test('no results at all say so', () => {
  expect(objections([])).toMatchObject([{ expected: 'at least one check', seen: 'no check ran' }])
})
