import { connect } from 'node:net'
import { SQL } from 'bun'
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { startApp, type AppUnderTest } from './app-under-test.ts'
import { sqlite } from './databases.ts'

let app: AppUnderTest
const database = sqlite()

beforeAll(async () => {
  await database.start()
  app = await startApp({ DATABASE_URL: await database.create() })
})
afterAll(async () => {
  await app.stop()
  await database.stop()
})

/** Sends bytes as they are, and returns everything that comes back within the connection. */
function raw(bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = ''
    const socket = connect(Number(new URL(app.url).port), '127.0.0.1', () => socket.write(bytes))
    socket.on('data', (data) => (received += String(data)))
    socket.on('error', reject)
    socket.on('close', () => resolve(received))
  })
}

const request = (line: string, ...headers: string[]) =>
  raw([`${line} HTTP/1.1`, 'Host: x', 'Connection: close', ...headers, '', ''].join('\r\n'))

describe('every response carries the security headers', () => {
  const wanted = {
    'content-security-policy':
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
  }

  test.each([
    ['page', 'GET', '/', 200],
    ['page, asked for its head', 'HEAD', '/', 200],
    ['script', 'GET', '/app.js', 200],
    ['style', 'GET', '/app.css', 200],
    ['icon', 'GET', '/favicon.svg', 200],
    ['robots', 'GET', '/robots.txt', 200],
    ['health', 'GET', '/health', 200],
    ['ready', 'GET', '/ready', 200],
    ['version', 'GET', '/version', 200],
    ['API', 'GET', '/api/session', 200],
    ['no session', 'GET', '/api/me', 401],
    ['sign-out', 'DELETE', '/api/session', 204],
    ['unknown path', 'GET', '/nothing', 404],
    ['wrong type', 'POST', '/api/session', 415],
    ['wrong method', 'PUT', '/api/me', 405],
    ['TRACE', 'TRACE', '/', 405],
    ['OPTIONS', 'OPTIONS', '/api/me', 405],
  ])('%s', async (_, method, path, status) => {
    const response = await app.call(method, path)
    expect(response.status).toBe(status)
    for (const [name, value] of Object.entries(wanted)) expect(response.headers.get(name)).toBe(value)
    expect(response.headers.get('permissions-policy')).toContain('camera=()')
    expect(response.headers.get('cache-control')).toBe(
      /^\/(app|favicon|robots|$)/.test(path) && status === 200 ? 'no-cache' : 'no-store',
    )
    for (const name of [
      'server',
      'x-powered-by',
      'access-control-allow-origin',
      'strict-transport-security',
    ]) {
      expect(response.headers.get(name)).toBeNull()
    }
  })

  test('a body that is too large, with our headers and not the bare answer of the runtime', async () => {
    const response = await app.call('POST', '/api/session', { body: 'x'.repeat(65 * 1024) })
    expect(response.status).toBe(413)
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
    expect(await response.json()).toMatchObject({ error: 'too_large' })
  })

  test('a body that is too large and does not say so beforehand', async () => {
    const chunk = new Uint8Array(16 * 1024).fill(120)
    let sent = 0
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => (sent++ < 8 ? controller.enqueue(chunk) : controller.close()),
    })
    const headers = { 'Content-Type': 'application/json' }
    const response = await fetch(`${app.url}/api/session`, { method: 'POST', headers, body })
    expect(response.status).toBe(413)
  })
})

describe('over https', () => {
  const headers = { 'X-Forwarded-Proto': 'https' }

  test('HSTS is sent, and the cookie is for https alone', async () => {
    const body = { name: 'alice', password: 'alice-password' }
    const response = await app.call('POST', '/api/session', { body, headers })
    expect(response.headers.get('strict-transport-security')).toBe('max-age=31536000; includeSubDomains')
    expect(response.headers.get('set-cookie')).toMatch(
      /^session=[\w-]{43}; Path=\/; Max-Age=43200; Secure; HttpOnly; SameSite=Strict$/,
    )
  })

  test('COOKIE_SECURE says so for all', async () => {
    const other = await startApp({ DATABASE_URL: await database.create(), COOKIE_SECURE: 'true' })
    const body = { name: 'alice', password: 'alice-password' }
    const response = await other.call('POST', '/api/session', { body })
    await other.stop()
    expect(response.headers.get('set-cookie')).toContain('; Secure;')
  })
})

test('a wrong method names the right ones', async () => {
  expect((await app.call('PATCH', '/api/session')).headers.get('allow')).toBe('POST, DELETE, GET, HEAD')
})

