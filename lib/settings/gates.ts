/** What each kind of check is told in deploy.yaml. A kind that is not there, or is `false`, is not run. */
import { z } from 'zod'
import { securityChecks } from './security-checks.ts'
import { threshold } from './threshold.ts'
import { count, duration, headers, method, path, status, variable } from './scalars.ts'

const isoDate = z.iso.date('expected a date such as 2027-01-31')

/** Why something does not count for a while, and until when. */
const forNow = {
  reason: z.string().min(1),
  /** The last day on which it holds (UTC). From then on it fails. */
  expires: isoDate,
}
const leftOut = z.strictObject(forNow)
export type LeftOut = z.infer<typeof leftOut>

/**
 * Single checks of a kind that are not made. It is recorded, and stands in the plan.
 * @param id of a check: an enumeration where they are known, so that a mistake is found when the file is read
 */
export function skips<T extends z.ZodType<string, string>>(id: T) {
  return z.array(z.strictObject({ id, ...forNow })).default([])
}
export type Skip = LeftOut & { id: string }

export const smokeCheck = z.strictObject({
  name: z.string().min(1),
  method: method.default('GET'),
  path,
  headers: headers.default({}),
  body: z.string().optional(),
  /** Without it: status 200, within 5 s. */
  expect: z
    .strictObject({
      status: status.default(200),
      /** Each of these must be in the answer's JSON with the same value; what else is there does not matter. */
      json: z.json().optional(),
      text: z.string().min(1).optional(),
      within: duration.prefault('5s'),
    })
    .prefault({}),
  /** It is not made for a while. */
  skip: leftOut.optional(),
})
export type SmokeCheck = z.infer<typeof smokeCheck>
export const smoke = z.array(smokeCheck)

/** Test accounts, which the browser and the security probes sign in with. */
const account = z.strictObject({
  name: z.string().min(1),
  /** The environment variable that holds the password. */
  password: variable,
})
export const accounts = z.strictObject({
  user: account,
  /** A second one, so that one user can be refused what is another's. */
  other: account.optional(),
})
export type Accounts = z.infer<typeof accounts>

export const ui = z.strictObject({
  /** A folder of Playwright specs, from where deploy.yaml is. */
  specs: z.string().min(1).default('verify/ui'),
  /** For all of them. */
  timeout: duration.prefault('2m'),
  workers: count.max(16).default(2),
  /** After so many the rest is not tried: each may take its whole time, and they tell the same. */
  maxFailures: count.default(10),
})
export type UiSettings = z.infer<typeof ui>

const score = z.union([z.literal(false), z.number().min(0).max(1)])
export const pageQuality = z.strictObject({
  path: path.default('/'),
  /** The median counts. */
  runs: count.max(9).default(3),
  /** For all runs; one takes about 8 s. */
  timeout: duration.prefault('2m'),
  /** The least score of each category, 0 to 1. What is not written is asked all the same; only `false` turns it off. */
  scores: z
    .strictObject({
      performance: score.default(0.8),
      accessibility: score.default(0.9),
      'best-practices': score.default(0.9),
      seo: score.default(0.9),
    })
    .prefault({}),
  /** The most of each audit's numeric value, in its own unit: `largest-contentful-paint: 2500`. */
  audits: z.record(z.string(), z.number().nonnegative()).default({}),
})
export type PageQualitySettings = z.infer<typeof pageQuality>

