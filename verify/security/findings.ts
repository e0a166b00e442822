/** From what a check found to its verdict: findings, waivers, thresholds. Pure. */
import type { CheckResult } from '../../lib/check.ts'
import { severities, type Severity, type Waiver } from '../../lib/settings/gates.ts'
import { hasExpired } from '../skips.ts'
import { shortened, type Check, type Observation, type Outcome } from './check.ts'

export interface Finding {
  id: string
  severity: Severity
  method: string
  path: string
  problem: string
  sent: string
  back: string
  fix: string
  reference: string
  /** It does not count: the reason, and until when. */
  waived?: { reason: string; expires: string }
  /** It does not count: it was there before the switch. */
  before?: true
}

/** What a finding is known again by, in another run: the same fault in the same place. */
export function placeOf({ id, path, problem }: Pick<Finding, 'id' | 'path' | 'problem'>): string {
  return [id, path, problem].join(' ').replace(/zx[0-9a-f]{8}/g, 'canary')
}

export interface Judged {
  verdict: CheckResult['verdict']
  seen: string
  findings: Finding[]
}

export interface Policy {
  failOn: Severity
  waivers: readonly Waiver[]
  /** ms since 1970 */
  now: number
  /** Takes secrets out, before anything is cut. */
  redact: (text: string) => string
  /** The places of what was wrong already. */
  before?: ReadonlySet<string> | undefined
}

export function covers(waiver: Waiver, id: string, path: string): boolean {
  return waiver.id === id && (waiver.path === undefined || waiver.path === path.replace(/\?.*/, ''))
}

function findingOf(check: Check, observation: Observation, policy: Policy): Finding {
  const { waivers, now, before, redact } = policy
  const { problem, severity = check.severity, method, path, sent, back } = observation
  const waiver = waivers.find((one) => covers(one, check.id, path) && !hasExpired(one, now))
  const told = (text: string, longest: number): string => shortened(redact(text), longest)
  // Its path is whole, for a waiver may name it; what is shown of it is cut.
  const place = { id: check.id, path: redact(path), problem: told(problem, 160) }
  return {
    ...place,
    severity,
    method,
    sent: told(sent, 200),
    back,
    fix: check.fix,
    reference: check.reference,
    ...(waiver && { waived: { reason: waiver.reason, expires: waiver.expires } }),
    ...(before?.has(placeOf(place)) && { before: true }),
  }
}

const rank = (severity: Severity): number => severities.indexOf(severity)

/** A weakness outweighs a question without an answer; both stop a deployment. */
export function judge(check: Check, { seen, observations, unanswered }: Outcome, policy: Policy): Judged {
  const findings = observations
    .map((observation) => findingOf(check, observation, policy))
    .toSorted((a, b) => rank(b.severity) - rank(a.severity))
  const [old, open] = [
    findings.filter((one) => one.before),
    findings.filter((one) => !one.waived && !one.before),
  ]
  const failing = open.filter(({ severity }) => rank(severity) >= rank(policy.failOn))
  const [waived] = findings.filter((finding) => finding.waived)
  if (failing.length > 0) return { verdict: 'failed', seen: told(failing), findings }
  if (unanswered.length > 0) return { verdict: 'inconclusive', seen: list(unanswered), findings }
  if (open.length > 0) return { verdict: 'passed', seen: `${told(open)}; below ${policy.failOn}`, findings }
  if (old.length > 0) return { verdict: 'passed', seen: `${told(old)}; there before the switch`, findings }
  if (waived?.waived) {
    const { reason, expires } = waived.waived
    return { verdict: 'passed', seen: `${told([waived])}; waived until ${expires}: ${reason}`, findings }
  }
  return { verdict: 'passed', seen: `${seen}, nothing found`, findings }
}

function told(findings: readonly Finding[]): string {
  return list(
    findings.map(
      ({ severity, method, path, problem }) => `${severity}: ${method} ${shortened(path)} ${problem}`,
    ),
  )
}

function list(all: readonly string[]): string {
  const [first = 'nothing', ...others] = new Set(all)
  return others.length > 0 ? `${first} (and ${others.length} more)` : first
}

/**
 * An expired waiver fails, whether or not what it waived is still there. One that is not needed is told.
 * @param results of the checks that ran, which are named by their ids
 */
export function judgeWaivers(
  { waivers, now }: Policy,
  results: readonly CheckResult[],
  findings: readonly Finding[],
): Pick<Judged, 'verdict' | 'seen'> {
  if (waivers.length === 0) return { verdict: 'skipped', seen: 'not applicable: no waivers are declared' }
  const expired = waivers.filter((waiver) => hasExpired(waiver, now))
  if (expired.length > 0) return { verdict: 'failed', seen: `expired: ${list(expired.map(name))}` }
  const decided = new Set(
    results.filter(({ verdict }) => verdict === 'passed' || verdict === 'failed').map(({ name }) => name),
  )
  const needed = (waiver: Waiver): boolean => findings.some(({ id, path }) => covers(waiver, id, path))
  const unneeded = waivers.filter((waiver) => decided.has(waiver.id) && !needed(waiver))
  const seen = unneeded.length > 0 ? `matches nothing: ${list(unneeded.map(name))}` : `${waivers.length} hold`
  return { verdict: 'passed', seen }
}

function name({ id, path, expires }: Waiver): string {
  return `${path ? `${id} on ${path}` : id} (${expires})`
}
