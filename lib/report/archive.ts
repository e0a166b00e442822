/**
 * Records outlive the cluster's limit in a folder: `DIR/ENVIRONMENT/ID.json`, a file for each that has ended, written
 * anew when it changes. Where it is kept — a disk, a bucket, a branch — is the business of whoever names it.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { recordForm, type DeploymentRecord } from '../history/record.ts'
import { parseJson } from '../json.ts'
import type { Source } from './commits.ts'

/** An attempt, and what its image was built of as far as anybody knows. */
export interface Archived {
  record: DeploymentRecord
  source?: Source | undefined
}

const form = z.object({
  record: recordForm,
  source: z.object({ revision: z.string(), committedAt: z.string().optional() }).optional(),
})

/** In names of files: an id is a ULID, an environment a word of deploy.yaml. */
const NAME = /^[\w][\w.-]{0,100}$/

/** Of what has ended, and can be read as a whole: anything else is told anew another time. */
export const isLasting = ({ outcome, unreadable }: DeploymentRecord): boolean =>
  outcome !== 'open' && unreadable === undefined

/** Whole or not at all: a reader never finds half a file. @returns the file @throws Error when it cannot be written */
export function archive(folder: string, { record, source }: Archived): string {
  for (const name of [record.environment, record.id])
    if (!NAME.test(name)) throw new Error(`"${name}" names no file of an archive`)
  const file = join(folder, record.environment, `${record.id}.json`)
  mkdirSync(join(folder, record.environment), { recursive: true })
  // What it was built of was known once: a run in a hurry does not ask again.
  const whole = { record, source: source ?? readOne(file)?.source }
  writeFileSync(`${file}.part`, `${JSON.stringify(whole, undefined, 2)}\n`)
  renameSync(`${file}.part`, file)
  return file
}

/** All of an environment. A file that is no record is named, and left out. */
export function readArchive(folder: string, environment: string): { found: Archived[]; unread: string[] } {
  const place = join(folder, environment)
  const found: Archived[] = []
  const unread: string[] = []
  for (const name of filesIn(place)) {
    const data = readOne(join(place, name))
    if (data && data.record.environment === environment) found.push(data)
    else unread.push(join(place, name))
  }
  return { found, unread }
}

/** Undefined where there is none, or it is no record. */
function readOne(file: string): Archived | undefined {
  if (!existsSync(file)) return undefined
  return form.safeParse(parseJson(readFileSync(file, 'utf8'))).data
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => name.endsWith('.json'))
  } catch {
    return [] // there is none yet
  }
}