const endpoint = z.strictObject({
  method: method.default('GET'),
  path,
  headers: headers.default({}),
  body: z.string().optional(),
  /** How often it is asked, beside the others. */
  weight: z.number().positive().default(1),
  /** Any other answer is a failed request. */
  status: status.default(200),
})
const performanceSettings = z.strictObject({
  /** Requests a second, whether or not the ones before were answered. */
  rate: z.number().positive().max(1000).default(50),
  duration: duration.prefault('20s'),
  /** Left out of the figures. */
  warmup: duration.prefault('3s'),
  timeout: duration.prefault('5s'),
  endpoints: z
    .array(endpoint)
    .min(1)
    .prefault([{ path: '/' }]),
  /** In k6's words. Times are ms, counted from when a request was due. */
  thresholds: z
    .strictObject({
      http_req_duration: z.array(threshold('duration')).prefault(['p(50)<100', 'p(90)<250', 'p(99)<500']),
      /** What is not written is asked all the same; only `[]` turns it off. */
      http_req_failed: z.array(threshold('rate')).prefault(['rate<0.01']),
    })
    .prefault({}),
  /** How many times the others' median one pod, or the connection that leads to it, is too slow; `false`: it is not asked. */
  slowerThanOthers: z.union([z.literal(false), z.number().min(1)]).default(1.5),
  /** The header of an answer in which the application names the pod that gave it. */
  podHeader: z.string().min(1).toLowerCase().optional(),
  /**
   * How many times the live color's p50, p90 or p99, measured side by side, is too slow; `false`: it is not asked. A
   * percentile needs 20, 100 or 1,000 requests to both.
   */
  slowerThanLive: z.union([z.literal(false), z.number().min(1)]).default(1.2),
  /** Requests a second to the live color, which users are on; never more than `rate`. */
  liveRate: z.number().positive().max(1000).default(5),
})
/**
 * Of a request whose time was out nobody knows how long it would have taken: it must break every threshold.
 * (Thresholds that are none come here too, without a number; they have their own message.)
 */
export const performance = performanceSettings
  .refine(
    ({ timeout, thresholds }) => thresholds.http_req_duration.every(({ value }) => !(value > timeout)),
    {
      path: ['timeout'],
      error: 'expected at least as long as every threshold of http_req_duration',
    },
  )
  .refine(
    ({ thresholds: { http_req_duration: slow, http_req_failed: failed } }) => slow.length + failed.length > 0,
    {
      path: ['thresholds'],
      error:
        'expected one threshold at least: the first deployment has no live color, and would be judged by nothing',
    },
  )
export type PerformanceSettings = z.infer<typeof performance>

export const severities = ['low', 'medium', 'high', 'critical'] as const
export type Severity = (typeof severities)[number]

const waiver = z.strictObject({
  /** The finding's id, as a report names it. */
  id: z.string().min(1),
  /** Only the finding on this path; without it, wherever it is found. */
  path: path.optional(),
  ...forNow,
})
export type Waiver = z.infer<typeof waiver>

const exchange = {
  method: method.default('GET'),
  path,
  headers: headers.default({}),
  body: z.string().optional(),
}
export const security = z.strictObject({
  /** The least severity that stops a deployment. */
  failOn: z.enum(severities).default('medium'),
  /** Requests a second, at most. */
  rate: z.number().positive().max(50).default(20),
  /** HTML pages, whose headers are looked at and which are probed for reflected input. */
  pages: z.array(path).min(1).default(['/']),
  /** How a test account signs in; `{name}` and `{password}` stand for its own. */
  signIn: z
    .strictObject({
      method: method.default('POST'),
      path,
      headers: headers.default({ 'content-type': 'application/json' }),
      body: z.string().default('{"name":"{name}","password":"{password}"}'),
      /** Where the answer's JSON holds a bearer token; without it the answer's cookies are the session. */
      token: z.string().min(1).optional(),
      /** How the session is ended; from then on it must not be honoured. */
      signOut: z.strictObject({ method: method.default('DELETE'), path }).optional(),
    })
    .optional(),
  /**
   * What nobody may see without a session; `user: refused` means not with the test account's either. A method that
   * writes is really sent, and writes where the refusal is missing.
   */
  protected: z
    .array(z.strictObject({ ...exchange, user: z.enum(['allowed', 'refused']).default('allowed') }))
    .default([]),
  /** Something the first account makes (its `Location` is asked for) and the other must not reach. Removed again. */
  owned: z.strictObject({ ...exchange, method: method.default('POST') }).optional(),
  /** Query parameters that a redirect goes to: `/login?next=`. */
  redirects: z.array(z.strictObject({ path, parameter: z.string().min(1) })).default([]),
  /** Failed sign-ins of an account that does not exist, after which 429 must have come. Opt-in: it may lock out this address. */
  signInAttempts: count.max(50).optional(),
  /** Findings that do not count. */
  waivers: z.array(waiver).default([]),
  /** Checks that are not made at all: where one cannot be, such as behind a firewall that refuses what it sends. */
  skip: skips(z.enum(securityChecks, 'expected the id of a check, as docs/security-checks.md names them')),
})
export type SecuritySettings = z.infer<typeof security>
