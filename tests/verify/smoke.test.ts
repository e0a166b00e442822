import { afterAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadEnvironment } from '../../lib/settings/load.ts'
import type { SmokeCheck } from '../../lib/settings/gates.ts'
import { gatesOf } from '../../verify/gates.ts'
import { askedAgain, keptCheck, mismatch, smoke } from '../../verify/smoke.ts'
import { selfSigned } from './certificate.ts'
import { answer, rawServer, type Treat } from '../lib/servers.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

type Expect = SmokeCheck['expect']
const WITHIN = 2000
const check = (expected: Partial<Expect> = {}, more: Partial<SmokeCheck> = {}): SmokeCheck => ({
  name: 'health',
  method: 'GET',
  path: '/health?a=b',
  headers: {},
  expect: { status: 200, within: WITHIN, ...expected },
  ...more,
})

const { witness } = loadEnvironment(`${import.meta.dir}/../lib/deploy.yaml`, 'test', {})
const unnamed = { ...witness, color: undefined }
const evidence = mkdtempSync(join(tmpdir(), 'smoke-test-'))
afterAll(() => rmSync(evidence, { recursive: true }))
const never = new AbortController().signal
const ask = (url: string, checks: SmokeCheck[], color?: string) =>
  smoke(checks, color ? witness : unnamed)(
    { url, verification: 'v-1', evidence, ...(color && { color }) },
    never,
  )

/** The one result of one check against a server that treats it so. */
async function judged(treat: Treat, expected: Partial<Expect> = {}, more: Partial<SmokeCheck> = {}) {
  await using server = await rawServer(treat)
  const [result, ...others] = await ask(server.url, [check(expected, more)])
  expect(others).toEqual([])
  return { ...result, server: { ...server } }
}

const says =
  (status: number, body: string, ...headers: string[]): Treat =>
  (socket) =>
    void socket.write(answer(status, body, ...headers))

describe('mismatch', () => {
  const json = (value: NonNullable<Expect['json']>): Partial<Expect> => ({ json: value })
  test.each<[string, Partial<Expect>, number, string, string | undefined]>([
    ['the status is enough', {}, 200, 'whatever', undefined],
    ['another status', {}, 503, 'down\n for  now', 'status 503: down for now'],
    ['another good status', {}, 204, '', 'status 204: an empty answer'],
    ['an expected refusal', { status: 401 }, 401, '', undefined],
    ['the text is there', { text: '<title>' }, 200, '<html><title>', undefined],
    ['the text is not there', { text: '<title>' }, 200, '<html>', 'no such text in <html>'],
    ['the text is looked for in vain', { text: '<title>' }, 200, '', 'no such text in an empty answer'],
    ['the values are there', json({ status: 'ok' }), 200, '{"status":"ok","more":1}', undefined],
    ['another value', json({ status: 'ok' }), 200, '{"status":"OK"}', '{"status":"OK"}'],
    ['another type', json({ n: 1 }), 200, '{"n":"1"}', '{"n":"1"}'],
    ['a value is missing', json({ status: 'ok' }), 200, '{}', '{}'],
    ['null is not missing', json({ a: null }), 200, '{}', '{}'],
    ['null is null', json({ a: null }), 200, '{"a":null}', undefined],
    ['an object is not missing', json({ build: {} }), 200, '{}', '{}'],
    ['an object is no list', json({ a: {} }), 200, '{"a":[]}', '{"a":[]}'],
    ['an object is no text', json({}), 200, '"ok"', '"ok"'],
    ['deep values', json({ a: { b: [1, { c: true }] } }), 200, '{"a":{"b":[1,{"c":true,"d":0}]}}', undefined],
    ['a longer list', json([1]), 200, '[1,2]', '[1,2]'],
    ['a shorter list', json([1, 2]), 200, '[1]', '[1]'],
    ['names with dots are names', json({ 'a.b': 1 }), 200, '{"a.b":1}', undefined],
    ['names with dots are no paths', json({ 'a.b': 1 }), 200, '{"a":{"b":1}}', '{"a":{"b":1}}'],
    ['what every object inherits is not there', json({ constructor: {} }), 200, '{}', '{}'],
    [
      'HTML instead of JSON',
      json({ status: 'ok' }),
      200,
      '<html>login</html>',
      'not JSON: <html>login</html>',
    ],
    ['nothing instead of JSON', json({ status: 'ok' }), 200, '', 'not JSON: an empty answer'],
    ['a long answer is told by its beginning', {}, 500, 'x'.repeat(500), `status 500: ${'x'.repeat(160)}…`],
    ['one of 160 characters is told whole', {}, 500, 'x'.repeat(160), `status 500: ${'x'.repeat(160)}`],
  ])('%s', (_, expected, status, text, seen) => {
    expect(mismatch(check(expected).expect, status, text)).toBe(seen)
  })
})