test('TRACE gives nothing back', async () => {
  const answer = await request('TRACE /nothing', 'Cookie: session=secret')
  expect(answer).toStartWith('HTTP/1.1 404')
  expect(await request('TRACE /api/me', 'Cookie: session=secret')).toStartWith('HTTP/1.1 405')
  expect(answer).not.toContain('secret')
})

test.each([
  '/../../etc/passwd',
  '/..%2f..%2fetc%2fpasswd',
  '/public/../index.html',
  '//evil.invalid/',
  '/%00',
  '/%zz',
  '/index.html',
  '/migrations/0001-accounts.sql',
  '/metrics',
  "/api/conversations/'%20OR%201=1",
])('%s is not here', async (path) => {
  expect(await request(`GET ${path}`)).toStartWith('HTTP/1.1 404')
})

test.each(['Host: %%', 'Host: a b/c?x#y', 'Host: '])('"%s" confuses nobody', async (host) => {
  const answer = await raw(`GET /health HTTP/1.1\r\n${host}\r\nConnection: close\r\n\r\n`)
  expect(answer).toStartWith('HTTP/1.1 200')
})

test('an unchanged file is not sent again', async () => {
  const etag = (await app.call('GET', '/app.js')).headers.get('etag') ?? ''
  const again = await app.call('GET', '/app.js', { headers: { 'If-None-Match': etag } })
  expect([again.status, await again.text()]).toEqual([304, ''])
  expect((await app.call('GET', '/app.js', { headers: { 'If-None-Match': '"old"' } })).status).toBe(200)
})

test('the page asks for nothing from elsewhere and holds no inline script or style', async () => {
  const page = await (await app.call('GET', '/')).text()
  expect(page).not.toMatch(/https?:\/\/|<style|style=|\son\w+=|<script(?![^>]*\ssrc=)/)
  for (const [, asset] of page.matchAll(/(?:src|href)="([^"]+)"/g)) {
    expect((await app.call('GET', asset ?? '')).status).toBe(200)
  }
})

const attempt = (name: string, password: string, headers = {}) =>
  app.call('POST', '/api/session', { body: { name, password }, headers })

test('ten failed sign-ins, also all at once, then 429 even with the right password; other accounts are not concerned', async () => {
  const statuses = await Promise.all(
    Array.from({ length: 14 }, async () => (await attempt('bob', 'wrong')).status),
  )
  expect(statuses.filter((status) => status === 401)).toHaveLength(10)
  expect(statuses.filter((status) => status === 429)).toHaveLength(4)
  const refused = await attempt('bob', 'bob-password', { 'X-Forwarded-For': '203.0.113.9' })
  expect(refused.status).toBe(429)
  expect(Number(refused.headers.get('retry-after'))).toBeWithin(1, 61)
  expect((await attempt('root', 'root-password')).status).toBe(200)
})

test('behind a trusted proxy the limit is per client, as the nearest proxy names it', async () => {
  const other = await startApp({ DATABASE_URL: await database.create(), TRUST_PROXY: 'true' })
  const attempt = async (from: string) => {
    const body = { name: 'bob', password: 'wrong' }
    return (await other.call('POST', '/api/session', { body, headers: { 'X-Forwarded-For': from } })).status
  }
  await Promise.all(Array.from({ length: 10 }, (_, n) => attempt(`made-up-${n}, 203.0.113.9`)))
  const statuses = [await attempt('203.0.113.9'), await attempt('203.0.113.10')]
  await other.stop()
  expect(statuses).toEqual([429, 401])
})

test('nothing secret is logged', async () => {
  const cookie = await app.signIn('alice')
  const created = await app.call('POST', '/api/conversations', { as: cookie, body: {} })
  await app.call('POST', `${created.headers.get('location')}/messages`, {
    as: cookie,
    body: { text: 'my secret diary' },
  })
  const log = app.log.join('\n')
  expect(log).toContain('"route":"/api/conversations/:id/messages"')
  for (const secret of ['my secret diary', 'alice-password', cookie.replace('session=', '')]) {
    expect(log).not.toContain(secret)
  }
})

test('what breaks inside is logged, and told without details', async () => {
  const url = await database.create()
  const other = await startApp({ DATABASE_URL: url })
  const cookie = await other.signIn('alice')
  const path = (await other.call('POST', '/api/conversations', { as: cookie, body: {} })).headers.get(
    'location',
  )
  await using sql = new SQL(url)
  await sql`DROP TABLE messages`
  const response = await other.call('GET', path ?? '', { as: cookie })
  await other.stop()
  expect(response.status).toBe(500)
  expect(await response.json()).toEqual({
    error: 'internal',
    message: 'Something went wrong here. It has been logged.',
  })
  expect(other.log.join('\n')).toContain('no such table: messages')
})
