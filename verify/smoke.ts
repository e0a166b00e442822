/**
 * Smoke checks: requests that `deploy.yaml` declares, with what must come back. One after the other, each on
 * a connection of its own, so that none is answered by a color that an old connection is pinned to.
 */
import { createHash } from 'node:crypto'
import type { CheckResult, Gate, KeptCheck, Target } from '../lib/check.ts'
import type { WitnessSettings } from '../lib/settings/file.ts'
import { smokeCheck, type SmokeCheck } from '../lib/settings/gates.ts'
import { seconds, systemClock } from '../lib/clock.ts'
import { askOnce, type Answer } from '../lib/http.ts'
import { parseJson } from '../lib/json.ts'
import { leftOut } from './skips.ts'

type Hide = (text: string) => string
type Json = NonNullable<SmokeCheck['expect']['json']>

/** More than any answer a check reads; the rest is not waited for. */
const MOST_BYTES = 1_000_000

/** Before the checks without an answer are made once more, in ms. */
const PAUSE = 1000

export interface SmokeWorld {
  /**
   * Users are there already: one lost request moves nobody, it is asked once more; and a skip that held before holds.
   */
  moved?: boolean
  /** ms since 1970 */
  now?: () => number
}

/** The gate of the declared checks; where the application names its color, that the expected one answers. */
export function smoke(
  checks: readonly SmokeCheck[],
  { path, color }: WitnessSettings,
  { moved = false, now = Date.now }: SmokeWorld = {},
): Gate {
  return async (target, signal) => {
    const naming = color && target.color ? [namesColor(path, color, target.color)] : []
    const look = async (check: SmokeCheck): Promise<Look> => {
      const about = { gate: 'smoke', name: check.name, expected: wish(check) }
      const skipped = check.skip && leftOut(about, check.skip, moved ? -Infinity : now())
      if (skipped) return { check, answered: true, result: skipped }
      const { answered, ...seen } = await run(check, target, signal)
      return { check, answered, result: { ...about, ...seen } }
    }
    const looks: Look[] = []
    for (const check of [...checks, ...naming]) looks.push(await look(check))
    if (moved && looks.some(({ answered }) => !answered)) {
      await systemClock.sleep(PAUSE, signal)
      for (const [at, { check, answered }] of looks.entries()) if (!answered) looks[at] = await look(check)
    }
    return looks.map(({ result }) => result)
  }
}

interface Look {
  check: SmokeCheck
  answered: boolean
  result: CheckResult
}

/**
 * What a record keeps of a check: all of it, unless it sends what may be a secret, or holds one (S7).
 * @param hide takes out the secrets that are known
 */
export function keptCheck(check: SmokeCheck, hide: Hide = (text) => text): KeptCheck {
  const { name, method, path, expect, headers, body } = check
  const about = {
    name,
    method,
    path,
    expect,
    headers: Object.keys(headers).toSorted(),
    body: body !== undefined,
  }
  const fingerprint = createHash('sha256')
    .update(hide(JSON.stringify(about)))
    .digest('hex')
    .slice(0, 16)
  const open = about.headers.length === 0 && body === undefined && !path.includes('?')
  const definition = JSON.stringify({
    name,
    method,
    path,
    expect: { ...expect, within: `${expect.within}ms` },
  })
  return { name: hide(name), fingerprint, ...(open && hide(definition) === definition && { definition }) }
}

/**
 * The checks that a release went live with: as they were kept, or as today's file still has them. What is left out
 * today is left out.
 */
export function askedAgain(
  kept: readonly KeptCheck[],
  today: readonly SmokeCheck[],
  hide?: Hide,
): SmokeCheck[] {
  return kept.flatMap(({ fingerprint, definition }) => {
    const same = today.filter((check) => keptCheck(check, hide).fingerprint === fingerprint)
    if (definition === undefined || same.some((check) => check.skip)) return same
    const parsed = smokeCheck.safeParse(parseJson(definition))
    return parsed.success ? [parsed.data] : []
  })
}

function namesColor(path: string, name: string, color: string): SmokeCheck {
  const json = name.split('.').reduceRight<Json>((value, key) => ({ [key]: value }), color)
  const expect = { status: 200, json, within: 5000 }
  return { name: `${color} answers`, method: 'GET', path, headers: {}, expect }
}

type Seen = Pick<CheckResult, 'verdict' | 'ms' | 'seen'> & { answered: boolean }

async function run(check: SmokeCheck, target: Target, signal: AbortSignal): Promise<Seen> {
  const started = performance.now()
  const answer = await ask(check, target, signal)
  const wrong = 'failure' in answer ? answer.failure : problem(check, answer)
  return {
    answered: !('failure' in answer),
    verdict: wrong === undefined ? 'passed' : 'failed',
    ms: performance.now() - started,
    seen: wrong ?? `status ${check.expect.status}`,
  }
}

function ask(check: SmokeCheck, target: Target, signal: AbortSignal): ReturnType<typeof askOnce> {
  const { method, path, expect, body } = check
  const own = { 'user-agent': 'deploy-scripts', 'x-deploy-verification': target.verification }
  return askOnce(new URL(path, target.url), {
    method,
    headers: { ...own, ...check.headers },
    body,
    within: expect.within,
    most: MOST_BYTES,
    signal,
  })
}

/** What is wrong with an answer, as far as it may be shown. */
function problem({ expect, body, headers }: SmokeCheck, { status, text, cut }: Answer): string | undefined {
  const read = expect.json !== undefined || expect.text !== undefined
  const long = cut && read && status === expect.status
  const wrong = long ? `an answer of more than ${MOST_BYTES} bytes` : mismatch(expect, status, text)
  // What comes back to a login may hold a token, and results are kept.
  const withheld = wrong && (body !== undefined || Object.keys(headers).length > 0)
  return withheld ? `status ${status}, and an answer that is not shown` : wrong
}

/** What differs from what was expected; undefined when nothing does. Pure. */
export function mismatch(expect: SmokeCheck['expect'], status: number, text: string): string | undefined {
  if (status !== expect.status) return `status ${status}: ${excerpt(text)}`
  if (expect.text !== undefined && !text.includes(expect.text)) return `no such text in ${excerpt(text)}`
  if (expect.json === undefined) return undefined
  const answer = parseJson(text)
  if (answer === undefined) return `not JSON: ${excerpt(text)}`
  return contains(answer, expect.json) ? undefined : excerpt(text)
}

/** Whether everything that is expected is there with the same value; lists must be equal in length. */
function contains(value: unknown, expected: unknown): boolean {
  if (typeof expected !== 'object' || expected === null) return value === expected
  if (Array.isArray(expected)) {
    return (
      Array.isArray(value) &&
      value.length === expected.length &&
      expected.every((item, i) => contains(value[i], item))
    )
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const found = new Map<string, unknown>(Object.entries(value))
  return Object.entries(expected).every(([key, item]) => found.has(key) && contains(found.get(key), item))
}

function wish({ method, path, expect: { status, json, text, within } }: SmokeCheck): string {
  const more = [json !== undefined && JSON.stringify(json), text !== undefined && `the text "${text}"`]
  const answer = [`status ${status}`, ...more.filter((part) => part !== false), `within ${seconds(within)}`]
  return `${method} ${path}: ${answer.join(', ')}`
}

function excerpt(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim()
  return line.length > 160 ? `${line.slice(0, 160)}…` : line || 'an empty answer'
}
