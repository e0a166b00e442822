/** A secret is planted wherever one can enter; then every file and byte that leaves is searched, archives included. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { unzipSync } from 'fflate'
import { stringify } from 'yaml'
import type { CheckResult } from '../../lib/check.ts'
import { loadEnvironment } from '../../lib/settings/load.ts'
import { gatesOf, type Kind } from '../../verify/gates.ts'

setDefaultTimeout(120_000)

const folder = mkdtempSync(join(tmpdir(), 'secrets-test-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** Each with what is written otherwise in addresses, JSON and HTML. */
const SECRETS = {
  password: `Pass-w0rd "&'<ü> of verifier`,
  other: 'Other-pass-w0rd',
  variable: 'V4r/i+able"key=of a path',
  header: 'H3ader-key-of-an-api',
  session: 'SESSIONTOKEN0123456789abcdef',
  bearer: 'bearer.of-the_application.0987654321',
}
const variables = { VERIFIER_PASSWORD: SECRETS.password, BYSTANDER_PASSWORD: SECRETS.other }
const named = {
  PATH_SECRET: encodeURIComponent(SECRETS.variable),
  TEXT_SECRET: SECRETS.variable,
  API_KEY: SECRETS.header,
}

const SPEC = `
import { expect, test } from '@playwright/test'
const { TARGET_URL, VERIFY_PASSWORD: password = '' } = process.env
test('shows what it knows', async ({ page, context, request }) => {
  await page.goto(TARGET_URL + '/form')
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button').click()
  await request.post(TARGET_URL + '/api/session', { data: { password }, headers: { authorization: 'Bearer ${SECRETS.bearer}' } })
  const { cookies } = await context.storageState()
  console.log('typed', password, JSON.stringify(cookies))
  expect('x'.repeat(PAD) + password + ' ' + document(cookies)).toBe('nothing')
})
const document = (cookies: object): string => JSON.stringify(JSON.stringify(cookies))
`
const CONFIG = `
import { defineConfig } from '@playwright/test'
export default defineConfig({
  use: { launchOptions: { executablePath: process.env.CHROMIUM_PATH, args: ['--no-sandbox'] }, trace: 'on', screenshot: 'on' },
})
`

/** Says back whatever it is told, in as many ways as there are, and hands out a session with every page. */
const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  fetch: async (request) => {
    const { pathname, href } = new URL(request.url)
    const body = await request.text()
    const told = { href, body, headers: Object.fromEntries(request.headers), ...SECRETS }
    const headers = { 'set-cookie': `session=${SECRETS.session}; Path=/`, 'x-said': encodeURIComponent(body) }
    if (pathname === '/api/session' && body.includes('w0rd'))
      return Response.json({ token: SECRETS.bearer, said: told }, { headers })
    if (pathname === '/api/session') return Response.json({ error: told }, { status: 401, headers })
    const form = '<form method="post"><label>Password <input name="p"></label><button>Go</button></form>'
    const page = `<!doctype html><title>t</title>${form}<pre>${Bun.escapeHTML(JSON.stringify(told))}</pre><script>console.error(${JSON.stringify(JSON.stringify(told)).replaceAll('<', '\\u003c')})</script>`
    return new Response(page, { headers: { ...headers, 'content-type': 'text/html; charset=utf-8' } })
  },
})
afterAll(() => server.stop(true))

const results: CheckResult[] = []
const said: string[] = []
const evidence = join(folder, 'evidence')
let kept = ''

/** By hand, and not as `lib/secrets.ts` does it: what it forgets is to be found here. */
function leaks(name: string, data: Buffer): string[] {
  if (data.subarray(0, 2).toString() === 'PK')
    return Object.entries(unzipSync(data)).flatMap(([entry, bytes]) =>
      leaks(`${name} > ${entry}`, Buffer.from(bytes)),
    )
  const text = data.toString()
  const inside = [...text.matchAll(/data:application\/zip;base64,([A-Za-z0-9+/=]+)/g)].flatMap(
    ([, archive = '']) => leaks(`${name} > archive`, Buffer.from(archive, 'base64')),
  )
  const decoded = [...text.matchAll(/[A-Za-z0-9+/_-]{16,}=*/g)].map(([word]) =>
    Buffer.from(word, 'base64').toString(),
  )
  const readable = [text, ...decoded].flatMap((one) => [
    one,
    one.replaceAll('+', ' '),
    one.replaceAll('\\', ''),
  ])
  const plain = readable.flatMap((one) => [
    one,
    one.replace(/(%[0-9a-f]{2})+/gi, (code) => {
      try {
        return decodeURIComponent(code)
      } catch {
        return code
      }
    }),
    one
      .replaceAll('&quot;', '"')
      .replaceAll('&#x27;', "'")
      .replaceAll('&lt;', '<')
      .replaceAll('&gt;', '>')
      .replaceAll('&amp;', '&'),
  ])
  const found = Object.entries(SECRETS).flatMap(([kind, secret]) => {
    // Half of it is too much as well.
    const half = secret.slice(0, Math.ceil(secret.length / 2))
    return plain.some((one) => one.includes(half)) ? [`${kind} in ${name}`] : []
  })
  return [...inside, ...found]
}

