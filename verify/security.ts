/**
 * The security gate: probes whose answers show known weaknesses. Safe on a production instance: few requests, paced,
 * and none that changes anything but the sign-ins of test accounts and one declared thing that is removed again.
 */
import type { CheckResult, Gate, Target } from '../lib/check.ts'
import { systemClock } from '../lib/clock.ts'
import { sentence } from '../lib/errors.ts'
import type { Accounts, SecuritySettings } from '../lib/settings/gates.ts'
import { plain } from '../lib/text.ts'
import { catalogue } from './security/catalogue.ts'
import { NotApplicable, Unanswered, type Check } from './security/check.ts'
import { judge, judgeWaivers, placeOf, type Finding, type Judged, type Policy } from './security/findings.ts'
import { writeReport } from './security/report.ts'
import { Site, isRead, type Briefing, type SecurityWorld } from './security/site.ts'
import { leftOut } from './skips.ts'

/** One of the two parts of the gate. */
interface Part extends Briefing {
  /** The evidence's name. */
  name: string
  checks: readonly Check[]
  /** What was found at users' address before they were moved, if somebody has looked: it is no release's. Shared. */
  before: { places?: Set<string> }
}

/** Before what was not answered to users' address is asked again, in ms: a firewall that counts has some time to forget. */
const PAUSE = 3000

/** For one answer of what users are on, where a person waits to be let through, in ms. */
const NOTE_TIMEOUT = 5000

/**
 * `whole` is for the preview; what belongs to users' address is asked there, where the target names it, and what is
 * wrong there already is noted. `passive` is for what users see: a few dozen GET requests without an account, for
 * headers, cookies, the certificate, protected endpoints, and what should not be served. What was noted does not count
 * against it, and what is not answered is asked twice: users would be moved back.
 * @param variables where the accounts' passwords are
 */
export function security(
  settings: SecuritySettings,
  accounts: Accounts | undefined,
  variables: Record<string, string | undefined>,
  world: SecurityWorld = {},
): { whole: Gate; passive: Gate; note: (target: Target, signal: AbortSignal) => Promise<void> } {
  const before: Part['before'] = {}
  const briefing = { settings, accounts, variables, world, moved: false }
  const whole: Part = { ...briefing, name: 'security', checks: catalogue, before }
  const passive: Part = { ...harmless(whole), name: 'security-live', moved: true }
  return {
    whole: (target, signal, progress) => run(whole, target, signal, progress),
    passive: (target, signal, progress) => runTwice(passive, target, signal, progress),
    note: async (target, signal) => {
      if (before.places) return
      const hasty = { ...world, timeout: world.timeout ?? NOTE_TIMEOUT }
      const site = new Site({ ...harmless(whole), world: hasty }, target, signal)
      try {
        await site.reach()
        await note(whole, site)
      } finally {
        await site.client.close()
      }
    },
  }
}

/** Only what may be asked of what users see. */
function harmless(part: Part): Part {
  const { settings, checks } = part
  return {
    ...part,
    checks: checks.filter((check) => check.passive),
    settings: { ...settings, protected: settings.protected.filter(({ method }) => isRead(method)) },
    accounts: undefined,
  }
}

async function runTwice(
  part: Part,
  target: Target,
  signal: AbortSignal,
  progress: (state: string) => void = () => {},
): Promise<CheckResult[]> {
  const first = await run(part, target, signal, progress)
  const open = first.filter(({ verdict }) => verdict === 'inconclusive').map(({ name }) => name)
  if (open.length === 0) return first
  progress(`${open.length} checks once more`)
  await systemClock.sleep(part.world.pause ?? PAUSE, signal)
  const checks = part.checks.filter(({ id }) => open.includes(id))
  const settings = { ...part.settings, rate: part.settings.rate / 4 }
  const second = await run(
    { ...part, name: `${part.name}-again`, checks, settings },
    target,
    signal,
    progress,
  )
  return first.map((one) => (open.includes(one.name) && second.find(({ name }) => name === one.name)) || one)
}

