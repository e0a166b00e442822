/**
 * What is bad is refused: targets with one fault each, and beside each the check that must refuse it, written down
 * before the gate was run. With the settings as they come; all run side by side.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import type { Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import { objections, type CheckResult } from '../../lib/check.ts'
import {
  application,
  passwords,
  serve,
  socketServer,
  type App,
  type Call,
  type Reply,
} from './security/application.ts'
import { securityChecks } from '../../lib/settings/security-checks.ts'
import { certificate, type Pair } from './security/certificates.ts'
import { accounts, check, settings, type Options } from './security/settings.ts'

// The machine may be busy with other things.
setDefaultTimeout(120_000)

interface Bad {
  /** The application with a fault. */
  app?: App
  /** Or what is done with every connection. */
  treat?: (socket: Socket) => void
  closed?: true
  /** It is reached over https, with this certificate. */
  tls?: () => Pair & { minVersion?: 'TLSv1' }
  /** What is answered over plain http beside it. */
  plain?: App
  options?: Options
  daysLater?: number
  passive?: true
}

let good: Pair
let short: Pair
let elsewhere: Pair

const hardened = (): App => application(new Set())
const secure = (): App => application(new Set(), { https: true })
const weak = (...ids: string[]): Bad => ({ app: application(new Set(ids)) })

/** One more answer. */
function serves(path: string, reply: Reply | string): Bad {
  const app = hardened()
  const said = typeof reply === 'string' ? { body: reply } : reply
  return { app: (call) => (call.path === path ? said : app(call)) }
}

const typed = (type: string, body: string): Reply => ({ headers: { 'content-type': type }, body })
const html = (body: string): Reply => typed('text/html; charset=utf-8', body)

/** Headers that pages have otherwise; undefined: not at all. */
function headers(changed: Record<string, string | string[] | undefined>, of: () => App = hardened): Bad {
  const app = of()
  return {
    app: async (call) => {
      const reply = await app(call)
      const all = Object.entries({ ...reply.headers, ...changed })
      const kept = all.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]))
      return { ...reply, headers: Object.fromEntries(kept) }
    },
  }
}

const csp = (policy: string): Bad =>
  headers({
    'content-security-policy': `${policy}; frame-ancestors 'none'; base-uri 'none'; object-src 'none'`,
  })
const ancestors = (sources: string): Bad =>
  headers({
    'content-security-policy': `default-src 'none'; base-uri 'none'; frame-ancestors ${sources}`,
    'x-frame-options': undefined,
  })
const https = (changed: Record<string, string | string[] | undefined>): Bad => ({
  ...headers(changed, secure),
  tls: () => good,
})

const cookieOf = ({ headers: sent }: Call): string => /\bsession=([^;]+)/.exec(sent.cookie ?? '')?.[1] ?? ''

const isSignIn = ({ method, path, body }: Call): boolean =>
  method === 'POST' && path === '/login' && body.startsWith('{"name"')

/** Sessions of its own instead of random ones. @param own makes one for the account's name */
function sessions(own: (name: string) => string, flags = '; HttpOnly; SameSite=Strict'): Bad {
  const app = hardened()
  const real = new Map<string, string>()
  const translated = (call: Call): Call => ({
    ...call,
    headers: { ...call.headers, cookie: `session=${real.get(cookieOf(call)) ?? ''}` },
  })
  return {
    app: async (call) => {
      const reply = await app(translated(call))
      const [line = ''] = [reply.headers?.['set-cookie'] ?? []].flat()
      const given = /session=([^;]+)/.exec(line)?.[1]
      if (!isSignIn(call) || given === undefined) return reply
      const id = own((JSON.parse(call.body) as { name: string }).name)
      real.set(id, given)
      return { ...reply, headers: { ...reply.headers, 'set-cookie': `session=${id}; Path=/${flags}` } }
    },
  }
}

/** Believes the name in the cookie. */
function namedAccounts(): Bad {
  const { app = hardened() } = sessions((name) => btoa(`account=${name}`))
  const known = new Set<string>()
  return {
    app: async (call) => {
      const [, name = ''] = /^account=(\w+)$/.exec(Buffer.from(cookieOf(call), 'base64').toString()) ?? []
      const body = JSON.stringify({ name, password: passwords[name] })
      if (name in passwords && !known.has(name)) await app({ ...call, method: 'POST', path: '/login', body })
      known.add(name)
      return app(call)
    },
  }
}

