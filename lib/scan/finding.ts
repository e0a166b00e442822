/** One vulnerability of one version of one package, whoever reported it. */
import semver from 'semver'
import { z } from 'zod'
import { severities } from '../settings/gates.ts'
import { plain } from '../text.ts'

/** The page of an advisory. Made of the id, never taken from a report: a stranger's address is no link of ours. */
export function advisoryUrl(id: string): string | undefined {
  if (/^GHSA(-[a-z0-9]{4}){3}$/.test(id)) return `https://github.com/advisories/${id}`
  if (/^CVE-\d{4}-\d{4,19}$/.test(id)) return `https://nvd.nist.gov/vuln/detail/${id}`
  return undefined
}

export const ratings = ['critical', 'high', 'medium', 'low', 'unknown'] as const

export type Rating = (typeof ratings)[number]

export const finding = z.strictObject({
  /** The GHSA if there is one, else the CVE, else what the scanner calls it. */
  id: z.string(),
  /** All of its ids. */
  ids: z.array(z.string()),
  title: z.string(),
  package: z.string(),
  /** Empty when the scanner does not say. */
  version: z.string(),
  severity: z.enum(ratings),
  /** 0–10, of whichever version of CVSS the scanner has. */
  cvss: z.number().optional(),
  /** The first version without it, as the advisory's range has it. */
  fixedIn: z.string().optional(),
  /** Where the package is installed, relative to the folder that was scanned. */
  paths: z.array(z.string()),
  sources: z.array(z.string()),
})

export type Finding = z.infer<typeof finding>

const CVE = /^CVE-\d{4}-\d{4,19}$/

const GHSA = /^GHSA(-[a-z0-9]{4}){3}$/

/** An id as it is written everywhere: `cve-2020-1` and `CVE-2020-1` are one. */
export function canonicalId(text: string): string {
  const id = plain(text, 200)
  if (/^cve-/i.test(id)) return id.toUpperCase()
  return /^ghsa-/i.test(id) ? `GHSA${id.slice(4).toLowerCase()}` : id
}

export function primaryId(ids: readonly string[]): string {
  return ids.find((id) => GHSA.test(id)) ?? ids.find((id) => CVE.test(id)) ?? ids[0] ?? 'unnamed'
}

/** In whatever words and case a scanner says it; where it says nothing known, by the score (CVSS 3's bands). */
export function rating(word: string | undefined, cvss?: number): Rating {
  const said = word?.trim().toLowerCase() ?? ''
  if (said === 'moderate') return 'medium'
  if (said === 'info' || said === 'none') return 'low'
  const known = severities.find((severity) => severity === said)
  if (known) return known
  if (cvss === undefined || !(cvss > 0 && cvss <= 10)) return 'unknown'
  return cvss >= 9 ? 'critical' : cvss >= 7 ? 'high' : cvss >= 4 ? 'medium' : 'low'
}

/**
 * The end of the vulnerable range that a version is in: `>=2 <2.3.1` → 2.3.1, `<=2.3` → "after 2.3". A version
 * that is in none of its parts (a pre-release, an unknown one) gets all of their ends.
 */
export function fixedIn(range: string, version: string): string | undefined {
  const parts = range.split('||')
  const mine = parts.filter((part) => satisfies(version, part))
  const ends = (mine.length > 0 ? mine : parts).flatMap((part) => {
    const [, orEqual, end] = /<(=?)\s*(\d[^\s,]*)/.exec(part) ?? []
    return end === undefined ? [] : [`${orEqual ? 'after ' : ''}${end}`]
  })
  return ends.length === 0 ? undefined : plain(ends.join(' or '), 100)
}

/** As npm's audit has it: a pre-release is in it, too. A range that cannot be read holds no version. */
export function satisfies(version: string, range: string): boolean {
  return semver.satisfies(version, range, { includePrerelease: true, loose: true })
}

/** What several scanners found, each once; the worst that any of them says of it counts. */
export function merge(findings: readonly Finding[]): Finding[] {
  const packages = Map.groupBy(findings, (found) => found.package)
  const merged = [...packages.values()].flatMap((group) => group.reduce<Finding[]>(add, []))
  return merged.toSorted(
    (one, other) =>
      worst(one.severity) - worst(other.severity) ||
      (other.cvss ?? 0) - (one.cvss ?? 0) ||
      compare(one.package, other.package) ||
      compare(one.id, other.id),
  )
}

const compare = (one: string, other: string): number => (one < other ? -1 : Number(one > other))

/** What is not known may be anything: it stands first. */
const worst = (severity: Rating): number => (severity === 'unknown' ? -1 : ratings.indexOf(severity))

function add(merged: Finding[], found: Finding): Finding[] {
  const others: Finding[] = []
  let whole = found
  for (const other of merged) {
    if (isSame(other, whole)) whole = join(other, whole)
    else others.push(other)
  }
  return [...others, whole]
}

/**
 * They share an id, and no id speaks against it: an advisory has one CVE and one GHSA, so that a report which
 * mentions a neighbour's cannot make two vulnerabilities one, nor one waiver cover both.
 */
function isSame(one: Finding, other: Finding): boolean {
  const ids = new Set([...one.ids, ...other.ids])
  const contradict = [CVE, GHSA].some((kind) => [...ids].filter((id) => kind.test(id)).length > 1)
  const versions = new Set([one.version, other.version].filter(Boolean))
  return !contradict && versions.size < 2 && one.ids.some((id) => other.ids.includes(id))
}

function join(one: Finding, other: Finding): Finding {
  const ids = [...new Set([...one.ids, ...other.ids])]
  const scores = [one.cvss, other.cvss].filter((score) => score !== undefined)
  const known = [one.severity, other.severity].filter((severity) => severity !== 'unknown')
  const fixed = one.fixedIn ?? other.fixedIn
  return {
    id: primaryId(ids),
    ids,
    title: one.title || other.title,
    package: one.package,
    version: one.version || other.version,
    severity: known.toSorted((a, b) => worst(a) - worst(b))[0] ?? 'unknown',
    ...(scores.length > 0 && { cvss: Math.max(...scores) }),
    ...(fixed !== undefined && { fixedIn: fixed }),
    paths: [...new Set([...one.paths, ...other.paths])],
    sources: [...new Set([...one.sources, ...other.sources])],
  }
}
