/** What every scanner's answer is held to: no exit code is believed without the report that goes with it (S6). */
import { z } from 'zod'
import type { Command, Output } from '../command.ts'
import { DeployError } from '../errors.ts'
import { parseJson } from '../json.ts'
import { canonicalId, fixedIn, primaryId, rating, type Finding } from './finding.ts'
import { plain } from '../text.ts'

/** An advisory as the registry's bulk endpoint, and npm after it, have it. */
export interface Advisory {
  id: string | number
  url?: string | undefined
  title: string
  severity?: string | undefined
  cvss?: { score?: number | null | undefined } | null | undefined
  range: string
}

/** A program that did not run to its end. @throws DeployError saying why */
export function mustHaveRun([program]: Command, { exitCode, stderr }: Output): void {
  if (exitCode === 127 || exitCode === 126) throw new DeployError(`${program} cannot be run: is it on PATH?`)
  if (exitCode === 124) throw new DeployError(`${program} took too long and was ended (--timeout)`)
  if (exitCode > 128)
    throw new DeployError(`${program} was ended by signal ${exitCode - 128}: ${last(stderr)}`)
}

/** @throws DeployError naming the first thing in the report that is not as it must be */
export function readReport<T>(schema: z.ZodType<T>, text: string, what: string): T {
  const parsed = schema.safeParse(parseJson(text))
  if (parsed.success) return parsed.data
  const { path = [], message = '' } = parsed.error.issues[0] ?? {}
  const place = plain(path.map(String).join('.'), 100)
  throw new DeployError(
    `${what} left no report that can be read${place && ` (${place}: ${plain(message, 150)})`}`,
  )
}

/** The last line that a program said, which is mostly the one that counts. */
export function last(text: string): string {
  const lines = text.split('\n').map((line) => plain(line, 200))
  return lines.findLast((line) => line !== '') ?? 'it said nothing'
}

/** The finding that an advisory is for one version of a package. */
export function findingOf(
  advisory: Advisory,
  { name, version, paths, source }: { name: string; version: string; paths: string[]; source: string },
): Finding {
  const ghsa = /GHSA(-[a-z0-9]{4}){3}/i.exec(advisory.url ?? '')?.[0]
  const ids = [canonicalId(ghsa ?? `npm-${advisory.id}`)]
  const fixed = fixedIn(advisory.range, version)
  const score = advisory.cvss?.score
  const cvss = score && score > 0 && score <= 10 ? score : undefined // 0: there is none
  return {
    id: primaryId(ids),
    ids,
    title: plain(advisory.title, 300),
    package: plain(name, 250),
    version: plain(version, 100),
    severity: rating(advisory.severity, cvss),
    ...(cvss !== undefined && { cvss }),
    ...(fixed !== undefined && { fixedIn: fixed }),
    paths: paths.map((path) => plain(path)),
    sources: [source],
  }
}
