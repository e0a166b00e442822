/** The gate as a whole: against servers whose weaknesses are known, and against servers that misbehave. */
import { beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { createHmac, createSign, createVerify, generateKeyPairSync } from 'node:crypto'
import type { Socket } from 'node:net'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { objections } from '../../lib/check.ts'
import { securityChecks } from '../../lib/settings/security-checks.ts'
import { catalogue } from '../../verify/security/catalogue.ts'
import { Secrets } from '../../verify/security/secrets.ts'
import { application, passwords, serve, socketServer, type App, type Call } from './security/application.ts'
import { certificate, type Pair } from './security/certificates.ts'
import { accounts, check, named, settings, variables, type Ran } from './security/settings.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

const ids = catalogue.map(({ id }) => id)
const tlsOnly = ['certificate', 'tls-version', 'https-redirect', 'hsts']

let good: Pair
beforeAll(async () => {
  good = await certificate(365, 'IP:127.0.0.1')
})

async function against(weak: readonly string[], more = {}): Promise<Ran> {
  await using server = await serve(application(new Set(weak)))
  return await check(server.url, settings(more))
}

const listed = ({ findings }: Ran): string[] =>
  findings.map(({ id, severity, method, path }) => `${id} ${severity} ${method} ${path}`)

describe('against a hardened application', () => {
  test('nothing is found, and what does not apply is not called passed', async () => {
    const ran = await against([])
    expect(ran.findings).toEqual([])
    expect(named(ran.results, 'skipped').toSorted()).toEqual([...tlsOnly, 'waivers'].toSorted())
    expect(named(ran.results, 'passed').toSorted()).toEqual(
      ids.filter((id) => !tlsOnly.includes(id)).toSorted(),
    )
  })

  test('over TLS nothing is found either, and everything applies', async () => {
    await using server = await serve(application(new Set(), { https: true }), good)
    await using plain = await serve(() => ({ status: 308, headers: { location: server.url } }))
    const world = { ca: good.cert, plainPort: plain.port }
    const ran = await check(server.url, settings(), { world })
    expect(objections(ran.results)).toEqual([])
    expect(ran.findings).toEqual([])
    expect(named(ran.results, 'passed').toSorted()).toEqual(ids.toSorted())
  })

  test('the passive part asks few questions, all GET, and signs nobody in', async () => {
    await using server = await serve(application(new Set()))
    const writing = [...settings().protected, { ...settings().protected[0]!, method: 'DELETE' as const }]
    const ran = await check(server.url, settings({ protected: writing }), { part: 'passive' })
    expect(objections(ran.results)).toEqual([])
    expect(named(ran.results, 'passed').length).toBeGreaterThan(10)
    expect(server.requests.length).toBeLessThan(40)
    expect(server.requests.filter((request) => !request.startsWith('GET '))).toEqual([])
    expect(server.headers.filter(({ cookie, authorization }) => cookie ?? authorization)).toEqual([])
  })
})

function inEveryAnswer(what: string): string[] {
  return ['/', '/deploy-check-:canary', '/api/me', '/api/admin'].map((path) => `${what} GET ${path}`)
}

const general = (line: string): string =>
  line
    .replace(/notes\/[\w-]{36}/, 'notes/:id')
    .replace(/zx[0-9a-f]{8}/, ':canary')
    .replace(/\?(q|next)=.*/, '?$1=')

describe('against an application with every weakness', () => {
  // Written down before the gate was run.
  const known = [
    'protected-without-session critical GET /api/me',
    'role-refused critical GET /api/admin',
    'other-users-data critical GET /api/notes/:id',
    'other-users-data critical DELETE /api/notes/:id',
    'session-guessable critical POST /login',
    'session-after-sign-out high GET /api/me',
    'session-tampered critical GET /api/me',
    'session-tampered critical GET /api/me',
    'session-tampered critical GET /api/me',
    'sign-in-rate-limit medium POST /login',
    'exposed-files critical GET /.env',
    'exposed-internals medium GET /metrics',
    'source-maps low GET /app/main.js.map',
    'directory-listing medium GET /app/',
    'reflected-input high GET /?q=',
    'header-injection high GET /?q=',
    'header-injection high GET /%0d%0aX-Deploy-Canary:%20:canary',
    'header-injection high GET /go?next=',
    'open-redirect medium GET /go?next=',
    'open-redirect medium GET /go?next=',
    'open-redirect medium GET /go?next=',
    'open-redirect medium GET /go?next=',
    'host-header low GET /',
    'path-traversal critical GET /../../../../../../etc/passwd',
    'path-traversal critical GET /..%2f..%2f..%2f..%2f..%2fetc%2fpasswd',
    'path-traversal critical GET /static/../../../../../../etc/passwd',
    'cors-reflection high GET /',
    'cors-reflection high GET /',
    'cors-reflection high GET /',
    'cors-reflection high GET /',
    'cors-reflection high OPTIONS /',
    'cors-reflection high GET /api/me',
    'cors-reflection high GET /api/me',
    'cors-reflection high GET /api/me',
    'cors-reflection high GET /api/me',
    'cors-reflection high OPTIONS /api/me',
    'cookie-flags high POST /login',
    'content-security-policy high GET /',
    'framing medium GET /',
    'content-type low GET /',
    'referrer-policy low GET /',
    'permissions-policy low GET /',
    'cross-origin-opener-policy low GET /',
    ...['content-type-options medium', 'cross-origin-resource-policy low', 'software-disclosure low'].flatMap(
      inEveryAnswer,
    ),
    ...inEveryAnswer('xss-protection low'),
    'cache-control medium POST /login',
    'cache-control medium GET /api/me',
    'trace-method high TRACE /',
    'trace-method high TRACE /deploy-check-:canary',
    'allowed-methods low OPTIONS /',
    'malformed-input medium POST /login',
    'malformed-input medium POST /login',
    'error-disclosure medium POST /login',
    'error-disclosure medium POST /login',
  ]

  test('the findings are those that were written down, each told in full', async () => {
    const ran = await against(ids)
    expect(listed(ran).map(general).toSorted()).toEqual(known.toSorted())
    for (const finding of ran.findings) {
      expect(finding.fix.length).toBeGreaterThan(10)
      expect(finding.reference).toStartWith('https://')
      expect(finding.sent).toContain(finding.method)
      expect(finding.back).toMatch(/^\d{3}, /)
    }
    for (const { seen, expected, evidence } of ran.results) {
      expect([seen, expected].filter((text) => text.length > 201 || text.includes('\n'))).toEqual([])
      expect(evidence).toEqual(['security.md', 'security.json'])
    }
  })

  test('no password, cookie or secret that was served is in any word of it', async () => {
    const cookies: string[] = []
    const app = application(new Set(ids))
    const listening: App = async (call) => {
      const reply = await app(call)
      const [session = ''] = [reply.headers?.['set-cookie'] ?? []].flat()
      const value = /session=([^;]+)/.exec(session)?.[1]
      if (value) cookies.push(value)
      return reply
    }
    await using server = await serve(listening)
    const { words } = await check(server.url, settings())
    expect(cookies.length).toBeGreaterThanOrEqual(3)
    const inJson = Object.values(passwords).map((password) => JSON.stringify(password).slice(1, -1))
    for (const secret of [...cookies, ...Object.values(passwords), ...inJson, 'very-secret-value', 'carol'])
      expect(words.includes(secret)).toBe(false)
  })

  test('what an application hands out and says again is taken out of results and report, also where it is cut', async () => {
    const app = application(new Set(['other-users-data', 'role-refused']))
    const handed: string[] = []
    const long = 'x'.repeat(40)
    let note = ''
    await using server = await serve(async (call) => {
      const own = /session=([^;]+)/.exec(call.headers.cookie ?? '')?.[1] ?? ''
      // In a redirect, in the trace of an error, and in the path of what was made: each is cut in the middle of it.
      if (call.path === '/api/admin' && own !== '')
        return { status: 302, headers: { location: `/${long}/${own}` } }
      if (call.path.startsWith('/api/notes/not-an-id'))
        return { status: 400, body: `Error\n    at parse (/srv/${long}/${own}.js:10:5)` }
      const path = call.path.startsWith(`/api/notes/${long}`) ? note : call.path
      const reply = await app({ ...call, path })
      for (const line of [reply.headers?.['set-cookie'] ?? []].flat())
        handed.push(...(/session=([^;]+)/.exec(line)?.slice(1) ?? []))
      if (reply.status !== 201) return reply
      note = new URL([reply.headers?.['location'] ?? ''].flat()[0] ?? '').pathname
      return { ...reply, headers: { location: `/api/notes/${long}/${own}` } }
    })
    const { results, words } = await check(server.url, settings())
    const said = (id: string): string => results.find(({ name }) => name === id)?.seen ?? ''
    const [secrets, gone] = [new Secrets(), '0123456789']
    secrets.add(gone)
    const out = secrets.redact(gone)
    expect(handed.length).toBeGreaterThan(2)
    expect(said('role-refused')).toContain(`answered 302 to /${long}/${out}`)
    expect(said('error-disclosure')).toContain(`/srv/${long}/${out}.js`)
    expect(said('other-users-data')).toContain(`GET /api/notes/${long}/${out.slice(0, 8)}`)
    for (const secret of handed) expect(words.includes(secret.slice(0, 8))).toBe(false)
  })

  test('also what nobody knew for a secret when it was said', async () => {
    const value = 'a-session-that-was-told-too-early'
    const { promise: told, resolve } = Promise.withResolvers<void>()
    const app = application(new Set())
    await using server = await serve(async (call) => {
      if (call.path.startsWith('/api/open')) setTimeout(resolve, 50)
      if (call.path.startsWith('/api/open')) return { body: '{}' }
      const reply = await app(call)
      if (call.method !== 'POST' || call.path !== '/login' || reply.status !== 200) return reply
      await told
      return { ...reply, headers: { 'set-cookie': `session=${value}` } }
    })
    const open = { ...settings().protected[0]!, path: `/api/open?s=${value}` }
    const { results, words } = await check(server.url, settings({ protected: [open] }))
    expect(results.find(({ name }) => name === 'protected-without-session')?.verdict).toBe('failed')
    expect(words.includes('GET /api/open?s=')).toBe(true)
    expect(words.includes(value)).toBe(false)
  })

  test('what is below the threshold is told and does not stop', async () => {
    const ran = await against(['referrer-policy'], { failOn: 'medium' })
    expect(objections(ran.results)).toEqual([])
    expect(ran.findings).toHaveLength(1)
    const result = ran.results.find(({ name }) => name === 'referrer-policy')
    expect(result?.seen).toBe('low: GET / has no Referrer-Policy; below medium')
  })
})

describe('each check fails where it should, and it alone', () => {
  test.each(ids.filter((id) => !tlsOnly.includes(id)))('%s', async (id) => {
    const { results } = await against([id])
    // Without its session a page that everybody may see cannot show that a session is refused.
    const alone = id === 'protected-without-session' ? [id, ...sessionChecks] : [id]
    expect(
      objections(results)
        .map(({ name }) => name)
        .toSorted(),
    ).toEqual(alone.toSorted())
    expect(results.find(({ name }) => name === id)?.verdict).toBe('failed')
  })

  const sessionChecks = ['session-tampered', 'session-after-sign-out']

  test('hsts', async () => {
    await using server = await serve(application(new Set(['hsts']), { https: true }), good)
    const { results } = await check(server.url, settings(), { world: { ca: good.cert } })
    expect(objections(results).map(({ name }) => name)).toEqual(['hsts'])
  })

  test('tls-version', async () => {
    const old = { ...good, minVersion: 'TLSv1' } as const
    await using server = await serve(application(new Set(), { https: true }), old)
    const { results } = await check(server.url, settings(), { world: { ca: good.cert } })
    expect(objections(results)).toMatchObject([
      { name: 'tls-version', verdict: 'failed', seen: expect.stringContaining('accepts TLSv1.1') },
    ])
  })

  test.each([
    ['answered in the clear', { status: 200 }, 'failed'],
    ['led elsewhere', { status: 301, headers: { location: 'http://127.0.0.1/' } }, 'failed'],
    ['led to https', { status: 301, headers: { location: 'https://127.0.0.1/' } }, 'passed'],
    ['refused', { status: 404 }, 'passed'],
  ])('https-redirect: %s', async (_, reply, verdict) => {
    await using server = await serve(application(new Set(), { https: true }), good)
    await using plain = await serve(() => reply)
    const world = { ca: good.cert, plainPort: plain.port }
    const { results } = await check(server.url, settings(), { part: 'passive', world })
    expect(results.find(({ name }) => name === 'https-redirect')?.verdict).toBe(verdict as 'passed')
  })

  test('https-redirect: nobody listens, or nobody knows where to ask', async () => {
    await using server = await serve(application(new Set(), { https: true }), good)
    const closed = await serve(() => ({}))
    await closed[Symbol.asyncDispose]()
    const verdicts = [closed.port, 80].map(async (plainPort) => {
      const world = { ca: good.cert, plainPort }
      const { results } = await check(server.url, settings(), { part: 'passive', world })
      return results.find(({ name }) => name === 'https-redirect')?.verdict
    })
    expect(await Promise.all(verdicts)).toEqual(['passed', 'skipped'])
  })

  test.each([
    ['nobody vouches for it', 365, 'IP:127.0.0.1', false, 0, /self.signed/i],
    ['for another host', 365, 'DNS:other.example', true, 0, /127\.0\.0\.1|altname/i],
    ['soon over', 7, 'IP:127.0.0.1', true, 6, /expires on/],
    ['over', 7, 'IP:127.0.0.1', true, 8, /expired on/],
  ])('certificate: %s', async (_, days, name, trusted, daysLater, seen) => {
    const pair = await certificate(days, name)
    await using server = await serve(application(new Set(), { https: true }), pair)
    const now = (): number => Date.now() + daysLater * 86_400_000
    const world = { now, ...(trusted && { ca: pair.cert }) }
    const { results } = await check(server.url, settings(), { world })
    const failed = results.filter(({ verdict }) => verdict === 'failed')
    expect(failed).toMatchObject([{ name: 'certificate', seen: expect.stringMatching(seen) }])
    // A password goes to nobody who cannot say who they are.
    const believed = trusted && name === 'IP:127.0.0.1'
    expect(server.requests.some((request) => request === 'POST /login')).toBe(believed)
    expect(named(results, 'inconclusive').length > 20).toBe(!believed)
  })
})

describe('what looks like a weakness and is none', () => {
  test('an application that serves its page for every path', async () => {
    const app = application(new Set())
    const page = `<!doctype html><html><title>app</title><pre>\nPATH=/bin\n# HELP x\nref: refs/heads</pre>`
    const catchAll: App = async (call) => {
      const reply = await app(call)
      if (reply.status !== 404 || call.path.startsWith('/api/')) return reply
      const home = await app({ ...call, method: 'GET', path: '/' })
      return { ...home, body: page }
    }
    await using server = await serve(catchAll)
    const { findings, results } = await check(server.url, settings())
    expect(findings).toEqual([])
    expect(objections(results)).toEqual([])
  })

  test('the same with plain text', async () => {
    const app = application(new Set())
    const text = 'APP_MODE=quiet\n# HELP me\n[core]\nroot of all: 0:0'
    const catchAll: App = async (call) => {
      const reply = await app(call)
      return reply.status === 404 ? { ...reply, status: 200, body: text } : reply
    }
    await using server = await serve(catchAll)
    const { findings } = await check(server.url, settings({ owned: undefined }))
    expect(findings).toEqual([])
  })
})

test.each([
  ['all subdomains, which is a policy', '.example.com', []],
  ['what ends like a domain, which is a slip', 'example.com', ['cors-reflection']],
])('a server that lets in %s', async (_, end, found) => {
  const app = application(new Set())
  await using server = await serve(async (call) => {
    const reply = await app(call)
    const { origin = '' } = call.headers
    if (!origin.endsWith(end)) return reply
    const sharing = { 'access-control-allow-origin': origin, 'access-control-allow-credentials': 'true' }
    return { ...reply, headers: { ...reply.headers, ...sharing, vary: 'Origin' } }
  })
  const ran = await check(server.url, settings(), { where: { live: 'https://app.example.com' } })
  expect(objections(ran.results).map(({ name }) => name)).toEqual(found)
})

describe('its requests', () => {
  test('are bounded, marked, and change nothing but what is declared', async () => {
    await using server = await serve(application(new Set()))
    const { requests } = await check(server.url, settings())
    expect(server.requests.length).toBeLessThanOrEqual(100)
    expect(requests.length).toBe(server.requests.length)
    const marked = server.headers.filter(
      (headers) => headers['user-agent'] === 'deploy-scripts' && headers['x-deploy-verification'] === 'v-1',
    )
    expect(marked.length).toBe(server.requests.length)
    const writes = server.requests.filter((request) => !/^(GET|HEAD|OPTIONS|TRACE) /.test(request))
    const kinds = new Set(writes.map((request) => request.replace(/[\w-]{36}$/, ':id')))
    expect([...kinds].toSorted()).toEqual([
      'DELETE /api/notes/:id',
      'DELETE /login',
      'POST /api/notes',
      'POST /login',
    ])
  })

  test('what was made is removed, and what was opened is closed', async () => {
    await using server = await serve(application(new Set()))
    await check(server.url, settings())
    const count = (pattern: RegExp): number => server.requests.filter((one) => pattern.test(one)).length
    expect(count(/^POST \/api\/notes$/)).toBe(1)
    expect(count(/^DELETE \/api\/notes\//)).toBe(3)
    expect(count(/^DELETE \/login/)).toBe(3)
  })

  test('come no faster than they may', async () => {
    await using server = await serve(application(new Set()))
    const started = performance.now()
    const { requests } = await check(server.url, settings({ rate: 50 }), { part: 'passive' })
    expect(performance.now() - started).toBeGreaterThanOrEqual(((requests.length - 1) * 1000) / 50)
  })
})

describe('a question that was not answered is no pass', () => {
  const missing = { ALICE_PASSWORD: undefined, BOB_PASSWORD: 'x' }
  const needSession = [
    'role-refused',
    'other-users-data',
    'session-tampered',
    'cache-control',
    'cookie-flags',
  ]

  test('a password that is not set', async () => {
    await using server = await serve(application(new Set()))
    const { results } = await check(server.url, settings(), { variables: missing })
    expect(named(results, 'failed')).toEqual([])
    expect(named(results, 'inconclusive')).toEqual(expect.arrayContaining(needSession))
    const result = results.find(({ name }) => name === 'role-refused')
    expect(result?.seen).toBe('ALICE_PASSWORD, the password of alice, is not set')
  })

  test.each<[string, App, RegExp]>([
    ['answers 500', () => ({ status: 500 }), /answered 500 and gave no session/],
    ['answers HTML', () => ({ headers: { 'content-type': 'text/html' }, body: '<p>' }), /gave no session/],
    [
      'hands out what is not honoured',
      () => ({ headers: { 'set-cookie': 'session=0123456789abcdef; HttpOnly; SameSite=Lax' } }),
      /answered 401 with the session of alice/,
    ],
  ])('a sign-in that %s', async (_, signIn, seen) => {
    const app = application(new Set())
    await using server = await serve((call) =>
      call.method === 'POST' && call.path === '/login' && call.body.startsWith('{"name"')
        ? signIn(call)
        : app(call),
    )
    const { results } = await check(server.url, settings({ signInAttempts: undefined }))
    expect(named(results, 'failed')).toEqual([])
    expect(named(results, 'inconclusive')).toEqual(expect.arrayContaining(needSession))
    expect(results.find(({ name }) => name === 'role-refused')?.seen).toMatch(seen)
  })

  test('nothing that is declared is nothing to look at', async () => {
    await using server = await serve(application(new Set()))
    const bare = settings({
      signIn: undefined,
      protected: [],
      owned: undefined,
      redirects: [],
      signInAttempts: undefined,
    })
    const { results } = await check(server.url, bare, { accounts: undefined })
    expect(objections(results)).toEqual([])
    const skipped = [
      ...tlsOnly,
      'cache-control',
      'cookie-flags',
      'open-redirect',
      'other-users-data',
      'protected-without-session',
      'role-refused',
      'session-after-sign-out',
      'session-guessable',
      'session-tampered',
      'sign-in-rate-limit',
      'waivers',
    ]
    expect(named(results, 'skipped').toSorted()).toEqual(skipped.toSorted())
    for (const { seen } of results.filter(({ verdict }) => verdict === 'skipped'))
      expect(seen).toStartWith('not applicable: ')
  })

  test.each<[string, (socket: Socket) => void]>([
    ['never answers', () => {}],
    ['resets connections', (socket) => socket.resetAndDestroy()],
    ['speaks no HTTP', (socket) => void socket.end('SSH-2.0-OpenSSH\r\n')],
    ['never ends', (socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nha')],
  ])('a server that %s', async (_, treat) => {
    await using server = await socketServer(treat)
    const { results, requests } = await check(server.url, settings(), { world: { timeout: 300 } })
    expect(named(results, 'passed')).toEqual([])
    expect(named(results, 'failed')).toEqual([])
    expect(objections(results).length).toBeGreaterThan(20)
    expect(requests).toHaveLength(1)
  })

  test.each([
    ['answers 502 to all', { status: 502 }],
    ['redirects to all', { status: 302, headers: { location: '/login' } }],
    ['answers JSON to all', { headers: { 'content-type': 'application/json' }, body: '{"ok":true}' }],
  ])('a server that %s', async (_, reply) => {
    await using server = await serve(() => reply)
    const { results } = await check(server.url, settings())
    const passed = named(results, 'passed')
    for (const id of ['content-security-policy', 'framing', 'role-refused', 'protected-without-session'])
      expect(passed).not.toContain(id)
    expect(results.find(({ name }) => name === 'protected-without-session')?.verdict).toBe('failed')
  })

  test.each(['/api/notes', '/api/notes/', '/'])(
    'what was made is said to be %s: nothing is removed',
    async (location) => {
      const app = application(new Set())
      await using server = await serve(async (call) => {
        const reply = await app(call)
        return reply.status === 201 ? { ...reply, headers: { location } } : reply
      })
      const { results } = await check(server.url, settings())
      expect(results.find(({ name }) => name === 'other-users-data')?.verdict).toBe('inconclusive')
      expect(server.requests.filter((one) => /^DELETE \/(api|$)/.test(one))).toEqual([])
    },
  )

  test('a session is the cookie without which nobody is let in, whatever it is called', async () => {
    const app = application(new Set())
    const tokens: string[] = []
    const theme = 'session_theme=dark-as-the-night-is; Path=/; HttpOnly; SameSite=Strict'
    await using server = await serve(async (call) => {
      const [, index] = /\bk=k(\d+)/.exec(call.headers.cookie ?? '') ?? []
      const cookie = index === undefined ? '' : `session=${tokens[Number(index)] ?? ''}`
      const reply = await app({ ...call, headers: { ...call.headers, cookie } })
      const [, token] = /session=([^;]+)/.exec([reply.headers?.['set-cookie'] ?? []].flat()[0] ?? '') ?? []
      if (token === undefined) return reply
      return {
        ...reply,
        headers: { 'set-cookie': [theme, `k=k${tokens.push(token) - 1}; Path=/; SameSite=Strict`] },
      }
    })
    const { results } = await check(server.url, settings())
    expect(results.find(({ name }) => name === 'cookie-flags')).toMatchObject({
      verdict: 'failed',
      seen: expect.stringContaining('sets the cookie k without HttpOnly'),
    })
  })

  test.each([
    [401, 'failed', 5],
    [500, 'inconclusive', 1],
  ] as const)(
    'wrong passwords that are answered %d: %s, after %d attempts',
    async (status, verdict, attempts) => {
      const app = application(new Set(['sign-in-rate-limit']))
      let tried = 0
      await using server = await serve(async (call) => {
        if (!call.body.includes('"wrong-')) return await app(call)
        tried++
        return { status, body: 'no' }
      })
      const { results } = await check(server.url, settings())
      expect(results.find(({ name }) => name === 'sign-in-rate-limit')?.verdict).toBe(verdict)
      expect(tried).toBe(attempts)
    },
  )

  // [to another who reads, to nobody who reads, to another who removes, to nobody who removes, its owner at last]
  test.each<[number[]]>([
    [[403, 401, 403, 401, 200]],
    [[404, 403, 404, 403, 204]],
    [[403, 404, 405, 404, 404]],
    [[403, 401, 403, 405, 410]],
  ])('each way to refuse what is another’s is one: %j', async (statuses) => {
    const app = application(new Set())
    let owner = ''
    await using server = await serve(async (call) => {
      const [, session = ''] = /session=([^;]+)/.exec(call.headers.cookie ?? '') ?? []
      if (call.method === 'POST' && call.path === '/api/notes') owner = session
      if (!call.path.startsWith('/api/notes/') || !['GET', 'DELETE'].includes(call.method))
        return await app(call)
      if (session === owner) {
        const reply = await app(call)
        return call.method === 'DELETE' ? { ...reply, status: statuses[4]! } : reply
      }
      const kind = (call.method === 'DELETE' ? 2 : 0) + (session === '' ? 1 : 0)
      return { status: statuses[kind]!, body: 'no' }
    })
    const { results, words } = await check(server.url, settings())
    expect(results.find(({ name }) => name === 'other-users-data')).toMatchObject({ verdict: 'passed' })
    expect(words).toMatch(/GET \/api\/notes\/\S+ \(with the session of alice\) → 200/)
  })

  test('a server that is not there: one sentence, and no forty attempts', async () => {
    const server = await serve(() => ({}))
    await server[Symbol.asyncDispose]()
    const { results, requests } = await check(server.url, settings())
    expect(requests).toHaveLength(1)
    expect(named(results, 'passed')).toEqual([])
    expect(named(results, 'failed')).toEqual([])
    expect(new Set(objections(results).map(({ seen }) => seen)).size).toBe(1)
  })

  test('a server that falls silent on the way is given up', async () => {
    const app = application(new Set())
    let served = 0
    await using server = await serve(async (call) => {
      if (++served > 10) await new Promise(() => {})
      return app(call)
    })
    const { requests } = await check(server.url, settings(), { world: { timeout: 300 } })
    expect(requests.length).toBeLessThan(25)
  })

  test('what was made is removed also when the server was given up', async () => {
    const app = application(new Set())
    let made = false
    await using server = await serve(async (call) => {
      if (made && call.method !== 'DELETE') await new Promise(() => {})
      made ||= call.method === 'POST' && call.path === '/api/notes'
      return app(call)
    })
    const { results } = await check(server.url, settings(), { world: { timeout: 300 } })
    expect(results.find(({ name }) => name === 'other-users-data')?.verdict).toBe('inconclusive')
    expect(server.requests.some((one) => one.startsWith('DELETE /api/notes/'))).toBe(true)
  })

  test('a page of 1 GiB is not read to its end', async () => {
    let sent = 0
    const pull = (controller: ReadableStreamDefaultController): void => {
      sent += 65_536
      if (sent < 2 ** 30) controller.enqueue(new Uint8Array(65_536).fill(120))
      else controller.close()
    }
    const server = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch: ({ url }) =>
        new URL(url).pathname === '/'
          ? new Response(new ReadableStream({ pull }))
          : new Response('no', { status: 404 }),
    })
    await check(server.url.origin, settings(), { part: 'passive' })
    await server.stop(true)
    expect(sent).toBeLessThan(2 ** 28)
  })

  test('an interrupt is no verdict, and what was made is removed first', async () => {
    const app = application(new Set())
    const stop = new AbortController()
    await using server = await serve((call) => {
      if (call.method === 'GET' && /^\/api\/notes\/[\w-]{36}$/.test(call.path))
        stop.abort(new Error('SIGINT'))
      return app(call)
    })
    const end = await check(server.url, settings(), { signal: stop.signal }).catch((error: unknown) => error)
    expect(end).toEqual(new Error('SIGINT'))
    expect(server.requests.filter((one) => one.startsWith('DELETE /api/notes/'))).toHaveLength(1)
  })
})

/** ms from the interrupt to the end; it comes when the server has been silent for a while. */
async function interrupted(url: string, hangs: Promise<unknown>): Promise<number> {
  const stop = new AbortController()
  const ended = check(url, settings(), { signal: stop.signal }).catch((error: unknown) => error)
  await hangs
  await Bun.sleep(50)
  const at = performance.now()
  stop.abort(new Error('SIGINT'))
  expect(await ended).toEqual(new Error('SIGINT'))
  return performance.now() - at
}

describe('an interrupt is followed within 3 s, whatever the server does', () => {
  const hanging: [string, (call: Call) => boolean][] = [
    ['from the first question', () => true],
    ['from the sign-in', ({ method, path }) => method === 'POST' && path === '/login'],
    ['while something is made', ({ method, path }) => method === 'POST' && path === '/api/notes'],
    ['while it is read', ({ path }) => path.startsWith('/api/notes/')],
    ['while it is removed', ({ method, path }) => method === 'DELETE' && path.startsWith('/api/notes/')],
    ['while sessions are ended', ({ method, path }) => method === 'DELETE' && path === '/login'],
  ]

  test('over http, at any point', async () => {
    const times = hanging.map(async ([where, hangs]) => {
      const app = application(new Set())
      const { promise, resolve } = Promise.withResolvers<void>()
      await using server = await serve(async (call) => {
        if (!hangs(call)) return app(call)
        resolve()
        return await new Promise<never>(() => {})
      })
      return [where, await interrupted(server.url, promise)] as const
    })
    for (const [where, ms] of await Promise.all(times)) expect([where, ms < 3000]).toEqual([where, true])
  })

  test('in a TLS handshake, and in an answer that never ends', async () => {
    const treats = [
      ['https', () => {}],
      ['http', (socket: Socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nha')],
    ] as const
    const times = treats.map(async ([scheme, treat]) => {
      const { promise, resolve } = Promise.withResolvers<void>()
      await using server = await socketServer((socket) => {
        treat(socket)
        resolve()
      })
      return await interrupted(server.url.replace('http', scheme), promise)
    })
    for (const ms of await Promise.all(times)) expect(ms).toBeLessThan(3000)
  })
})

test.each(['gzip', 'deflate', 'br'] as const)(
  'what is answered compressed by %s, unasked, is judged all the same',
  async (encoding) => {
    const pack = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync }[encoding]
    const server = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch: ({ url }) =>
        new URL(url).pathname === '/.env'
          ? new Response(pack('DB_PASSWORD=hunter2'), { headers: { 'content-encoding': encoding } })
          : new Response('no', { status: 404 }),
    })
    const { findings } = await check(server.url.origin, settings(), { part: 'passive' })
    await server.stop(true)
    expect(findings.filter(({ id }) => id === 'exposed-files').map(({ path }) => path)).toEqual(['/.env'])
  },
)

async function waived(
  waivers: { id: string; path?: string; reason: string; expires: string }[],
  date: string,
) {
  await using server = await serve(application(new Set(['framing'])))
  const ran = await check(server.url, settings({ waivers }), {
    part: 'passive',
    world: { now: () => Date.parse(date) },
  })
  const verdict = (name: string) => ran.results.find((one) => one.name === name)
  return { framing: verdict('framing'), waivers: verdict('waivers'), ...ran }
}

describe('waivers', () => {
  const waiver = { id: 'framing', reason: 'embedded by the intranet', expires: '2030-01-31' }

  test('one that holds lets its finding through, and says so', async () => {
    const { framing, waivers, findings } = await waived([waiver], '2030-01-31T23:59:59Z')
    expect(framing?.verdict).toBe('passed')
    expect(framing?.seen).toContain('waived until 2030-01-31: embedded by the intranet')
    expect(waivers).toMatchObject({ verdict: 'passed', seen: '1 hold' })
    expect(findings).toMatchObject([{ id: 'framing', waived: { reason: 'embedded by the intranet' } }])
  })

  test('one that has expired fails, and so does its finding', async () => {
    const { framing, waivers } = await waived([waiver], '2030-02-01T00:00:00Z')
    expect(framing?.verdict).toBe('failed')
    expect(waivers).toMatchObject({ verdict: 'failed', seen: 'expired: framing (2030-01-31)' })
  })

  test('one that has expired fails also when there is nothing left to waive', async () => {
    const expired = { ...waiver, id: 'referrer-policy' }
    const { waivers } = await waived([expired], '2031-01-01')
    expect(waivers?.verdict).toBe('failed')
  })

  test('one of another path does not hold here, and is told', async () => {
    const { framing, waivers } = await waived([{ ...waiver, path: '/embedded' }], '2030-01-01')
    expect(framing?.verdict).toBe('failed')
    expect(waivers).toMatchObject({
      verdict: 'passed',
      seen: 'matches nothing: framing on /embedded (2030-01-31)',
    })
  })
})

const signed = (header: object, payload: object): string => {
  const [head, body] = [header, payload].map((part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url'),
  )
  const hmac = new Bun.CryptoHasher('sha256', 'key').update(`${head}.${body}`).digest('base64url')
  return `${head}.${body}.${hmac}`
}

function decoded(part: string): { alg?: string } {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString()) as { alg?: string }
  } catch {
    return {}
  }
}

/** @param trusting believes what the token says of its own algorithm */
const jwtApp = (trusting: boolean): App => {
  const app = application(new Set())
  return (call) => {
    if (call.path === '/login' && call.method === 'POST') {
      const token = signed({ alg: 'HS256' }, { sub: 'alice' })
      return {
        headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
        body: JSON.stringify({ data: { token } }),
      }
    }
    if (call.path !== '/api/me') return app(call)
    const [header = '', payload = '', signature] = (call.headers.authorization ?? '')
      .replace('Bearer ', '')
      .split('.')
    const right = signed(decoded(header), decoded(payload)).split('.')[2] === signature
    const none = trusting && decoded(header).alg === 'none'
    return app({ ...call, path: right || none ? '/app/main.js' : '/api/me' })
  }
}

const pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
const other = generateKeyPairSync('rsa', { modulusLength: 2048 })
const byKey = (header: object, payload: object): string => {
  const content = [header, payload]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')
  return `${content}.${createSign('sha256').update(content).sign(pair.privateKey, 'base64url')}`
}

/** Signed by a private key, whose other half is published. @param confused takes the token's word on how it is signed */
const keyApp = (confused: boolean, newline: string): App => {
  const app = application(new Set())
  const pem = pair.publicKey.export({ type: 'spki', format: 'pem' }).trimEnd() + newline
  return (call) => {
    if (call.path === '/.well-known/jwks.json') {
      const published = (own: typeof pair, kid: string) => ({
        ...own.publicKey.export({ format: 'jwk' }),
        kid,
      })
      const former = [1, 2, 3].map((n) => published(other, `former-${n}`))
      const keys = [{ kty: 'oct', k: 'c2VjcmV0' }, ...former, published(pair, 'now')]
      return { headers: { 'content-type': 'application/json' }, body: JSON.stringify({ keys }) }
    }
    if (call.path === '/login' && call.method === 'POST') {
      const token = byKey({ alg: 'RS256', typ: 'JWT', kid: 'now' }, { sub: 'alice' })
      return {
        headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
        body: JSON.stringify({ data: { token } }),
      }
    }
    if (call.path !== '/api/me') return app(call)
    const [header = '', payload = '', signature = ''] = (call.headers.authorization ?? '')
      .replace('Bearer ', '')
      .split('.')
    const content = `${header}.${payload}`
    const hmac = confused && decoded(header).alg === 'HS256'
    const right = hmac
      ? createHmac('sha256', pem).update(content).digest('base64url') === signature
      : createVerify('sha256').update(content).verify(pair.publicKey, signature, 'base64url')
    return app({ ...call, path: right ? '/app/main.js' : '/api/me' })
  }
}

describe('a bearer token', () => {
  test.each([
    [true, '\n', 'failed'],
    [true, '', 'failed'],
    [false, '\n', 'passed'],
  ])(
    'signed with the public key: confused %p, by a key that ends in %j: %s',
    async (confused, newline, verdict) => {
      await using server = await serve(keyApp(confused, newline))
      const signIn = { ...settings().signIn!, token: 'data.token', signOut: undefined }
      const given = settings({ signIn, protected: [settings().protected[0]!], owned: undefined })
      const { results, findings } = await check(server.url, given)
      expect(results.find(({ name }) => name === 'session-tampered')?.verdict).toBe(verdict as 'failed')
      const forged = findings.filter(({ id }) => id === 'session-tampered')
      expect(forged.map(({ sent }) => /HS256, signed with the public key/.test(sent))).toEqual(
        confused ? [true] : [],
      )
    },
  )

  test.each([
    [true, 'failed', 1],
    [false, 'passed', 0],
  ])('signed by nobody: trusting %p, %s', async (trusting, verdict, count) => {
    await using server = await serve(jwtApp(trusting))
    const signIn = { ...settings().signIn!, token: 'data.token', signOut: undefined }
    const given = settings({ signIn, protected: [settings().protected[0]!], owned: undefined })
    const { results, findings, words } = await check(server.url, given)
    expect(results.find(({ name }) => name === 'session-tampered')?.verdict).toBe(verdict as 'failed')
    const forged = findings.filter(({ id }) => id === 'session-tampered')
    expect(forged.map(({ sent }) => /alg none/.test(sent))).toEqual(Array(count).fill(true))
    expect(words).not.toContain(signed({ alg: 'HS256' }, { sub: 'alice' }))
  })
})

test('docs/security-checks.md names the checks of the catalogue, with their severities', async () => {
  const text = await Bun.file(`${import.meta.dir}/../../docs/security-checks.md`).text()
  const rows = [...text.matchAll(/^\| `([\w-]+)` \|.*\| (low|medium|high|critical) \|/gm)]
  expect(rows.map(([, id, severity]) => `${id} ${severity}`)).toEqual(
    catalogue.map(({ id, severity }) => `${id} ${severity}`),
  )
  for (const { reference } of catalogue) expect(text).toContain(reference)
})

test('lib/settings names the checks of the catalogue', () => {
  expect<readonly string[]>(securityChecks).toEqual(ids)
})

test('no two checks have one name', () => {
  expect(new Set(ids).size).toBe(ids.length)
  expect(accounts.user.name in passwords && variables.ALICE_PASSWORD !== undefined).toBe(true)
})