/** A body of 1 GiB, which says how much of it was asked for. */
function gibibyte(): { body: ReadableStream; sent: () => number } {
  let sent = 0
  const pull = (controller: ReadableStreamDefaultController): void => {
    sent += 65_536
    if (sent < 2 ** 30) controller.enqueue(new Uint8Array(65_536).fill(120))
    else controller.close()
  }
  return { body: new ReadableStream({ pull }), sent: () => sent }
}

describe('a check', () => {
  test('passes, and says what was expected and seen', async () => {
    const { server, ...result } = await judged(says(200, '{"status":"ok"}'), { json: { status: 'ok' } })
    expect(result).toEqual({
      gate: 'smoke',
      name: 'health',
      verdict: 'passed',
      ms: expect.any(Number),
      expected: 'GET /health?a=b: status 200, {"status":"ok"}, within 2 s',
      seen: 'status 200',
    })
    expect(server.seen[0]).toBe('GET /health?a=b HTTP/1.1')
  })

  test('marks its requests, and sends what is declared', async () => {
    const { server } = await judged(
      says(200, ''),
      {},
      { method: 'POST', body: 'x', headers: { 'X-Own': 'yes', 'user-agent': 'mine' } },
    )
    const lines = server.seen.map((line) => line.toLowerCase())
    for (const line of [
      'post /health?a=b http/1.1',
      'x-deploy-verification: v-1',
      'x-own: yes',
      'user-agent: mine',
    ])
      expect(lines).toContain(line)
  })

  test.each<[string, Treat, RegExp]>([
    ['a redirect, which is not followed', says(302, '', 'location: /login'), /^status 302/],
    ['an error', says(500, 'no'), /^status 500: no$/],
    ['an answer that never comes', () => {}, /^no whole answer within 300 ms$/],
    [
      'an answer that never ends',
      (socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nha'),
      /^no whole answer within 300 ms$/,
    ],
    ['a drop every now and then', (socket) => drip(socket), /^no whole answer within 300 ms$/],
    ['a reset', (socket) => socket.resetAndDestroy(), /./],
    ['a closed connection', (socket) => socket.destroy(), /./],
    ['no HTTP', (socket) => void socket.end('SSH-2.0-OpenSSH\r\n'), /./],
    ['a body that does not unpack', says(200, 'not gzip', 'content-encoding: gzip'), /./],
  ])('fails, in its time: %s', async (_, treat, seen) => {
    const { verdict, seen: saw, ms } = await judged(treat, { within: 300 })
    expect(verdict).toBe('failed')
    expect(saw).toMatch(seen)
    expect(ms).toBeLessThan(5000)
  })

  test.each([
    ['passes', { within: 20_000 }, 'passed', 'status 200'],
    [
      'fails where it should be read',
      { within: 20_000, text: 'y' },
      'failed',
      'an answer of more than 1000000 bytes',
    ],
    [
      'fails for another status',
      { within: 20_000, status: 204 },
      'failed',
      `status 200: ${'x'.repeat(160)}…`,
    ],
  ] as const)('a body of 1 GiB %s, and is not read to its end', async (_, expected, verdict, seen) => {
    const { body, sent } = gibibyte()
    const server = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch: () => new Response(body),
    })
    const [result] = await ask(`http://127.0.0.1:${server.port}`, [check(expected)])
    await server.stop(true)
    expect(result).toMatchObject({ verdict, seen })
    expect(sent()).toBeLessThan(2 ** 28)
  })

  test('fails where nobody listens', async () => {
    const server = await rawServer(() => {})
    await server[Symbol.asyncDispose]()
    expect(await ask(server.url, [check()])).toMatchObject([{ verdict: 'failed' }])
  })

  test('fails for a name that is none', async () => {
    expect(await ask('http://no-such-host.invalid', [check()])).toMatchObject([{ verdict: 'failed' }])
  })

  test('fails for a certificate that nobody vouches for', async () => {
    const tls = await selfSigned()
    const server = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      tls,
      fetch: () => new Response('ok'),
    })
    const [result] = await ask(`https://127.0.0.1:${server.port}`, [check()])
    await server.stop(true)
    expect(result).toMatchObject({ verdict: 'failed' })
    expect(result?.seen).toMatch(/certificate/i)
  })

  test('an interrupt is no verdict', async () => {
    await using server = await rawServer(() => stop.abort(new Error('SIGINT')))
    const stop = new AbortController()
    const target = { url: server.url, verification: 'v', evidence }
    expect(smoke([check()], unnamed)(target, stop.signal)).rejects.toThrow('SIGINT')
  })
})

