/** The history in the cluster: one ConfigMap for each attempt to change what is live. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { z } from 'zod'
import { key } from '../app/color.ts'
import { get, getNamed, patchFrom, pointer, type JsonPatch } from '../cluster/commands.ts'
import type { Kubectl } from '../cluster/kubectl.ts'
import { configMap, manifest, type ConfigMap, type Manifest } from '../cluster/objects.ts'
import { KubectlError } from '../cluster/refusal.ts'
import { DeployError } from '../errors.ts'
import { recordForm, type DeploymentRecord, type Outcome } from './record.ts'

/** Records that are open, or whose digest was rolled back or taken back: all that a deployment must know of the past. */
export async function unfinished(app: string, kubectl: Kubectl): Promise<DeploymentRecord[]> {
  return await records(kubectl, `${key.record}=${app},${key.outcome} in (open,rolled-back,taken-back)`)
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

/** A person went back from a release that was live: it is refused from here on. Idempotent; without its record, nothing. */
export async function markTakenBack(
  kubectl: Kubectl,
  app: string,
  release: string,
  takenBack: NonNullable<DeploymentRecord['takenBack']>,
): Promise<void> {
  const found = await readRecord(app, kubectl, release)
  if (!found || !['succeeded', 'released', 'needs-person'].includes(found.entry.outcome)) return
  await store(kubectl, { ...found.entry, takenBack, outcome: 'taken-back' }, found.entry.outcome)
}

/** Somebody has gone to it again by name: it is refused no longer. Idempotent. */
export async function unmarkTakenBack(kubectl: Kubectl, app: string, release: string): Promise<void> {
  const found = await readRecord(app, kubectl, release)
  if (found?.entry.outcome !== 'taken-back') return
  await store(kubectl, { ...found.entry, outcome: 'succeeded' }, 'taken-back')
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

export const recordName = (app: string, id: string): string => `${app}-deploy-${id}`

/** Writes an entry over what is stored. A closed record stays as it is: the patch tests that it was `was`. */
export async function store(kubectl: Kubectl, entry: DeploymentRecord, was: Outcome = 'open'): Promise<void> {
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

function parse({ metadata, data }: ConfigMap): DeploymentRecord {
  const parsed = recordForm.safeParse(JSON.parse(data.record ?? 'null'))
  if (parsed.success) return parsed.data
  throw new DeployError(`The record ${metadata.name} cannot be read: ${z.prettifyError(parsed.error)}`)
}