async function run(
  part: Part,
  target: Target,
  signal: AbortSignal,
  progress: (state: string) => void = () => {},
): Promise<CheckResult[]> {
  const { checks, before, moved } = part
  const { failOn, waivers, skip } = part.settings
  const site = new Site(part, target, signal)
  const address = addressOf(part, target, signal, site)
  const redact = (text: string): string => site.secrets.redact(text)
  // Where users are on it already, what they had before is not its fault.
  const known = moved || target.address === undefined ? before.places : undefined
  const policy = { failOn, waivers, now: site.now, redact, before: known }
  const results = new Map<string, CheckResult>()
  const findings: Finding[] = []
  const make = async (check: Check): Promise<void> => {
    const { id, expected } = check
    const skipped = skip.find((one) => one.id === id)
    const started = performance.now()
    if (skipped) {
      // Once users are there, a skip holds that held before.
      const now = moved ? -Infinity : site.now
      results.set(id, leftOut({ gate: 'security', name: id, expected }, skipped, now))
    } else {
      const there =
        address && isOfAddress(check, site) ? await askedThere(check, address, site, policy) : undefined
      const judged = there ?? (await attempt(check, site, policy))
      findings.push(...judged.findings)
      results.set(id, resultOf(id, performance.now() - started, expected, judged))
    }
    progress(`${results.size} of ${checks.length} checks`)
  }
  try {
    await Promise.all([site.reach(), address?.reach()])
    const noted = address && target.live !== undefined ? note(part, address) : undefined
    // All are let end before anything is said, so that what they made is removed.
    const settled = await Promise.allSettled([...checks.filter(({ last }) => !last).map(make), noted])
    signal.throwIfAborted()
    for (const one of settled) if (one.status === 'rejected') throw one.reason
    for (const check of checks.filter(({ last }) => last)) await make(check)
  } finally {
    await site.signOut()
    await Promise.all([site.client.close(), address?.client.close()])
  }
  const inOrder = checks.flatMap(({ id }) => results.get(id) ?? [])
  const waiving = judgeWaivers(policy, inOrder, findings)
  const unclean = [...inOrder, resultOf('waivers', 0, 'no waiver has expired', waiving)]
  // Only now are all secrets known.
  const all = unclean.map((result) => ({ ...result, seen: plain(redact(result.seen), 201) }))
  const { url, verification } = target
  const found = checks.flatMap(({ id }) => findings.filter((finding) => finding.id === id))
  const there = address?.client.requests.map((one) => ({
    ...one,
    note: `${one.note} at ${address.client.url.host}`.trim(),
  }))
  const requests = [...site.client.requests, ...(there ?? [])]
  const report = { url, verification, failOn, checks: all, findings: found, requests }
  const evidence = await writeReport(target.evidence, part.name, report, site.secrets)
  return all.map((result) => ({ ...result, evidence }))
}

/** Users' address, where the target is somewhere else. */
function addressOf(part: Part, target: Target, signal: AbortSignal, site: Site): Site | undefined {
  const { address, url } = target
  if (part.moved || address === undefined || new URL(address).origin === new URL(url).origin) return undefined
  return new Site(harmless(part), { ...target, url: address }, signal, site.secrets)
}

/** What users are answered says nothing of a release that answers over https itself. */
function isOfAddress(check: Check, { https }: Site): boolean {
  return check.address === 'way' || (check.address === 'answers' && !https)
}

/**
 * What belongs to users' address, asked before they are moved. Where it cannot be, since nobody is served there yet or
 * what is live is sick, that keeps no release back: it is asked after the switch.
 */
async function askedThere(check: Check, address: Site, site: Site, policy: Policy): Promise<Judged> {
  const { host } = address.client.url
  if (check.address === 'answers' && !address.client.live) return later(`nobody is served at ${host} yet`)
  const judged = await attempt(check, address, policy)
  if (judged.verdict === 'inconclusive') return later(`${host}: ${judged.seen}`)
  if (judged.verdict !== 'failed' || !(await check.mends?.(site).catch(() => false))) return judged
  return later(`${host} lacks it, and this release sends it`)
}

function later(why: string): Judged {
  return { verdict: 'skipped', seen: `not applicable: ${why}: asked after the switch`, findings: [] }
}

/** What is wrong at users' address already counts against no release. */
async function note({ checks, before, settings }: Part, address: Site): Promise<void> {
  const { failOn, waivers } = settings
  const redact = (text: string): string => address.secrets.redact(text)
  const policy = { failOn, waivers, now: address.now, redact }
  const passive = checks.filter((check) => check.passive)
  const judged = await Promise.all(passive.map((check) => attempt(check, address, policy)))
  before.places = new Set(judged.flatMap(({ findings }) => findings.map(placeOf)))
}

function resultOf(
  name: string,
  ms: number,
  expected: string,
  { verdict, seen }: Pick<Judged, 'verdict' | 'seen'>,
): CheckResult {
  return { gate: 'security', name, verdict, ms, expected, seen }
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
