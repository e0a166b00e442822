import { expect, test } from 'bun:test'
import { SignInLimit } from '../../../examples/chatbot-platform/src/sign-in-limit.ts'

test('ten attempts a minute; then the time until the oldest is forgotten', () => {
  let now = 0
  const limit = new SignInLimit(() => now)
  for (let n = 0; n < 10; n++) {
    expect(limit.take('alice')).toBe(0)
    now += 1000
  }
  expect(limit.take('alice')).toBe(50)
  expect(limit.take('bob')).toBe(0)
  now = 59_500
  expect(limit.take('alice')).toBe(1)
  now = 60_000
  expect(limit.take('alice')).toBe(0)
  expect(limit.take('alice')).toBe(1)
})

test('success clears the count', () => {
  const limit = new SignInLimit(() => 0)
  for (let n = 0; n < 10; n++) limit.take('alice')
  limit.clear('alice')
  expect(limit.take('alice')).toBe(0)
})

test('invented names do not fill the memory, and cost only the oldest its count', () => {
  const limit = new SignInLimit(() => 0)
  for (let n = 0; n < 10; n++) limit.take('oldest')
  for (let n = 0; n < 10; n++) limit.take('newest')
  for (let n = 0; n < 9_999; n++) limit.take(`invented-${n}`)
  expect(limit.take('newest')).toBe(60)
  expect(limit.take('oldest')).toBe(0)
})
