/**
 * What is healthy is let through: applications and servers that are as they should be, behind proxies that do what
 * proxies do. FALSE_ALARMS=20 runs the whole gate so often on each.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { objections } from '../../lib/check.ts'
import type { SecuritySettings } from '../../lib/settings/gates.ts'
import { startApp } from '../examples/chatbot-platform/app-under-test.ts'
import { freePort, hardened, isOpen, nginx, startNginx } from './security/nginx.ts'
import { proxy, type Kind } from './security/proxy.ts'
import { bare, check, example, examplePasswords, named } from './security/settings.ts'

// The machine may be busy with other things.
setDefaultTimeout(600_000)

const TIMES = Number(process.env['FALSE_ALARMS'] ?? 1)

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'security-alarms-'))
  await mkdir(join(folder, 'static'))
  await Bun.write(join(folder, 'index.html'), '<!doctype html><title>nginx</title>')
  await Bun.write(join(folder, 'error.txt'), 'no')
})
afterAll(() => rm(folder, { recursive: true }))

interface Healthy extends AsyncDisposable {
  url: string
}

const python = Bun.which('python3')

/** A server of Python's own, whose pages and errors say what they should. */
const SERVER = `
import sys, http.server as h
class Handler(h.BaseHTTPRequestHandler):
    server_version, sys_version, protocol_version = 'python', '', 'HTTP/1.1'
    def answer(self, status, kind, body):
        self.send_response(status)
        for name, value in [
            ('Content-Type', kind + '; charset=utf-8'), ('Content-Length', str(len(body))),
            ('Content-Security-Policy', "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"),
            ('X-Content-Type-Options', 'nosniff'), ('Referrer-Policy', 'no-referrer'),
            ('Permissions-Policy', 'camera=()'), ('Cross-Origin-Opener-Policy', 'same-origin'),
            ('Cross-Origin-Resource-Policy', 'same-origin')]:
            self.send_header(name, value)
        self.end_headers()
        if self.command != 'HEAD': self.wfile.write(body)
    def do_GET(self):
        if self.path.split('?')[0] == '/': self.answer(200, 'text/html', b'<!doctype html><title>python</title>')
        else: self.answer(404, 'text/plain', b'nothing here')
    def send_error(self, code, message=None, explain=None): self.answer(code, 'text/plain', b'no')
    def log_message(self, *rest): pass
h.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever()
`

const servers: Record<string, { start: () => Promise<Healthy>; settings: SecuritySettings; there: boolean }> =
  {
    'the example application': {
      there: true,
      settings: example,
      start: async () => {
        const database = join(folder, `${crypto.randomUUID()}.db`)
        const app = await startApp({ DATABASE_URL: `sqlite:${database}`, LOG_LEVEL: 'error' })
        return { url: app.url, [Symbol.asyncDispose]: () => app.stop() }
      },
    },
    nginx: {
      there: nginx !== null,
      settings: bare,
      start: async () => {
        const server = await startNginx(
          folder,
          `listen 127.0.0.1:PORT; location ~ /\\. { return 404; } ${hardened}`,
        )
        return Object.assign(server, { url: `http://127.0.0.1:${server.port}` })
      },
    },
    'a server of Python’s': {
      there: python !== null,
      settings: bare,
      start: async () => {
        const port = await freePort()
        const child = Bun.spawn([python ?? 'python3', '-c', SERVER, `${port}`], { stderr: 'inherit' })
        const deadline = Date.now() + 20_000
        while (!(await isOpen(port)) && Date.now() < deadline) await Bun.sleep(20)
        return {
          url: `http://127.0.0.1:${port}`,
          [Symbol.asyncDispose]: async () => {
            child.kill('SIGKILL')
            await child.exited
          },
        }
      },
    },
  }

/** Browsers ignore these when they come twice, so that it is true of them, and stops nobody. */
const ignoredTwice = ['cross-origin-opener-policy', 'cross-origin-resource-policy']

const known: Record<Kind, string[]> = { plain: [], strict: [], doubling: ignoredTwice }

for (const [name, { there, start, settings }] of Object.entries(servers)) {
  describe.skipIf(!there)(name, () => {
    test.each(['plain', 'strict', 'doubling'] as const)(`behind a %s proxy, ${TIMES} times`, async (kind) => {
      await using server = await start()
      await using front = await proxy(server.url, kind)
      let asked = 0
      for (let time = 0; time < TIMES; time++) {
        const ran = await check(front.url, settings, { variables: examplePasswords })
        asked += ran.requests.length
        const bad = ran.findings.filter(({ id }) => !known[kind].includes(id))
        expect([bad, ran.findings.filter(({ severity }) => severity !== 'low')]).toEqual([[], []])
        expect(objections(ran.results).map((one) => one.name)).toEqual(known[kind])
        expect(named(ran.results, 'passed').length).toBeGreaterThan(20)
      }
      const found = known[kind].join(', ') || 'nothing'
      if (TIMES > 1) console.log(`${name}, ${kind} proxy: ${TIMES} runs, ${asked} requests, found: ${found}`)
    })
  })
}
