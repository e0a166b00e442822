/**
 * Dependency-Check's JSON report, `reportSchema` 1.1, as core/src/main/resources/templates/jsonReport.vsl in
 * github.com/dependency-check/DependencyCheck writes it: scores are numbers, most else is text, and the case of
 * severities is that of their source.
 */
import { isAbsolute, join, relative } from 'node:path'
import { z } from 'zod'
import { DeployError } from '../errors.ts'
import { canonicalId, primaryId, rating, type Finding } from './finding.ts'
import type { Lock } from './readable-lock.ts'
import { readReport } from './report.ts'
import { plain } from '../text.ts'

const throwable = z.object({
  message: z.string().default(''),
  stackTrace: z.array(z.string()).default([]),
})
const software = z.object({
  vulnerabilityIdMatched: z.string().optional(),
  versionEndExcluding: z.string().optional(),
})
const vulnerability = z.object({
  name: z.string().min(1),
  severity: z.string().optional(),
  cvssv2: z.object({ score: z.number() }).optional(),
  cvssv3: z.object({ baseScore: z.number() }).optional(),
  cvssv4: z.object({ baseScore: z.number().optional() }).optional(),
  description: z.string().default(''),
  references: z.array(z.object({ url: z.string().optional() })).default([]),
  vulnerableSoftware: z.array(z.object({ software })).default([]),
})
const dependency = z.object({
  fileName: z.string(),
  filePath: z.string(),
  packages: z.array(z.object({ id: z.string() })).default([]),
  relatedDependencies: z.array(z.object({ fileName: z.string() })).default([]),
  vulnerabilities: z.array(vulnerability).default([]),
})
const report = z.object({
  reportSchema: z.literal('1.1'),
  scanInfo: z.object({
    /** What it compared with, and how old that is. Without any it compared with nothing. */
    dataSource: z.array(z.object({ name: z.string() })).min(1, 'it names no source of its data'),
    analysisExceptions: z.array(z.object({ exception: throwable })).default([]),
  }),
  dependencies: z.array(dependency).min(1, 'it found nothing to look at: are the dependencies installed?'),
})

/** Analyzers that the command line switches off: what they still complain of takes nothing away. */
const disabled = new Set(['OssIndexAnalyzer', 'NodeAuditAnalyzer'])

/**
 * What it found below `folder`, and in a lockfile that was made for it. Exceptions count whatever the exit code is: "the data could not be updated" is one.
 * @throws DeployError when the report cannot be read, is incomplete, or contradicts the exit code
 */
export function readFindings(exitCode: number, text: string, folder: string, lock?: Lock): Finding[] {
  const { scanInfo, dependencies } = readReport(report, text, 'Dependency-Check')
  const exceptions = scanInfo.analysisExceptions.map(({ exception }) => exception)
  const serious = exceptions.find(({ stackTrace }) => !disabled.has(analyzer(stackTrace)))
  if (serious) throw new DeployError(`Dependency-Check is incomplete: ${plain(serious.message, 300)}`)
  if (exitCode === 14 && exceptions.length === 0) {
    throw new DeployError('Dependency-Check ended with 14 (incomplete) and does not say what is missing')
  }
  if (lock) mustHaveRead(lock, dependencies)
  const findings = dependencies.flatMap((found) =>
    found.vulnerabilities.map((flaw) => toFinding(flaw, found, placeOf(found.filePath, folder, lock))),
  )
  if (exitCode === 15 && findings.length === 0) {
    throw new DeployError('Dependency-Check ended with 15 (vulnerable) and lists no vulnerability')
  }
  return findings
}

/**
 * It says nothing of a lockfile that it does not read, and goes on. What it read of one stands in its report, some of
 * it under another package's name, as it puts together what belongs together.
 */
function mustHaveRead({ file, packages }: Lock, dependencies: readonly z.infer<typeof dependency>[]): void {
  const named = new Set(
    dependencies.flatMap((found) => [
      ...[found, ...found.relatedDependencies].map(({ fileName }) => fileName.replace(/:[^:]*$/, '')),
      ...found.packages.flatMap(({ id }) => packageOf(id)?.name ?? []),
    ]),
  )
  const seen = [...packages].filter((name) => named.has(name)).length
  if (seen * 2 >= packages.size) return
  throw new DeployError(
    `Dependency-Check is incomplete: it looked at ${seen} of the ${packages.size} packages in ${file}`,
  )
}

/** From the folder that was scanned. */
function placeOf(path: string, folder: string, lock: Lock | undefined): string {
  const made = lock && join(lock.folder, 'package-lock.json')
  if (made && path.startsWith(made)) return lock.file + path.slice(made.length)
  return isAbsolute(path) ? relative(folder, path) : path
}

/** The analyzer that an exception came from: the innermost one of its stack. */
function analyzer(stackTrace: readonly string[]): string {
  const names = stackTrace.map((frame) => /\banalyzer\.(\w+Analyzer)\./.exec(frame)?.[1])
  return names.find((name) => name !== undefined && !name.startsWith('Abstract')) ?? ''
}

function toFinding(
  flaw: z.infer<typeof vulnerability>,
  { fileName, packages }: z.infer<typeof dependency>,
  path: string,
): Finding {
  const ids = idsOf(flaw)
  const cvss = flaw.cvssv4?.baseScore ?? flaw.cvssv3?.baseScore ?? flaw.cvssv2?.score
  const known = packages.map(({ id }) => packageOf(id)).find((found) => found !== undefined)
  const { name, version } = known ?? { name: fileName, version: '' }
  const fixed = flaw.vulnerableSoftware.find(({ software }) => software.vulnerabilityIdMatched === 'true')
  const end = fixed?.software.versionEndExcluding
  return {
    id: primaryId(ids),
    ids,
    title: plain(flaw.description, 300),
    package: plain(name, 250),
    version: plain(version, 100),
    severity: rating(flaw.severity, cvss),
    ...(cvss !== undefined && { cvss }),
    ...(end !== undefined && { fixedIn: plain(end, 100) }),
    paths: [plain(path)],
    sources: ['dependency-check'],
  }
}

/** Its own name, and its other one if the references name a single candidate: more would be neighbours. */
function idsOf({ name, references }: z.infer<typeof vulnerability>): string[] {
  const own = canonicalId(name)
  const pattern = own.startsWith('CVE-')
    ? /\/advisories\/(GHSA(?:-[a-z0-9]{4}){3})\b/i
    : /\/vuln\/detail\/(CVE-\d{4}-\d{4,19})\b/i
  const others = new Set(references.flatMap(({ url = '' }) => pattern.exec(url)?.[1] ?? []).map(canonicalId))
  return others.size === 1 ? [own, ...others] : [own]
}

/** `pkg:npm/%40scope%2Fname@1.2.3` → @scope/name, 1.2.3 (github.com/package-url/purl-spec). */
function packageOf(purl: string): { name: string; version: string } | undefined {
  const [, path = ''] = /^pkg:[^/]+\/([^?#]+)/.exec(purl) ?? []
  if (path === '') return undefined
  const at = path.lastIndexOf('@')
  const [name, version] = at > 0 ? [path.slice(0, at), path.slice(at + 1)] : [path, '']
  try {
    return { name: decodeURIComponent(name), version: decodeURIComponent(version) }
  } catch {
    return { name, version }
  }
}
