/**
 * `npm audit`, report version 2. It says "no vulnerabilities" and exits 0 when it asked nobody: offline, with a
 * lockfile that holds no packages, or when NODE_ENV=production leaves out what is only needed to build. So its
 * scope is on the command line, and its log must show that the registry answered.
 */
import { z } from 'zod'
import type { Command, Output } from '../command.ts'
import { DeployError } from '../errors.ts'
import { parseJson } from '../json.ts'
import { satisfies, type Finding } from './finding.ts'
import { findingOf, last, mustHaveRun, readReport } from './report.ts'
import { plain } from '../text.ts'

export const npmAudit = (folder: string): Command => [
  'npm',
  'audit',
  '--json',
  '--package-lock-only',
  '--prefix',
  folder,
  '--no-offline',
  '--include=dev',
  '--include=optional',
  '--include=peer',
  '--loglevel=http',
]

const advisory = z.object({
  source: z.union([z.number(), z.string()]),
  title: z.string().default(''),
  url: z.string().optional(),
  severity: z.string().optional(),
  cvss: z.object({ score: z.number().nullish() }).nullish(),
  range: z.string(),
})
const report = z.object({
  auditReportVersion: z.literal(2),
  vulnerabilities: z.record(
    z.string(),
    z.object({ via: z.array(z.union([z.string(), advisory])), nodes: z.array(z.string()) }),
  ),
  metadata: z.object({
    vulnerabilities: z.object({ total: z.int() }),
    dependencies: z.object({ total: z.int() }),
  }),
})
const failure = z.object({
  message: z.string().optional(),
  error: z.object({ summary: z.string().optional() }).optional(),
})
const lockfile = z.object({ packages: z.record(z.string(), z.object({ version: z.string().optional() })) })
const manifest = z.object({
  dependencies: z.record(z.string(), z.unknown()).default({}),
  devDependencies: z.record(z.string(), z.unknown()).default({}),
  optionalDependencies: z.record(z.string(), z.unknown()).default({}),
})

const ANSWERED = /http fetch POST 200 \S+\/security\/advisories\/bulk\b/

/** @throws DeployError when npm could not ask, or its report cannot be believed */
export function readNpmAudit(output: Output, lock: string, packageJson: string): Finding[] {
  mustHaveRun(npmAudit('.'), output)
  refuseFailure(output)
  const { vulnerabilities, metadata } = readReport(report, output.stdout, 'npm audit')
  const entries = Object.entries(vulnerabilities)
  const { total } = metadata.vulnerabilities
  if (entries.length !== total) {
    throw new DeployError(`npm audit counts ${total} vulnerable packages and lists ${entries.length}`)
  }
  if (!ANSWERED.test(output.stderr) && !(metadata.dependencies.total === 0 && isAlone(packageJson))) {
    throw new DeployError(
      `npm audit did not ask the registry for advisories: is the lockfile complete? ${last(output.stderr)}`,
    )
  }
  const findings = entries.flatMap(([name, { via, nodes }]) =>
    via.flatMap((cause) => (typeof cause === 'string' ? [] : ofNodes(name, cause, nodes, versions(lock)))),
  )
  if (findings.length === 0 && (total > 0 || output.exitCode !== 0)) {
    throw new DeployError(`npm audit ended with ${output.exitCode} and names no advisory`)
  }
  return findings
}

/** npm's own account of what went wrong stands where the report should. */
function refuseFailure({ stdout, exitCode, stderr }: Output): void {
  const said = failure.safeParse(parseJson(stdout)).data
  const why = said?.message ?? said?.error?.summary
  if (why !== undefined) throw new DeployError(`npm audit failed: ${plain(why, 300)}`)
  if (exitCode > 1) throw new DeployError(`npm audit ended with ${exitCode}: ${last(stderr)}`)
}

/** One for each version that is in the advisory's range; if none is, none is known to be out of it. */
function ofNodes(
  name: string,
  cause: z.infer<typeof advisory>,
  nodes: string[],
  installed: ReadonlyMap<string, string>,
): Finding[] {
  const placed = nodes.map((path) => ({ path, version: installed.get(path) ?? '' }))
  const affected = placed.filter(({ version }) => satisfies(version, cause.range))
  const places = affected.length > 0 ? affected : placed
  const groups = Map.groupBy(
    places.length > 0 ? places : [{ path: '', version: '' }],
    (place) => place.version,
  )
  return [...groups].map(([version, group]) =>
    findingOf(
      { ...cause, id: cause.source },
      { name, version, paths: group.map(({ path }) => path).filter(Boolean), source: 'npm audit' },
    ),
  )
}

/** By path; none from lockfiles of version 1, which do not list them so. */
function versions(lock: string): Map<string, string> {
  const { packages } = lockfile.safeParse(parseJson(lock)).data ?? { packages: {} }
  return new Map(Object.entries(packages).map(([path, { version = '' }]) => [path, version]))
}

/** A package that declares no dependencies has nothing to ask about. */
function isAlone(packageJson: string): boolean {
  const declared = manifest.safeParse(parseJson(packageJson)).data
  return declared !== undefined && Object.values(declared).every((names) => Object.keys(names).length === 0)
}
