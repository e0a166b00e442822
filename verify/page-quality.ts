/**
 * The page-quality gate: Lighthouse's scores and figures against their budgets. The median of n runs counts,
 * and each of them must have been possible. The phone and the network are simulated, as Lighthouse does by
 * default. Over plain http, what only https can have (`is-on-https`, `redirects-http`, `has-hsts`) is left out.
 */
import { copyFile, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Gate, Target } from '../lib/check.ts'
import { seconds } from '../lib/clock.ts'
import { shell } from '../lib/command.ts'
import { sentence } from '../lib/errors.ts'
import { parseJson } from '../lib/json.ts'
import type { PageQualitySettings } from '../lib/settings/gates.ts'
import { temporaryFolder } from '../lib/temporary.ts'
import { findBrowser, type Variables } from './browser.ts'
import { asked, judge, unclear } from './page-quality/judge.ts'
import { runs, type Request, type Run } from './page-quality/runs.ts'

const FOLDER = 'page-quality'
const PROGRAM = join(import.meta.dir, 'page-quality/run.ts')

const sh = shell(() => {})

export function pageQuality(settings: PageQualitySettings, variables: Variables = process.env): Gate {
  return async (target, signal, progress) => {
    const started = performance.now()
    using temporary = temporaryFolder()
    const work = temporary.path
    try {
      const browser = await findBrowser(variables)
      const measured = await measure(settings, target, browser, work, signal, progress)
      const evidence = await keep(work, target.evidence)
      const judged = judge(settings, measured, target)
      const ms = (performance.now() - started) / judged.length
      return judged.map((result) => ({ gate: FOLDER, ms, ...result, evidence }))
    } catch (error) {
      signal.throwIfAborted()
      const ms = performance.now() - started
      return [{ gate: FOLDER, ms, ...unclear(sentence(error)) }]
    }
  }
}

/** @throws Error when there is no report of each run, in time */
async function measure(
  { path, runs: number, scores, audits, timeout }: PageQualitySettings,
  { url, verification }: Target,
  browser: string,
  work: string,
  signal: AbortSignal,
  progress?: (state: string) => void,
): Promise<Run[]> {
  const request: Request = {
    url: new URL(path, url).href,
    runs: number,
    categories: asked(scores).map(([id]) => id),
    audits: Object.keys(audits),
    verification,
    browser,
    folder: work,
  }
  const started = performance.now()
  const { exitCode, stderr } = await sh.read([process.execPath, PROGRAM], {
    input: JSON.stringify(request),
    // The browser's profile goes there as well, and with it.
    env: { TMPDIR: work },
    signal,
    timeout,
    leavesNothing: true,
    onLine: (line) => progress?.(`${FOLDER}: ${line}`),
  })
  signal.throwIfAborted()
  if (performance.now() - started >= timeout) throw new Error(`no end within ${seconds(timeout)}`)
  const answer = runs.safeParse(parseJson(await readFile(join(work, 'runs.json'), 'utf8').catch(() => '')))
  if (exitCode === 0 && answer.success) return answer.data
  const how = exitCode === 124 ? 'was killed' : `ended with exit code ${exitCode}`
  throw new Error(`Lighthouse ${how} and left no figures: ${stderr.trim().split('\n').at(-1)}`)
}

/** @returns the files that were kept, by their names in the evidence */
async function keep(work: string, evidence: string): Promise<string[]> {
  const names = ['report.html', 'report.json']
  await mkdir(join(evidence, FOLDER), { recursive: true })
  for (const name of names) await copyFile(join(work, name), join(evidence, FOLDER, name))
  return names.map((name) => `${FOLDER}/${name}`)
}
