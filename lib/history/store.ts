/** The history in the cluster: one ConfigMap for each attempt to change what is live. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { key, type Release } from '../app/color.ts'
import { get, getNamed, patchFrom, pointer, type JsonPatch } from '../cluster/commands.ts'
import type { Kubectl } from '../cluster/kubectl.ts'
import { configMap, type ConfigMap, type Manifest } from '../cluster/objects.ts'
import { isMissing, KubectlError } from '../cluster/refusal.ts'
import { DeployError, sentence } from '../errors.ts'
import { parseJson } from '../json.ts'
import type { Log } from '../log.ts'
import { temporaryFolder } from '../temporary.ts'
import { unpack } from './pack.ts'
import { recordForm, recordName, type DeploymentRecord, type Outcome } from './record.ts'
import { salvage } from './salvage.ts'

/** Where a history is read: any world, or another environment of the same app. */
export interface Source {
  environment: { app: string }
  kubectl: Kubectl
  log: Pick<Log, 'warn'>
  /** Each record that is written to, for what is made of them afterwards. */
  written?: Set<unknown> | undefined
}

/**
 * Records that are open, or whose digest was rolled back or taken back, newest first: all that a deployment must know of the
 * past. One that cannot be read stays in: it is open where its label says so, with what could be told of it.
 */
export async function unfinished(source: Source): Promise<DeploymentRecord[]> {
  const { app } = source.environment
  const found = await records(source, `${key.record}=${app},${key.outcome} in (open,rolled-back,taken-back)`)
  warn(source, found, 'their labels count, the rest is not known')
  return found.map(({ entry }) => entry)
}

/**
 * The newest records, newest first by the server's clock. One that cannot be read is left out, unless it still
 * says what it was about.
 */
export async function history(source: Source, limit = Number.POSITIVE_INFINITY): Promise<DeploymentRecord[]> {
  const found = await records(source, `${key.record}=${source.environment.app}`)
  const told = found.filter(({ nothing }) => !nothing)
  warn(source, found, 'what does not say which release it was about is left out')
  return told.map(({ entry }) => entry).slice(0, limit)
}

interface Found {
  entry: DeploymentRecord
  /** It does not even say which release it was about. */
  nothing: boolean
}

async function records({ environment: { app }, kubectl }: Source, selector: string): Promise<Found[]> {
  const found = await kubectl.objects(get(['configmaps'], `--selector=${selector}`), configMap)
  return found
    .filter(({ metadata }) => metadata.name.startsWith(recordName(app, '')))
    .toSorted((a, b) => newestFirst(ageOf(a, app), ageOf(b, app)))
    .map((one) => parse(app, one))
}

const ageOf = ({ metadata }: ConfigMap, app: string) => ({
  id: metadata.name.slice(recordName(app, '').length),
  created: metadata.creationTimestamp ?? '',
})

/** By the server's clock, since those of two machines differ; an id, which holds its machine's time, decides within its second. */
export function newestFirst(a: { id: string; created: string }, b: { id: string; created: string }): number {
  const [left, right] = [`${a.created} ${a.id}`, `${b.created} ${b.id}`]
  if (left === right) return 0
  return left < right ? 1 : -1
}

/** A deployment that waits is taken up again. @throws DeployError when somebody else has taken it up meanwhile */
export async function reopen({ kubectl }: Source, entry: DeploymentRecord): Promise<DeploymentRecord> {
  const opened = { ...entry, outcome: 'open' as const, finishedAt: undefined, message: undefined }
  await store(kubectl, opened, { was: 'verified' })
  return opened
}

/** What is under way, or is refused already. What was verified may have been opened by `switchAlone` since. */
const UNMARKED: readonly Outcome[] = ['open', 'rolled-back', 'taken-back']

/** A person went back from a release that was live: it is refused from here on. Idempotent; without its record, nothing. */
export async function markTakenBack(
  source: Source,
  release: string,
  takenBack: NonNullable<DeploymentRecord['takenBack']>,
): Promise<void> {
  const found = await readRecord(source, release)
  if (!found || UNMARKED.includes(found.entry.outcome)) return
  const marked = { ...found.entry, takenBack, outcome: 'taken-back' } as const
  await store(source.kubectl.unstoppable(), marked, { was: found.entry.outcome })
  source.written?.add(marked)
}

/** Somebody has gone to it again by name: it is refused no longer. Idempotent. */
export async function unmarkTakenBack(source: Source, release: string): Promise<void> {
  const found = await readRecord(source, release)
  if (found?.entry.outcome !== 'taken-back') return
  const unmarked = { ...found.entry, outcome: 'succeeded' } as const
  await store(source.kubectl.unstoppable(), unmarked, { was: 'taken-back' })
  source.written?.add(unmarked)
}

/**
 * A person went back from one release to another: the one is refused from here on, and the other no longer, which
 * may have been started again under another id than its own. Where both have the same image, it is not to blame.
 */
export async function markWayBack(
  source: Source,
  { from, to }: { from: Release | undefined; to: Release },
  takenBack: NonNullable<DeploymentRecord['takenBack']>,
  past: readonly DeploymentRecord[],
): Promise<void> {
  if (from && from.image !== to.image) await markTakenBack(source, from.release, takenBack)
  for (const entry of past)
    if (entry.outcome === 'taken-back' && entry.to.image === to.image) await unmarkTakenBack(source, entry.id)
}

