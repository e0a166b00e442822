/**
 * Findings that somebody answers for, until a day. Each entry of security-waivers.yaml:
 *
 *     - id: GHSA-p6mc-m468-83gw   # or a CVE
 *       package: lodash           # optional: only there
 *       reason: not reachable, we never pass user input
 *       owner: alice@example.com
 *       expires: 2027-01-31       # the last day on which it holds (UTC)
 */
import { existsSync } from 'node:fs'
import { z } from 'zod'
import { DeployError, Exit } from '../errors.ts'
import { readYaml } from '../settings/yaml.ts'
import { canonicalId, type Finding } from './finding.ts'
import { plain } from '../text.ts'

const text = z
  .string()
  .transform((said) => plain(said))
  .pipe(z.string().min(1, 'expected a word'))
const waiver = z.strictObject({
  id: text,
  package: text.optional(),
  reason: text,
  owner: text,
  expires: z.iso.date('expected a date such as 2027-01-31'),
})

export interface Waiver extends z.infer<typeof waiver> {
  /** `security-waivers.yaml:3` */
  at: string
}

/**
 * A file that is not there holds none, unless it was asked for by name.
 * @throws DeployError (2) naming each mistake with its line
 */
export function readWaivers(file: string, required: boolean): Waiver[] {
  if (!required && !existsSync(file)) return []
  const { content, at } = readYaml(file)
  const parsed = z.array(waiver).safeParse(content ?? [])
  if (parsed.success) return parsed.data.map((entry, i) => ({ ...entry, at: at([i]) }))
  const problems = parsed.error.issues.map(
    ({ path, message }) => `${at(path)}: ${path.slice(1).join('.') || 'the entry'}: ${message}`,
  )
  throw new DeployError(problems.join('\n'), Exit.usage)
}

/** It holds on its last day, and not any more on the next. */
export const hasExpired = ({ expires }: Waiver, now: number): boolean =>
  new Date(now).toISOString().slice(0, 10) > expires

export function covers({ id, package: only }: Waiver, { ids, package: name }: Finding): boolean {
  return ids.includes(canonicalId(id)) && (only === undefined || only === name)
}

/**
 * Entries that no longer do anything are wrong: the next finding of that name would pass unseen. Whether one is
 * unused is only known when every scanner has answered that the settings ask for (`everything`).
 */
export function waiverProblems(
  waivers: readonly Waiver[],
  findings: readonly Finding[],
  { now, everything }: { now: number; everything: boolean },
): string[] {
  return waivers.flatMap((entry) => {
    const { at, id, owner, expires } = entry
    const name = `${at}: the waiver of ${id}`
    if (hasExpired(entry, now)) return [`${name} expired on ${expires}; ${owner} answers for it`]
    const unused = everything && !findings.some((found) => covers(entry, found))
    return unused ? [`${name} covers nothing that was found: take it out`] : []
  })
}
