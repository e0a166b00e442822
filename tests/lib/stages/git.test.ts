import { afterAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { shell } from '../../../lib/command.ts'
import { localNames, namesOfRef, readSource, revision, type Names } from '../../../lib/stages/git.ts'
import { hostile } from '../hostile.ts'
import { failure } from '../world.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

const folder = mkdtempSync(join(tmpdir(), 'git-test-'))
afterAll(() => rmSync(folder, { recursive: true }))
const sh = shell(() => {})

function git(...args: string[]): string {
  const identity = {
    GIT_AUTHOR_NAME: 'a',
    GIT_AUTHOR_EMAIL: 'a@b',
    GIT_COMMITTER_NAME: 'a',
    GIT_COMMITTER_EMAIL: 'a@b',
  }
  const env = { ...process.env, ...identity }
  const { stdout, stderr, exitCode } = Bun.spawnSync(['git', '-C', folder, ...args], { env })
  if (exitCode !== 0) throw new Error(stderr.toString())
  return stdout.toString().trim()
}
git('init', '--quiet', '--initial-branch', 'main')
writeFileSync(join(folder, 'file'), 'one')
git('add', '.')
git('commit', '--quiet', '--message', '$(touch pwned)\n\n--amend')
const commit = git('rev-parse', 'HEAD')

describe('where git is asked', () => {
  test('a branch', async () =>
    expect(await readSource(folder, sh, {})).toEqual({
      commit,
      dirty: false,
      branch: 'main',
    }))

  test('a branch with a version on it, and a remote with a password in it', async () => {
    git('tag', 'v1.2.3')
    git('tag', 'v1.10.0')
    git('tag', 'v1.10.0-rc.1')
    git('remote', 'add', 'origin', 'https://me:s3cret@github.com/team/chat.git')
    const source = await readSource(folder, sh, {})
    expect(source).toMatchObject({ branch: 'main', tag: 'v1.10.0', url: 'https://github.com/team/chat' })
    expect(JSON.stringify(source)).not.toContain('s3cret')
  })

  test('a detached head has no branch', async () => {
    git('checkout', '--quiet', '--detach')
    expect(await readSource(folder, sh, {})).not.toHaveProperty('branch')
  })

  test.each(
    hostile.filter((name) => Bun.spawnSync(['git', 'check-ref-format', `refs/heads/${name}`]).success),
  )('a branch called %j is read as it is', async (name) => {
    git('symbolic-ref', 'HEAD', `refs/heads/${name.slice(0, 200)}`)
    git('update-ref', 'HEAD', commit)
    expect((await readSource(folder, sh, {})).branch).toBe(name.slice(0, 200))
    expect(existsSync('/tmp/pwned') || existsSync(join(folder, 'pwned'))).toBe(false)
  })

  test('a file beside the commit is seen', async () => {
    writeFileSync(join(folder, 'more'), '')
    const source = await readSource(folder, sh, {})
    expect([source.dirty, revision(source)]).toEqual([true, `${commit}-dirty`])
    rmSync(join(folder, 'more'))
    expect(revision(await readSource(folder, sh, {}))).toBe(commit)
  })

  test('a folder outside of any repository', async () => {
    const failed = await failure(readSource(tmpdir(), sh, {}))
    expect(failed).toEqual({
      code: 2,
      message: expect.stringMatching(/^git names no commit for .*not a git rep/),
    })
  })
})

describe('in GitHub Actions the event names it', () => {
  const variables = {
    GITHUB_ACTIONS: 'true',
    GITHUB_SHA: commit,
    GITHUB_SERVER_URL: 'https://github.com',
    GITHUB_REPOSITORY: 'team/chat',
  }

  test('a pull request, although a branch is checked out', async () => {
    const source = await readSource(folder, sh, { ...variables, GITHUB_REF: 'refs/pull/7/merge' })
    expect(source).toEqual({
      commit,
      dirty: false,
      pullRequest: 7,
      url: 'https://github.com/team/chat',
    })
  })

  test('another commit than the one that is checked out', async () => {
    const run = { ...variables, GITHUB_REF: 'refs/heads/main', GITHUB_SHA: 'f'.repeat(40) }
    expect(await failure(readSource(folder, sh, run))).toEqual({
      code: 2,
      message: `${commit} is checked out, but the run is for ${'f'.repeat(40)}`,
    })
  })
})

test.each<[string, Names]>([
  ['refs/heads/main', { branch: 'main' }],
  ['refs/heads/feature/x', { branch: 'feature/x' }],
  ['refs/tags/v1.2.3', { tag: 'v1.2.3' }],
  ['refs/pull/12/merge', { pullRequest: 12 }],
  ['refs/pull/x/merge', {}],
  ['refs/pull/12; id/merge', {}],
  ['main', {}],
  ['', {}],
])('%s is %j', (ref, names) => expect(namesOfRef(ref)).toEqual(names))

test.each([
  ['v1.9.0\nv1.10.0', 'v1.10.0'],
  ['zz\nv1.0.0', 'v1.0.0'],
  ['v2.0.0-rc.1\nv2.0.0', 'v2.0.0'],
  ['nightly', 'nightly'],
])('of the tags %j it is %s', (tags, tag) => expect(localNames(undefined, tags)).toEqual({ tag }))
