import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { Database } from 'bun:sqlite'
import {
  copyFileSync,
  existsSync,
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
import type { CheckResult } from '../../lib/check.ts'
import { ui as schema, type Accounts } from '../../lib/settings/gates.ts'
import { FETCHED, INSTALL } from '../../verify/browser.ts'
import { ui } from '../../verify/ui.ts'
import { startApp, type AppUnderTest } from '../examples/chatbot-platform/app-under-test.ts'

// The machine may be busy with other things.
setDefaultTimeout(180_000)

const root = join(import.meta.dir, '../..')
const folder = mkdtempSync(join(tmpdir(), 'ui-test-'))
const evidence = join(folder, 'evidence')
const accounts: Accounts = { user: { name: 'alice', password: 'UI_TEST_PASSWORD' } }
const variables = { ...process.env, UI_TEST_PASSWORD: 'alice-password' }
const never = new AbortController().signal
let runs = 0

interface Asked {
  specs?: string
  timeout?: string
  maxFailures?: number
  signal?: AbortSignal
  progress?: (state: string) => void
  variables?: Record<string, string | undefined>
  verification?: string
}

async function judge(url: string, asked: Asked = {}): Promise<CheckResult[]> {
  const settings = schema.parse({
    specs: asked.specs ?? join(root, 'verify/ui'),
    timeout: asked.timeout ?? '2m',
    maxFailures: asked.maxFailures,
  })
  const target = { url, verification: asked.verification ?? `run-${++runs}`, evidence }
  return await ui(settings, accounts, asked.variables ?? variables)(
    target,
    asked.signal ?? never,
    asked.progress,
  )
}

/** The same server, where the browser trusts it no more than one elsewhere: it takes this address for no loopback. */
const notLocalhost = (url: string): string => url.replace('127.0.0.1', '0.0.0.0')

const told = (results: CheckResult[]) => results.map(({ verdict, name }) => `${verdict}: ${name}`).toSorted()

/** A folder of specs as another application would have it, with the configuration that comes with this one. */
function specs(name: string, files: Record<string, string>): string {
  const path = join(folder, name)
  mkdirSync(path)
  copyFileSync(join(root, 'verify/ui/playwright.config.ts'), join(path, 'playwright.config.ts'))
  symlinkSync(join(root, 'node_modules'), join(path, 'node_modules'))
  for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text)
  return path
}

/** Everything that was kept, archives unpacked. */
function keptText(): string {
  const files = readdirSync(evidence, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  )
  return files
    .flatMap(({ parentPath, name }) => {
      const data = readFileSync(join(parentPath, name))
      if (name.endsWith('.zip')) return entriesOf(data)
      const text = data.toString('latin1')
      const [, inside = ''] = /data:application\/zip;base64,([^<]+)/.exec(text) ?? []
      return [text, ...(inside ? entriesOf(Buffer.from(inside, 'base64')) : [])]
    })
    .join('\n')
}

const entriesOf = (archive: Buffer): string[] =>
  Object.values(unzipSync(archive)).map((entry) => Buffer.from(entry).toString('latin1'))

/** Processes that were started for a run: each has its mark among its variables. */
function processesOf(verification: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`VERIFY_ID=${verification}\0`)
    } catch {
      return false // not a process, or one that has just ended
    }
  })
}

afterAll(() => rmSync(folder, { recursive: true }))

