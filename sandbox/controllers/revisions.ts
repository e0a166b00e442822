/** The ReplicaSets of a Deployment as its revisions: which is the new one, and what `rollout undo` goes back to. */
import type { Deployment, Labels, ReplicaSet } from '../kinds.ts'
import type { Cluster } from './controller.ts'
import { letters } from './pods.ts'
import { ownedBy } from './selector.ts'

const HASH = 'pod-template-hash'
const PREFIX = 'deployment.kubernetes.io/'
const REVISION = `${PREFIX}revision`
const DESIRED = `${PREFIX}desired-replicas`
const MAX = `${PREFIX}max-replicas`

/** The Deployment's own annotations, which its ReplicaSets do not inherit. */
const NOT_COPIED = [
  'kubectl.kubernetes.io/last-applied-configuration',
  REVISION,
  `${PREFIX}revision-history`,
  DESIRED,
  MAX,
]

export function revisionOf(object: { metadata: { annotations?: Labels } }): number {
  return Number(object.metadata.annotations?.[REVISION] ?? 0)
}

/** How many replicas the Deployment asked for when it last scaled this set. */
export function desiredOf(set: ReplicaSet): number | undefined {
  const value = set.metadata.annotations?.[DESIRED]
  return value === undefined ? undefined : Number(value)
}

/** How many pods all sets could have had, surge included, when this set was last scaled. */
export function maxOf(set: ReplicaSet): number | undefined {
  const value = set.metadata.annotations?.[MAX]
  return value === undefined ? undefined : Number(value)
}

export function sizeAnnotations(desired: number, surge: number): Labels {
  return { [DESIRED]: String(desired), [MAX]: String(desired + surge) }
}

/** The set that has the Deployment's present template. */
export function findNew(deployment: Deployment, sets: ReplicaSet[]): ReplicaSet | undefined {
  const wanted = canonical(deployment.spec.template)
  return sets.toSorted(byRevision).find((set) => canonical(withoutHash(set.spec.template)) === wanted)
}

export function byRevision(a: ReplicaSet, b: ReplicaSet): number {
  return revisionOf(a) - revisionOf(b) || a.metadata.name.localeCompare(b.metadata.name)
}

/** Creates the set for a template not seen before. @throws ApiError as the API does */
export function createSet(
  { create }: Cluster,
  deployment: Deployment,
  replicas: number,
  revision: number,
  sizes: Labels,
): ReplicaSet {
  const { metadata, spec } = deployment
  const hash = hashOf(canonical(spec.template) + (deployment.status?.collisionCount ?? ''))
  const template = structuredClone(spec.template)
  template.metadata = { ...template.metadata, labels: { ...template.metadata?.labels, [HASH]: hash } }
  return create<ReplicaSet>('replicasets', {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: `${metadata.name}-${hash}`,
      ...(metadata.namespace && { namespace: metadata.namespace }),
      ...(template.metadata.labels && { labels: { ...template.metadata.labels } }),
      annotations: { ...inherited(deployment), [REVISION]: String(revision), ...sizes },
      ownerReferences: [ownedBy(deployment)],
    },
    spec: {
      replicas,
      ...(spec.minReadySeconds && { minReadySeconds: spec.minReadySeconds }),
      selector: {
        ...structuredClone(spec.selector),
        matchLabels: { ...spec.selector.matchLabels, [HASH]: hash },
      },
      template,
    },
  })
}

/** Makes the new set carry the highest revision and the Deployment's present annotations. */
export function stampNew(
  { store }: Cluster,
  deployment: Deployment,
  set: ReplicaSet,
  revision: number,
): ReplicaSet {
  const previous = revisionOf(set)
  const annotations: Labels = { ...set.metadata.annotations, ...inherited(deployment) }
  if (previous < revision) {
    annotations[REVISION] = String(revision)
    const history = annotations[`${PREFIX}revision-history`]
    if (previous) annotations[`${PREFIX}revision-history`] = [history, previous].filter(Boolean).join(',')
  }
  set.metadata.annotations = annotations
  if (deployment.spec.minReadySeconds) set.spec.minReadySeconds = deployment.spec.minReadySeconds
  else delete set.spec.minReadySeconds
  return Object.assign(set, store.update('replicasets', set))
}

/** Writes the new set's revision on the Deployment, where `rollout history` and people look for it. */
export function stampDeployment({ store }: Cluster, deployment: Deployment, set: ReplicaSet): void {
  const revision = set.metadata.annotations?.[REVISION]
  if (!revision || deployment.metadata.annotations?.[REVISION] === revision) return
  deployment.metadata.annotations = { ...deployment.metadata.annotations, [REVISION]: revision }
  const { namespace, name } = deployment.metadata
  store.modify<Deployment>('deployments', namespace, name, ({ metadata }) => {
    metadata.annotations = { ...metadata.annotations, [REVISION]: revision }
  })
}

/** Removes the oldest empty sets beyond `revisionHistoryLimit`. */
export function forgetOld({ store }: Cluster, deployment: Deployment, old: ReplicaSet[]): void {
  const surplus = old.length - (deployment.spec.revisionHistoryLimit ?? 10)
  for (const { metadata, spec, status } of old.toSorted(byRevision).slice(0, Math.max(0, surplus))) {
    const busy = spec.replicas !== 0 || (status?.replicas ?? 0) !== 0
    if (!busy && !metadata.deletionTimestamp) store.remove('replicasets', metadata.namespace, metadata.name)
  }
}

function inherited({ metadata }: Deployment): Labels {
  const entries = Object.entries(metadata.annotations ?? {})
  return Object.fromEntries(entries.filter(([key]) => !NOT_COPIED.includes(key)))
}

function withoutHash(template: ReplicaSet['spec']['template']): ReplicaSet['spec']['template'] {
  const copy = structuredClone(template)
  delete copy.metadata?.labels?.[HASH]
  return copy
}

/** JSON with sorted keys, so that equal templates are equal strings. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, nested: unknown) =>
    nested && typeof nested === 'object' && !Array.isArray(nested)
      ? Object.fromEntries(Object.entries(nested).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : nested,
  )
}

function hashOf(text: string): string {
  return letters(new Bun.CryptoHasher('sha256').update(text).digest().subarray(0, 10))
}
