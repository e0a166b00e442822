/** All that is known of one attempt, from wherever it is: the record, its folder, the registry, git. */
import { join } from 'node:path'
import type { World } from '../cluster/world.ts'
import { recordForm, type DeploymentRecord } from '../history/record.ts'
import { findRelease } from '../image/beside.ts'
import type { Release } from '../image/release-file.ts'
import { Secrets, secretsIn } from '../secrets.ts'
import { commitsSince, sourceOf, type Commits, type Source } from './commits.ts'
import { readEvidence, type Evidence } from './evidence.ts'
import { extrasOf, type Extras } from './extras.ts'
import { tell, type Told } from './told.ts'

/** What every rendering is made of. */
export interface Report {
  record: DeploymentRecord
  told: Told
  commits: Commits
  /** Of the image's commit: lint, test, scan, build, as its registry keeps them. */
  stages: Release['stages'] | undefined
  /** What the image was built of. */
  source: Source | undefined
  extras: Extras
  evidence: Evidence
  /** What could not be had, a sentence each. */
  missing: string[]
  /** ISO 8601 */
  madeAt: string
}

/** What a report may wait for registry and git together, in ms; an interrupted run has less. */
const PATIENCE = 5_000

type Around = Pick<World, 'shell' | 'clock' | 'reports' | 'signal' | 'environment'>

/**
 * @param written a record as it was written; with what newer scripts have put in
 * @param ask registry and git, which may take some seconds
 * @returns undefined when it is no record
 */
export async function gather(
  written: unknown,
  around: Around,
  { ask = true } = {},
): Promise<Report | undefined> {
  const known = redacted(
    written,
    new Secrets([...(around.environment.secrets ?? []), ...secretsIn(process.env)]),
  )
  const { data: record } = recordForm.safeParse(known)
  if (!record) return undefined
  const folder = join(around.reports, record.id)
  const evidence = readEvidence(folder, record)
  const asks = ask && !around.signal.aborted
  const remote = asks ? await withinTime(askRegistry(record, around), around) : undefined
  const { commits, stages, source } = remote ?? {
    commits: { known: false, why: 'nobody had time to ask the registry' } as const,
  }
  const missing = [
    ...(evidence.here || record.checks.length === 0
      ? []
      : [`The evidence of its checks is not here: it was left in ${folder} of the machine that ran it.`]),
    ...(evidence.missing.length > 0
      ? [`Not here, or too large to be shown: ${evidence.missing.join(', ')}.`]
      : []),
    ...(commits.known ? [] : [`Its commits are not known: ${commits.why}.`]),
    ...(stages
      ? []
      : [
          'What its stages and its scan said is not known: its registry keeps no release, or was not reached.',
        ]),
    ...(record.unreadable === undefined
      ? []
      : [`The record cannot be read as a whole: ${record.unreadable}.`]),
  ]
  return {
    record,
    told: tell(record),
    commits,
    stages,
    source,
    extras: extrasOf(known),
    evidence,
    missing,
    madeAt: new Date(around.clock.now()).toISOString(),
  }
}

async function askRegistry(record: DeploymentRecord, { shell }: Around) {
  const { from, to } = record
  const [source, before, release] = await Promise.all([
    sourceOf(to.image, shell),
    from && sourceOf(from.image, shell),
    findRelease(to.image, shell).catch(() => undefined),
  ])
  return { source, stages: release?.stages, commits: await commitsSince(record, source, before, shell) }
}

/** Undefined when it takes too long, or is stopped. */
async function withinTime<T>(work: Promise<T>, { signal, clock }: Around): Promise<T | undefined> {
  const over = new AbortController()
  const late = clock.sleep(PATIENCE, AbortSignal.any([signal, over.signal])).catch(() => undefined)
  try {
    return await Promise.race([work.catch(() => undefined), late.then(() => undefined)])
  } finally {
    over.abort()
  }
}

/** The same without what is secret here, in whatever of its words it stands (S7). */
function redacted(value: unknown, secrets: Secrets): unknown {
  if (typeof value === 'string') return secrets.redact(value)
  if (Array.isArray(value)) return value.map((item) => redacted(item, secrets))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, redacted(item, secrets)]))
}
