/**
 * The UI gate: runs a folder of Playwright specs against the target in a real browser. The specs and their
 * configuration are the application's. What the verdict hangs on is decided here: a new report, no second try,
 * no `test.only`, one deadline.
 */
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import type { Gate, Target } from '../lib/check.ts'
import { seconds } from '../lib/clock.ts'
import { shell, type Command } from '../lib/command.ts'
import { sentence } from '../lib/errors.ts'
import { parseJson } from '../lib/json.ts'
import { Secrets } from '../lib/secrets.ts'
import type { Accounts, UiSettings } from '../lib/settings/gates.ts'
import { temporaryFolder } from '../lib/temporary.ts'
import { findBrowser, type Variables } from './browser.ts'
import { redactFolder } from './redact.ts'
import { oneLine, resultsOf, unclear, type Result } from './ui-report.ts'

/** Playwright's authors support Node.js from this version on, and not Bun, which is the second choice. */
const NODE = 20

/** The part of the deadline after which Playwright stops by itself, so that it can report what it has seen. */
const OWN_PART = 0.9

const sh = shell(() => {})

/**
 * @param accounts its `user` signs in; the password comes from the variable that it names, and goes on to the
 * specs in one, never in an argument. It is taken out of all evidence, and so is every session that the evidence shows
 */
export function ui(settings: UiSettings, accounts: Accounts | undefined, variables: Variables): Gate {
  const { name = '', password: variable = '' } = accounts?.user ?? {}
  const password = variables[variable] ?? ''
  return async (target, signal, progress) => {
    const started = performance.now()
    const secrets = new Secrets([password], target.secrets)
    // Nothing is kept before it was redacted, and no earlier report can be taken for this run's.
    using temporary = temporaryFolder()
    const work = temporary.path
    try {
      if (variable && !password) throw new Error(`the variable ${variable}, ${name}'s password, is not set`)
      const env = {
        ...environment(target, work, await findBrowser(variables)),
        VERIFY_ACCOUNT: name,
        VERIFY_PASSWORD: password,
      }
      const results = await run(settings, env, work, secrets, signal, progress)
      await keep(work, target.evidence)
      return results.map((result) => ({ ...result, gate: 'ui' }))
    } catch (error) {
      signal.throwIfAborted()
      return [
        { ...unclear(oneLine(secrets.redact(sentence(error)))), gate: 'ui', ms: performance.now() - started },
      ]
    }
  }
}

/** What the specs' configuration reads, and where Playwright writes. */
function environment({ url, verification }: Target, work: string, browser: string): Record<string, string> {
  return {
    // Playwright refuses to run where another runner's worker has started it.
    JEST_WORKER_ID: '',
    TARGET_URL: url,
    VERIFY_ID: verification,
    CHROMIUM_PATH: browser,
    PLAYWRIGHT_JSON_OUTPUT_FILE: join(work, 'report.json'),
    PLAYWRIGHT_HTML_OUTPUT_DIR: join(work, 'ui/report'),
    PLAYWRIGHT_HTML_OPEN: 'never',
    FORCE_COLOR: '0',
    // So that nothing is left of a browser that is killed; but the specs are translated once only.
    TMPDIR: work,
    PLAYWRIGHT_TRANSFORM_CACHE_DIR: join(tmpdir(), `playwright-transform-cache-${userInfo().uid}`),
  }
}

async function run(
  settings: UiSettings,
  env: Record<string, string>,
  work: string,
  secrets: Secrets,
  signal: AbortSignal,
  progress?: (state: string) => void,
): Promise<Result[]> {
  const { timeout } = settings
  const onLine = (line: string): void => {
    const [, number, all] = /^\[(\d+)\/(\d+)\]/.exec(line) ?? []
    if (number) progress?.(`ui: ${number} of ${all}`)
  }
  const command = await playwright(settings, join(work, 'ui/results'))
  const started = performance.now()
  const ended = await sh.read(command, { env, signal, timeout, leavesNothing: true, onLine })
  signal.throwIfAborted()
  const output = ended.stdout + ended.stderr
  await mkdir(join(work, 'ui'), { recursive: true })
  await writeFile(join(work, 'ui/output.txt'), output)
  // Before anything is read of it, and cut: half a password is one still.
  await redactFolder(join(work, 'ui'), secrets, signal)
  if (performance.now() - started >= timeout) return [unclear(`no end within ${seconds(timeout)}`)]
  const text = secrets.redact(await readFile(join(work, 'report.json'), 'utf8').catch(() => ''))
  const how = ended.exitCode === 124 ? 'was killed' : `ended with exit code ${ended.exitCode}`
  if (text === '')
    return [unclear(oneLine(`Playwright ${how} and left no report: ${secrets.redact(output)}`))]
  return resultsOf(parseJson(text), ended.exitCode, work)
}

/** Playwright's own program beside the specs. @throws Error when there are none, or no Playwright */
async function playwright(settings: UiSettings, output: string): Promise<Command> {
  const { specs, workers, maxFailures, timeout } = settings
  const folder = resolve(specs)
  const files = await readdir(folder)
  if (!files.some((file) => file.startsWith('playwright.config.')))
    throw new Error(`${folder} has no playwright.config.ts, which names the browser and the target`)
  const program = Bun.resolveSync('@playwright/test/cli', folder)
  return [
    await runtime(),
    program,
    'test',
    `--config=${folder}`,
    '--reporter=line,json,html',
    `--output=${output}`,
    `--workers=${workers}`,
    `--max-failures=${maxFailures}`,
    '--retries=0',
    '--forbid-only',
    `--global-timeout=${Math.ceil(timeout * OWN_PART)}`,
  ]
}

async function runtime(): Promise<string> {
  const { stdout } = await sh.read(['node', '--version'])
  return Number(/^v(\d+)/.exec(stdout)?.[1]) >= NODE ? 'node' : process.execPath
}

/** In the place of what an earlier run left there. */
async function keep(work: string, evidence: string): Promise<void> {
  const folder = join(evidence, 'ui')
  await rm(folder, { recursive: true, force: true })
  await cp(join(work, 'ui'), folder, { recursive: true })
}