/** The same with another name for the cookie. */
function renamed(name: string, { app = hardened() }: Bad): Bad {
  return {
    app: async (call) => {
      const cookie = (call.headers.cookie ?? '').replace(`${name}=`, 'session=')
      const reply = await app({ ...call, headers: { ...call.headers, cookie } })
      const lines = [reply.headers?.['set-cookie'] ?? []].flat()
      const set = lines.map((line) => line.replace(/^session=/, `${name}=`))
      return { ...reply, headers: { ...reply.headers, ...(set.length > 0 && { 'set-cookie': set }) } }
    },
  }
}

function counted(from: number, shape: (count: number) => string): Bad {
  let count = from
  return sessions(() => shape(count++))
}

const random = (length: number): string =>
  Buffer.from(crypto.getRandomValues(new Uint8Array(length)))
    .toString('hex')
    .slice(0, length)

/** A removal by somebody else is refused in words, and made. */
function removes(by: 'another' | 'nobody', status: number): Bad {
  const app = hardened()
  let owner = ''
  return {
    app: async (call) => {
      if (call.method === 'POST' && call.path === '/api/notes') owner = cookieOf(call)
      const foreign = by === 'nobody' ? cookieOf(call) === '' : ![owner, ''].includes(cookieOf(call))
      if (call.method !== 'DELETE' || !call.path.startsWith('/api/notes/') || !foreign) return app(call)
      await app({ ...call, headers: { ...call.headers, cookie: `session=${owner}` } })
      return { status, body: 'nothing' }
    },
  }
}

/** Lets these origins read what it answers. @param of only to somebody who has signed in */
function shares(
  allows: (origin: string, host: string) => boolean,
  of: 'anybody' | 'account' = 'anybody',
): Bad {
  const app = hardened()
  return {
    app: async (call) => {
      const reply = await app(call)
      const { origin } = call.headers
      const signedIn = of === 'anybody' || cookieOf(call) !== ''
      if (!origin || !signedIn || !allows(origin, String(call.headers.host))) return reply
      const sharing = { 'access-control-allow-origin': origin, 'access-control-allow-credentials': 'true' }
      return { ...reply, headers: { ...reply.headers, ...sharing, vary: 'Origin' } }
    },
  }
}

const users = 'https://app.example.com'

