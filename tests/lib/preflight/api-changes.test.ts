import { expect, test } from 'bun:test'
import { applyPatch } from 'rfc6902'
import { judgeApi } from '../../../lib/preflight/api-changes.ts'
import { before, changes } from './openapi-changes.ts'

test('there are enough of them, of each verdict', () => {
  const counts = Map.groupBy(changes, ({ verdict }) => verdict)
  expect(changes.length).toBeGreaterThanOrEqual(25)
  for (const verdict of ['passed', 'failed', 'unknown'] as const)
    expect(counts.get(verdict)?.length).toBeGreaterThan(5)
})

test.each(changes)('$name: $verdict', ({ change, verdict, says }) => {
  const after = structuredClone(before)
  expect(applyPatch(after, change).filter(Boolean)).toEqual([])
  const found = judgeApi({ before: JSON.stringify(before), after: JSON.stringify(after) })
  expect(found).toMatchObject({ verdict })
  if (says) expect(found.why).toMatch(says)
  if (verdict !== 'passed') expect(found.next).toContain('--ack api')
})

test.each(['', '{', '<html>', 'a: &a [*a]', 'swagger: "2.0"\npaths: {}'])('%j is no document', (text) => {
  expect(judgeApi({ before: JSON.stringify(before), after: text }).verdict).toBe('unknown')
  expect(judgeApi({ before: text, after: JSON.stringify(before) }).verdict).toBe('unknown')
})
