/** What the gate and the process that runs Lighthouse for it say to each other. */
import { z } from 'zod'

export const request = z.object({
  url: z.string(),
  runs: z.int().positive(),
  categories: z.array(z.string()),
  audits: z.array(z.string()),
  /** Sent as `x-deploy-verification`. */
  verification: z.string(),
  browser: z.string(),
  /** Where it leaves `runs.json`, and the median run's report. */
  folder: z.string(),
})
export type Request = z.infer<typeof request>

const run = z.object({
  /** Why Lighthouse could not measure the page. */
  error: z.string().optional(),
  /** Where redirects led to. */
  arrived: z.string().optional(),
  /** What of this machine makes a page slow that is not, in words: its load, its processor. */
  hindered: z.string().optional(),
  /** Of each category, its score and what cost it most. */
  categories: z.record(z.string(), z.object({ score: z.number().nullable(), worst: z.array(z.string()) })),
  audits: z.record(z.string(), z.object({ value: z.number().nullable(), unit: z.string() })),
})
export const runs = z.array(run)
export type Run = z.infer<typeof run>

/** An address inside a cluster has no certificate. Nor do they say anything about the page. */
const HTTPS_ONLY = ['is-on-https', 'redirects-http', 'has-hsts']
/** Pictures of the page, which take time and are in the UI gate's evidence. */
const PICTURES = ['final-screenshot', 'screenshot-thumbnails', 'full-page-screenshot']

/** The audits that are not made of a page, but for those that are asked for by name. */
export const leftOut = (url: string, asked: readonly string[]): string[] =>
  [...PICTURES, ...(url.startsWith('http:') ? HTTPS_ONLY : [])].filter((name) => !asked.includes(name))

/** What Lighthouse calls a failed recording of its own, "Please run Lighthouse again", in its words. */
const BAD_TRACE = ['NO_TRACING_STARTED', 'NO_RESOURCE_REQUEST', 'NO_NAVSTART', 'NO_DCL', 'NO_FMP']

interface Measured {
  runtimeError?: { code: string }
}

/**
 * So many runs, up to the first that could not measure the page. One whose recording failed is made again, once;
 * a page that was measured never is.
 */
export async function measured<T extends Measured>(
  runs: number,
  run: (number: number) => Promise<T>,
): Promise<T[]> {
  const results: T[] = []
  let again = true
  while (results.length < runs) {
    const result = await run(results.length + 1)
    const code = result.runtimeError?.code
    if (again && code !== undefined && BAD_TRACE.includes(code)) {
      again = false
      continue
    }
    results.push(result)
    if (code !== undefined) break
  }
  return results
}
