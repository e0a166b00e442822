import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CheckResult } from '../../lib/check.ts'
import { pageQuality as schema, type PageQualitySettings } from '../../lib/settings/gates.ts'
import { FETCHED, findBrowser, INSTALL } from '../../verify/browser.ts'
import { judge, median } from '../../verify/page-quality/judge.ts'
import { leftOut, measured, type Run } from '../../verify/page-quality/runs.ts'
import { pageQuality } from '../../verify/page-quality.ts'
import { startApp } from '../examples/chatbot-platform/app-under-test.ts'

// The machine may be busy with other things.
setDefaultTimeout(180_000)

const url = 'http://127.0.0.1:4000'

describe('runs', () => {
  test.each<[string, number, string[], string[]]>([
    ['as many as asked for', 3, ['', '', ''], ['', '', '']],
    ['a failed recording is made again', 2, ['', 'NO_NAVSTART', ''], ['', '']],
    ['but once only', 3, ['NO_NAVSTART', '', 'NO_NAVSTART', ''], ['', 'NO_NAVSTART']],
    ['and no page that was not loaded', 3, ['ERRORED_DOCUMENT_REQUEST', ''], ['ERRORED_DOCUMENT_REQUEST']],
  ])('%s', async (_, runs, codes, kept) => {
    const left = [...codes]
    const numbers: number[] = []
    const results = await measured(runs, (number) => {
      numbers.push(number)
      const code = left.shift() ?? 'asked too often'
      return Promise.resolve(code === '' ? {} : { runtimeError: { code } })
    })
    expect(results.map(({ runtimeError }) => runtimeError?.code ?? '')).toEqual(kept)
    expect([numbers[0], numbers.at(-1)]).toEqual([1, kept.length])
  })
})

test('what only https can have is left out over plain http alone, and nothing that is asked for', () => {
  const names = ['is-on-https', 'redirects-http', 'has-hsts']
  expect(leftOut('http://127.0.0.1/', [])).toEqual(expect.arrayContaining(names))
  expect(leftOut('https://chat.example/', []).filter((name) => names.includes(name))).toEqual([])
  expect(leftOut('http://127.0.0.1/', ['has-hsts'])).not.toContain('has-hsts')
})

describe('median', () => {
  test.each<[number[], number]>([
    [[0.5], 0.5],
    [[0.9, 0.2, 0.5], 0.5],
    [[0.95, 0.2, 0.5], 0.5],
    [[1, 0], 0.5],
    [[4, 1, 3, 2], 2.5],
    [[10, 9, 100], 10],
    [[], Number.NaN],
    [[Number.NaN], Number.NaN],
    [[1, Number.NaN, 1], Number.NaN],
    [[Number.NaN, 1, 1], Number.NaN],
  ])('%j: %p', (values, middle) => expect(median(values)).toBe(middle))
})

/** A run with these scores of the one category, and figures of the one audit. */
const run = (score: number | null, value: number | null = 100, more: Partial<Run> = {}): Run => ({
  arrived: `${url}/`,
  categories: { performance: { score, worst: ['a', 'b', 'c', 'd'] } },
  audits: { lcp: { value, unit: 'millisecond' }, dom: { value, unit: 'element' } },
  ...more,
})

type Settings = Partial<Omit<PageQualitySettings, 'scores'>> & { scores?: Record<string, number | false> }
function judged(runs: Run[], settings: Settings, forwarded = false): string[] {
  const all = { ...schema.parse({ runs: Math.max(1, runs.length) }), scores: {}, audits: {}, ...settings }
  return judge(all, runs, { url, forwarded }).map(({ verdict, name, seen }) => `${verdict}: ${name}: ${seen}`)
}