const targets: [what: string, refusedBy: string, bad: () => Bad][] = [
  // A served .env, in disguise.
  ['.env as a page', 'exposed-files', () => serves('/.env', html('DB_PASSWORD=hunter2'))],
  ['.env as text', 'exposed-files', () => serves('/.env', typed('text/plain', 'DB_PASSWORD=hunter2'))],
  [
    '.env as JSON',
    'exposed-files',
    () => serves('/.env', typed('application/json', 'DB_PASSWORD="hunter2"')),
  ],
  ['.env with export', 'exposed-files', () => serves('/.env', 'export DB_PASSWORD=hunter2')],
  ['.env in lower case', 'exposed-files', () => serves('/.env', 'db_password=hunter2')],
  ['.env with spaces', 'exposed-files', () => serves('/.env', 'DB_PASSWORD = hunter2')],
  ['.env behind a BOM', 'exposed-files', () => serves('/.env', '\uFEFFDB_PASSWORD=hunter2')],
  ['.env with comments, CRLF', 'exposed-files', () => serves('/.env', '# ours\r\n\r\nmode=a\r\nhost=b\r\n')],
  ['.env with another status', 'exposed-files', () => serves('/.env', { status: 203, body: 'API_KEY=abc' })],
  ['.env.production', 'exposed-files', () => serves('/.env.production', html('api_key=abc'))],
  [
    '.env compressed unasked',
    'exposed-files',
    () => serves('/.env', { headers: { 'content-encoding': 'gzip' }, body: gzipSync('DB_PASSWORD=hunter2') }),
  ],
  [
    '.env beside a page for every path',
    'exposed-files',
    () => {
      const app = hardened()
      const shell = html('<!doctype html><script>\nkey = 1\ntoken = 2\n</script>')
      const all: App = async (call) => ((await app(call)).status === 404 ? shell : app(call))
      return { app: (call) => (call.path === '/.env' ? { body: 'DB_PASSWORD=hunter2' } : all(call)) }
    },
  ],
  [
    'a git configuration as a page',
    'exposed-files',
    () => serves('/.git/config', html('[core]\n\tbare = false')),
  ],
  ['npm access as a page', 'exposed-files', () => serves('/.npmrc', html('//r.example/:_authToken=abc'))],
  ['a dump as a page', 'exposed-files', () => serves('/backup.sql', html('CREATE TABLE users (id int);'))],
  [
    'a PHP file',
    'exposed-files',
    () => serves('/wp-config.php.bak', html("<?php define('DB_PASSWORD', 'x');")),
  ],
  ['metrics as a page', 'exposed-internals', () => serves('/metrics', html('# HELP up is it up'))],
  ['settings as a page', 'exposed-internals', () => serves('/actuator/env', html('{"propertySources":[]}'))],

  // Sessions.
  ['a session that is counted', 'session-guessable', () => counted(10_042, String)],
  [
    'counted, and long',
    'session-guessable',
    () => counted(10_042, (count) => `session-${count}`.padEnd(20, '0')),
  ],
  [
    'counted in hex',
    'session-guessable',
    () => counted(250, (count) => count.toString(16).padStart(32, '0')),
  ],
  ['counted in base64', 'session-guessable', () => counted(7, (count) => btoa(`user:${count}:of:many`))],
  [
    'a session that is the time',
    'session-guessable',
    () => sessions(() => `${performance.now() * 1e9}`.slice(0, 16)),
  ],
  ['a short session', 'session-guessable', () => sessions(() => random(8))],
  [
    'a session that is mostly fixed',
    'session-guessable',
    () => sessions(() => `alices-session-${random(6)}`),
  ],
  ['a session that is a name', 'session-tampered', () => namedAccounts()],
  ['a session that is half compared', 'session-tampered', () => weak('session-tampered')],
  ['a session that does not end', 'session-after-sign-out', () => weak('session-after-sign-out')],
  ['a session for scripts', 'cookie-flags', () => sessions(() => random(32), '; SameSite=Strict')],
  ['a short session for scripts', 'cookie-flags', () => sessions(() => random(8), '')],
  [
    'a short session for scripts, by another name',
    'cookie-flags',
    () =>
      renamed(
        'k',
        sessions(() => random(8), ''),
      ),
  ],
  ['a session without SameSite', 'cookie-flags', () => sessions(() => random(32), '; HttpOnly')],
  [
    'a page that sets a session for scripts',
    'cookie-flags',
    () => headers({ 'set-cookie': 'PHPSESSID=1q2w3e' }),
  ],
  ['a cookie in the clear', 'cookie-flags', () => https({ 'set-cookie': 'lang=en' })],

  // Access.
  ['an open endpoint', 'protected-without-session', () => weak('protected-without-session')],
  [
    'a sign-in page instead of 401',
    'protected-without-session',
    () => serves('/api/me', { status: 302, headers: { location: '/login' } }),
  ],
  ['an open administration', 'role-refused', () => weak('role-refused')],
  ['what is another’s', 'other-users-data', () => weak('other-users-data')],
  ['a removal by another, answered 404', 'other-users-data', () => removes('another', 404)],
  ['a removal by another, answered 403', 'other-users-data', () => removes('another', 403)],
  ['a removal by another, answered 204', 'other-users-data', () => removes('another', 204)],
  ['a removal by nobody, answered 401', 'other-users-data', () => removes('nobody', 401)],
  ['passwords without end', 'sign-in-rate-limit', () => weak('sign-in-rate-limit')],

  // Foreign origins.
  ['every origin', 'cors-reflection', () => weak('cors-reflection')],
  ['null', 'cors-reflection', () => shares((origin) => origin === 'null')],
  ['an origin that ends alike', 'cors-reflection', () => shares((origin, host) => origin.endsWith(host))],
  [
    'an origin that begins alike',
    'cors-reflection',
    () => shares((origin, host) => origin.startsWith(`https://${host}`)),
  ],
  ['every origin, for an account', 'cors-reflection', () => shares(() => true, 'account')],
  [
    'an origin that ends like users’ address',
    'cors-reflection',
    () => ({
      ...shares((origin) => origin.endsWith('example.com')),
      options: { where: { live: users } },
    }),
  ],

  // Headers.
  ['no policy', 'content-security-policy', () => headers({ 'content-security-policy': undefined })],
  [
    'a policy that is only reported',
    'content-security-policy',
    () =>
      headers({
        'content-security-policy': undefined,
        'content-security-policy-report-only': "default-src 'none'",
      }),
  ],
  ["'unsafe-inline'", 'content-security-policy', () => csp("script-src 'self' 'unsafe-inline'")],
  ["'unsafe-eval'", 'content-security-policy', () => csp("script-src 'self' 'unsafe-eval'")],
  ['blob:', 'content-security-policy', () => csp("script-src 'self' blob:")],
  ['data:', 'content-security-policy', () => csp("script-src 'self' data:")],
  ['scripts from anywhere', 'content-security-policy', () => csp('script-src *')],
  ['a frame by anybody', 'framing', () => ancestors('*')],
  ['a frame by anybody, at any port', 'framing', () => ancestors('*:*')],
  ['a frame by anybody with TLS', 'framing', () => ancestors('https://*:443')],
  ['a frame by data:', 'framing', () => ancestors('data:')],
  ['a frame by us and anybody', 'framing', () => ancestors("'self' *")],
  [
    'frames that browsers do not refuse',
    'framing',
    () =>
      headers({
        'content-security-policy': "default-src 'none'; base-uri 'none'",
        'x-frame-options': 'ALLOW-FROM https://a.example',
      }),
  ],
  ['sniffing', 'content-type-options', () => headers({ 'x-content-type-options': undefined })],
  ['sniffing, by a slip', 'content-type-options', () => headers({ 'x-content-type-options': 'no-sniff' })],
  [
    'sniffing, by the first of two',
    'content-type-options',
    () => headers({ 'x-content-type-options': ['x', 'nosniff'] }),
  ],
  ['no type', 'content-type', () => headers({ 'content-type': undefined })],
  ['what an account sees, kept', 'cache-control', () => headers({ 'cache-control': 'public, max-age=60' })],
  ['no HSTS', 'hsts', () => https({ 'strict-transport-security': undefined })],
  ['HSTS for a day', 'hsts', () => https({ 'strict-transport-security': 'max-age=86400' })],
  ['HSTS by a slip', 'hsts', () => https({ 'strict-transport-security': 'xmax-age=31536000' })],
  [
    'HSTS, by the first of two',
    'hsts',
    () => https({ 'strict-transport-security': ['max-age=0', 'max-age=31536000'] }),
  ],

  // The way.
  [
    'a certificate that nobody vouches for',
    'certificate',
    () => ({ app: secure(), tls: () => good, options: { world: {} } }),
  ],
  ['a certificate of somebody else', 'certificate', () => ({ app: secure(), tls: () => elsewhere })],
  [
    'a certificate that is nearly over',
    'certificate',
    () => ({ app: secure(), tls: () => short, daysLater: 5 }),
  ],
  ['a certificate that is over', 'certificate', () => ({ app: secure(), tls: () => short, daysLater: 7 })],
  ['TLS 1.0', 'tls-version', () => ({ app: secure(), tls: () => ({ ...good, minVersion: 'TLSv1' }) })],
  ['plain http', 'https-redirect', () => ({ app: secure(), tls: () => good, plain: secure() })],
  [
    'plain http that leads elsewhere',
    'https-redirect',
    () => ({
      app: secure(),
      tls: () => good,
      plain: () => ({ status: 301, headers: { location: 'https://evil.invalid/' } }),
    }),
  ],

  // Input, and what is said of it.
  ['markup of strangers', 'reflected-input', () => weak('reflected-input')],
  ['headers of strangers', 'header-injection', () => weak('header-injection')],
  ['a redirect to anywhere', 'open-redirect', () => weak('open-redirect')],
  ['/etc/passwd', 'path-traversal', () => weak('path-traversal')],
  ['TRACE', 'trace-method', () => weak('trace-method')],
  ['a folder’s files', 'directory-listing', () => weak('directory-listing')],
  ['an error for nonsense', 'malformed-input', () => weak('malformed-input')],
  ['a stack trace', 'error-disclosure', () => weak('error-disclosure')],

  // Nobody there, or nobody who answers: no pass either, but inconclusive.
  ['nobody', 'content-security-policy?', () => ({ closed: true })],
  ['silence', 'exposed-files?', () => ({ treat: () => {} })],
  ['a reset', 'exposed-files?', () => ({ treat: (socket) => socket.resetAndDestroy() })],
  [
    'another protocol',
    'trace-method?',
    () => ({ treat: (socket) => void socket.end('SSH-2.0-OpenSSH\r\n') }),
  ],
  [
    'an answer that stalls',
    'framing?',
    () => ({ treat: (socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nha') }),
  ],
  ['502 for all', 'protected-without-session', () => ({ app: () => ({ status: 502 }) })],
  ['429 for all', 'path-traversal?', () => ({ app: () => ({ status: 429 }) })],
  [
    'a redirect out for all',
    'content-security-policy?',
    () => ({ app: () => ({ status: 302, headers: { location: 'https://evil.invalid/' } }) }),
  ],
  [
    'a page that is gone',
    'framing?',
    () => serves('/', { status: 404, headers: { 'content-type': 'text/html' }, body: '<!doctype html>' }),
  ],
  ['no password to sign in with', 'role-refused?', () => ({ app: hardened(), options: { variables: {} } })],
  [
    'a thing that its owner cannot read',
    'other-users-data?',
    () => {
      const app = hardened()
      return {
        app: (call) =>
          call.method === 'GET' && call.path.startsWith('/api/notes/')
            ? { status: 404, body: 'nothing' }
            : app(call),
      }
    },
  ],
  [
    'a sign-out that fails',
    'session-after-sign-out?',
    () => {
      const app = hardened()
      return {
        app: (call) => (call.method === 'DELETE' && call.path === '/login' ? { status: 500 } : app(call)),
      }
    },
  ],

  // Through users' address.
  [
    '.env for users',
    'exposed-files',
    () => ({ ...serves('/.env', html('DB_PASSWORD=hunter2')), passive: true }),
  ],
  [
    "'unsafe-eval' for users",
    'content-security-policy',
    () => ({ ...csp("script-src 'unsafe-eval'"), passive: true }),
  ],
  ['silence for users', 'framing?', () => ({ treat: () => {}, passive: true })],
]

const never = { reason: 'another row’s', expires: '2999-12-31' }

/** @param by the one check that is made; without it, all are */
async function judged(bad: Bad, by?: string): Promise<CheckResult[]> {
  const { app = hardened(), treat, closed, plain, passive, daysLater = 0 } = bad
  const pair = bad.tls?.()
  await using server = treat ? await socketServer(treat) : await serve(app, pair)
  await using beside = plain && (await serve(plain))
  if (closed) await server[Symbol.asyncDispose]()
  const now = (): number => Date.now() + daysLater * 86_400_000
  const trusted = { ...(pair && { ca: pair.cert }) }
  const world = {
    ...(bad.options?.world ?? trusted),
    now,
    ...(treat && { timeout: 300 }),
    plainPort: beside?.port ?? 1,
  }
  const part = passive ? 'passive' : 'whole'
  const others = by === undefined ? [] : securityChecks.filter((id) => id !== by)
  const given = settings({ failOn: 'medium', skip: others.map((id) => ({ id, ...never })) })
  const { results } = await check(server.url, given, { accounts, part, ...bad.options, world })
  return results
}

/** The names of what objects; with a question mark where that is inconclusive. */
function objectionsOf(results: readonly CheckResult[]): string[] {
  return objections(results).map(({ name, verdict }) => (verdict === 'failed' ? name : `${name}?`))
}

const refused = new Map<string, Promise<string[]>>()
beforeAll(async () => {
  const names = [
    ['IP:127.0.0.1', 365],
    ['IP:127.0.0.1', 6],
    ['DNS:other.example', 365],
  ] as const
  const pairs = await Promise.all(names.map(([name, days]) => certificate(days, name)))
  ;[good, short, elsewhere] = pairs as [Pair, Pair, Pair]
  // Some at a time: a machine that is overrun answers late, and everything would be inconclusive.
  const lanes = Array.from({ length: 6 }, () => Promise.resolve())
  for (const [at, [what, by, bad]] of targets.entries()) {
    const before = lanes[at % lanes.length]
    const found = (async () => {
      await before
      return objectionsOf(await judged(bad(), by.replace('?', '')))
    })()
    refused.set(what, found)
    lanes[at % lanes.length] = found.then(() => undefined)
  }
})
afterAll(() => Promise.allSettled(refused.values()))

test.each(targets)('%s is refused by %s', async (what, by) => {
  expect(await refused.get(what)).toEqual([by])
})

test.each<[string, () => Bad]>([
  ['http', () => ({})],
  ['https', () => ({ app: secure(), tls: () => good })],
])('over %s nothing is refused where nothing is wrong', async (_, bad) => {
  expect(objections(await judged(bad()))).toEqual([])
})

test('they are many, and each has its own name', () => {
  expect(targets.length).toBeGreaterThanOrEqual(40)
  expect(refused.size).toBe(targets.length)
})
