import { describe, expect, test } from 'bun:test'
import {
  errorLines,
  grouped,
  groupLine,
  isError,
  readLines,
  readOwn,
  shape,
} from '../../../lib/diagnose/logs.ts'

describe('whether a line tells of an error', () => {
  test.each([
    ['{"level":"error","message":"x"}', true],
    ['{"level":"info","message":"no error here"}', false],
    ['{"level":50,"msg":"pino"}', true],
    ['{"level":30,"msg":"pino: error"}', false],
    ['{"severity":"CRITICAL","message":"x"}', true],
    ['Traceback (most recent call last):', true],
    ['panic: runtime error: index out of range', true],
    ['2026/11/28 18:00:00 [error] 7#7: *1 open() "/x" failed', true],
    ['10.0.0.1 - - [28/Nov/2026:18:00:00 +0000] "GET / HTTP/1.1" 502 157', true],
    ['10.0.0.1 - - [28/Nov/2026:18:00:00 +0000] "GET /500 HTTP/1.1" 200 157', false],
    ['listening on 3000', false],
    ['terrors of the deep', false],
  ])('%s', (line, wrong) => expect(isError(line)).toBe(wrong))
})

describe('what differs between two of the same is taken out', () => {
  test.each([
    ['user 42 at 10.0.0.7:5123 failed after 12.5 ms', 'user <n> at <ip>:<n> failed after <n> ms'],
    ['id 0195f3c2-7a11-7c3e-9d6b-2f8e4a1b3c4d is gone', 'id <id> is gone'],
    ['release 01m8hraz1g48v8m96gnr5qajzw', 'release <id>'],
    ['commit d0ad528f', 'commit <id>'],
    ['2026-11-28T18:00:00.123Z ERROR boom', '<time> ERROR boom'],
    ['a face decade', 'a face decade'],
    [
      '{"level":"error","message":"request failed","error":"Error: id 7","stack":"x"}',
      'request failed: Error: id <n>',
    ],
  ])('%s', (line, same) => expect(shape(line)).toBe(same))
})

test('lines are read with their pod and their time; what has neither is none', () => {
  const text =
    '[pod/a-1/app] 2026-11-28T18:00:00.1Z Error: 1\nerror: pods is forbidden\n[pod/b-2/app] Error: 2\n[pod/b-2/app] 2026-11-28T18:00:01Z \n'
  expect(readLines(text)).toEqual([
    { pod: 'a-1', at: '2026-11-28T18:00:00.1Z', text: 'Error: 1' },
    { pod: 'b-2', at: '', text: 'Error: 2' },
  ])
  expect(readOwn('c-3', '2026-11-28T18:00:00Z last words\n\n')).toEqual([
    { pod: 'c-3', at: '2026-11-28T18:00:00Z', text: 'last words' },
  ])
})

const line = (pod: string, second: number, text: string) => ({
  pod,
  at: `2026-11-28T18:00:0${second}Z`,
  text,
})

test('groups: the most frequent first, in which pods and since when', () => {
  const groups = grouped([line('a', 5, 'Error: 1'), line('b', 3, 'Error: 22'), line('a', 1, 'Error: other')])
  expect(groups.map(groupLine)).toEqual([
    '2 × Error: <n> (2 pods, since 18:00:03 UTC)',
    '1 × Error: other (1 pod, since 18:00:01 UTC)',
  ])
})

test('lines older than ten minutes are another trouble; one without a time counts', () => {
  const now = Date.parse('2026-11-28T18:30:00Z')
  const lines = ['2026-11-28T18:19:59Z', '2026-11-28T18:20:01Z', ''].map((at) => ({
    pod: 'a',
    at,
    text: 'Error',
  }))
  expect(errorLines(lines, now).map(({ at }) => at)).toEqual(['2026-11-28T18:20:01Z', ''])
})

const seenOf = (...texts: string[]) =>
  errorLines(
    texts.map((text) => ({ pod: 'a', at: '', text })),
    0,
  ).map(({ text }) => text)

describe('one error is one line', () => {
  test.each([
    [
      "KeyError: 'mood'",
      [
        'Exception in ASGI application',
        'Traceback (most recent call last):',
        '  File "app.py", line 3',
        "KeyError: 'mood'",
      ],
    ],
    [
      'java.lang.IllegalStateException: no',
      ['java.lang.IllegalStateException: no', '\tat com.example.App.main(App.java:3)'],
    ],
  ])('%s', (last, lines) => expect(seenOf(...lines)).toEqual([last]))

  test('a client that went away is none', () => {
    const python = [
      'Exception occurred during processing of request from (1)',
      'Traceback (most recent call last):',
      '  File "x"',
    ]
    expect(
      seenOf(...python, 'ConnectionResetError: [Errno 104] Connection reset by peer', 'Error: write EPIPE'),
    ).toEqual([])
  })
})