describe('the application of the guide', () => {
  const database = join(folder, 'chat.db')
  const settings = { DATABASE_URL: `sqlite:${database}`, REPLY_WORD_MS: '40' }
  let app: AppUnderTest
  let broken: AppUnderTest
  beforeAll(async () => {
    app = await startApp(settings)
    broken = await startApp({ ...settings, FAULT_BROKEN_LOGIN: '1' })
  })
  afterAll(async () => {
    await app.stop()
    await broken.stop()
  })

  const flows = [
    'conversation › a new conversation is opened and listed',
    'conversation › history survives a reload',
    'conversation › the reply to a message streams in',
    'keyboard › the keyboard is enough',
    'page › on a phone › a message can be sent, and nothing is wider than the screen',
    'page › the page loads without console errors or failed requests',
    'sign-in › a wrong password › does not sign in, and says so',
    'sign-in › signing out ends the session',
    'sign-in › the right password signs in',
  ]

  test('passes every check on plain http that is not localhost, and nothing is left behind', async () => {
    const states: string[] = []
    const results = await judge(notLocalhost(app.url), { progress: (state) => states.push(state) })
    expect(results.filter(({ verdict }) => verdict !== 'passed')).toEqual([])
    expect(told(results)).toEqual(flows.map((flow) => `passed: ${flow}`))
    expect(states).toEqual(flows.map((_, i) => `ui: ${i + 1} of ${flows.length}`))
    for (const file of results.flatMap(({ evidence = [] }) => evidence))
      expect(existsSync(join(evidence, file))).toBe(true)
    using rows = new Database(database, { readonly: true })
    for (const table of ['conversations', 'sessions'])
      expect([table, rows.query(`SELECT * FROM ${table}`).all()]).toEqual([table, []])
  })

  test('with a sign-in that is broken, exactly what needs its script fails', async () => {
    const results = await judge(broken.url)
    const spared = 'page › the page loads without console errors or failed requests'
    const expected = flows.map((flow) => `${flow === spared ? 'passed' : 'failed'}: ${flow}`)
    expect(told(results)).toEqual(expected.toSorted())
    for (const { verdict, seen, evidence: files = [] } of results) {
      expect(seen).not.toContain('\u001b')
      expect(seen.length).toBeLessThanOrEqual(200)
      if (verdict === 'passed') continue
      for (const kind of [
        /\/console\.txt$/,
        /\/test-failed-1\.png$/,
        /\/trace\.zip$/,
        /^ui\/report\/index\.html$/,
      ]) {
        const file = files.find((name) => kind.test(name)) ?? 'none'
        expect([file, existsSync(join(evidence, file))]).toEqual([file, true])
      }
    }
    expect(results.find(({ name }) => name.endsWith('the right password signs in'))?.seen).toContain(
      'FAULT_BROKEN_LOGIN',
    )
    const text = keptText()
    expect(text).toContain('fault: FAULT_BROKEN_LOGIN')
    expect(text).toContain('not-the-password') // what is no secret is there, so what was typed is looked at
    expect(text).not.toContain('alice-password')
  })
})

/** A spec that opens a page and waits until it has done what it does. */
const opens = (path: string): string =>
  `test('${path}', async ({ page }) => { await page.goto('${path}', { waitUntil: 'networkidle' }) })\n`

const NO_REPORT = /^Playwright ended with exit code 0 and left no report/
const passes = `import { test } from '@playwright/test'; test('passes', () => {})`
const KILLS = `import { test } from '@playwright/test'
  test('kills', async () => { process.kill(process.ppid, 'SIGKILL'); await new Promise(() => {}) })`
const inMain = (code: string): string =>
  `import { spawn } from 'node:child_process'
   import { writeFileSync } from 'node:fs'
   const report = process.env.PLAYWRIGHT_JSON_OUTPUT_FILE
   if (!process.env.TEST_WORKER_INDEX) { ${code} }
   export default {}`