beforeAll(async () => {
  Object.assign(process.env, variables)
  const specs = join(folder, 'specs')
  mkdirSync(specs, { recursive: true })
  symlinkSync(join(import.meta.dir, '../../node_modules'), join(specs, 'node_modules'))
  // The password is where the words of an error are cut.
  for (const pad of [130, 155, 180])
    writeFileSync(join(specs, `p${pad}.spec.ts`), SPEC.replace('PAD', String(pad)))
  writeFileSync(join(specs, 'playwright.config.ts'), CONFIG)
  const file = join(folder, 'deploy.yaml')
  const header = { 'x-api-key': '${API_KEY}', authorization: 'Bearer ${API_KEY}' }
  const body = '{"name":"{name}","password":"{password}","key":"${API_KEY}"}'
  const path = '/page?key=${PATH_SECRET}'
  writeFileSync(
    file,
    stringify({
      app: 'chat',
      image: 'example/chat',
      smoke: [
        { name: 'fails at ${TEXT_SECRET}', path, expect: { text: '${TEXT_SECRET} is not there' } },
        {
          name: 'is answered otherwise',
          path: '/api/session',
          expect: { status: 404, json: { a: '${API_KEY}' } },
        },
        { name: 'sends', method: 'POST', path, headers: header, body, expect: { status: 500 } },
      ],
      accounts: {
        user: { name: 'verifier', password: 'VERIFIER_PASSWORD' },
        other: { name: 'bystander', password: 'BYSTANDER_PASSWORD' },
      },
      ui: { specs, timeout: '60s' },
      performance: {
        rate: 20,
        duration: '1s',
        warmup: '0s',
        endpoints: [{ path, headers: header, body, method: 'POST', status: 418 }],
      },
      security: {
        rate: 50,
        pages: [path, '/'],
        signIn: { path: '/api/session', body, headers: header, token: 'token' },
        protected: [{ path: `/api/me?key=\${PATH_SECRET}`, headers: header }],
        owned: { path: '/api/things', body, headers: header },
        redirects: [{ path: '/login', parameter: 'next' }],
      },
      pageQuality: { path, runs: 1, scores: { performance: false, seo: false, 'best-practices': 0.9 } },
      environments: {
        test: { context: 'test', namespace: 'chat', manifests: 'none', url: 'http://127.0.0.1:1' },
      },
    }),
  )
  const environment = loadEnvironment(file, 'test', named)
  process.env['GITHUB_STEP_SUMMARY'] = join(folder, 'summary.md')
  const run = async (only: Kind[]): Promise<void> => {
    const gates = gatesOf(environment, { only })
    kept += JSON.stringify(gates.kept)
    const target = { url: server.url.origin, verification: 'v-1', evidence: join(evidence, only.join('-')) }
    results.push(...(await gates.preview(target, new AbortController().signal, (state) => said.push(state))))
  }
  try {
    await run(['smoke'])
    await run(['performance', 'ui', 'security', 'page-quality'])
  } finally {
    delete process.env['GITHUB_STEP_SUMMARY']
  }
})

describe('a secret', () => {
  test('was where it could be seen: every kind has said something of it', () => {
    const kinds = new Set(results.filter(({ verdict }) => verdict === 'failed').map(({ gate }) => gate))
    expect(kinds).toEqual(new Set(['smoke', 'performance', 'ui', 'security', 'page-quality']))
    expect(leaks('what the application says', Buffer.from(JSON.stringify(SECRETS)))).toHaveLength(6)
  })

  test('is in no file that is kept, nor in an archive in one', () => {
    const files = readdirSync(evidence, { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    )
    const names = files.map(({ name }) => name)
    for (const name of [
      'trace.zip',
      'index.html',
      'security.md',
      'performance.json',
      'report.json',
      'checks.json',
      'junit.xml',
    ])
      expect(names).toContain(name)
    expect(
      files.flatMap(({ parentPath, name }) => leaks(name, readFileSync(join(parentPath, name)))),
    ).toEqual([])
  })

  test('is in no result, no record, no summary, and in nothing that is told meanwhile', () => {
    expect(leaks('results', Buffer.from(JSON.stringify(results)))).toEqual([])
    expect(leaks('kept', Buffer.from(kept))).toEqual([])
    expect(kept).toContain('fingerprint')
    expect(leaks('progress', Buffer.from(said.join('\n')))).toEqual([])
    expect(leaks('summary', readFileSync(join(folder, 'summary.md')))).toEqual([])
  })
})
