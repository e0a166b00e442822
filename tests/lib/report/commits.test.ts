import { describe, expect, test } from 'bun:test'
import type { Shell } from '../../../lib/command.ts'
import { commitsSince } from '../../../lib/report/commits.ts'
import { record } from './records.ts'

const [A, B] = ['a'.repeat(40), 'b'.repeat(40)]

/** A git that answers each command by its first word, and remembers what it was asked. */
function git(answers: Record<string, string>) {
  const asked: string[][] = []
  const shell: Shell = {
    read: ([program, ...args]) => {
      asked.push([program, ...args])
      const stdout = answers[args[0] ?? '']
      return Promise.resolve({ stdout: stdout ?? '', stderr: '', exitCode: stdout === undefined ? 128 : 0 })
    },
    write: () => Promise.reject(new Error('nothing is written')),
    start: () => Promise.reject(new Error('nothing is started')),
  }
  return { shell, asked }
}

const line = (id: string, subject: string): string => [id, 'Al', '2026-08-01T00:00:00Z', subject].join('\x1f')

describe('commits since the release before', () => {
  test('are those between the two revisions', async () => {
    const { shell, asked } = git({ log: `${line(B, 'fix')}\n`, 'rev-list': '3\n' })
    const found = await commitsSince(record(), { revision: B }, { revision: A }, shell)
    expect(found).toMatchObject({ known: true, total: 3, since: '1.0.0', list: [{ id: B, subject: 'fix' }] })
    expect(asked.every((command) => command.at(-1) === `${A}..${B}`)).toBe(true)
  })

  test('what somebody wrote into a subject steers nothing', async () => {
    const { shell } = git({ log: `${line(B, '\u001B[31m::error::x')}\n`, 'rev-list': '1' })
    const found = await commitsSince(record(), { revision: B }, { revision: A }, shell)
    expect(found).toMatchObject({ list: [{ subject: '::error::x' }] })
  })

  test.each([
    ['the image names none', undefined, { revision: A }, /names no commit/],
    ['nor the one before', { revision: B }, undefined, /image of 1\.0\.0 names no commit/],
    ['git does not have them', { revision: B }, { revision: A }, /git here does not have a{10} and b{10}/],
  ])('unknown, and said to be: %s', async (_, to, before, why) => {
    const found = await commitsSince(record(), to, before, git({}).shell)
    expect(found).toMatchObject({ known: false, why: expect.stringMatching(why) })
  })

  test('a git that is not there knows nothing', async () => {
    const shell: Shell = { ...git({}).shell, read: () => Promise.reject(new Error('no git')) }
    const found = await commitsSince(record(), { revision: B }, { revision: A }, shell)
    expect(found.known).toBe(false)
  })
})
