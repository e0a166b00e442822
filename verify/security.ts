/**
 * The security gate: probes whose answers show known weaknesses. Safe on a production instance: few requests, paced,
 * and none that changes anything but the sign-ins of test accounts and one declared thing that is removed again.
 */
import type { CheckResult, Gate, Target } from '../lib/check.ts'
import { sentence } from '../lib/errors.ts'
import type { Accounts, SecuritySettings } from '../lib/settings/gates.ts'
import { catalogue } from './security/catalogue.ts'
import { NotApplicable, Unanswered, type Check } from './security/check.ts'
import { judge, judgeWaivers, type Finding, type Judged, type Policy } from './security/findings.ts'
import { writeReport } from './security/report.ts'
import type { Secrets } from './security/secrets.ts'
import { Site, isRead, type Briefing, type SecurityWorld } from './security/site.ts'

/** One of the two parts of the gate. */
interface Part extends Briefing {
  /** The evidence's name. */
  name: string
  checks: readonly Check[]
}

/**
 * `whole` is for the preview. `passive` is for what users see: a few dozen GET requests without an account, for
 * headers, cookies, the certificate, protected endpoints, and what should not be served.
 * @param variables where the accounts' passwords are
 */
export function security(
  settings: SecuritySettings,
  accounts: Accounts | undefined,
  variables: Record<string, string | undefined>,
  world: SecurityWorld = {},
): { whole: Gate; passive: Gate } {
  const harmless = { ...settings, protected: settings.protected.filter(({ method }) => isRead(method)) }
  const whole: Part = { name: 'security', checks: catalogue, settings, accounts, variables, world }
  const passive: Part = {
    ...whole,
    name: 'security-live',
    checks: catalogue.filter((check) => check.passive),
    settings: harmless,
    accounts: undefined,
  }
  return {
    whole: (target, signal, progress) => run(whole, target, signal, progress),
    passive: (target, signal, progress) => run(passive, target, signal, progress),
  }
}

async function run(
  part: Part,
  target: Target,
  signal: AbortSignal,
  progress: (state: string) => void = () => {},
): Promise<CheckResult[]> {
  const { checks } = part
  const { failOn, waivers } = part.settings
  const site = new Site(part, target, signal)
  const policy = { failOn, waivers, now: site.now }
  const results = new Map<string, CheckResult>()
  const findings: Finding[] = []
  const make = async (check: Check): Promise<void> => {
    const started = performance.now()
    const judged = await attempt(check, site, policy)
    const ms = performance.now() - started
    const { id, expected } = check
    findings.push(...judged.findings)
    results.set(id, resultOf(id, ms, expected, judged, site.secrets))
    progress(`${results.size} of ${checks.length} checks`)
  }
  try {
    await site.reach()
    // All are let end before anything is said, so that what they made is removed.
    const settled = await Promise.allSettled(checks.filter(({ last }) => !last).map(make))
    signal.throwIfAborted()
    for (const one of settled) if (one.status === 'rejected') throw one.reason
    for (const check of checks.filter(({ last }) => last)) await make(check)
  } finally {
    await site.signOut()
    await site.client.close()
  }
  const inOrder = checks.flatMap(({ id }) => results.get(id) ?? [])
  const expired = judgeWaivers(policy, inOrder, findings)
  const all = [...inOrder, resultOf('waivers', 0, 'no waiver has expired', expired, site.secrets)]
  const { url, verification } = target
  const found = checks.flatMap(({ id }) => findings.filter((finding) => finding.id === id))
  const report = { url, verification, failOn, checks: all, findings: found, requests: site.client.requests }
  const evidence = await writeReport(target.evidence, part.name, report, site.secrets)
  return all.map((result) => ({ ...result, evidence }))
}

function resultOf(
  name: string,
  ms: number,
  expected: string,
  { verdict, seen }: Pick<Judged, 'verdict' | 'seen'>,
  secrets: Secrets,
): CheckResult {
  const line = secrets.redact(seen.replace(/\s+/g, ' '))
  const shown = line.length > 200 ? `${line.slice(0, 200)}…` : line
  return { gate: 'security', name, verdict, ms, expected, seen: shown }
}

async function attempt(check: Check, site: Site, policy: Policy): Promise<Judged> {
  try {
    return judge(check, await check.probe(site), policy)
  } catch (error) {
    if (error instanceof NotApplicable)
      return { verdict: 'skipped', seen: `not applicable: ${error.message}`, findings: [] }
    if (error instanceof Unanswered) return { verdict: 'inconclusive', seen: error.message, findings: [] }
    site.signal.throwIfAborted()
    return { verdict: 'inconclusive', seen: `the check itself failed: ${sentence(error)}`, findings: [] }
  }
}