describe('the specs of another application', () => {
  test('a password is in no error, also where its words are cut', async () => {
    const own = specs('cut', {
      'a.spec.ts': `import { test } from '@playwright/test'
        test('a', () => { throw new Error('p'.repeat(190) + process.env.VERIFY_PASSWORD) })`,
    })
    const [result] = await judge('http://127.0.0.1:1', { specs: own })
    expect(result?.verdict).toBe('failed')
    expect(result?.seen).toBe(`${'p'.repeat(190)}***`)
  })

  const fixtures = join(root, 'verify/ui/fixtures.ts')
  const seen: string[] = []
  const other = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: (request) => {
      seen.push(`other ${request.method} ${request.headers.get('x-deploy-verification')}`)
      return new Response('', { headers: { 'access-control-allow-origin': '*' } })
    },
  })
  const pages: Record<string, string> = {
    '/cors': `fetch('http://127.0.0.1:${other.port}/').then(() => (document.title = 'reached'))`,
    '/error': `console.error('the page is unhappy')`,
    '/uncaught': `throw new Error('nobody caught it')`,
    '/missing': `document.body.append(Object.assign(new Image(), { src: '/no-such.png' }))`,
    '/refused': `fetch('http://127.0.0.1:1/').catch(() => {})`,
    '/opener': ``,
    '/opener-error': `console.error('the page is unhappy')`,
  }
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: (request) => {
      const { pathname } = new URL(request.url)
      seen.push(
        `${pathname} ${request.headers.get('x-deploy-verification')} ${request.headers.get('user-agent')}`,
      )
      const script = pages[pathname]
      if (script === undefined) return new Response('', { status: 404 })
      const html = `<title>page</title><link rel="icon" href="data:,"><body><script>${script}</script>`
      const opener = pathname.startsWith('/opener') && { 'cross-origin-opener-policy': 'same-origin' }
      return new Response(html, { headers: { 'content-type': 'text/html', ...opener } })
    },
  })
  const url = `http://127.0.0.1:${server.port}`
  afterAll(() => Promise.all([server.stop(true), other.stop(true)]))

  test('each is judged by what the browser met', async () => {
    const own = specs('own', {
      'pages.spec.ts': [
        `import { expect, test } from '${fixtures}'`,
        ...['/error', '/uncaught', '/missing', '/refused'].map(opens),
        `test('/cors', async ({ page }) => { await page.goto('/cors'); await expect(page).toHaveTitle('reached') })`,
        `test('skipped', async () => { test.skip(true, 'not in this country') })`,
        `test.skip('skipped for no reason', async () => {})`,
        `test.describe('again', () => { test.describe.configure({ retries: 1 }); let tries = 0`,
        `test('flaky', async ({}, info) => { expect(info.retry).toBe(1) }) })`,
      ].join('\n'),
    })
    const results = await judge(url, { specs: own, verification: 'run-cors' })
    const bySeen = results.map(({ verdict, name, seen }) => [name.replace('pages › ', ''), verdict, seen])
    expect(bySeen).toEqual([
      ['/error', 'failed', expect.stringContaining('The browser complains: error: the page is unhappy')],
      ['/uncaught', 'failed', 'The browser complains: uncaught: nobody caught it'],
      ['/missing', 'failed', expect.stringContaining('the server responded with a status of 404')],
      ['/refused', 'failed', expect.stringContaining('ERR_')],
      ['/cors', 'passed', 'all steps succeed'],
      ['skipped', 'skipped', 'skipped: not in this country'],
      ['skipped for no reason', 'inconclusive', 'skipped, and its spec does not say why'],
      ['again › flaky', 'inconclusive', expect.stringContaining('failed, then passed when tried again')],
    ])
    expect(seen).toContain('other GET null')
    expect(seen.filter((line) => line.startsWith('other OPTIONS'))).toEqual([])
    const page = seen.find((line) => line.startsWith('/cors'))
    expect(page).toMatch(/^\/cors run-cors Mozilla.* deploy-scripts$/)
  })

  test('after as many failures as are allowed the rest is not tried, and that is said once', async () => {
    const all = ['/error', '/uncaught', '/missing', '/refused', '/cors', '/opener']
    const lines = [`import { test } from '${fixtures}'`, ...all.map(opens)]
    const own = specs('enough', { 'pages.spec.ts': lines.join('\n') })
    const results = await judge(url, { specs: own, maxFailures: 1 })
    expect(results.filter(({ verdict }) => verdict === 'failed').length).toBeGreaterThanOrEqual(1)
    expect(results.length).toBeLessThan(all.length)
    expect(results.at(-1)).toMatchObject({
      name: 'specs',
      verdict: 'inconclusive',
      seen: expect.stringMatching(
        /^[2-5] were not tried, or not to their end: [12] had failed \(ui\.maxFailures\)$/,
      ),
    })
  })

  test('the browser’s word on a header that it ignores on plain http is no complaint; others still are', async () => {
    const own = specs('plain-http', {
      'pages.spec.ts': [
        `import { test } from '${fixtures}'`,
        ...['/opener', '/opener-error'].map(opens),
      ].join('\n'),
    })
    const results = await judge(notLocalhost(url), { specs: own })
    expect(results.map(({ name, verdict, seen }) => [name.replace('pages › ', ''), verdict, seen])).toEqual([
      ['/opener', 'passed', 'all steps succeed'],
      [
        '/opener-error',
        'failed',
        expect.stringMatching(/^The browser complains: error: the page is unhappy [^;]*$/),
      ],
    ])
  })

  test('a page that asks again and again is not waited for, and no service worker of its asks unmarked', async () => {
    const asked = new Set<string>()
    using restless = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch: (request) => {
        const { pathname } = new URL(request.url)
        asked.add(pathname)
        const type = pathname === '/' ? 'text/html' : 'text/javascript'
        const page = `<title>restless</title><h1>restless</h1><button>Sign in</button><script>
          navigator.serviceWorker.register('/worker.js'); setInterval(() => fetch('/again'), 100)</script>`
        const worker = `self.addEventListener('install', () => fetch('/unmarked'))`
        return new Response(pathname === '/' ? page : worker, { headers: { 'content-type': type } })
      },
    })
    const own = specs('restless', {
      'fixtures.ts': `export * from '${fixtures}'`,
      'page.spec.ts': `${readFileSync(join(root, 'verify/ui/page.spec.ts'), 'utf8').split('test.describe(')[0]}
        test('is there for a while', async ({ page }) => { await page.goto('/'); await page.waitForTimeout(1500) })`,
    })
    const results = await judge(`http://127.0.0.1:${restless.port}`, { specs: own, verification: 'restless' })
    expect(told(results)).toEqual([
      'passed: page › is there for a while',
      'passed: page › the page loads without console errors or failed requests',
    ])
    expect(asked.has('/again')).toBe(true)
    expect([asked.has('/worker.js'), asked.has('/unmarked')]).toEqual([false, false])
  })

  const BUSY = `import { test } from '${fixtures}'
    test('busy', async ({ page }) => { await page.goto('/cors'); for (;;); })`

  test('an interrupt is no verdict, and ends the browser as well', async () => {
    const temporary = mkdtempSync(join(folder, 'tmp-'))
    const { TMPDIR } = process.env
    process.env['TMPDIR'] = temporary
    const stop = new AbortController()
    const own = specs('interrupted', { 'busy.spec.ts': BUSY })
    const running = judge(url, { specs: own, signal: stop.signal, verification: 'run-interrupted' })
    while (!seen.some((line) => line.includes('run-interrupted'))) await Bun.sleep(20)
    expect(processesOf('run-interrupted').length).toBeGreaterThan(2) // Playwright, its worker, the browser
    const at = performance.now()
    stop.abort(new Error('SIGINT'))
    expect(running).rejects.toThrow('SIGINT')
    await running.catch(() => {})
    expect(performance.now() - at).toBeLessThan(3000)
    if (TMPDIR === undefined) delete process.env['TMPDIR']
    else process.env['TMPDIR'] = TMPDIR
    while (processesOf('run-interrupted').length > 0) await Bun.sleep(20)
    expect(processesOf('run-interrupted')).toEqual([])
    expect(readdirSync(temporary).filter((name) => !name.startsWith('playwright-transform-cache'))).toEqual(
      [],
    )
  })

  test('what does not end is ended at the deadline, with its browser', async () => {
    // Playwright ends it itself where it can in what is left to it; on a machine that is busy, it is ended.
    const ends = /^(no end within \d+ s|Timed out waiting [\d.]+s for the test suite to run)$/
    // Where the machine is so busy that the browser is not there in time, a longer one shows the same.
    for (const time of [6, 18, 54]) {
      const verification = `run-late-${time}`
      const own = specs(verification, { 'busy.spec.ts': BUSY })
      const at = performance.now()
      const results = await judge(url, { specs: own, timeout: `${time}s`, verification })
      expect(performance.now() - at).toBeLessThan((time + 10) * 1000)
      while (processesOf(verification).length > 0) await Bun.sleep(20)
      expect(processesOf(verification)).toEqual([])
      expect(results.map(({ verdict }) => verdict)).toEqual(results.map(() => 'inconclusive'))
      expect(results.at(-1)?.seen).toMatch(ends)
      for (const { seen } of results.slice(0, -1)) expect(seen).toBe('did not run to its end')
      const asked = seen.filter((line) => line.includes(verification)).length
      if (asked === 0 && time < 54) continue
      expect(asked).toBe(1)
      return
    }
  })

  test('a worker that is busy and deaf does not outlive a runner that has ended', async () => {
    const busy = `spawn('sh', ['-c', 'trap "" TERM; while :; do :; done'], { stdio: 'inherit' }); process.exit(0)`
    const own = specs('left-behind', { 'a.spec.ts': passes, 'playwright.config.ts': inMain(busy) })
    const results = await judge(url, { specs: own, verification: 'run-left-behind' })
    expect(results).toMatchObject([{ verdict: 'inconclusive', seen: expect.stringMatching(NO_REPORT) }])
    while (processesOf('run-left-behind').length > 0) await Bun.sleep(20)
  }, 60_000)

  test.each<[string, Record<string, string>, string | RegExp]>([
    ['no specs', {}, 'Error: No tests found'],
    ['specs without a test', { 'a.spec.ts': '' }, 'Error: No tests found'],
    [
      'only tests that are skipped',
      {
        'a.spec.ts': `import { test } from '@playwright/test'; test('a', async () => { test.skip(true, 'why') })`,
      },
      'every test was skipped',
    ],
    [
      'a test that is singled out',
      {
        'a.spec.ts': `import { test } from '@playwright/test'; test.only('a', () => {}); test('b', () => {})`,
      },
      /item focused with '.only' is not allowed/,
    ],
    ['a spec that does not parse', { 'a.spec.ts': 'test(', 'b.spec.ts': passes }, /SyntaxError/],
    ['a runner that is killed', { 'a.spec.ts': KILLS }, /^Playwright was killed and left no report/],
    [
      'a runner that ends well without a report',
      { 'a.spec.ts': passes, 'playwright.config.ts': inMain('process.exit(0)') },
      NO_REPORT,
    ],
    [
      'a report that is half written',
      {
        'a.spec.ts': passes,
        'playwright.config.ts': inMain(`process.on('exit', () => writeFileSync(report, '{"suites":[{"ti'))`),
      },
      'no report that can be read, and exit code 0',
    ],
    [
      'a configuration that throws',
      { 'playwright.config.ts': `throw new Error('no setting')` },
      /no setting/,
    ],
  ])('%s: inconclusive', async (name, files, seen) => {
    const results = await judge(url, { specs: specs(name.replaceAll(' ', '-'), files) })
    const last = results.at(-1)
    expect(last).toMatchObject({ gate: 'ui', name: 'specs', verdict: 'inconclusive' })
    expect(last?.seen).toMatch(seen)
    expect(results.slice(0, -1).filter(({ verdict }) => verdict === 'passed')).toEqual([])
    for (const file of results.flatMap(({ evidence = [] }) => evidence))
      expect(existsSync(join(evidence, file))).toBe(true)
  })
})

