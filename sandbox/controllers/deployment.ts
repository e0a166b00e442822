/**
 * Rolls a Deployment's pods from one template to the next, as Kubernetes' deployment controller does: one step at
 * each look, and every change that a step brings about leads to the next look.
 */
import type { Condition, Deployment, Pod, ReplicaSet } from '../kinds.ts'
import type { KubeObject } from '../store.ts'
import { ApiError } from '../status.ts'
import type { Cluster, Controller } from './controller.ts'
import { keyOf } from './controller.ts'
import { conditionOf, isComplete, setProgressing, writeStatus } from './deployment-status.ts'
import { isFinished } from './pods.ts'
import {
  createSet,
  desiredOf,
  findNew,
  forgetOld,
  revisionOf,
  sizeAnnotations,
  stampDeployment,
  stampNew,
} from './revisions.ts'
import type { Resize } from './rolling-update.ts'
import { limitsOf, newSetSize, proportional, shrinkOld, sizeOf, wantedReplicas } from './rolling-update.ts'
import { claim, controllerOf, matches } from './selector.ts'

const COMPONENT = 'deployment-controller'

export function deploymentController(cluster: Cluster): Controller {
  const { store } = cluster
  const ofSet = (set: KubeObject): string[] => {
    const owner = controllerOf(set)
    if (owner) return owner.kind === 'Deployment' ? [`${set.metadata.namespace}/${owner.name}`] : []
    const deployments = store.list<Deployment>('deployments', set.metadata.namespace)
    return deployments.filter(({ spec }) => matches(spec.selector, set.metadata.labels)).map(keyOf)
  }
  const ofGonePod = (pod: KubeObject): string[] => {
    const owner = controllerOf(pod)
    if (owner?.kind !== 'ReplicaSet') return []
    const set = store.get<ReplicaSet>('replicasets', pod.metadata.namespace, owner.name)
    return set ? ofSet(set) : []
  }
  return {
    name: COMPONENT,
    triggers: {
      deployments: (deployment) => [keyOf(deployment)],
      replicasets: ofSet,
      pods: (pod, event) => (event === 'DELETED' ? ofGonePod(pod) : []), // Recreate waits for these
    },
    reconcile(namespace, name) {
      const deployment = store.get<Deployment>('deployments', namespace, name)
      return deployment && reconcile(cluster, deployment)
    },
  }
}

function reconcile(cluster: Cluster, deployment: Deployment): number | undefined {
  const sets = claim<ReplicaSet>(cluster.store, 'replicasets', deployment)
  if (deployment.metadata.deletionTimestamp) return undefined
  notePause(cluster, deployment)
  const isScaled = sets.some((set) => {
    const desired = desiredOf(set)
    return sizeOf(set) > 0 && desired !== undefined && desired !== wantedReplicas(deployment)
  })
  if (deployment.spec.paused || isScaled) return scaleOnly(cluster, deployment, sets)
  return deployment.spec.strategy?.type === 'Recreate'
    ? recreate(cluster, deployment, sets)
    : rollOn(cluster, deployment, sets)
}

function rollOn(cluster: Cluster, deployment: Deployment, sets: ReplicaSet[]): number | undefined {
  const newSet = provideNew(cluster, deployment, sets)
  const old = sets.filter(({ metadata }) => metadata.uid !== newSet.metadata.uid)
  const grown = { set: newSet, replicas: newSetSize(deployment, newSet, [newSet, ...old]) }
  const hasGrown = resize(cluster, deployment, [grown])
  if (!hasGrown) resize(cluster, deployment, shrinkOld(deployment, newSet, old))
  return conclude(cluster, deployment, newSet, old)
}

/** All old pods go before the first new one comes. */
function recreate(cluster: Cluster, deployment: Deployment, sets: ReplicaSet[]): number | undefined {
  const known = findNew(deployment, sets)
  const old = sets.filter((set) => set !== known)
  const present = known && stampNew(cluster, deployment, known, nextRevision(old))
  const emptied = old.filter((set) => sizeOf(set) > 0).map((set) => ({ set, replicas: 0 }))
  if (resize(cluster, deployment, emptied) || hasPods(cluster, old)) {
    return writeStatus(cluster, deployment, present, present ? [present, ...old] : old)
  }
  const newSet = provideNew(cluster, deployment, sets)
  resize(cluster, deployment, [{ set: newSet, replicas: wantedReplicas(deployment) }])
  return conclude(cluster, deployment, newSet, old)
}

function hasPods({ store }: Cluster, sets: ReplicaSet[]): boolean {
  return sets.some(({ metadata }) =>
    store
      .list<Pod>('pods', metadata.namespace)
      .some((pod) => controllerOf(pod)?.uid === metadata.uid && !isFinished(pod)),
  )
}

function conclude(
  cluster: Cluster,
  deployment: Deployment,
  newSet: ReplicaSet,
  old: ReplicaSet[],
): number | undefined {
  if (isComplete(deployment, deployment.status ?? {})) forgetOld(cluster, deployment, old)
  return writeStatus(cluster, deployment, newSet, [newSet, ...old])
}

