/** What the security scan is told: the `scan:` of deploy.yaml, or the flags of scripts/security-scan.ts. */
import { z } from 'zod'
import { DeployError, Exit } from '../errors.ts'
import { severities } from './gates.ts'
import { duration } from './scalars.ts'

/** `audit` is npm's or Bun's, as the lockfile is. */
export const scanners = ['audit', 'dependency-check'] as const
export type Scanner = (typeof scanners)[number]

export const scan = z.strictObject({
  /** Where the lockfile is, and below which Dependency-Check looks. */
  folder: z.string().min(1).default('.'),
  /** One that is left out is recorded as skipped. */
  scanners: z
    .array(z.enum(scanners))
    .min(1)
    .default([...scanners]),
  /** The least severity that stops the pipeline. What has no known severity always does. */
  failOn: z.enum(severities).default('high'),
  /** A list of accepted findings; there need not be one. */
  waivers: z.string().min(1).default('security-waivers.yaml'),
  /** For each scanner. Dependency-Check's first download of its data takes 20 minutes and more. */
  timeout: duration.prefault('45m'),
  /** Used where Dependency-Check is not on PATH. */
  image: z.string().min(1).default('owasp/dependency-check:12.2.2'),
})
export type ScanSettings = z.infer<typeof scan>

/** What is not to be run this time, and why. @throws DeployError (2) */
export function skips(names: string | undefined, reason: string | undefined): Map<Scanner, string> {
  if (names === undefined && reason === undefined) return new Map()
  if (names === undefined || reason === undefined) {
    throw new DeployError('--skip SCANNER and --reason TEXT go together', Exit.usage)
  }
  const wanted = z.array(z.enum(scanners)).safeParse(names.split(','))
  if (!wanted.success) throw new DeployError(`--skip is ${scanners.join(' or ')}, not "${names}"`, Exit.usage)
  return new Map(wanted.data.map((name) => [name, reason]))
}