const ANY_BROWSER: [string, Asked, string] = [
  'any browser',
  { variables: { UI_TEST_PASSWORD: 'alice-password', PATH: '/nowhere' } },
  `There is no Chromium or Chrome here. To install one: ${INSTALL}`,
]

describe('what is missing is named, and nothing is run', () => {
  test.each<[string, Asked, string]>([
    [
      'the browser that was asked for',
      { variables: { ...variables, CHROMIUM_PATH: '/nowhere' } },
      `CHROMIUM_PATH names no program: /nowhere. To install a browser: ${INSTALL}`,
    ],
    ...(existsSync(FETCHED) ? [] : [ANY_BROWSER]),
    ['the password', { variables: {} }, "the variable UI_TEST_PASSWORD, alice's password, is not set"],
    ['the folder', { specs: '/nowhere' }, "ENOENT: no such file or directory, scandir '/nowhere'"],
    ['the configuration', { specs: tmpdir() }, `${tmpdir()} has no playwright.config.ts`],
  ])('%s', async (_, asked, seen) => {
    const results = await judge('http://127.0.0.1:9', asked)
    expect(results).toMatchObject([{ gate: 'ui', name: 'specs', verdict: 'inconclusive' }])
    expect(results[0]?.seen).toStartWith(seen)
  })
})
