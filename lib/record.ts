/**
 * The history: one ConfigMap for each attempt to change what is live. It is opened before anything is
 * written, with all that will be changed for a time, so that whoever comes after a kill -9 can put it back (S4).
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { ulid } from 'ulid'
import { z } from 'zod'
import { key, switchForm } from './color.ts'
import { DeployError, sentence } from './errors.ts'
import {
  create,
  get,
  getNamed,
  KubectlError,
  patchFrom,
  pointer,
  remove,
  type JsonPatch,
  type Kubectl,
} from './kubectl.ts'
import { configMap, manifest, type ConfigMap, type Manifest } from './objects.ts'
import type { World } from './world.ts'

export const outcomes = [
  'open',
  'succeeded',
  'failed',
  'rolled-back',
  'interrupted',
  'needs-person',
  /** A rolled-back record whose digest somebody released with a reason, and which then succeeded. */
  'released',
] as const
export type Outcome = (typeof outcomes)[number]

const step = z.object({ name: z.string(), at: z.string(), ms: z.number().optional() })

const autoscalerBounds = z.object({ name: z.string(), minReplicas: z.number(), maxReplicas: z.number() })
export type AutoscalerBounds = z.infer<typeof autoscalerBounds>

const proof = z.object({
  /** ms from asking for the patch */
  converged: z.number(),
  firstNew: z.number().optional(),
  lastOld: z.number().optional(),
  lastOldOnNew: z.number().optional(),
  requests: z.number(),
  failures: z.number(),
  failuresBefore: z.number(),
  onNewConnections: z.number(),
  onKeptConnections: z.number(),
})
export type Proof = z.infer<typeof proof>

const check = z.object({
  gate: z.string(),
  name: z.string(),
  verdict: z.enum(['passed', 'failed', 'inconclusive', 'skipped']),
  ms: z.number(),
  expected: z.string(),
  seen: z.string(),
  evidence: z.array(z.string()).optional(),
})

export const recordForm = z.object({
  id: z.string(),
  kind: z.enum(['deploy', 'rollback', 'switch']),
  app: z.string(),
  environment: z.string(),
  strategy: z.enum(['blue-green', 'rolling']),
  by: z.string(),
  reason: z.string().optional(),
  startedAt: z.string(),
  finishedAt: z.string().optional(),
  from: switchForm.shape.from,
  to: switchForm.shape.to,
  /** What is changed for the time of the deployment, as it was before. */
  temporary: z.object({ autoscaler: autoscalerBounds.optional() }),
  allowedFailedDigest: z.string().optional(),
  /** What the environment requires and the image lacked, and why it was deployed all the same. */
  override: z.object({ reason: z.string(), missing: z.array(z.string()) }).optional(),
  steps: z.array(step),
  checks: z.array(check),
  switches: z.array(proof),
  drift: z.string().optional(),
  outcome: z.enum(outcomes),
  message: z.string().optional(),
})
export type DeploymentRecord = z.infer<typeof recordForm>

/** A record as it begins. */
export function newEntry(
  { environment, by, clock }: World,
  about: Pick<DeploymentRecord, 'id' | 'kind' | 'to'> & Partial<DeploymentRecord>,
): DeploymentRecord {
  return {
    app: environment.app,
    environment: environment.name,
    strategy: environment.strategy,
    by,
    startedAt: new Date(clock.now()).toISOString(),
    from: undefined,
    temporary: {},
    steps: [],
    checks: [],
    switches: [],
    outcome: 'open',
    ...about,
  }
}

/** A record that is being written. Changes are made to `entry`; `save` sends them on. */
export interface Journal {
  entry: DeploymentRecord
  /** Sends the entry as it is now, without waiting; what changes meanwhile goes with the next sending. */
  save(): void
  /** Writes the outcome, and waits until it is stored. Only a success throws when it cannot be stored. */
  close(outcome: Exclude<Outcome, 'open'>, message?: string): Promise<void>
}

/** Opens a record with the manifests that the release consists of. */
export async function openRecord(
  world: World,
  entry: DeploymentRecord,
  manifests: readonly Manifest[],
): Promise<Journal> {
  const body = configMapOf(entry)
  const packed = gzipSync(JSON.stringify(manifests)).toString('base64')
  const input = JSON.stringify({
    ...body,
    ...(manifests.length > 0 && { binaryData: { manifests: packed } }),
  })
  await world.kubectl.quietly(create(), configMap, { input })
  return journal(world, entry)
}

/** How long the last step has taken, once it has ended. */
export function endStep({ steps }: DeploymentRecord, now: number): void {
  const last = steps.at(-1)
  if (last && last.ms === undefined) last.ms = now - Date.parse(last.at)
}

export function journal(world: World, entry: DeploymentRecord): Journal {
  const steady = world.kubectl.unstoppable()
  let sending: Promise<void> | undefined
  let changed = false

  const send = async (): Promise<void> => {
    while (changed) {
      changed = false
      await store(steady, entry)
    }
    sending = undefined
  }
  const save = (): void => {
    changed = true
    sending ??= send().catch((error: unknown) => {
      sending = undefined
      world.log.warn(`The record could not be written: ${sentence(error)}`)
    })
  }
  return {
    entry,
    save,
    close: async (outcome, message) => {
      await sending
      endStep(entry, world.clock.now())
      entry.outcome = outcome
      entry.finishedAt = new Date(world.clock.now()).toISOString()
      if (message !== undefined) entry.message = message
      try {
        await store(steady, entry)
      } catch (error) {
        if (outcome === 'succeeded') throw error
        // A failure is on its way to the person, and must not be hidden by this one. The record stays open.
        world.log.warn(`The record could not be closed: ${sentence(error)}`)
      }
    },
  }
}