/** Slower than any deadline, but never silent. */
function drip(socket: Parameters<Treat>[0]): void {
  socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n')
  const timer = setInterval(() => socket.write('x'), 20)
  socket.on('close', () => clearInterval(timer))
}

describe('the gate', () => {
  test('runs the checks in order, each on a connection of its own, and goes on after a failure', async () => {
    await using server = await rawServer(
      (socket, request) => void socket.write(answer(request.includes('/b') ? 500 : 200, '')),
    )
    const checks = ['/a', '/b', '/c'].map((path) => check({}, { name: path, path }))
    const results = await ask(server.url, checks)
    expect(results.map(({ name, verdict }) => `${name} ${verdict}`)).toEqual([
      '/a passed',
      '/b failed',
      '/c passed',
    ])
    expect(server.connections).toBe(3)
  })

  test.each([
    ['green', 'passed'],
    ['blue', 'failed'],
  ])('where the application names its color, the expected one must answer: %s', async (color, verdict) => {
    await using server = await rawServer(says(200, '{"color":"green"}'))
    expect(await ask(server.url, [], color)).toMatchObject([{ name: `${color} answers`, verdict }])
    expect(server.seen[0]).toBe('GET /version HTTP/1.1')
  })

  test('without checks there are no results, which is no pass', async () => {
    expect(await ask('http://127.0.0.1:9', [])).toEqual([])
  })

  test('both gates of an environment run its checks', async () => {
    await using server = await rawServer(says(200, '{"color":"green"}'))
    const environment = {
      ...loadEnvironment(`${import.meta.dir}/../lib/deploy.yaml`, 'test', {}),
      smoke: [check()],
    }
    const gates = gatesOf(environment)
    const target = { url: server.url, verification: 'v', evidence, color: 'green' }
    for (const gate of [gates.preview, gates.live]) {
      expect((await gate(target, never)).map(({ verdict }) => verdict)).toEqual(['passed', 'passed'])
    }
  })
})

test.each<[string, Partial<SmokeCheck>, string]>([
  ['a body', { method: 'POST', body: '{"password":"x"}' }, 'status 200, and an answer that is not shown'],
  ['a header', { headers: { authorization: 'x' } }, 'status 200, and an answer that is not shown'],
  ['neither', {}, 'no such text in {"token":"abcdefgh"}'],
])(
  'what comes back to a check that sends %s is shown only where it can hold no token',
  async (_, more, seen) => {
    const result = await judged(says(200, '{"token":"abcdefgh"}'), { text: 'welcome' }, more)
    expect(result).toMatchObject({ verdict: 'failed', seen })
  },
)