/** `kubectl scale`, or a paused Deployment: sizes follow, no template is rolled out. */
function scaleOnly(cluster: Cluster, deployment: Deployment, sets: ReplicaSet[]): number | undefined {
  const newSet = findNew(deployment, sets)
  resize(cluster, deployment, scaled(deployment, newSet, sets))
  return writeStatus(cluster, deployment, newSet, sets)
}

function scaled(deployment: Deployment, newSet: ReplicaSet | undefined, sets: ReplicaSet[]): Resize[] {
  const wanted = wantedReplicas(deployment)
  const active = sets.filter((set) => sizeOf(set) > 0)
  const single = active.length > 1 ? undefined : (active[0] ?? newSet ?? sets.at(-1))
  if (single) return [{ set: single, replicas: wanted }]
  const isSaturated =
    newSet && sizeOf(newSet) === wanted && (newSet.status?.availableReplicas ?? 0) === wanted
  if (isSaturated) {
    return active.map((set) => ({ set, replicas: set === newSet ? wanted : 0 }))
  }
  return deployment.spec.strategy?.type === 'Recreate' ? [] : proportional(deployment, sets)
}

/** Finds the ReplicaSet of the present template, or creates it. */
function provideNew(cluster: Cluster, deployment: Deployment, sets: ReplicaSet[]): ReplicaSet {
  const found = findNew(deployment, sets)
  const revision = nextRevision(sets.filter((set) => set !== found))
  if (found) {
    const stamped = stampNew(cluster, deployment, found, revision)
    const message = `Found new replica set "${found.metadata.name}"`
    stampDeployment(cluster, deployment, stamped)
    if (!conditionOf(deployment.status, 'Progressing')) {
      noteProgress(cluster, deployment, 'True', 'FoundNewReplicaSet', message)
    }
    return stamped
  }
  return introduce(cluster, deployment, sets, revision)
}

function introduce(
  cluster: Cluster,
  deployment: Deployment,
  sets: ReplicaSet[],
  revision: number,
): ReplicaSet {
  const size = newSetSize(deployment, undefined, sets)
  const sizes = sizeAnnotations(wantedReplicas(deployment), limitsOf(deployment).surge)
  try {
    const created = createSet(cluster, deployment, size, revision, sizes)
    if (size > 0) noteScaling(cluster, deployment, 'up', created, size)
    stampDeployment(cluster, deployment, created)
    const message = `Created new replica set "${created.metadata.name}"`
    noteProgress(cluster, deployment, 'True', 'NewReplicaSetCreated', message)
    return created
  } catch (error) {
    if (error instanceof ApiError) {
      noteProgress(cluster, deployment, 'False', 'ReplicaSetCreateError', error.message)
    }
    throw error
  }
}

function nextRevision(old: ReplicaSet[]): number {
  return Math.max(0, ...old.map(revisionOf)) + 1
}

/** Writes new sizes, each with the annotations that tell a later `kubectl scale` from a rollout. */
function resize(cluster: Cluster, deployment: Deployment, resizes: Resize[]): boolean {
  const sizes = sizeAnnotations(wantedReplicas(deployment), limitsOf(deployment).surge)
  let changed = false
  for (const { set, replicas } of resizes) {
    const before = sizeOf(set)
    const isNoted = Object.entries(sizes).every(([key, value]) => set.metadata.annotations?.[key] === value)
    if (before === replicas && isNoted) continue
    set.spec.replicas = replicas
    set.metadata.annotations = { ...set.metadata.annotations, ...sizes }
    Object.assign(set, cluster.store.update('replicasets', set))
    if (before === replicas) continue
    changed = true
    noteScaling(cluster, deployment, replicas > before ? 'up' : 'down', set, replicas)
  }
  return changed
}

function noteScaling(
  { events }: Cluster,
  deployment: Deployment,
  way: 'up' | 'down',
  { metadata }: ReplicaSet,
  replicas: number,
): void {
  const message = `Scaled ${way} replica set ${metadata.name} to ${replicas}`
  events.record(deployment, { reason: 'ScalingReplicaSet', message, component: COMPONENT })
}

function notePause(cluster: Cluster, deployment: Deployment): void {
  const reason = conditionOf(deployment.status, 'Progressing')?.reason
  if (reason === 'ProgressDeadlineExceeded') return // a failed rollout stays failed while it is paused
  const isPaused = reason === 'DeploymentPaused'
  if (deployment.spec.paused && !isPaused) {
    noteProgress(cluster, deployment, 'Unknown', 'DeploymentPaused', 'Deployment is paused')
  } else if (!deployment.spec.paused && isPaused) {
    noteProgress(cluster, deployment, 'Unknown', 'DeploymentResumed', 'Deployment is resumed')
  }
}

/** Writes the Progressing condition at once, here and in the store. */
function noteProgress(
  { store }: Cluster,
  deployment: Deployment,
  status: Condition['status'],
  reason: string,
  message: string,
): void {
  const conditions = setProgressing(deployment.status?.conditions ?? [], status, reason, message)
  deployment.status = { ...deployment.status, conditions }
  const { namespace, name } = deployment.metadata
  store.modify<Deployment>('deployments', namespace, name, (draft) => {
    draft.status = { ...draft.status, conditions }
  })
}
