/**
 * A small application that is hardened, and that can be given each weakness of the catalogue by its id. The
 * server hands paths and methods on as they came.
 */
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { createServer as createPlainServer, type AddressInfo, type Socket } from 'node:net'
import type { Pair } from './certificates.ts'

export interface Served extends AsyncDisposable {
  url: string
  port: number
  /** `GET /path` of each request. */
  requests: string[]
  /** The header lines of each, for what every request must carry. */
  headers: IncomingMessage['headers'][]
}

export interface Reply {
  status?: number
  headers?: Record<string, string | string[]>
  body?: string | Uint8Array
}

export interface Call {
  method: string
  /** As it was sent, with its query. */
  path: string
  headers: IncomingMessage['headers']
  body: string
}

export type App = (call: Call) => Reply | Promise<Reply>

export async function serve(app: App, tls?: Pair & { minVersion?: 'TLSv1' }): Promise<Served> {
  const requests: string[] = []
  const headers: IncomingMessage['headers'][] = []
  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const call = { method: request.method ?? '', path: request.url ?? '', headers: request.headers }
    requests.push(`${call.method} ${call.path}`)
    headers.push(request.headers)
    const reply = await app({ ...call, body: Buffer.concat(chunks).toString() })
    response.writeHead(reply.status ?? 200, reply.headers).end(reply.body ?? '')
  }
  const listener: RequestListener = (request, response) =>
    void handle(request, response).catch((error: unknown) => response.destroy(error as Error))
  const server = tls ? createSecureServer(tls, listener) : createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    port,
    requests,
    headers,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Does this with every connection that has sent something, and nothing else. */
