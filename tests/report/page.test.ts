/** Reports and trends as a browser shows them: wide and narrow, light and dark, on paper. Needs a browser. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { chromium, type Browser } from '@playwright/test'
import { launch } from 'chrome-launcher'
import lighthouse from 'lighthouse'
import { reportPage } from '../../lib/report/page.ts'
import { trendsPage } from '../../lib/report/trends-page.ts'
import { trendsOf } from '../../lib/report/trends.ts'
import { temporaryFolder } from '../../lib/temporary.ts'
import { findBrowser } from '../../verify/browser.ts'
import { generated, iso, START } from '../lib/report/records.ts'
import { everyKind, report } from '../lib/report/reports.ts'

const LIMIT = 120_000
const folder = temporaryFolder()
/** To look at: `KEEP=/tmp/pages bun test tests/report`. */
const { KEEP } = process.env
const now = START + 60 * 86_400_000

function trends(): string {
  const environments = ['production', 'staging'].map((name, i) => {
    const archived = generated(i === 0 ? 60 : 0, 59, name).map((one) => one.archived)
    return { trends: trendsOf(name, archived, now), records: archived.map(({ record }) => record) }
  })
  return trendsPage({ app: 'chat', environments, reported: new Set(), missing: ['x'], madeAt: iso(now) })
}

/** A line that never ends, and words that would like to be more than that. */
const long = `<img src=x onerror="document.title='hurt'">${'x'.repeat(10_000)}`
const hostile = report({
  by: long,
  reason: long,
  message: long,
  outcome: 'failed',
  to: { color: 'green', release: 'r', version: long.slice(0, 90), image: long },
  steps: [{ name: long, at: iso(START), ms: 1 }],
  checks: [
    { gate: 'ui', name: long, verdict: 'failed', ms: 1, expected: long, seen: long, evidence: [long] },
  ],
})

/** As large as it gets: pictures for all the room that there is. */
const large = report(
  {},
  {
    evidence: {
      ...report().evidence,
      screenshots: Array.from({ length: 3 }, (_, i) => ({
        file: `${i}.png`,
        check: 'ui: it is there',
        data: `data:image/png;base64,${'A'.repeat(533_000)}`,
      })),
    },
  },
)

const pages: Readonly<Record<string, string>> = {
  ...Object.fromEntries(Object.entries(everyKind).map(([name, one]) => [name, reportPage(one)])),
  hostile: reportPage(hostile),
  trends: trends(),
}

const addressOf = (name: string): string => `file://${join(folder.path, `${name}.html`)}`

let browser: Browser
beforeAll(async () => {
  for (const [name, page] of Object.entries(pages)) writeFileSync(join(folder.path, `${name}.html`), page)
  if (KEEP) mkdirSync(KEEP, { recursive: true })
  browser = await chromium.launch({ executablePath: await findBrowser(process.env), args: ['--no-sandbox'] })
}, LIMIT)
afterAll(async () => {
  await browser.close()
  folder[Symbol.dispose]()
}, LIMIT)

const screens = [390, 1440].flatMap((width) =>
  (['light', 'dark'] as const).map((colors) => [width, colors] as const),
)

describe.each(screens)('at %d px, %s', (width, colorScheme) => {
  test(
    'they open from disk: nothing is asked for, nothing complains, nothing is wider than the screen',
    async () => {
      const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme })
      const heard: string[] = []
      page.on('console', (message) => void heard.push(message.text()))
      page.on('pageerror', (error) => void heard.push(error.message))
      page.on('request', (request) => {
        if (!/^(data:|file:)/.test(request.url())) heard.push(request.url())
      })
      for (const name of Object.keys(pages)) {
        await page.goto(addressOf(name))
        const wide = await page.locator('html').evaluate((root) => root.scrollWidth)
        expect([name, wide, heard]).toEqual([name, width, []])
        expect(await page.title()).not.toBe('hurt')
        if (KEEP)
          await page.screenshot({ path: join(KEEP, `${name}-${width}-${colorScheme}.png`), fullPage: true })
      }
      await page.close()
    },
    LIMIT,
  )
})

test(
  'paper is A4, has all that was folded up, and no dark ground',
  async () => {
    const page = await browser.newPage({ colorScheme: 'dark' })
    await page.goto(addressOf('success'))
    const file = join(KEEP ?? folder.path, 'success.pdf')
    await page.pdf({ path: file, preferCSSPageSize: true, printBackground: true })
    expect(readFileSync(file).toString('latin1')).toMatch(/\/MediaBox \[0 0 59[45][.\d]* 84[12][.\d]*\]/)
    await page.emulateMedia({ media: 'print', colorScheme: 'dark' })
    const folded = page.locator('details:not([open]) .checks li').first()
    expect(await folded.evaluate((item) => item.getBoundingClientRect().height)).toBeGreaterThan(0)
    const ground: unknown = await page.evaluate('getComputedStyle(document.body).backgroundColor')
    expect(ground).toBe('rgb(255, 255, 255)')
    await page.close()
  },
  LIMIT,
)

test('a page with all the pictures that it may hold is smaller than 2 MB', () =>
  expect(Buffer.byteLength(reportPage(large))).toBeLessThan(2_000_000))

/** Nothing is loaded and nothing measured: such a page has no quiet to be waited for. In ms; 0 would be the default. */
const AT_ONCE = {
  pauseAfterFcpMs: 1,
  pauseAfterLoadMs: 1,
  networkQuietThresholdMs: 1,
  cpuQuietThresholdMs: 1,
  disableFullPageScreenshot: true,
  logLevel: 'silent',
} as const

test(
  'Lighthouse finds them accessible: at least 95 of 100',
  async () => {
    const server = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch: ({ url }) => {
        const page = pages[new URL(url).pathname.slice(1)]
        return new Response(page, { headers: { 'content-type': 'text/html' } })
      },
    })
    const chromePath = await findBrowser(process.env)
    const chromeFlags = ['--headless=new', '--no-sandbox', '--disable-dev-shm-usage']
    const chrome = await launch({ chromePath, chromeFlags, logLevel: 'silent', maxConnectionRetries: 200 })
    try {
      for (const name of Object.keys(pages)) {
        const address = `http://127.0.0.1:${server.port}/${name}`
        const result = await lighthouse(address, {
          port: chrome.port,
          onlyCategories: ['accessibility'],
          ...AT_ONCE,
        })
        const score = result?.lhr.categories['accessibility']?.score ?? 0
        expect([name, score >= 0.95]).toEqual([name, true])
      }
    } finally {
      chrome.kill()
      await server.stop(true)
    }
  },
  // Each page has an audit of its own.
  3 * LIMIT,
)
