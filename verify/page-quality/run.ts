/**
 * Runs Lighthouse, in a process of its own: it may hang or crash, and while it reckons nothing else is done, not
 * even a deployment's lock renewed. Takes a request on standard input, and says `run 2 of 3` as it goes on.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import { launch } from 'chrome-launcher'
import lighthouse, { generateReport, type Flags, type Result } from 'lighthouse'
import { userAgents } from 'lighthouse/core/config/constants.js'
import { computeMedianRun } from 'lighthouse/core/lib/median-run.js'
import { markRequests } from './marked.ts'
import { leftOut, measured, request, type Request, type Run } from './runs.ts'

/** In Lighthouse's messages; what it saw stands behind. */
const ADVICE = /Make sure you are testing the correct URL and that [^.]*\.\s*/

// Where Chromium has no user namespaces its sandbox cannot start; Playwright leaves it out as well.
const CHROME = ['--headless=new', '--no-sandbox', '--disable-dev-shm-usage']
/** How often it is asked whether it is there, and how many times at most: 20 s. */
const ASKING = { connectionPollInterval: 100, maxConnectionRetries: 200 }

async function measure(asked: Request): Promise<Run[]> {
  const { url, runs, verification, browser, folder } = asked
  const chrome = await launch({ chromePath: browser, chromeFlags: CHROME, logLevel: 'silent', ...ASKING })
  try {
    await markRequests(chrome.port, new URL(url).origin, { 'x-deploy-verification': verification })
    const results = await measured(runs, async (number) => {
      console.log(`run ${number} of ${runs}`)
      const result = await lighthouse(url, flags(asked, chrome.port))
      if (!result) throw new Error('Lighthouse gave no result')
      return result.lhr
    })
    await report(results, folder)
    return results.map((result) => summary(result, asked))
  } finally {
    chrome.kill()
  }
}

/** Programs that want a core, to each core: with more, a page that is fast is measured as slow. */
const BUSY = 4
/** Where Lighthouse itself warns of a slow processor (its `SLOW_CPU_BENCHMARK_INDEX_THRESHOLD`). */
const SLOW = 1000

/** The load is of the last minute; where a system has none, 0. */
function hindrance({ benchmarkIndex }: Result['environment']): string | undefined {
  const [load = 0] = loadavg()
  const cores = cpus().length
  if (load > BUSY * cores) return `with a load of ${load.toFixed(1)} on ${cores} cores`
  return benchmarkIndex < SLOW
    ? `whose processor is slow (${benchmarkIndex}; Lighthouse wants ${SLOW})`
    : undefined
}

function flags({ url, categories, audits }: Request, port: number): Flags {
  return {
    port,
    logLevel: 'silent',
    ...(categories.length > 0 && { onlyCategories: categories }),
    ...(audits.length > 0 && { onlyAudits: audits }),
    skipAudits: leftOut(url, audits),
    emulatedUserAgent: `${userAgents.mobile} deploy-scripts`,
  }
}

/** Of the run nearest to the median load; of the first, where a failure or another choice of checks left no times. */
async function report(results: readonly Result[], folder: string): Promise<void> {
  const timed = results.every(({ audits }) => audits['interactive']?.numericValue)
  const shown = timed ? computeMedianRun([...results]) : results[0]
  if (!shown) return
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'report.html'), generateReport(shown, 'html'))
  await writeFile(join(folder, 'report.json'), generateReport(shown, 'json'))
}

function summary(result: Result, asked: Request): Run {
  const { runtimeError, finalDisplayedUrl, categories, audits, environment } = result
  const hindered = hindrance(environment)
  const scores = Object.values(categories).map(({ id, score, auditRefs }) => {
    const lost = auditRefs.map(({ id, weight }) => ({ id, lost: weight * (1 - (audits[id]?.score ?? 1)) }))
    const worst = lost.filter(({ lost }) => lost > 0).toSorted((a, b) => b.lost - a.lost)
    return [id, { score, worst: worst.map(({ id }) => id) }] as const
  })
  const figures = asked.audits.map((id) => {
    const { numericValue, numericUnit = '' } = audits[id] ?? {}
    return [id, { value: numericValue ?? null, unit: numericUnit }] as const
  })
  return {
    ...(runtimeError && { error: `${runtimeError.code}: ${runtimeError.message.replace(ADVICE, '')}` }),
    ...(finalDisplayedUrl && { arrived: finalDisplayedUrl }),
    ...(hindered && { hindered }),
    categories: Object.fromEntries(scores),
    audits: Object.fromEntries(figures),
  }
}

const asked = request.parse(await Bun.stdin.json())
await writeFile(join(asked.folder, 'runs.json'), JSON.stringify(await measure(asked)))
process.exit() // what Lighthouse still waits for keeps it for 3 s more
