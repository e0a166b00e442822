/** The small rules about texts: references, variables, paths, logs. */
import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ContainerLog } from '../../../sandbox/node/container-log.ts'
import { expand } from '../../../sandbox/node/environment.ts'
import { ImageError, parseReference } from '../../../sandbox/node/images.ts'
import { rewrite } from '../../../sandbox/node/volumes.ts'

const DIGEST = `sha256:${'a'.repeat(64)}`

describe('image references', () => {
  test.each([
    ['127.0.0.1:5000/app', '127.0.0.1:5000', 'app', 'latest'],
    ['127.0.0.1:5000/team/app:1.2.3', '127.0.0.1:5000', 'team/app', '1.2.3'],
    [`localhost:5000/app@${DIGEST}`, 'localhost:5000', 'app', DIGEST],
    [`ghcr.io/owner/app:v1@${DIGEST}`, 'ghcr.io', 'owner/app', DIGEST],
    ['owner/app:1', 'docker.io', 'owner/app', '1'],
  ])('%s', (image, registry, repository, version) => {
    expect(parseReference(image)).toEqual({ registry, repository, version })
  })

  test.each(['', 'UPPER', 'app:', 'app@sha256:1234', '127.0.0.1:5000/', 'a b', `app@${DIGEST}x`])(
    '"%s" is not one',
    (image) => {
      expect(() => parseReference(image)).toThrow(ImageError)
    },
  )
})

describe('variables in variables', () => {
  const env = { NAME: 'web', PORT: '80' }
  test.each([
    ['http://$(NAME):$(PORT)/', 'http://web:80/'],
    ['$(UNKNOWN)', '$(UNKNOWN)'],
    ['$$(NAME)', '$(NAME)'],
    ['$NAME ${NAME}', '$NAME ${NAME}'],
    ['$$$(NAME)', '$web'],
  ])('%s', (text, expected) => {
    expect(expand(text, env)).toBe(expected)
  })
})

describe('paths below a mountPath', () => {
  const paths = new Map([
    ['/data', '/pod/volumes/data'],
    ['/data/deep', '/pod/volumes/deep'],
    ['/app.d', '/pod/volumes/app'],
  ])
  test.each([
    ['/data', '/pod/volumes/data'],
    ['/data/', '/pod/volumes/data/'],
    ['/data/file.db', '/pod/volumes/data/file.db'],
    ['/data/deep/x', '/pod/volumes/deep/x'],
    ['sqlite:/data/chat.db', 'sqlite:/pod/volumes/data/chat.db'],
    ['--dir=/data,/app.d', '--dir=/pod/volumes/data,/pod/volumes/app'],
    ['/database', '/database'],
    ['/data.bak', '/data.bak'],
    ['./data', './data'],
    ['/my/data', '/my/data'],
    ['/appXd', '/appXd'],
  ])('%s', (text, expected) => {
    expect(rewrite(text, paths)).toBe(expected)
  })
})

const bytes = (text: string) => new TextEncoder().encode(text)

describe('logs', () => {
  const directory = mkdtempSync(join(tmpdir(), 'sandbox-log-'))
  afterAll(() => rmSync(directory, { recursive: true }))

  test('lines are put together from chunks, even in the middle of a character', () => {
    const path = join(directory, 'chunks')
    const log = new ContainerLog(path)
    const [head, tail] = [bytes('grün\nrot').slice(0, 3), bytes('grün\nrot').slice(3)]
    log.write('stdout', head)
    expect(log.read({})).toBe('')
    log.write('stdout', tail)
    log.write('stderr', bytes('error\n'))
    expect(log.read({})).toBe('grün\nerror\n')
    log.end()
    expect(log.read({})).toBe('grün\nerror\nrot\n')
    expect(readFileSync(path, 'utf8')).toMatch(
      /^\S+Z stdout F grün\n\S+Z stderr F error\n\S+Z stdout F rot\n$/,
    )
  })

  test('the tail, and what is recent', () => {
    const log = new ContainerLog(join(directory, 'tail'))
    log.write('stdout', bytes('one\ntwo\nthree\n'))
    expect(log.read({ tailLines: 2 })).toBe('two\nthree\n')
    expect(log.read({ tailLines: 0 })).toBe('')
    expect(log.read({ tailLines: 9 })).toBe('one\ntwo\nthree\n')
    expect(log.read({ sinceSeconds: 60 })).toBe('one\ntwo\nthree\n')
  })

  test('following gives what there is, then what comes, then the end', async () => {
    const log = new ContainerLog(join(directory, 'follow'))
    log.write('stdout', bytes('before\n'))
    const text = new Response(log.follow({})).text()
    log.write('stdout', bytes('after\nunfinished'))
    log.end()
    expect(await text).toBe('before\nafter\nunfinished\n')
    expect(await new Response(log.follow({ tailLines: 1 })).text()).toBe('unfinished\n')
  })
})