describe('judge', () => {
  const scores = { performance: 0.8 }
  const FORWARDED = "; measured through a port-forward, so not the application's time alone"
  const BUSY = "; measured on a machine with a load of 40 on 2 cores, so not the application's time alone"
  test.each<[string, string[], string[]]>([
    ['good', judged([run(0.8)], { scores }), ['passed: performance: 0.8; it lost most by a, b, c']],
    ['perfect', judged([run(1)], { scores }), ['passed: performance: 1']],
    [
      'just not good',
      judged([run(0.79)], { scores }),
      ['failed: performance: 0.79; it lost most by a, b, c'],
    ],
    [
      'the median counts, not the best',
      judged([run(0.2), run(0.5), run(0.95)], { scores }),
      ['failed: performance: 0.5 (0.2, 0.5, 0.95); it lost most by a, b, c'],
    ],
    [
      'the median counts, not the worst',
      judged([run(1), run(0), run(1)], { scores }),
      ['passed: performance: 1 (1, 0, 1)'],
    ],
    [
      'no score',
      judged([run(null)], { scores }),
      ['inconclusive: performance: Lighthouse gave no figure for it'],
    ],
    [
      'one run of three without a score',
      judged([run(1), run(null), run(1)], { scores }),
      ['inconclusive: performance: Lighthouse gave no figure for it'],
    ],
    [
      'a category that it does not have',
      judged([run(1)], { scores: { seo: 0, performance: false } }),
      ['inconclusive: seo: Lighthouse gave no figure for it'],
    ],
    [
      'a least score of 0',
      judged([run(null)], { scores: { performance: 0 } }),
      ['inconclusive: performance: Lighthouse gave no figure for it'],
    ],
    ['a figure', judged([run(1, 100)], { audits: { lcp: 100 } }), ['passed: lcp: 100 millisecond']],
    ['too much', judged([run(1, 100.5)], { audits: { lcp: 100 } }), ['failed: lcp: 100.5 millisecond']],
    ['0 is a figure', judged([run(1, 0)], { audits: { lcp: 0 } }), ['passed: lcp: 0 millisecond']],
    [
      'no figure',
      judged([run(1, null)], { audits: { lcp: 100 } }),
      ['inconclusive: lcp: Lighthouse gave no figure for it'],
    ],
    [
      'no such audit',
      judged([run(1)], { audits: { nonsense: 1 } }),
      ['inconclusive: nonsense: Lighthouse gave no figure for it'],
    ],
    [
      'slow through a port-forward',
      judged([run(0.5, 200)], { scores, audits: { lcp: 100, dom: 100 } }, true),
      [
        `inconclusive: performance: 0.5; it lost most by a, b, c${FORWARDED}`,
        `inconclusive: lcp: 200 millisecond${FORWARDED}`,
        'failed: dom: 200 element',
      ],
    ],
    [
      'slow, of three runs on a machine that was busy for one',
      judged([run(0.5, 200), run(0.5, 200, { hindered: 'with a load of 40 on 2 cores' }), run(0.5, 200)], {
        scores,
        audits: { lcp: 100, dom: 100 },
      }),
      [
        `inconclusive: performance: 0.5 (0.5, 0.5, 0.5); it lost most by a, b, c${BUSY}`,
        `inconclusive: lcp: 200 millisecond (200, 200, 200)${BUSY}`,
        'failed: dom: 200 element (200, 200, 200)',
      ],
    ],
    [
      'fast on a machine that is busy',
      judged([run(1, 1, { hindered: 'with a load of 40 on 2 cores' })], { scores, audits: { lcp: 1 } }),
      ['passed: performance: 1', 'passed: lcp: 1 millisecond'],
    ],
    [
      'fast through a port-forward',
      judged([run(1, 1)], { scores, audits: { lcp: 1 } }, true),
      ['passed: performance: 1', 'passed: lcp: 1 millisecond'],
    ],
    [
      'one run that broke spoils all',
      judged([run(1), run(1, 1, { error: 'NO_FCP: no paint' }), run(1)], { scores }),
      ['inconclusive: page: NO_FCP: no paint'],
    ],
    ['fewer runs than asked for', judged([run(1)], { scores, runs: 3 }), ['inconclusive: page: 1 of 3 runs']],
    ['no run at all', judged([], { scores }), ['inconclusive: page: 0 of 1 runs']],
    [
      'another place',
      judged([run(1, 1, { arrived: 'https://login.example.com/' })], { scores }),
      [`inconclusive: page: the page of ${url} led to https://login.example.com/`],
    ],
    ['nothing asked', judged([run(1)], {}), ['inconclusive: page: no score and no figure is asked for']],
  ])('%s', (_, seen, expected) => expect(seen).toEqual(expected))
})

