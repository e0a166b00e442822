/**
 * What an environment requires of an image before it may be deployed there: the stages that its commit passed,
 * a security scan that is not old, another environment that it was live in. The word of the stages is the
 * release beside the image in the registry. Whoever may push there may have written it: it is worth as much as
 * the registry's access control.
 */
import { Kubectl } from '../cluster/kubectl.ts'
import type { World } from '../cluster/world.ts'
import { DeployError, Exit, sentence } from '../errors.ts'
import type { DeploymentRecord } from '../history/record.ts'
import { history } from '../history/store.ts'
import { findRelease } from '../image/beside.ts'
import type { Release } from '../image/release-file.ts'
import type { Requires } from '../settings/file.ts'
import { severities } from '../settings/gates.ts'
import { plain } from '../text.ts'

/** What is known of a digest; a text is the reason why it is not. */
export interface Evidence {
  release: Release | string
  /** Of the environment that must have been passed, newest first. */
  records: readonly DeploymentRecord[] | string
}

export interface Proof {
  held: string[]
  /** A sentence each. */
  missing: string[]
}

export const NOTHING_REQUIRED: Proof = { held: [], missing: [] }

type Found = { held: string } | { missing: string }

/** Reads what there is, and judges it. @throws only what the signal was aborted with */
export async function prove(world: World, requires: Requires, image: string): Promise<Proof> {
  const evidence = await evidenceFor(world, requires, image)
  const [, digest = 'none'] = image.split('@')
  return judge(requires, digest, evidence, world.clock.now())
}

/** Reads what there is. @throws only what the signal was aborted with */
export async function evidenceFor(
  { environment, clock, log, signal, shell }: World,
  requires: Requires,
  image: string,
): Promise<Evidence> {
  const { passed } = requires
  const release = stagesOf(requires).length > 0 ? findRelease(image, shell) : undefined
  const records = passed && history({ environment, log, kubectl: new Kubectl(passed, shell, clock, signal) })
  const [known, past] = await Promise.all([
    orWhy(release, 'no release is kept beside it in the registry: docker-build.ts did not push it'),
    orWhy(records, 'nobody was asked'),
  ])
  signal.throwIfAborted()
  return { release: known, records: past }
}

async function orWhy<T>(work: Promise<T | undefined> | undefined, otherwise: string): Promise<T | string> {
  try {
    return (await work) ?? otherwise
  } catch (error) {
    return plain(sentence(error), 200)
  }
}

/** What holds and what does not. Pure; `now` is in ms. */
export function judge(requires: Requires, digest: string, evidence: Evidence, now: number): Proof {
  const found = [
    ...judgeStages(requires, evidence.release, now),
    ...judgePassed(requires, digest, evidence.records),
  ]
  return {
    held: found.flatMap((one) => ('held' in one ? [one.held] : [])),
    missing: found.flatMap((one) => ('missing' in one ? [one.missing] : [])),
  }
}

const SCAN = 'security-scan'

/** ms by which the clocks of two machines may differ. */
const SKEW = 300_000

const stagesOf = ({ stages, maxScanAge }: Requires): string[] => [
  ...new Set([...stages, ...(maxScanAge === undefined ? [] : [SCAN])]),
]

function judgeStages(requires: Requires, release: Release | string, now: number): Found[] {
  const wanted = stagesOf(requires)
  if (wanted.length === 0) return []
  if (typeof release === 'string') return [{ missing: `whether ${listed(wanted)} passed: ${release}` }]
  const { commit } = release
  const dirty = `the image was built of more than commit ${short(commit)} holds`
  return [
    ...(commit.endsWith('-dirty') ? [{ missing: dirty }] : []),
    ...wanted.map((stage) => judgeStage(stage, release, requires, now)),
  ]
}

function judgeStage(stage: string, release: Release, requires: Requires, now: number): Found {
  const result = release.stages[stage]
  if (!result) return { missing: `${stage} had not run when the image was built` }
  if (!result.passed) return { missing: `${stage} failed` }
  if (result.commit !== release.commit)
    return { missing: `${stage} is of commit ${short(result.commit)}, the image of ${short(release.commit)}` }
  return stage === SCAN ? judgeScan(result, requires, now) : { held: stage }
}

