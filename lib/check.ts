/**
 * What a check may say. `inconclusive` — the tool broke, no data, too few samples, no report — is never a
 * pass: only `passed`, or a skip that was asked for and is recorded, lets traffic move (S6).
 */
import { seconds } from './clock.ts'
import type { Secrets } from './secrets.ts'

export type Verdict = 'passed' | 'failed' | 'inconclusive' | 'skipped'

export interface CheckResult {
  /** The kind of gate: `smoke`, `ui`, `page-quality`, `performance`, `security`. */
  gate: string
  name: string
  verdict: Verdict
  /** How long the check took, in ms. */
  ms: number
  expected: string
  seen: string
  /** Files that show it, relative to the report's folder. */
  evidence?: string[] | undefined
}

/** Where a gate looks, and how its requests are marked so that they can be told from users'. */
export interface Target {
  url: string
  /** Sent as `X-Deploy-Verification`. */
  verification: string
  /** The color that is expected to answer, where the application names it. */
  color?: string
  /** The folder that evidence is written to; results name files relative to it. */
  evidence: string
  /** It is reached through a port-forward: times measured there are not the application's alone. */
  forwarded?: boolean
  /** Where users are at the same time, for what is compared with it. */
  live?: string
  /** Where users reach the application or will, if that is elsewhere: what belongs to the address is asked there. */
  address?: string
  /** How many of its pods are ready: the load is to meet each. Unknown where there is no cluster to ask. */
  pods?: number
  /** What is found to be secret on the way is told here: it may stand in what another kind of check keeps. */
  secrets?: Secrets
}

/**
 * Never throws for what the target does: a check that cannot be made is `inconclusive`. Throws the signal's
 * reason when it is aborted. `progress` is told what is being waited for.
 */
export type Gate = (
  target: Target,
  signal: AbortSignal,
  progress?: (state: string) => void,
) => Promise<CheckResult[]>

/** What a record keeps of a check, so that a release is judged by it again when somebody goes back to it. */
export interface KeptCheck {
  name: string
  /** Of all but the values that it sends, by which it is found among today's checks. */
  fingerprint: string
  /** All of it as JSON, where it sends nothing that may be a secret (S7). */
  definition?: string | undefined
}

/** What a procedure is handed. */
export interface Gates {
  /** The kinds of checks, as a plan names them. */
  names: readonly string[]
  /** The whole suite, for what no user sees yet. */
  preview: Gate
  /** The part of it that fits users' traffic. */
  live: Gate
  /**
   * Looks at users' address before they are moved: what is wrong there already counts against no release. The gates of
   * a preview do so by themselves; this is for who does not run them, and asks nothing where they have.
   */
  note?: (target: Target, signal: AbortSignal) => Promise<void>
  /** The smoke checks, for the record of a release that goes live by them. */
  kept: readonly KeptCheck[]
  /** What says that a release which users were on before works again: the checks that it went live with, where they are known. */
  back: (kept?: readonly KeptCheck[]) => Gate
}

/** Results that keep traffic from moving, what failed first. No results at all are inconclusive, not a pass. */
export function objections(results: readonly CheckResult[]): CheckResult[] {
  if (results.length > 0)
    return results
      .filter(({ verdict }) => verdict !== 'passed' && verdict !== 'skipped')
      .toSorted((a, b) => Number(b.verdict === 'failed') - Number(a.verdict === 'failed'))
  const nothing = { expected: 'at least one check', seen: 'no check ran', ms: 0 }
  return [{ gate: 'gate', name: 'checks', verdict: 'inconclusive', ...nothing }]
}

const MARKS = { passed: '✓', failed: '✗', inconclusive: '?', skipped: '–' } as const

/** Of checks together: one that is in the way of traffic makes them fail, and where all were skipped they are. */
export function verdictOf(checks: readonly CheckResult[]): 'passed' | 'failed' | 'skipped' {
  if (objections(checks).length > 0) return 'failed'
  return checks.every(({ verdict }) => verdict === 'skipped') ? 'skipped' : 'passed'
}

/** `28 passed, 2 did not, 7 left out or not applicable`: what was not asked is not among what passed. */
export function counted(checks: readonly CheckResult[]): string {
  const of = (...verdicts: Verdict[]) => checks.filter(({ verdict }) => verdicts.includes(verdict)).length
  const [bad, skipped] = [of('failed', 'inconclusive'), of('skipped')]
  return [
    `${of('passed')} passed`,
    ...(bad > 0 ? [`${bad} did not`] : []),
    ...(skipped > 0 ? [`${skipped} left out or not applicable`] : []),
  ].join(', ')
}

/** For people: a line for each kind, and one for each check that did not pass. Pure. */
export function checkLines(results: readonly CheckResult[], all = false): string[] {
  return [...Map.groupBy(results, ({ gate }) => gate)].flatMap(([gate, checks]) => {
    const bad = objections(checks)
    return [
      `${MARKS[verdictOf(checks)]} ${gate}: ${counted(checks)}`,
      ...(all ? checks : bad).map((check) => `  ${checkLine(check)}`),
    ]
  })
}

function checkLine({ name, verdict, ms, expected, seen, evidence = [] }: CheckResult): string {
  const detail = verdict === 'passed' ? '' : `: expected ${expected}, saw ${seen}`
  const [first, ...rest] = evidence
  const files = first ? ` (${first}${rest.length > 0 ? ` and ${rest.length} more` : ''})` : ''
  return `${MARKS[verdict]} ${name} ${seconds(ms)}${detail}${files}`
}