export async function socketServer(
  treat: (socket: Socket) => void,
): Promise<AsyncDisposable & { url: string }> {
  const sockets = new Set<Socket>()
  const server = createPlainServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {}) // a client that goes is no fault of the server
    socket.once('data', () => treat(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export const passwords: Record<string, string> = {
  alice: 'pass"word\\of/alice',
  bob: 'b0b’s password',
}

const CSP =
  "default-src 'none'; script-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

const escaped = (text: string): string => text.replace(/[&<>"']/g, (mark) => `&#${mark.charCodeAt(0)};`)

const text = (status: number, body: string): Reply => ({ status, body })
const json = (value: object, status = 200): Reply => ({
  status,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(value),
})

/** @param weak ids of checks that must find something */
export function application(weak: ReadonlySet<string>, { https = false } = {}): App {
  const is = (id: string): boolean => weak.has(id)
  const sessions = new Map<string, string>()
  const notes = new Map<string, { owner: string }>()
  let failures = 0

  const always = (call: Call, html: boolean): Record<string, string> => ({
    ...(https && !is('hsts') && { 'strict-transport-security': 'max-age=31536000' }),
    ...(!is('content-type-options') && { 'x-content-type-options': 'nosniff' }),
    ...(!is('cross-origin-resource-policy') && { 'cross-origin-resource-policy': 'same-origin' }),
    ...(is('software-disclosure') && { server: 'nginx/1.22.1' }),
    ...(is('xss-protection') && { 'x-xss-protection': '1; mode=block' }),
    ...(!is('cache-control') && { 'cache-control': 'no-store' }),
    ...(is('cors-reflection') && {
      'access-control-allow-origin': call.headers.origin ?? '*',
      'access-control-allow-credentials': 'true',
      vary: 'Origin',
    }),
    ...(html && {
      ...(!is('content-security-policy') && {
        'content-security-policy': is('framing') ? CSP.replace(/; frame-ancestors.*/, '') : CSP,
      }),
      ...(!is('framing') && { 'x-frame-options': 'DENY' }),
      ...(!is('referrer-policy') && { 'referrer-policy': 'no-referrer' }),
      ...(!is('permissions-policy') && { 'permissions-policy': 'camera=()' }),
      ...(!is('cross-origin-opener-policy') && { 'cross-origin-opener-policy': 'same-origin' }),
    }),
  })

  function userOf({ headers }: Call): string | undefined {
    const token = /\bsession=([^;]+)/.exec(headers.cookie ?? '')?.[1] ?? ''
    const found = [...sessions].find(([known]) =>
      is('session-tampered') ? known.slice(0, 4) === token.slice(0, 4) : known === token,
    )
    return found?.[1]
  }

  function signIn({ body }: Call): Reply {
    let given: { name?: string; password?: string }
    try {
      given = JSON.parse(body) as typeof given
    } catch {
      const trace = is('error-disclosure') ? 'Error: no\n    at parse (/srv/app/login.js:10:5)' : 'not JSON'
      return text(is('malformed-input') ? 500 : 400, trace)
    }
    const { name = '', password } = given
    if (passwords[name] !== password) {
      failures++
      const limited = !is('sign-in-rate-limit') && failures > 3
      return limited ? { ...text(429, 'wait'), headers: { 'retry-after': '60' } } : text(401, 'no')
    }
    const random = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('base64url')
    const token = is('session-guessable') ? `${1000 + sessions.size}-of-many-sessions` : random
    sessions.set(token, name)
    const flags = is('cookie-flags') ? '' : `; HttpOnly; SameSite=Strict${https ? '; Secure' : ''}`
    return {
      ...json({ name }),
      headers: { 'set-cookie': [`session=${token}; Path=/${flags}`, `lang=en${https ? '; Secure' : ''}`] },
    }
  }

  function signOut({ headers }: Call): Reply {
    const token = /\bsession=([^;]+)/.exec(headers.cookie ?? '')?.[1] ?? ''
    if (!is('session-after-sign-out')) sessions.delete(token)
    return { status: 204 }
  }

  function note(call: Call, id: string): Reply {
    const user = userOf(call)
    const found = notes.get(id)
    if (!user) return text(401, 'sign in')
    if (!found || (found.owner !== user && !is('other-users-data'))) return text(404, 'nothing')
    if (call.method === 'DELETE' && found.owner === user) notes.delete(id)
    return json({ note: 'private' })
  }

  function page({ path, headers }: Call): Reply {
    const { searchParams } = new URL(path, 'http://x')
    const asked = searchParams.get('q') ?? ''
    const shown = is('reflected-input') ? asked : escaped(asked)
    const host = is('host-header') ? headers.host : 'app.example'
    return {
      headers: { 'content-type': is('content-type') ? 'text/html' : 'text/html; charset=utf-8' },
      body: `<!doctype html><title>app</title><p>${shown}</p><a href="//${host}/">home</a><script src="/app/main.js"></script>`,
    }
  }

  function route(call: Call): Reply {
    const { method, path } = call
    const [name = ''] = path.split('?')
    const user = userOf(call)
    if (method === 'TRACE') {
      const lines = Object.entries(call.headers).map(([key, value]) => `${key}: ${String(value)}`)
      return is('trace-method') ? text(200, lines.join('\n')) : text(405, 'no')
    }
    if (method === 'OPTIONS')
      return { status: 204, headers: { allow: is('allowed-methods') ? 'GET, PUT' : 'GET, HEAD' } }
    if (is('path-traversal') && path.includes('..')) return text(200, 'root:x:0:0:root:/root:/bin/sh\n')
    if (name === '/') return page(call)
    if (name === '/app/main.js') return { headers: { 'content-type': 'text/javascript' }, body: 'app()' }
    if (name === '/app/main.js.map' && is('source-maps')) return json({ version: 3, mappings: 'AAAA' })
    if (name === '/app/' && is('directory-listing'))
      return { headers: { 'content-type': 'text/plain' }, body: '<title>Index of /app/</title>' }
    if (name === '/.env' && is('exposed-files')) return text(200, 'APP_SECRET=very-secret-value\n')
    if (name === '/metrics' && is('exposed-internals')) return text(200, '# HELP up is it up\n')
    if (name === '/go') {
      const next = new URL(path, 'http://x').searchParams.get('next') ?? '/'
      const location = is('open-redirect') || /^\/[^/\\]/.test(next) ? next.replace(/[\r\n][^]*/, '') : '/'
      return { status: 302, headers: { location } }
    }
    if (name === '/login') return method === 'DELETE' ? signOut(call) : signIn(call)
    if (name === '/api/me')
      return user || is('protected-without-session') ? json({ user }) : text(401, 'sign in')
    if (name === '/api/admin') {
      if (!user) return text(401, 'sign in')
      return is('role-refused') ? json({ users: ['carol'] }) : text(403, 'no')
    }
    if (name === '/api/notes' && method === 'POST') {
      if (!user) return text(401, 'sign in')
      const id = crypto.randomUUID()
      notes.set(id, { owner: user })
      return { ...json({}, 201), headers: { location: `https://app.example/api/notes/${id}` } }
    }
    if (name.startsWith('/api/notes/')) return note(call, name.slice('/api/notes/'.length))
    return text(404, 'nothing here')
  }

  return (call) => {
    const reply = route(call)
    const own = { 'content-type': 'text/plain; charset=utf-8', ...reply.headers }
    const html = own['content-type'].startsWith('text/html')
    const injected = /\r\nX-Deploy-Canary: (\w+)/.exec(decode(call.path))?.[1]
    const canary = is('header-injection') && injected ? { 'x-deploy-canary': injected } : {}
    return { ...reply, headers: { ...always(call, html), ...own, ...canary } }
  }
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}
