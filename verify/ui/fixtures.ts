/**
 * What each spec starts from. Specs import `test` from here, so that the browser's requests to the target are
 * marked, that whatever the browser complains of fails the check, and that nothing is left behind: the idle
 * color shares production's data.
 */
import { writeFileSync } from 'node:fs'
import { expect, test as base, type BrowserContext, type Page } from '@playwright/test'

const { TARGET_URL = 'http://127.0.0.1:3000', VERIFY_ID = 'by-hand' } = process.env
const mark = { 'x-deploy-verification': VERIFY_ID }

/**
 * On plain http that is not localhost, as a preview at a NodePort is, Chromium ignores this header and calls that an
 * error. Users come over https, where the header is right: an application must not fail for having it.
 */
const OF_PLAIN_HTTP =
  /Cross-Origin-Opener-Policy header has been ignored, because the URL's origin was untrustworthy/

/** The test account. @throws Error when there is none */
export function account(): { name: string; password: string } {
  const { VERIFY_ACCOUNT: name, VERIFY_PASSWORD: password } = process.env
  if (name && password) return { name, password }
  throw new Error('There is no test account: deploy.yaml names one under accounts.user')
}

/** What Playwright says in a page's name, where its service worker is kept out. */
const OF_PLAYWRIGHT = /Service Worker registration blocked by Playwright/

/** Calls the application with the browser's cookies, and as marked as the browser does. */
export async function call(
  context: BrowserContext,
  method: string,
  path: string,
  data?: object,
): Promise<number> {
  const answer = await context.request.fetch(path, { method, headers: mark, ...(data && { data }) })
  return answer.status()
}

interface Fixtures {
  /** What the browser may complain of: a refused sign-in is an error in its console. */
  tolerated: RegExp[]
  /** Warnings, errors and failed requests of the page, each a line. */
  complaints: string[]
  /** The page, signed in. */
  chat: Page
}

export const test = base.extend<Fixtures>({
  tolerated: [[], { option: true }],

  context: async ({ context }, use) => {
    const { origin } = new URL(TARGET_URL)
    // Playwright's extraHTTPHeaders would mark other origins' requests too, and CORS refuses them for it.
    await context.route(
      (url) => url.origin === origin,
      async (route, request) => route.continue({ headers: { ...request.headers(), ...mark } }),
    )
    const made: string[] = []
    context.on('response', (response) => {
      const { location } = response.headers()
      if (response.request().method() === 'POST' && location) made.push(location)
    })
    await use(context)
    for (const conversation of made) await call(context, 'DELETE', conversation)
    const { cookies } = await context.storageState()
    if (cookies.length > 0) await call(context, 'DELETE', '/api/session')
  },

  complaints: [
    async ({ page, tolerated }, use, info) => {
      const said: string[] = []
      const complaints: string[] = []
      const complain = (line: string): void => {
        said.push(line)
        if (![OF_PLAIN_HTTP, OF_PLAYWRIGHT, ...tolerated].some((pattern) => pattern.test(line)))
          complaints.push(line)
      }
      page.on('console', (message) => {
        const line = `${message.type()}: ${message.text()} (${message.location().url})`
        if (['error', 'warning'].includes(message.type())) complain(line)
        else said.push(line)
      })
      page.on('pageerror', ({ message }) => complain(`uncaught: ${message}`))
      page.on('requestfailed', (request) => {
        const why = request.failure()?.errorText ?? 'failed'
        // A page that is left takes its requests along.
        if (why !== 'net::ERR_ABORTED') complain(`${why}: ${request.method()} ${request.url()}`)
      })
      await use(complaints)
      if (complaints.length > 0 || info.status !== info.expectedStatus) {
        const path = info.outputPath('console.txt')
        writeFileSync(path, `${said.join('\n')}\n`)
        info.attachments.push({ name: 'console', path, contentType: 'text/plain' })
      }
      if (complaints.length > 0) throw new Error(`The browser complains: ${complaints.join('; ')}`)
    },
    { auto: true },
  ],

  chat: async ({ page, context }, use) => {
    expect(await call(context, 'POST', '/api/session', account()), 'status of the sign-in').toBe(200)
    await page.goto('/')
    // Shown once the page knows who one is: no need to wait for what will not come.
    const button = page.getByRole('button', { name: /^Sign (in|out)$/ })
    await button.waitFor()
    expect(await button.textContent(), 'what is offered to who is signed in').toBe('Sign out')
    await use(page)
  },
})

export { expect } from '@playwright/test'
