import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Command, Output, Shell } from '../../../lib/command.ts'
import { parseReference } from '../../../lib/image/reference.ts'
import { findDigest, findLabels, pushManifest, resolveDigest } from '../../../lib/image/registry.ts'
import { storedLogin } from '../../../lib/image/stored-login.ts'
import { digest } from '../objects.ts'
import { failure } from '../world.ts'

const hub = 'registry-1.docker.io'
const d = digest('a')

describe('parseReference', () => {
  test.each([
    ['chat', { registry: hub, repository: 'library/chat' }],
    ['chat:1.0', { registry: hub, repository: 'library/chat', tag: '1.0' }],
    ['team/chat', { registry: hub, repository: 'team/chat' }],
    ['docker.io/chat', { registry: hub, repository: 'library/chat' }],
    ['docker.io/team/chat:1.0', { registry: hub, repository: 'team/chat', tag: '1.0' }],
    ['index.docker.io/team/chat', { registry: hub, repository: 'team/chat' }],
    ['ghcr.io/chat', { registry: 'ghcr.io', repository: 'chat' }],
    ['ghcr.io/team/chat:1.0', { registry: 'ghcr.io', repository: 'team/chat', tag: '1.0' }],
    ['localhost/chat', { registry: 'localhost', repository: 'chat' }],
    ['localhost:5000/chat', { registry: 'localhost:5000', repository: 'chat' }],
    ['127.0.0.1:5000/a/b/c:x', { registry: '127.0.0.1:5000', repository: 'a/b/c', tag: 'x' }],
    [`ghcr.io/team/chat@${d}`, { registry: 'ghcr.io', repository: 'team/chat', digest: d }],
    [`ghcr.io/team/chat:1@${d}`, { registry: 'ghcr.io', repository: 'team/chat', tag: '1', digest: d }],
    ['ghcr.io/a/b__c.d-e--f', { registry: 'ghcr.io', repository: 'a/b__c.d-e--f' }],
  ])('%s', (text, expected) => expect(parseReference(text)).toEqual(expected))

  test.each([
    '',
    ':1.0',
    'chat:',
    'Chat',
    'chat:1:2',
    'chat:1/2:3:4',
    `chat:${'x'.repeat(129)}`,
    'chat:-x',
    'chat@sha256:abc',
    'chat@md5:aaaa',
    `chat@${d}@${d}`,
    'ghcr.io/../../v2/secret',
    'ghcr.io/a/../b',
    'ghcr.io//chat',
    'ghcr.io/chat/',
    'ghcr.io/chat?x=y',
    'ghcr.io/chat#x',
    'evil.com#/chat',
    'evil.com?x=/chat',
    'user:secret@ghcr.io/chat',
    'https://ghcr.io/chat',
    'ghcr.io:port/chat',
    'chat 1',
    'chat\n',
    'ghcr.io/chat:1\r\nHost: evil',
    '$(id)',
    '--help',
  ])('%j is none', (text) =>
    expect(() => parseReference(text)).toThrow(`"${text}" is not an image reference`),
  )
})

interface Registry extends AsyncDisposable {
  host: string
  asked: { method: string; path: string; authorization: string | null; accept: string | null }[]
}

function registry(answer: (request: Request, host: string) => Response | Promise<Response>): Registry {
  const asked: Registry['asked'] = []
  const server: Bun.Server<undefined> = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: (request) => {
      const { pathname, search } = new URL(request.url)
      const [authorization, accept] = ['authorization', 'accept'].map((name) => request.headers.get(name))
      asked.push({
        method: request.method,
        path: pathname + search,
        authorization: authorization ?? null,
        accept: accept ?? null,
      })
      return answer(request, `127.0.0.1:${server.port}`)
    },
  })
  return { host: `127.0.0.1:${server.port}`, asked, [Symbol.asyncDispose]: () => server.stop(true) }
}

const folder = mkdtempSync(join(tmpdir(), 'registry-test-'))
const before = process.env.DOCKER_CONFIG
process.env.DOCKER_CONFIG = folder
afterAll(() => {
  if (before === undefined) delete process.env.DOCKER_CONFIG
  else process.env.DOCKER_CONFIG = before
  rmSync(folder, { recursive: true })
})

const login = (config: unknown) =>
  writeFileSync(join(folder, 'config.json'), typeof config === 'string' ? config : JSON.stringify(config))

