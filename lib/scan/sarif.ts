/**
 * SARIF 2.1.0, as far as GitHub's code scanning reads it: rules with `security-severity`, results with a place in
 * a file of the repository and a fingerprint that outlives changes of its line.
 * https://docs.github.com/en/code-security/reference/code-scanning/sarif-files/sarif-support-for-code-scanning
 *
 * Only of a scan that every scanner answered: code scanning closes the alerts that an upload does not repeat. It shows
 * what is suppressed as an open alert, too, so that what is waived is not in it.
 */
import type { Log, ReportingDescriptor, Result } from 'sarif'
import { advisoryUrl, type Rating } from './finding.ts'
import type { Judged, ScanResult } from './result.ts'

/** SARIF's messages know links in brackets and placeholders in braces (SARIF 2.1.0, 3.11). */
export function sarifText(text: string): string {
  return text.replace(/[[{]/g, '(').replace(/[\]}]/g, ')').replaceAll('\\', '/')
}

/** A file that findings are shown in, such as the lockfile. */
export interface Manifest {
  /** From the repository's root, with slashes. */
  path: string
  lines: readonly string[]
}

/** The least score of each severity, so that GitHub shows the same one. What nobody rated counts as the worst. */
const scores: Record<Rating, number> = { unknown: 9, critical: 9, high: 7, medium: 4, low: 0.1 }

const levels = { unknown: 'error', critical: 'error', high: 'error', medium: 'warning', low: 'note' } as const

/** More is not taken: 25 000 results in a run, 1 000 places for one. */
const MOST_RESULTS = 25_000

export function sarif({ findings, startedAt, ms }: ScanResult, manifest: Manifest): Log {
  const shown = findings.filter(({ waiver }) => !waiver).slice(0, MOST_RESULTS)
  const rules = [...Map.groupBy(shown, ({ id }) => id)].map(rule)
  const indexes = new Map(rules.map(({ id }, i) => [id, i]))
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: { driver: { name: 'security-scan', rules } },
        invocations: [
          {
            executionSuccessful: true,
            startTimeUtc: startedAt,
            endTimeUtc: new Date(Date.parse(startedAt) + ms).toISOString(),
          },
        ],
        results: shown.map((found) => resultOf(found, indexes.get(found.id) ?? -1, manifest)),
      },
    ],
  }
}

/** One advisory, which several packages or versions may have: the worst of its scores counts. */
function rule([id, group]: [string, Judged[]]): ReportingDescriptor {
  const url = advisoryUrl(id)
  const title = sarifText(group[0]?.title ?? '') || sarifText(id)
  return {
    id,
    shortDescription: { text: title },
    fullDescription: { text: title },
    help: { text: url ?? title },
    ...(url !== undefined && { helpUri: url }),
    properties: {
      'security-severity': Math.max(...group.map(score)).toFixed(1),
      tags: ['security', 'vulnerability', 'dependency'],
    },
  }
}

function score({ cvss = 0, severity }: Judged): number {
  return Math.max(cvss, scores[severity])
}

function resultOf(found: Judged, ruleIndex: number, manifest: Manifest): Result {
  const { id, severity, version, fixedIn, title, paths } = found
  const fix = fixedIn === undefined ? '' : ` Fixed in ${fixedIn}.`
  const message = `${found.package} ${version}: ${title || id}.${fix} Installed at ${paths.slice(0, 5).join(', ')}.`
  return {
    ruleId: id,
    ruleIndex,
    level: levels[severity],
    message: { text: sarifText(message) },
    locations: [
      {
        physicalLocation: {
          artifactLocation: { uri: uriOf(manifest.path), uriBaseId: '%SRCROOT%' },
          region: { startLine: lineOf(found, manifest.lines) },
        },
      },
    ],
    partialFingerprints: { primaryLocationLineHash: fingerprint(found) },
  }
}

/** The version is not part of it: an upgrade that does not help is no new alert. */
function fingerprint({ id, package: name, paths }: Judged): string {
  return new Bun.CryptoHasher('sha256').update(JSON.stringify([id, name, paths[0] ?? ''])).digest('hex')
}

const uriOf = (path: string): string => path.toWellFormed().split('/').map(encodeURIComponent).join('/')

/** Where the lockfile has the package; its first line when it does not. */
function lineOf({ package: name, version, paths }: Judged, lines: readonly string[]): number {
  const spelled = [...paths.map((path) => JSON.stringify(path)), JSON.stringify(`${name}@${version}`)]
  const line = [...spelled, JSON.stringify(name)]
    .map((needle) => lines.findIndex((row) => row.includes(needle)))
    .find((index) => index >= 0)
  return (line ?? 0) + 1
}