describe('what a record keeps of a check, and asks again', () => {
  const open = check({ json: { status: 'ok' }, within: 1500 }, { path: '/health' })
  const login = check(
    {},
    {
      name: 'login',
      method: 'POST',
      path: '/login',
      headers: { authorization: 'Bearer s3cret-header' },
      body: '{"password":"s3cret-body"}',
    },
  )
  const query = check({ status: 204 }, { name: 'hook', path: '/hook?token=s3cret-query' })

  test('all of one that sends nothing, so that it is asked as it was', () => {
    const kept = keptCheck(open)
    expect(kept).toEqual({
      name: 'health',
      fingerprint: expect.stringMatching(/^[0-9a-f]{16}$/),
      definition: expect.any(String),
    })
    const today = [check({ status: 418 }, { path: '/health' })]
    expect(askedAgain([kept], today)).toEqual([open])
    expect(askedAgain([kept], [])).toEqual([open])
  })

  test('it is the same check in whatever order its headers stand', () => {
    const [one, other] = [
      { a: '1', b: '2' },
      { b: '2', a: '1' },
    ].map((headers) => keptCheck(check({}, { path: '/', headers })))
    expect(one).toEqual(other)
    expect(one).not.toEqual(keptCheck(check({}, { path: '/', headers: { a: '1', c: '2' } })))
  })

  test.each([
    ['that sends a header or a body', login],
    ['that is addressed with a query', query],
    ['that sends a header alone', check({}, { path: '/', headers: { 'x-key': 's3cret' } })],
    ['that sends a body alone, an empty one too', check({}, { path: '/', body: '' })],
  ])('only what one is told by %s, and nothing that it sends', (_, secret) => {
    const kept = keptCheck(secret)
    expect(kept).toEqual({ name: secret.name, fingerprint: expect.stringMatching(/^[0-9a-f]{16}$/) })
    expect(JSON.stringify(kept)).not.toContain('s3cret')
    expect(askedAgain([kept], [open, secret])).toEqual([secret])
  })

  test('such a one is known again by all but the values that it sends', () => {
    const kept = [keptCheck(login)]
    const rotated = { ...login, headers: { authorization: 'Bearer another' }, body: '{"password":"another"}' }
    expect(askedAgain(kept, [rotated])).toEqual([rotated])
  })

  test.each<[string, Partial<SmokeCheck>]>([
    ['its path', { path: '/sign-in' }],
    ['its method', { method: 'PUT' }],
    ['what it expects', { expect: { status: 201, within: WITHIN } }],
    ['its name', { name: 'sign in' }],
    ['another header', { headers: { authorization: '', 'x-more': '' } }],
    ['no body any more', { body: undefined }],
  ])('but not where it has changed: %s', (_, more) => {
    const { body, ...rest } = { ...login, ...more }
    const changed = body === undefined ? rest : { ...rest, body }
    expect(askedAgain([keptCheck(login)], [changed])).toEqual([])
  })

  test('what a newer or an older record keeps in another form is left out', () => {
    const definitions = ['{', '{"name":"x"}', JSON.stringify({ ...open, more: true })]
    expect(
      askedAgain(
        definitions.map((definition) => ({ name: 'x', fingerprint: 'f', definition })),
        [open],
      ),
    ).toEqual([])
  })

  test.each([500, 1500, 60_000])('a deadline of %d ms is the same afterwards', (within) => {
    const slow = check({ within }, { path: '/' })
    expect(askedAgain([keptCheck(slow)], [])).toEqual([slow])
  })
})

describe('a check that is left out', () => {
  const skip = { reason: 'the proxy answers 503', expires: '2030-01-31' }
  const left = check({}, { skip })
  const on = (date: string, moved = false) =>
    smoke([left], unnamed, { now: () => Date.parse(date), moved })(
      { url: 'http://127.0.0.1:1', verification: 'v', evidence },
      never,
    )

  test('is not made, and says why and until when', async () => {
    expect(await on('2030-01-31T23:59:59Z')).toMatchObject([
      { name: 'health', verdict: 'skipped', seen: 'left out until 2030-01-31: the proxy answers 503' },
    ])
  })

  test('for too long fails, and is named', async () => {
    expect(await on('2030-02-01T00:00:00Z')).toMatchObject([
      {
        name: 'health',
        verdict: 'failed',
        seen: 'its skip has expired, it was left out until 2030-01-31: the proxy answers 503',
      },
    ])
  })

  test('for too long moves nobody back who was let through by it', async () => {
    expect(await on('2030-02-01T00:00:00Z', true)).toMatchObject([{ verdict: 'skipped' }])
  })

  test('is known as the same check', () => {
    expect(keptCheck(left)).toEqual(keptCheck(check()))
  })
})

async function judgedOnce(moved: boolean, lost: number): Promise<[string | undefined, number]> {
  let asked = 0
  await using server = await rawServer((socket) => {
    if (++asked <= lost) socket.destroy()
    else socket.write(answer(200, 'fine'))
  })
  const where = { url: server.url, verification: 'v', evidence }
  const [result] = await smoke([check()], unnamed, { moved })(where, never)
  return [result?.verdict, asked]
}

describe('once users are there, one request that is lost is asked again', () => {
  test.each<[boolean, number, string, number]>([
    [true, 1, 'passed', 2],
    [true, 2, 'failed', 2],
    [false, 1, 'failed', 1],
  ])('moved %p, %d lost: %s', async (moved, lost, verdict, asked) => {
    expect(await judgedOnce(moved, lost)).toEqual([verdict, asked])
  })

  test('a wrong answer is an answer', async () => {
    let asked = 0
    await using server = await rawServer((socket) => {
      asked++
      socket.write(answer(503, 'down'))
    })
    const where = { url: server.url, verification: 'v', evidence }
    expect(await smoke([check()], unnamed, { moved: true })(where, never)).toMatchObject([
      { verdict: 'failed' },
    ])
    expect(asked).toBe(1)
  })
})
