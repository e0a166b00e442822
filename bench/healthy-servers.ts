/**
 * A healthy server behind a proxy, as a process of its own: `healthy.ts example|nginx|python plain|strict|doubling`.
 * Prints its address; ends, with what it started, when its input does.
 */
import { mkdtemp, mkdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startApp } from '../tests/examples/chatbot-platform/app-under-test.ts'
import { freePort, isOpen, startNginx } from '../tests/verify/security/nginx.ts'

const PAGE = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A healthy page</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="description" content="A page that says what it is and nothing else."></head>
<body><main><h1>A healthy page</h1><p>It is served as it should be.</p></main></body></html>`

/** What both servers that are no application say with every answer. */
const HEADERS = {
  'Content-Security-Policy': "default-src 'none'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Permissions-Policy': 'camera=()',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
}

/** What proxies are told to add, whether or not what is behind them sends it too. */
const DOUBLED = [...Object.keys(HEADERS), 'X-Frame-Options', 'Strict-Transport-Security']

const PYTHON = `
import sys, json, http.server as h
page, headers = sys.argv[2].encode(), json.loads(sys.argv[3])
class Handler(h.BaseHTTPRequestHandler):
    server_version, sys_version, protocol_version = 'python', '', 'HTTP/1.1'
    def answer(self, status, kind, body):
        self.send_response(status)
        for name, value in headers.items(): self.send_header(name, value)
        self.send_header('Content-Type', kind + '; charset=utf-8')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        if self.command != 'HEAD': self.wfile.write(body)
    def do_GET(self):
        path = self.path.split('?')[0]
        if path == '/': self.answer(200, 'text/html', page)
        elif path == '/favicon.ico': self.answer(204, 'text/plain', b'')
        else: self.answer(404, 'text/plain', b'nothing here')
    do_HEAD = do_GET
    def send_error(self, code, message=None, explain=None): self.answer(code, 'text/plain', b'no')
    def log_message(self, *rest): pass
class Server(h.ThreadingHTTPServer): request_queue_size = 128
Server(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever()
`

const folder = await mkdtemp(join(tmpdir(), 'healthy-'))
const ending = new AsyncDisposableStack()
ending.defer(() => rm(folder, { recursive: true }))

const servers: Record<string, () => Promise<string>> = {
  example: async () => {
    const accounts = ['verifier', 'bystander'].map((name) => `${name}:${name}-password:user`)
    const app = await startApp({
      DATABASE_URL: `sqlite:${join(folder, 'app.db')}`,
      LOG_LEVEL: 'error',
      REPLY_WORD_MS: '40', // as it is by itself: the tests' is too fast to be seen
      TEST_ACCOUNTS: accounts.join(','),
    })
    ending.defer(() => app.stop())
    return app.url
  },
  nginx: async () => {
    const root = join(folder, 'root')
    await mkdir(root)
    await Bun.write(join(root, 'index.html'), PAGE)
    await Bun.write(join(root, 'error.txt'), 'no')
    const said = Object.entries(HEADERS).map(([name, value]) => `add_header ${name} "${value}" always;`)
    const server = await startNginx(
      root,
      `listen 127.0.0.1:PORT; server_tokens off; charset utf-8;
      error_page 400 403 404 405 414 /error.txt; location ~ /\\. { return 404; }
      location = /favicon.ico { return 204; } ${said.join(' ')}`,
    )
    ending.use(server)
    return `http://127.0.0.1:${server.port}`
  },
  python: async () => {
    const port = await freePort()
    const child = Bun.spawn(['python3', '-c', PYTHON, `${port}`, PAGE, JSON.stringify(HEADERS)])
    ending.defer(async () => void (child.kill('SIGKILL'), await child.exited))
    for (let i = 0; i < 500 && !(await isOpen(port)); i++) await Bun.sleep(20)
    return `http://127.0.0.1:${port}`
  },
}

const [name = '', kind = 'plain'] = process.argv.slice(2)
const start = servers[name]
if (!start) throw new Error(`expected one of ${Object.keys(servers).join(', ')}, not "${name}"`)
const origin = await start()
const own = DOUBLED.map((header) => {
  const sent = header.toLowerCase().replaceAll('-', '_')
  return `add_header ${header} $upstream_http_${sent} always;`
})
const front = await startNginx(
  folder,
  `listen 127.0.0.1:PORT; server_tokens off; set $up ""; if ($http_upgrade) { set $up upgrade; }
  ${kind === 'strict' ? 'if ($http_host != "127.0.0.1:PORT") { return 503; }' : ''}
  location / { proxy_pass ${origin}; proxy_http_version 1.1; proxy_set_header Host $http_host;
    proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $up; proxy_buffering off;
    ${kind === 'doubling' ? own.join(' ') : ''} }`,
)
ending.use(front)
console.log(`http://127.0.0.1:${front.port}/`)
for await (const _ of Bun.stdin.stream()) continue
await ending.disposeAsync()
process.exit(0)
