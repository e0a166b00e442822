/**
 * `bun audit`: the registry's answer as it came, with neither versions nor places, which bun.lock has. It leaves
 * out what is only needed to build when its configuration does so for installations, and says nothing of it.
 */
import { z } from 'zod'
import type { Command, Output } from '../command.ts'
import { DeployError } from '../errors.ts'
import { satisfies, type Finding } from './finding.ts'
import { findingOf, last, mustHaveRun, readReport } from './report.ts'

export const bunAudit = (folder: string): Command => ['bun', 'audit', '--json', `--cwd=${folder}`]

const report = z.record(
  z.string(),
  z.array(
    z.object({
      id: z.union([z.number(), z.string()]),
      url: z.string().optional(),
      title: z.string().default(''),
      severity: z.string().optional(),
      cvss: z.object({ score: z.number().nullish() }).nullish(),
      vulnerable_versions: z.string(),
    }),
  ),
)
/** A place, such as `parent/child`, and what is there: `child@1.0.0` first. */
const lockfile = z.object({ packages: z.record(z.string(), z.tuple([z.string()], z.unknown())) })

/** @throws DeployError when Bun could not ask, or its report cannot be believed */
export function readBunAudit(output: Output, lock: string): Finding[] {
  mustHaveRun(bunAudit('.'), output)
  const { stdout, stderr, exitCode } = output
  if (exitCode > 1 || stdout.trim() === '') {
    throw new DeployError(`bun audit failed with ${exitCode}: ${last(stderr)}`)
  }
  const advisories = readReport(report, stdout, `bun audit (${last(stderr)})`)
  const places = installed(lock)
  const findings = Object.entries(advisories).flatMap(([name, all]) =>
    all.flatMap((advisory) => {
      const range = advisory.vulnerable_versions
      const mine = places.filter((place) => place.name === name)
      const affected = mine.filter(({ version }) => satisfies(version, range))
      const groups = Map.groupBy(affected.length > 0 ? affected : mine, ({ version }) => version)
      const versions = groups.size > 0 ? [...groups] : [['', []] as const]
      return versions.map(([version, group]) =>
        findingOf(
          { ...advisory, range },
          { name, version, paths: group.map(({ path }) => path), source: 'bun audit' },
        ),
      )
    }),
  )
  if (findings.length === 0 && exitCode !== 0) {
    throw new DeployError(`bun audit ended with ${exitCode} and names no advisory: ${last(stderr)}`)
  }
  return findings
}

/** What bun.lock installs, and where. @throws DeployError */
export function installed(lock: string): { path: string; name: string; version: string }[] {
  const parsed = lockfile.safeParse(parseLock(lock))
  if (!parsed.success) throw new DeployError('bun.lock cannot be read: `bun install` writes it anew')
  return Object.entries(parsed.data.packages).map(([path, [spec]]) => {
    const at = spec.lastIndexOf('@')
    return { path, name: spec.slice(0, at), version: spec.slice(at + 1) }
  })
}

function parseLock(lock: string): unknown {
  try {
    return Bun.JSONC.parse(lock)
  } catch {
    return undefined
  }
}

/**
 * The setting that would make the audit leave packages out. No flag of `bun audit` puts them back.
 * @throws DeployError when a file that Bun reads holds one
 */
export function refuseNarrowed(files: readonly { file: string; text: string }[]): void {
  for (const { file, text } of files) {
    const setting = file.endsWith('.npmrc')
      ? /^\s*(omit(\[\])?\s*=\s*\w|production\s*=\s*true|only\s*=\s*prod).*$/m.exec(text)?.[0]
      : /^\s*(production\s*=\s*true|(dev|optional|peer)\s*=\s*false).*$/m.exec(text)?.[0]
    if (setting !== undefined) {
      const what = `"${setting.trim().slice(0, 80)}" in ${file}`
      throw new DeployError(
        `bun audit would leave packages out unsaid because of ${what}: take it out for CI`,
      )
    }
  }
}