/** Records that are open, or whose digest was rolled back: all that a deployment must know of the past. */
export async function unfinished(app: string, kubectl: Kubectl): Promise<DeploymentRecord[]> {
  return await records(kubectl, `${key.record}=${app},${key.outcome} in (open,rolled-back)`)
}

/** The newest records, newest first. */
export async function history(
  app: string,
  kubectl: Kubectl,
  limit = Number.POSITIVE_INFINITY,
): Promise<DeploymentRecord[]> {
  return (await records(kubectl, `${key.record}=${app}`)).slice(0, limit)
}

async function records(kubectl: Kubectl, selector: string): Promise<DeploymentRecord[]> {
  const found = await kubectl.objects(get(['configmaps'], `--selector=${selector}`), configMap)
  return found.map(parse).toSorted((a, b) => (a.id < b.id ? 1 : -1))
}

/** A digest that was rolled back has proven itself since: it is refused no longer. */
export async function release(kubectl: Kubectl, entry: DeploymentRecord): Promise<void> {
  await store(kubectl, { ...entry, outcome: 'released' }, entry.outcome)
}

/** One record and the manifests kept in it. */
export async function readRecord(
  app: string,
  kubectl: Kubectl,
  id: string,
): Promise<{ entry: DeploymentRecord; manifests: Manifest[] } | undefined> {
  const [found] = await kubectl.objects(getNamed(`configmap/${recordName(app, id)}`), configMap)
  if (!found) return undefined
  const packed = found.binaryData.manifests
  const text = packed ? gunzipSync(Buffer.from(packed, 'base64')).toString() : '[]'
  return { entry: parse(found), manifests: z.array(manifest).parse(JSON.parse(text)) }
}

/**
 * Which records go: all but the newest `keep`, and never one that is open, that made a color's present
 * release, or that is the last good one. Pure.
 */
export function superfluous(
  newestFirst: readonly Pick<DeploymentRecord, 'id' | 'outcome'>[],
  keep: number,
  inUse: readonly string[],
): string[] {
  const lastGood = newestFirst.find(({ outcome }) => outcome === 'succeeded')?.id
  return newestFirst
    .slice(keep)
    .filter(({ id, outcome }) => outcome !== 'open' && id !== lastGood && !inUse.includes(id))
    .map(({ id }) => id)
}

/** Removes old records, reading only names and labels: the cost does not grow with what they hold. */
export async function prune(world: World, inUse: readonly string[]): Promise<void> {
  const { kubectl, environment } = world
  const metadata =
    'jsonpath={range .items[*]}{.metadata.name} {.metadata.labels.deploy-scripts/outcome}{"\\n"}{end}'
  const listed = await kubectl.read([
    'kubectl',
    'get',
    'configmaps',
    `--selector=${key.record}=${environment.app}`,
    '-o',
    metadata,
  ])
  const newestFirst = listed
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [name = '', outcome = 'open'] = line.split(' ')
      return {
        id: name.slice(recordName(environment.app, '').length),
        outcome: z.enum(outcomes).parse(outcome),
      }
    })
    .toSorted((a, b) => (a.id < b.id ? 1 : -1))
  const old = superfluous(newestFirst, environment.history, inUse)
  if (old.length === 0) return
  await kubectl.ask(
    remove(
      'configmap',
      old.map((id) => recordName(environment.app, id)),
      '--wait=false',
    ),
  )
}

const recordName = (app: string, id: string): string => `${app}-deploy-${id}`

/** Writes an entry over what is stored. A closed record stays as it is: the patch tests that it was `was`. */
async function store(kubectl: Kubectl, entry: DeploymentRecord, was: Outcome = 'open'): Promise<void> {
  const path = pointer('metadata', 'labels', key.outcome)
  const operations: JsonPatch[] = [
    { op: 'test', path, value: was },
    { op: 'replace', path, value: entry.outcome },
    { op: 'add', path: '/data', value: configMapOf(entry).data },
  ]
  const folder = mkdtempSync(join(tmpdir(), 'deploy-scripts-'))
  try {
    const file = join(folder, 'record.json')
    writeFileSync(file, JSON.stringify(operations))
    await kubectl.quietly(patchFrom(file, 'configmap', recordName(entry.app, entry.id)), configMap)
  } catch (error) {
    if (!(error instanceof KubectlError) || error.refusal !== 'TestFailed') throw error
    throw new DeployError(`somebody else has closed the record ${entry.id} since`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function configMapOf(entry: DeploymentRecord) {
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

function parse({ metadata, data }: ConfigMap): DeploymentRecord {
  const parsed = recordForm.safeParse(JSON.parse(data.record ?? 'null'))
  if (parsed.success) return parsed.data
  throw new DeployError(`The record ${metadata.name} cannot be read: ${z.prettifyError(parsed.error)}`)
}

/** A ULID in lower case, as names of objects must be: sorts by time, unique without coordination. */
export const newId = (now: number): string => ulid(now).toLowerCase()
