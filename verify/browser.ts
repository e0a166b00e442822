/** Which browser the UI and page-quality gates use. Nothing is ever downloaded here. Run alone, it names it. */
import { accessSync, constants, statSync } from 'node:fs'
import { join } from 'node:path'
import { Glob } from 'bun'
import { sentence } from '../lib/errors.ts'

/** The smaller kind first: it has no windows to draw. */
const ON_PATH = [
  'chromium-headless-shell',
  'chromium',
  'chromium-browser',
  'google-chrome',
  'google-chrome-stable',
]

/** Where `make browser` puts one, when there is no other. */
export const FETCHED = join(import.meta.dir, '../.tools/chromium/chromium')

export const INSTALL = 'make browser, or bunx playwright install --with-deps --only-shell chromium'

export type Variables = Readonly<Record<string, string | undefined>>

/**
 * `CHROMIUM_PATH`, then the one that Playwright installed, then the system's, then the one that was fetched.
 * @param own where Playwright's own would be, the smaller kind first
 * @throws Error with the command that installs one; also when CHROMIUM_PATH names no program: who sets it wants
 * that browser and no other
 */
export async function findBrowser(
  variables: Variables,
  own: () => Promise<string[]> = playwrightsOwn,
  fetched = FETCHED,
): Promise<string> {
  const { CHROMIUM_PATH, PATH = '' } = variables
  if (CHROMIUM_PATH) {
    if (isProgram(CHROMIUM_PATH)) return CHROMIUM_PATH
    throw new Error(`CHROMIUM_PATH names no program: ${CHROMIUM_PATH}. To install a browser: ${INSTALL}`)
  }
  const installed = (await own()).find(isProgram)
  const found = installed ?? ON_PATH.map((name) => Bun.which(name, { PATH })).find((path) => path !== null)
  if (found) return found
  if (isProgram(fetched)) return fetched
  throw new Error(`There is no Chromium or Chrome here. To install one: ${INSTALL}`)
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

/** Playwright names the place of the whole browser; the headless one is in a folder beside it. */
async function playwrightsOwn(): Promise<string[]> {
  const { chromium } = await import('@playwright/test')
  const whole = chromium.executablePath()
  const [, folder, revision] = /^(.*)[/\\]chromium-(\d+)[/\\]/.exec(whole) ?? []
  if (folder === undefined) return [whole]
  const headless = new Glob(
    `chromium_headless_shell-${revision}/*/{chrome-headless-shell,headless_shell}{,.exe}`,
  )
  try {
    return [...headless.scanSync({ cwd: folder, absolute: true }), whole]
  } catch {
    return [whole] // no such folder: Playwright has installed nothing
  }
}

if (import.meta.main) {
  try {
    console.log(await findBrowser(process.env))
  } catch (error) {
    console.error(sentence(error))
    process.exitCode = 1
  }
}
