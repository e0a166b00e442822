import { expect, test } from 'bun:test'
import { DeployError, sentence } from '../../lib/errors.ts'
import { field, parseJson } from '../../lib/json.ts'

test.each([
  ['{"a":1}', { a: 1 }],
  ['null', null],
  ['', undefined],
  ['<html>', undefined],
  ['{', undefined],
])('parseJson(%p)', (text, expected) => expect(parseJson(text)).toEqual(expected))

test.each<[unknown, string, unknown]>([
  [{ a: { b: 1 } }, 'a.b', 1],
  [{ a: 1 }, 'a.b', undefined],
  [{ a: null }, 'a.b', undefined],
  [{}, 'toString', undefined],
  [undefined, 'a', undefined],
  ['text', 'length', undefined],
  [['x'], '0', 'x'],
])('field(%j, %s)', (value, path, expected) => expect(field(value, path)).toEqual(expected))

test('the sentence of whatever was thrown', () => {
  const thrown = [new DeployError('what is wrong'), new TypeError('a bug'), 'a word', undefined]
  expect(thrown.map(sentence)).toEqual(['what is wrong', 'a bug', 'a word', 'undefined'])
})

test('an error of ours has an exit code; 1 unless it says another', () => {
  expect([new DeployError('a').exitCode, new DeployError('a', 70).exitCode]).toEqual([1, 70])
})
