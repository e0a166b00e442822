/**
 * What a check may say. `inconclusive` — the tool broke, no data, too few samples, no report — is never a
 * pass: only `passed`, or a skip that was asked for and is recorded, lets traffic move (S6).
 */
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

/** What a procedure is handed: the whole suite for the idle color, and the part of it that fits users' traffic. */
export interface Gates {
  preview: Gate
  live: Gate
}

/** Results that keep traffic from moving. No results at all are inconclusive, not a pass. */
export function objections(results: readonly CheckResult[]): CheckResult[] {
  if (results.length > 0)
    return results.filter(({ verdict }) => verdict !== 'passed' && verdict !== 'skipped')
  const nothing = { expected: 'at least one check', seen: 'no check ran', ms: 0 }
  return [{ gate: 'gate', name: 'checks', verdict: 'inconclusive', ...nothing }]
}