const fail = (): never => {
  throw new Error('nothing is written here')
}

/** A shell in which only a credential helper can be run. */
function helper(output: Partial<Output> = {}): Shell & { asked: [Command, string | undefined][] } {
  const asked: [Command, string | undefined][] = []
  return {
    asked,
    read: (command, options) => {
      asked.push([command, options?.input])
      return Promise.resolve({ stdout: '', stderr: '', exitCode: 0, ...output })
    },
    write: fail,
    start: fail,
  }
}

const named = (value = d) => new Response('', { headers: { 'docker-content-digest': value } })
const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`
const unauthorized = (challenge: string) =>
  new Response('', { status: 401, headers: { 'www-authenticate': challenge } })

const protectedBy = (challenge: (host: string) => string, secret: string) =>
  registry((request, host) => {
    if (new URL(request.url).pathname === '/token') return Response.json({ token: 't0ken' })
    return request.headers.get('authorization') === secret ? named() : unauthorized(challenge(host))
  })

const bearer = (host: string) => `Bearer realm="http://${host}/token",service="reg",scope="x"`

/** The OAuth2 flow of a token service that knows one refresh token, and no password. */
const oauth = () =>
  registry(async (request, host) => {
    const known = request.headers.get('authorization') === 'Bearer 0Auth'
    if (new URL(request.url).pathname !== '/token') return known ? named() : unauthorized(bearer(host))
    const form = Object.fromEntries(new URLSearchParams(await request.text()))
    expect(form).toEqual({
      grant_type: 'refresh_token',
      refresh_token: 'REFRESH',
      client_id: 'deploy-scripts',
      service: 'reg',
      scope: 'repository:chat:pull',
    })
    expect([request.method, request.headers.get('authorization')]).toEqual(['POST', null])
    return Response.json({ access_token: '0Auth' })
  })

const absent = () => Response.json({ errors: [{ code: 'MANIFEST_UNKNOWN' }] }, { status: 404 })

describe('resolveDigest', () => {
  test('asks the registry, and names the image by digest', async () => {
    login({})
    await using server = registry(() => named())
    expect(await resolveDigest(`${server.host}/team/chat:1.0`, helper())).toBe(
      `${server.host}/team/chat@${d}`,
    )
    expect(server.asked).toMatchObject([
      { method: 'HEAD', path: '/v2/team/chat/manifests/1.0', authorization: null },
    ])
    expect(server.asked[0]?.accept).toContain('application/vnd.oci.image.index.v1+json')
  })

  test.each([
    ['chat', 'latest'],
    ['chat:2', '2'],
    [`chat@${d}`, d],
    [`chat:2@${d}`, d],
  ])('%s asks for %s', async (image, wanted) => {
    await using server = registry(() => named())
    expect(await resolveDigest(`${server.host}/${image}`, helper())).toBe(`${server.host}/chat@${d}`)
    expect(server.asked[0]?.path).toBe(`/v2/chat/manifests/${wanted}`)
  })

  test.each<[string, () => Response, RegExp]>([
    ['no such image', () => absent(), /^The registry has no image .*: build and push it first/],
    [
      '404 of no registry',
      () => new Response('<html>', { status: 404 }),
      /answers 404 for chat.*, and not as/,
    ],
    ['500', () => new Response('', { status: 500 }), /^The registry answered 500 for /],
    ['no digest', () => new Response(''), /^The registry names no digest for /],
    ['a digest that is none', () => named('sha256:short'), /^The registry names no digest for /],
    ['another digest than asked for', () => named(digest('b')), /^The registry answered with sha256:bbb/],
    ['a login without a way', () => unauthorized('Negotiate'), /asks for a login: docker login 127/],
    ['a realm that is none', () => unauthorized('Bearer realm="nowhere"'), /does not answer/],
  ])('%s', async (_, answer, message) => {
    login({})
    await using server = registry(answer)
    const failed = await failure(resolveDigest(`${server.host}/chat@${d}`, helper()))
    expect(failed).toMatchObject({ code: 1, message: expect.stringMatching(message) })
  })

  test('nobody there', async () => {
    const server = registry(() => named())
    await server[Symbol.asyncDispose]()
    const failed = await failure(resolveDigest(`${server.host}/chat:1`, helper()))
    expect(failed).toMatchObject({
      code: 1,
      message: expect.stringMatching(/^The registry 127\.0\.0\.1:\d+ does not answer: /),
    })
  })

  test.each([429, 503])('one that has too much to do (%d) is asked again, when it says', async (status) => {
    let count = 0
    await using server = registry(() =>
      count++ < 3 ? new Response('', { status, headers: { 'retry-after': '0' } }) : named(),
    )
    expect(await resolveDigest(`${server.host}/chat:1`, helper())).toEndWith(d)
    expect(server.asked).toHaveLength(4)
  })

  test('and is left alone after some times, or where it says that it takes long', async () => {
    let after = '0'
    await using server = registry(() => new Response('', { status: 429, headers: { 'retry-after': after } }))
    expect((await failure(resolveDigest(`${server.host}/chat:1`, helper())))?.message).toMatch(
      /^The registry answered 429 for /,
    )
    expect(server.asked).toHaveLength(4)
    after = new Date(Date.now() + 3_600_000).toUTCString()
    expect((await failure(resolveDigest(`${server.host}/chat:1`, helper())))?.message).toMatch(
      /answers 429: ask again in (59 m \d+|60 m 0) s$/,
    )
  })

  describe('a login', () => {
    test('basic, as docker login stored it', async () => {
      await using server = protectedBy(() => 'Basic realm="x"', basic('me:secret'))
      login({ auths: { [server.host]: { auth: Buffer.from('me:secret').toString('base64') } } })
      expect(await resolveDigest(`${server.host}/chat:1`, helper())).toEndWith(d)
    })

    test('bearer, anonymously', async () => {
      login({})
      await using server = protectedBy(bearer, 'Bearer t0ken')
      expect(await resolveDigest(`${server.host}/chat:1`, helper())).toEndWith(d)
      expect(server.asked[1]).toMatchObject({
        path: '/token?service=reg&scope=repository%3Achat%3Apull',
        authorization: null,
      })
    })

    test('bearer, with what a credential helper knows; its secret is in no command line', async () => {
      await using server = protectedBy(bearer, 'Bearer t0ken')
      login({ credHelpers: { [server.host]: 'pass' } })
      const shell = helper({ stdout: JSON.stringify({ Username: 'me', Secret: 's3cret' }) })
      await resolveDigest(`${server.host}/chat:1`, shell)
      expect(shell.asked).toEqual([[['docker-credential-pass', 'get'], server.host]])
      expect(server.asked[1]?.authorization).toBe(basic('me:s3cret'))
    })

    test('an identity token, as az acr login stores it, is a refresh token', async () => {
      await using server = oauth()
      const auth = Buffer.from('00000000-0000-0000-0000-000000000000:').toString('base64')
      login({ auths: { [server.host]: { auth, identitytoken: 'REFRESH' } } })
      expect(await resolveDigest(`${server.host}/chat:1`, helper())).toEndWith(d)
    })

    test('so is what a credential helper gives for <token>', async () => {
      await using server = oauth()
      login({ credsStore: 'acr' })
      const shell = helper({ stdout: JSON.stringify({ Username: '<token>', Secret: 'REFRESH' }) })
      expect(await resolveDigest(`${server.host}/chat:1`, shell)).toEndWith(d)
    })

    test('an identity token is no password', async () => {
      await using server = protectedBy(() => 'Basic realm="x"', basic('<token>:REFRESH'))
      login({ auths: { [server.host]: { identitytoken: 'REFRESH' } } })
      expect((await failure(resolveDigest(`${server.host}/chat:1`, helper())))?.message).toContain(
        'asks for a login',
      )
    })

    test.each<[string, string, object]>([
      ['ghcr.io', 'ghcr.io', { 'ghcr.io': 'me' }],
      ['ghcr.io', 'https:// in front', { 'https://ghcr.io': 'me' }],
      ['ghcr.io', 'a slash behind', { 'ghcr.io/': 'me' }],
      ['ghcr.io', 'a path', { 'https://ghcr.io/v2/': 'me', 'ghcr.io.evil': 'x', 'xghcr.io': 'x' }],
      ['127.0.0.1:5000', 'a port', { '127.0.0.1:5001': 'x', 'http://127.0.0.1:5000': 'me' }],
      [hub, "the hub's old name", { 'https://index.docker.io/v1/': 'me' }],
      [hub, "the hub's name without the rest", { 'index.docker.io': 'me' }],
    ])('of %s is found by %s', async (host, _, auths) => {
      const entries = Object.entries(auths).map(([key, auth]) => [
        key,
        { auth: Buffer.from(String(auth)).toString('base64') },
      ])
      login({ auths: Object.fromEntries(entries) })
      expect(await storedLogin(host, helper())).toEqual({ basic: 'me' })
    })

    test('a registry with an empty helper has its login in the file', async () => {
      const auth = Buffer.from('me:secret').toString('base64')
      login({ credsStore: 'desktop', credHelpers: { 'ghcr.io': '' }, auths: { 'ghcr.io': { auth } } })
      expect(await storedLogin('ghcr.io', helper())).toEqual({ basic: 'me:secret' })
      expect(await storedLogin('other.io', helper())).toBeUndefined()
    })

    test('a repository that only a push will make is not there for who may push, and refused to others', async () => {
      await using server = registry((request, host) => {
        const { pathname, searchParams } = new URL(request.url)
        if (pathname === '/token') return Response.json({ token: searchParams.get('scope') })
        const may = request.headers.get('authorization')?.endsWith(':pull,push')
        return may ? absent() : unauthorized(bearer(host))
      })
      login({})
      for (const find of [findDigest, findLabels]) {
        expect(await find(`${server.host}/chat:1`, helper(), { push: true })).toBeUndefined()
        expect((await failure(find(`${server.host}/chat:1`, helper())))?.message).toContain('answered 401')
      }
    })

    test('pushing asks for leave to push', async () => {
      await using server = registry((request, host) => {
        if (new URL(request.url).pathname === '/token') return Response.json({ token: 't0ken' })
        return request.headers.get('authorization')
          ? new Response('', { status: 201 })
          : unauthorized(bearer(host))
      })
      login({})
      const content = Buffer.from('{}')
      expect(await pushManifest(`${server.host}/chat:1`, { content, type: 'a/b' }, helper())).toStartWith(
        'sha256:44136fa',
      )
      expect(server.asked.map(({ path }) => path)).toEqual([
        '/v2/chat/manifests/1',
        '/token?service=reg&scope=repository%3Achat%3Apull%2Cpush',
        '/v2/chat/manifests/1',
      ])
    })

    test.each<[string, unknown]>([
      ['a realm that gives nothing', {}],
      ['a realm that gives an empty token', { token: '' }],
      ['a realm that gives no JSON', '<html>'],
    ])('%s', async (_, answer) => {
      login('not json')
      await using server = registry((request, host) =>
        new URL(request.url).pathname === '/token'
          ? new Response(JSON.stringify(answer))
          : unauthorized(bearer(host)),
      )
      const failed = await failure(resolveDigest(`${server.host}/chat:1`, helper()))
      expect(failed).toMatchObject({
        code: 1,
        message: expect.stringMatching(/refuses anonymous access \(200\): docker login/),
      })
    })

    test('a login that is still refused', async () => {
      await using server = registry(() => unauthorized('Basic realm="x"'))
      login({ auths: { [server.host]: { auth: Buffer.from('me:wrong').toString('base64') } } })
      expect(await failure(resolveDigest(`${server.host}/chat:1`, helper()))).toMatchObject({
        code: 1,
        message: expect.stringMatching(/^The registry answered 401 for /),
      })
    })
  })
})

const sha = (text: string) => `sha256:${new Bun.CryptoHasher('sha256').update(text).digest('hex')}`
const labelled = (labels: unknown) => JSON.stringify({ config: { Labels: labels } })
const manifest = (config: string) =>
  JSON.stringify({ schemaVersion: 2, config: { digest: config }, layers: [] })

type Answers = Record<string, () => Response>

/** A repository `chat` that answers what stands here, by tag or digest, and 404 otherwise. */
const holding = (answers: Answers) =>
  registry((request) => {
    const [, name = ''] = /^\/v2\/chat\/(?:manifests|blobs)\/(.+)$/.exec(new URL(request.url).pathname) ?? []
    return answers[name]?.() ?? absent()
  })

const image = (config: string): Answers => ({
  t: () => new Response(manifest(sha(config))),
  [sha(config)]: () => new Response(config),
})
const labelsOf = async ({ host }: Registry) => (await findLabels(`${host}/chat:t`, helper()))?.labels

const bomb = () =>
  new Response(Bun.gzipSync(Buffer.alloc(50_000_000)), { headers: { 'content-encoding': 'gzip' } })
const endless = () =>
  new Response(new ReadableStream({ pull: (stream) => stream.enqueue(new Uint8Array(100_000)) }))
const deep = '{"config":'.repeat(50_000)

describe('findLabels', () => {
  const config = labelled({ 'a.label': '{"$HOME": "\u001B[31m"}' })

  test('is read from the configuration, which is asked for by its digest', async () => {
    await using server = holding(image(config))
    expect(await labelsOf(server)).toEqual({ 'a.label': '{"$HOME": "\u001B[31m"}' })
    expect(server.asked).toMatchObject([
      { method: 'GET', path: '/v2/chat/manifests/t', accept: expect.stringContaining('oci.image.manifest') },
      { method: 'GET', path: `/v2/chat/blobs/${sha(config)}`, accept: '*/*' },
    ])
  })

  test("of an index, its first platform's; attestations are none", async () => {
    const one = manifest(sha(config))
    const manifests = [
      { digest: digest('f'), platform: { os: 'unknown', architecture: 'unknown' } },
      { digest: sha(one), platform: { os: 'linux', architecture: 'amd64' } },
    ]
    await using server = holding({
      ...image(config),
      t: () => Response.json({ schemaVersion: 2, manifests }),
      [sha(one)]: () => new Response(one),
    })
    expect(await labelsOf(server)).toEqual({ 'a.label': '{"$HOME": "\u001B[31m"}' })
  })

  test.each<[string, Answers, object | undefined]>([
    ['no image', {}, undefined],
    ['no configuration in it', image('{}'), {}],
    ['no labels', image(labelled(null)), {}],
  ])('%s: none', async (_, answers, labels) => {
    await using server = holding(answers)
    expect(await labelsOf(server)).toEqual(labels as never)
  })

  test('with the digest that they are of', async () => {
    await using server = holding(image(config))
    const found = await findLabels(`${server.host}/chat:t`, helper())
    expect(found?.digest).toBe(sha(manifest(sha(config))))
  })

  test('storage elsewhere does not get the login', async () => {
    const seen: (string | null)[] = []
    await using storage = registry((request) => {
      seen.push(request.headers.get('authorization'))
      return new Response(config)
    })
    await using server = registry((request) => {
      if (request.headers.get('authorization') !== basic('me:secret')) return unauthorized('Basic realm="x"')
      if (request.url.endsWith('/t')) return new Response(manifest(sha(config)))
      return Response.redirect(`http://${storage.host}/blob`, 307)
    })
    login({ auths: { [server.host]: { auth: Buffer.from('me:secret').toString('base64') } } })
    expect(await labelsOf(server)).toEqual({ 'a.label': '{"$HOME": "\u001B[31m"}' })
    expect(seen).toEqual([null])
  })

  test.each<[string, Answers, RegExp]>([
    [
      'an error',
      { t: () => new Response('\u001B[31m', { status: 500 }) },
      /^The registry answered 500 for chat/,
    ],
    ['a page', { t: () => new Response('<html>') }, /is not an image$/],
    ['nothing', { t: () => new Response('') }, /is not an image$/],
    ['no configuration', { t: () => Response.json({ layers: [] }) }, /is not an image$/],
    ['depths', { t: () => new Response(deep) }, /is not an image$/],
    ['a path for a digest', { t: () => new Response(manifest('sha256:../../../x')) }, /is not an image$/],
    [
      'a configuration that is gone',
      { t: () => new Response(manifest(d)) },
      /has no sha256:a+, which it names$/,
    ],
    [
      'an index of nothing but attestations',
      { t: () => Response.json({ manifests: [] }) },
      /is not an image$/,
    ],
    ['labels that are no text', image(labelled({ 'a.label': { passed: true } })), /is not an image$/],
    [
      'other content than the digest says',
      { t: () => new Response(manifest(d)), [d]: () => new Response(config) },
      /answered with other content than sha256:a/,
    ],
    ['no end', { t: endless }, /answers with too much for chat\/manifests\/t/],
    ['a bomb', { t: bomb }, /answers with too much for chat\/manifests\/t/],
  ])('%s: refused', async (_, answers, message) => {
    login({})
    await using server = holding(answers)
    expect(await failure(labelsOf(server))).toEqual({ code: 1, message: expect.stringMatching(message) })
  })
})