/** An old or a mild one is no reason to build anew. */
const RENEWAL = 'security-scan.ts --release scans anew'

function judgeScan(
  { startedAt, failOn, without = [] }: Release['stages'][string],
  requires: Requires,
  now: number,
): Found {
  const { maxScanAge } = requires
  const age = now - Date.parse(startedAt)
  if (Number.isNaN(age)) return { missing: `${SCAN} does not say when it was` }
  if (age < -SKEW) return { missing: `${SCAN} is dated ${span(-age)} from now` }
  if (maxScanAge !== undefined && !(age < maxScanAge))
    return { missing: `${SCAN} passed ${span(age)} ago, and may be ${span(maxScanAge)} old: ${RENEWAL}` }
  if (failOn === undefined) return { missing: `${SCAN} does not say what it fails on: ${RENEWAL}` }
  if (severities.indexOf(failOn) > severities.indexOf(requires.failOn))
    return { missing: `${SCAN} failed on ${failOn}, and is to fail on ${requires.failOn}: ${RENEWAL}` }
  const less = without.length > 0 ? `, without ${listed(without)}` : ''
  return { held: `${SCAN} (${span(age)} ago${less})` }
}

/** The last word on the digest counts, of those that were spoken after users had met it. */
const spoken: readonly string[] = ['succeeded', 'rolled-back', 'needs-person', 'taken-back']

function judgePassed({ passed }: Requires, digest: string, records: Evidence['records']): Found[] {
  if (!passed) return []
  const { name } = passed
  if (typeof records === 'string') return [{ missing: `whether it was live in ${name}: ${records}` }]
  const last = records.find(
    ({ kind, environment, to, outcome }) =>
      (kind === 'deploy' || outcome === 'taken-back') &&
      environment === name &&
      to.image.endsWith(`@${digest}`) &&
      spoken.includes(outcome),
  )
  if (!last) return [{ missing: `it has not been live in ${name}` }]
  if (last.outcome !== 'succeeded')
    return [{ missing: `its last deployment to ${name} ended ${last.outcome}` }]
  const since = plain(last.finishedAt ?? last.startedAt)
  return [{ held: `live in ${name} since ${since.slice(0, 16).replace('T', ' ')}` }]
}

/** What is shown of it. */
export function proofLines({ held, missing }: Proof): string[] {
  const holds = held.length > 0 ? [`proof    ${held.join(', ')}`] : []
  return [...holds, ...missing.map((what) => `missing  ${what}`)]
}

/**
 * @returns what goes into the record, where something is missing
 * @throws DeployError (6) naming what is missing, unless it is overridden with a reason
 */
export function overridden(
  { missing }: Proof,
  environment: string,
  reason: string | undefined,
): DeploymentRecord['override'] {
  if (missing.length === 0) return undefined
  if (reason !== undefined) return { reason, missing }
  throw new DeployError(
    `${environment} requires what this image lacks: ${missing.join('; ')}. ` +
      'If it must go there all the same: --override "<reason>"',
    Exit.refused,
  )
}

/** A stranger's text: what is no commit's name is not repeated. */
function short(commit: string): string {
  const [, name = 'an unknown name', dirty = ''] =
    /^([0-9a-f]{7,12})[0-9a-f]{0,52}(-dirty)?$/.exec(commit) ?? []
  return name + dirty
}

/** `45 m`, `30 h`, `3 d`: never shorter than it is, as nobody may read `24 h` of what is more. */
function span(ms: number): string {
  const minutes = Math.ceil(Math.max(0, ms) / 60_000)
  if (minutes < 120) return `${minutes} m`
  const hours = Math.ceil(minutes / 60)
  return hours <= 72 ? `${hours} h` : `${Math.ceil(hours / 24)} d`
}

const listed = (names: readonly string[]): string =>
  [names.slice(0, -1).join(', '), names.at(-1)].filter(Boolean).join(' and ')