/** One warning, however many there are. */
function warn({ environment: { app }, log }: Source, found: readonly Found[], what: string): void {
  const unread = found.filter(({ entry }) => entry.unreadable !== undefined)
  if (unread.length === 0) return
  const some = unread.slice(0, 3).map(({ entry }) => `${recordName(app, entry.id)} (${entry.unreadable})`)
  const more = unread.length > 3 ? ` and ${unread.length - 3} more` : ''
  log.warn(
    `Records cannot be read: ${some.join(', ')}${more}. ` +
      `Newer scripts wrote them, or somebody edited them; ${what}`,
  )
}

/**
 * A digest that was rolled back has proven itself since: it is refused no longer. Never throws: a release is
 * live by now, and a record that is gone refuses nothing.
 */
export async function release({ kubectl, log, written }: Source, entry: DeploymentRecord): Promise<void> {
  try {
    const released = { ...entry, outcome: 'released' } as const
    await store(kubectl.unstoppable(), released, { was: entry.outcome })
    written?.add(released)
  } catch (error) {
    if (isMissing(error)) return
    log.warn(`${entry.to.image} stays refused because of the record ${entry.id}: ${sentence(error)}`)
  }
}

/**
 * One record and the manifests kept in it. Of one that cannot be read there is what could be told of it, and a
 * warning; manifests that cannot be read are none.
 */
export async function readRecord(
  source: Source,
  id: string,
): Promise<{ entry: DeploymentRecord; manifests: Manifest[] } | undefined> {
  const { environment, kubectl } = source
  const found = await stored(kubectl, environment.app, id)
  if (!found) return undefined
  const read = parse(environment.app, found)
  warn(source, [read], 'its label counts, the rest is not known')
  return { entry: read.entry, manifests: manifestsOf(source, found) }
}

function manifestsOf({ log }: Source, { metadata, binaryData }: ConfigMap): Manifest[] {
  const packed = binaryData.manifests
  if (!packed) return []
  try {
    return unpack(packed)
  } catch {
    log.warn(`The manifests in the record ${metadata.name} cannot be read: it is as if it kept none`)
    return []
  }
}

async function stored(kubectl: Kubectl, app: string, id: string): Promise<ConfigMap | undefined> {
  const [found] = await kubectl.objects(getNamed(`configmap/${recordName(app, id)}`), configMap)
  return found
}

/**
 * Writes an entry over what is stored. A closed record stays as it is: the patch tests that it was `was`. It is
 * insisted on, unless it will be sent again anyway (`once`). Of an entry that could not be read only the outcome
 * is written: nothing is overwritten that somebody else can read.
 * @throws KubectlError; DeployError when somebody else has closed it
 */
export async function store(
  kubectl: Kubectl,
  entry: DeploymentRecord,
  { was = 'open', once = false }: { was?: Outcome; once?: boolean } = {},
): Promise<void> {
  const path = pointer('metadata', 'labels', key.outcome)
  const { data } = configMapOf(entry)
  const operations: JsonPatch[] = [
    { op: 'test', path, value: was },
    { op: 'replace', path, value: entry.outcome },
  ]
  if (entry.unreadable === undefined) operations.push({ op: 'add', path: '/data/record', value: data.record })
  const landed = (): Promise<ConfigMap | undefined> => asWritten(kubectl, entry)
  using folder = temporaryFolder()
  const file = join(folder.path, 'record.json')
  try {
    writeFileSync(file, JSON.stringify(operations))
    const patch = patchFrom(file, 'configmap', recordName(entry.app, entry.id))
    await (once ? kubectl.quietly(patch, configMap) : kubectl.insist(patch, configMap, { landed }))
  } catch (error) {
    if (!(error instanceof KubectlError) || error.refusal !== 'TestFailed') throw error
    throw new DeployError(`somebody else has closed the record ${entry.id} since`)
  }
}

/** What is stored, if it is what we wrote: our own try, whose answer was lost, has come through. */
export async function asWritten(kubectl: Kubectl, entry: DeploymentRecord): Promise<ConfigMap | undefined> {
  const found = await stored(kubectl, entry.app, entry.id)
  const { data, metadata } = configMapOf(entry)
  const same =
    found?.metadata.labels[key.outcome] === metadata.labels[key.outcome] &&
    (entry.unreadable !== undefined || found.data.record === data.record)
  return same ? found : undefined
}

export function configMapOf(entry: DeploymentRecord) {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: recordName(entry.app, entry.id),
      labels: { [key.record]: entry.app, [key.outcome]: entry.outcome },
    },
    data: { record: JSON.stringify(entry) },
  }
}

/** The label is what is asked for and tested, so its word on the outcome counts. */
function parse(app: string, found: ConfigMap): Found {
  const parsed = recordForm.safeParse(parseJson(found.data.record ?? ''))
  if (!parsed.success) return salvage(app, found, parsed.error)
  const outcome = recordForm.shape.outcome.safeParse(found.metadata.labels[key.outcome])
  return { entry: outcome.success ? { ...parsed.data, outcome: outcome.data } : parsed.data, nothing: false }
}