const told = (results: CheckResult[]) => results.map(({ name, verdict }) => `${name} ${verdict}`)

describe('Lighthouse', () => {
  const evidence = mkdtempSync(join(tmpdir(), 'page-quality-test-'))
  const never = new AbortController().signal
  const requests: string[] = []
  const note = (who: string, request: Request): void => {
    const { headers, method, url } = request
    const agent = headers.get('user-agent')?.endsWith(' deploy-scripts') ?? false
    requests.push(
      `${who} ${method} ${new URL(url).pathname} ${headers.get('x-deploy-verification')} ${agent}`,
    )
  }
  const other = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: (request) => {
      note('other', request)
      return new Response('{}', { headers: { 'access-control-allow-origin': '*' } })
    },
  })
  const POOR = `<body><h4>x</h4><img src="/x.png"><p style="color:#ddd;background:#fff">pale</p>
    <script>console.error('unhappy'); fetch('http://127.0.0.1:${other.port}/api')</script>`
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    idleTimeout: 0,
    fetch: (request) => {
      note('page', request)
      const { pathname } = new URL(request.url)
      if (pathname === '/never') return new Promise<Response>(() => {})
      if (pathname !== '/') return new Response('nothing here', { status: 404 })
      return new Response(POOR, { headers: { 'content-type': 'text/html' } })
    },
  })
  const home = `http://127.0.0.1:${server.port}`

  // Each process that a run starts inherits it.
  const MARK = `PAGE_QUALITY_TEST=${crypto.randomUUID()}`
  beforeAll(() => void (process.env['PAGE_QUALITY_TEST'] = MARK.split('=')[1]))
  afterAll(async () => {
    delete process.env['PAGE_QUALITY_TEST']
    rmSync(evidence, { recursive: true })
    await Promise.all([server.stop(true), other.stop(true)])
  })

  const left = (): string[] =>
    readdirSync('/proc').filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`${MARK}\0`)
      } catch {
        return false // not a process, or one that has just ended
      }
    })
  afterEach(async () => {
    while (left().length > 0) await Bun.sleep(20)
    expect(left()).toEqual([])
  })

  const check = async (
    target: string,
    settings: object,
    signal = never,
    variables: Record<string, string | undefined> = process.env,
  ): Promise<CheckResult[]> => {
    const gate = pageQuality(schema.parse({ runs: 1, ...settings }), variables)
    return await gate({ url: target, verification: 'v-1', evidence }, signal)
  }

  test('finds nothing wrong with the application of the guide', async () => {
    const app = await startApp({ DATABASE_URL: `sqlite:${evidence}/chat.db` })
    const results = await check(app.url, {
      audits: { 'cumulative-layout-shift': 0.1, 'total-byte-weight': 100_000 },
    })
    await app.stop()
    expect(results.map(({ name, verdict, seen }) => [name, verdict, seen])).toEqual([
      ['performance', 'passed', expect.any(String)],
      ['accessibility', 'passed', '1'],
      ['best-practices', 'passed', '1'],
      ['seo', 'passed', '1'],
      ['cumulative-layout-shift', 'passed', '0'],
      ['total-byte-weight', 'passed', expect.stringMatching(/^\d+ byte$/)],
    ])
    for (const file of results.flatMap(({ evidence: files = [] }) => files))
      expect(readFileSync(join(evidence, file), 'utf8')).toContain('lighthouseVersion')
  })

  test('finds what is wrong with a poor page; only requests to it are marked', async () => {
    requests.length = 0
    const audits = { 'total-byte-weight': 1, nonsense: 1 }
    const results = await check(home, {
      scores: { performance: false, accessibility: 0.9, 'best-practices': 0.95, seo: 0.9 },
      audits,
    })
    expect(told(results)).toEqual([
      'accessibility failed',
      'best-practices failed',
      'seo failed',
      'total-byte-weight failed',
      'nonsense inconclusive',
    ])
    const [accessibility, practices] = results
    expect(accessibility?.seen).toContain('image-alt')
    expect(practices?.seen).toContain('errors-in-console')
    expect(requests).toContain('page GET / v-1 true')
    expect(requests).toContain('other GET /api null true')
    const unmarked = requests.filter((line) => line.startsWith('page') && !line.endsWith('v-1 true'))
    expect(unmarked).toEqual(['page GET /robots.txt null false'])
    expect(requests.filter((line) => line.startsWith('other OPTIONS'))).toEqual([])
  })

  test.each<[string, string, string, RegExp]>([
    ['an error', home, '/gone', /^ERRORED_DOCUMENT_REQUEST: .*404/],
    ['nobody there', 'http://127.0.0.1:1', '/', /^(CHROME_INTERSTITIAL_ERROR|FAILED_DOCUMENT_REQUEST): /],
  ])('%s: inconclusive', async (_, target, path, seen) => {
    const results = await check(target, { path, runs: 3 })
    expect(told(results)).toEqual(['page inconclusive'])
    expect(results[0]?.seen).toMatch(seen)
  })

  test('ends once its figures are written, though Lighthouse keeps its process for 3 s more', async () => {
    const folder = mkdtempSync(join(evidence, 'run-'))
    const browser = await findBrowser(process.env)
    const wanted = {
      url: home,
      runs: 1,
      categories: ['seo'],
      audits: [],
      verification: 'v-1',
      browser,
      folder,
    }
    const program = join(import.meta.dir, '../../verify/page-quality/run.ts')
    const stdin = new Blob([JSON.stringify(wanted)])
    const run = Bun.spawn([process.execPath, program], { stdin, env: { ...process.env, TMPDIR: folder } })
    expect(await run.exited).toBe(0)
    expect(Date.now() - statSync(join(folder, 'runs.json')).mtimeMs).toBeLessThan(1500)
  })

  test('a page that never comes: inconclusive at the deadline, and the browser is ended', async () => {
    const results = await check(home, { path: '/never', timeout: '5s' })
    expect(results).toMatchObject([{ name: 'page', verdict: 'inconclusive', seen: 'no end within 5 s' }])
  })

  test('an interrupt is no verdict, and ends the browser', async () => {
    const stop = new AbortController()
    const before = requests.length
    const running = check(home, { path: '/never' }, stop.signal)
    while (requests.length === before) await Bun.sleep(20)
    expect(left().length).toBeGreaterThan(1)
    const at = performance.now()
    stop.abort(new Error('SIGINT'))
    expect(running).rejects.toThrow('SIGINT')
    await running.catch(() => {})
    expect(performance.now() - at).toBeLessThan(3000)
  })

  test('Lighthouse is killed: inconclusive', async () => {
    const before = requests.length
    const running = check(home, { path: '/never' })
    while (requests.length === before) await Bun.sleep(20)
    for (const pid of left()) process.kill(Number(pid), 'SIGKILL')
    expect(await running).toMatchObject([
      {
        verdict: 'inconclusive',
        seen: expect.stringMatching(/^Lighthouse (was killed|ended with exit code \d+) and left no figures/),
      },
    ])
  })

  test.each<readonly [Record<string, string>, string]>([
    [{ CHROMIUM_PATH: '/nowhere' }, 'CHROMIUM_PATH names no program: /nowhere'],
    ...(existsSync(FETCHED) ? [] : [[{ PATH: '/nowhere' }, 'There is no Chromium or Chrome here'] as const]),
  ])('no browser: inconclusive, with what installs one: %j', async (variables, seen) => {
    const before = requests.length
    const results = await check(home, {}, never, variables)
    expect(results).toMatchObject([
      {
        gate: 'page-quality',
        verdict: 'inconclusive',
        seen: `${seen}. To install ${seen.startsWith('C') ? 'a browser' : 'one'}: ${INSTALL}`,
      },
    ])
    expect(requests.length).toBe(before)
    expect(existsSync('/nowhere')).toBe(false)
  })
})
