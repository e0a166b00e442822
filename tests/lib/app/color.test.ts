import { expect, test } from 'bun:test'
import { names, other } from '../../../lib/app/color.ts'
import { APP } from '../objects.ts'

test('small words', () => {
  expect([other('blue'), other('green')]).toEqual(['green', 'blue'])
  expect(names(APP).deployment('plain')).toBe('chat')
  expect(names(APP).deployment('green')).toBe('chat-green')
})
