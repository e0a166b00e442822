/** What the stage leaves: `reports/security-scan/result.json`, which the other renderings are made of. */
import { z } from 'zod'
import { severities, type Severity } from '../settings/gates.ts'
import { finding, ratings, type Finding } from './finding.ts'
import { covers, hasExpired, waiverProblems, type Waiver } from './waivers.ts'

const judged = z.strictObject({
  ...finding.shape,
  /** It stops the pipeline. */
  blocks: z.boolean(),
  waiver: z.strictObject({ reason: z.string(), owner: z.string(), expires: z.string() }).optional(),
})
export type Judged = z.infer<typeof judged>

export const scanResult = z.strictObject({
  stage: z.literal('security-scan'),
  passed: z.boolean(),
  /** Every scanner that was asked has answered. */
  complete: z.boolean(),
  /** Every scanner that is asked from day to day has answered: none failed, none was skipped this time. */
  whole: z.boolean(),
  /** Why there is no verdict on the findings, or not on them alone: a scanner that failed, a waiver that expired. */
  problems: z.array(z.string()),
  failOn: z.enum(severities),
  /** ISO 8601, UTC */
  startedAt: z.string(),
  ms: z.number(),
  /** What was scanned, as git has it. */
  commit: z.string(),
  commands: z.array(
    z.strictObject({
      scanner: z.string(),
      command: z.array(z.string()),
      exitCode: z.number(),
      ms: z.number(),
    }),
  ),
  skipped: z.array(z.strictObject({ scanner: z.string(), reason: z.string() })),
  /** Of each severity, waived ones not among them. */
  counts: z.strictObject({
    critical: z.number(),
    high: z.number(),
    medium: z.number(),
    low: z.number(),
    unknown: z.number(),
    waived: z.number(),
  }),
  findings: z.array(judged),
  artifacts: z.array(z.strictObject({ file: z.string(), sha256: z.string(), bytes: z.number() })),
})
export type ScanResult = z.infer<typeof scanResult>

/** What the scanners answered, and those that could not or were not to. */
export interface Answers {
  findings: Finding[]
  failed: string[]
  skipped: ScanResult['skipped']
  /** Of the skipped, how many the settings ask for. */
  missed: number
}

/** Every finding's fate, and whether the stage passes. Pure. */
export function judge(
  { findings, failed, skipped, missed }: Answers,
  { failOn, waivers, now }: { failOn: Severity; waivers: readonly Waiver[]; now: number },
): Pick<
  ScanResult,
  'passed' | 'complete' | 'whole' | 'problems' | 'failOn' | 'counts' | 'findings' | 'skipped'
> {
  const valid = waivers.filter((entry) => !hasExpired(entry, now))
  const all = findings.map((found): Judged => {
    const entry = valid.find((candidate) => covers(candidate, found))
    if (!entry) return { ...found, blocks: reaches(found, failOn) }
    const { reason, owner, expires } = entry
    return { ...found, blocks: false, waiver: { reason, owner, expires } }
  })
  const complete = failed.length === 0
  const whole = complete && missed === 0
  const problems = [...failed, ...waiverProblems(waivers, findings, { now, everything: whole })]
  const open = all.filter(({ waiver }) => !waiver)
  const count = (severity: (typeof ratings)[number]): number =>
    open.filter((found) => found.severity === severity).length
  return {
    passed: problems.length === 0 && all.every(({ blocks }) => !blocks),
    complete,
    whole,
    problems,
    failOn,
    counts: {
      critical: count('critical'),
      high: count('high'),
      medium: count('medium'),
      low: count('low'),
      unknown: count('unknown'),
      waived: all.length - open.length,
    },
    findings: all,
    skipped,
  }
}

/** What nobody rated may be anything: it counts as the worst (S6). */
function reaches({ severity }: Finding, failOn: Severity): boolean {
  return severity === 'unknown' || severities.indexOf(severity) >= severities.indexOf(failOn)
}

/** `1 critical, 2 low` */
export function countsLine(counts: ScanResult['counts']): string {
  const said = [...ratings, 'waived' as const].flatMap((name) =>
    counts[name] > 0 ? [`${counts[name]} ${name}`] : [],
  )
  return said.join(', ') || 'nothing found'
}

/** Why the stage does not pass, a sentence each. */
export function objections({ findings, failOn, problems }: ScanResult): string[] {
  const blocking = findings.filter(({ blocks }) => blocks).length
  const said = blocking === 1 ? '1 finding blocks' : `${blocking} findings block`
  return [...(blocking > 0 ? [`${said} (fails on ${failOn} and worse)`] : []), ...problems]
}

/** `✗ high lodash 4.17.0 GHSA-… Prototype pollution, fixed in 4.17.21` */
export function findingLine({ severity, blocks, waiver, fixedIn, ...found }: Judged): string {
  const fate = blocks ? '✗' : waiver ? `waived until ${waiver.expires}:` : '–'
  const fix = fixedIn === undefined ? '' : `, fixed in ${fixedIn}`
  return `${fate} ${severity} ${found.package} ${found.version} ${found.id} ${found.title}${fix}`
}
