import { describe, expect, test } from 'bun:test'
import * as docker from '../../../lib/image/docker.ts'
import type { Source } from '../../../lib/stages/git.ts'
import { planImage } from '../../../lib/image/plan.ts'
import { stages } from '../../../lib/settings/stages.ts'
import { hostile } from '../hostile.ts'
import { failure } from '../world.ts'

/** When it is built, which is what OCI calls created; not when it was committed. */
const now = Date.parse('2026-11-24T09:00:00Z')
const source: Source = {
  commit: '860c1904a1ce19322e91ac35af1ab07466440c37',
  dirty: false,
  tag: 'v1.2.3',
  url: 'https://github.com/team/chat',
}
const settings = (more: object = {}) => {
  const { docker } = stages.parse({ docker: { lockfiles: ['bun.lock'], ...more } })
  if (!docker) throw new Error('there are settings')
  return docker
}
const pipeline = { app: 'chat', image: 'ghcr.io/Team/Chat', folder: '/app' }
const plan = (more: object = {}, from: Partial<Source> = {}) =>
  planImage(pipeline, settings(more), { ...source, ...from }, now)

describe('commands', () => {
  const { build } = plan({
    buildArgs: { APP_VERSION: '{version}', APP_COMMIT: '{commit}' },
    cache: { from: ['type=gha'], to: ['type=gha,mode=max'] },
  })
  const content = [
    '--file=/app/Dockerfile',
    '--label=org.opencontainers.image.title=chat',
    '--label=org.opencontainers.image.version=1.2.3',
    `--label=org.opencontainers.image.revision=${source.commit}`,
    '--label=org.opencontainers.image.created=2026-11-24T09:00:00.000Z',
    '--label=org.opencontainers.image.url=https://github.com/team/chat',
    '--label=org.opencontainers.image.source=https://github.com/team/chat',
    '--build-arg=APP_VERSION=1.2.3',
    `--build-arg=APP_COMMIT=${source.commit}`,
    '/app',
  ]
  const cache = ['--cache-from=type=gha', '--cache-to=type=gha,mode=max']

  test.each<[string, docker.ImageBuild, readonly string[], string[]]>([
    [
      'the classic builder',
      build,
      docker.buildImage(build, 'i:1', false),
      ['build', '--tag=i:1', ...content],
    ],
    [
      'buildx, into the local store',
      build,
      docker.buildImage(build, 'i:1', true),
      ['buildx', 'build', '--load', ...cache, '--tag=i:1', ...content],
    ],
    [
      'buildx, for several platforms',
      build,
      docker.buildAndPush(build, 'i:1', ['linux/amd64', 'linux/arm64']),
      ['buildx', 'build', '--push', '--platform=linux/amd64,linux/arm64', ...cache, '--tag=i:1', ...content],
    ],
  ])('%s', (_, __, command, expected) => expect([...command]).toEqual(['docker', ...expected]))

  test('a login has no password in it', () =>
    expect([...docker.login('ghcr.io', '--help')]).toEqual([
      'docker',
      'login',
      '--username=--help',
      '--password-stdin',
      'ghcr.io',
    ]))
})

const FLAG = /^--(tag|file|label|build-arg)=/

describe('no name becomes a flag, a line or a screen of its own', () => {
  test.each(hostile)('%j', (name) => {
    const named = plan(
      { buildArgs: { BRANCH: '{version}', NAME: name } },
      { branch: name, tag: name, url: `https://host/${encodeURI(name)}` },
    )
    const [program, verb, ...args] = docker.buildImage(named.build, `${named.image}:${named.tags[0]}`, false)
    expect([program, verb, args.pop()]).toEqual(['docker', 'build', '/app'])
    for (const arg of args) expect(arg).toMatch(FLAG)
    for (const label of args.filter((arg) => arg.startsWith('--label='))) {
      expect(label).not.toMatch(/[\p{Cc}\p{Cf}]/u)
      expect(label.length).toBeLessThan(1100)
    }
    for (const tag of named.tags)
      expect(`${named.image}:${tag}`).toMatch(/^ghcr\.io\/team\/chat:\w[\w.-]{0,127}$/)
  })

  test('a label takes what the title is, on one line', () => {
    const labels = docker.imageLabels(source, {
      version: 'a\u001B[2J\nb\u202E',
      title: 'x'.repeat(10_000),
      at: '',
    })
    expect(labels['org.opencontainers.image.version']).toBe('a [2J b ')
    expect(labels['org.opencontainers.image.title']).toHaveLength(1024)
  })
})

describe('what is refused before docker is asked', () => {
  test.each<[string, () => unknown, number, RegExp]>([
    [
      'a version of changed files',
      () => plan({}, { dirty: true }),
      6,
      /^1\.2\.3 would not be what its commit holds/,
    ],
    [
      'an image with a tag',
      () => planImage({ ...pipeline, image: 'a/b:1' }, settings(), source, now),
      2,
      /without a tag/,
    ],
    [
      'an image that is a flag',
      () => planImage({ ...pipeline, image: '--help' }, settings(), source, now),
      2,
      /not an image/,
    ],
  ])('%s', async (_, attempt, code, message) =>
    expect(await failure(Promise.try(attempt))).toEqual({ code, message: expect.stringMatching(message) }),
  )

  test('changed files may be tried out under a name that says so', () => {
    const { tags, commit } = plan({}, { dirty: true, tag: 'none' })
    expect([tags, commit]).toEqual([['sha-860c190-dirty'], `${source.commit}-dirty`])
  })
})
