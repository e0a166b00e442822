/** Keeps as many pods as a ReplicaSet asks for. */
import type { Condition, Pod, ReplicaSet } from '../kinds.ts'
import { now } from '../store.ts'
import type { KubeObject } from '../store.ts'
import { ApiError } from '../status.ts'
import type { Cluster, Controller } from './controller.ts'
import { keyOf } from './controller.ts'
import { deletePod, isActive, isReady, podFrom, readyFor } from './pods.ts'
import { claim, controllerOf, matches } from './selector.ts'

const COMPONENT = 'replicaset-controller'

export function replicaSetController(cluster: Cluster): Controller {
  const { store } = cluster
  const ofPod = (pod: KubeObject): string[] => {
    const owner = controllerOf(pod)
    if (owner) return owner.kind === 'ReplicaSet' ? [`${pod.metadata.namespace}/${owner.name}`] : []
    const sets = store.list<ReplicaSet>('replicasets', pod.metadata.namespace)
    return sets.filter((set) => matches(set.spec.selector, pod.metadata.labels)).map(keyOf)
  }
  return {
    name: COMPONENT,
    triggers: { replicasets: (set) => [keyOf(set)], pods: ofPod },
    reconcile(namespace, name) {
      const set = store.get<ReplicaSet>('replicasets', namespace, name)
      return set && reconcile(cluster, set)
    },
  }
}

function reconcile(cluster: Cluster, set: ReplicaSet): number | undefined {
  const { store } = cluster
  const pods = claim<Pod>(store, 'pods', set).filter(isActive)
  let failure: ApiError | undefined
  if (!set.metadata.deletionTimestamp) failure = scale(cluster, set, pods)
  const left = claim<Pod>(store, 'pods', set).filter(isActive)
  const minReadyMs = (set.spec.minReadySeconds ?? 0) * 1000
  writeStatus(cluster, set, left, minReadyMs, failure)
  if (failure) throw failure // tried again later, and later each time
  const waits = left.map((pod) => minReadyMs - (readyFor(pod) ?? Infinity)).filter((ms) => ms > 0)
  return waits.length ? Math.min(...waits) : undefined
}

/** @returns why a pod could not be created, in the API's words */
function scale(cluster: Cluster, set: ReplicaSet, pods: Pod[]): ApiError | undefined {
  const missing = (set.spec.replicas ?? 1) - pods.length
  for (const pod of pods.toSorted(dispensableFirst).slice(0, Math.max(0, -missing))) {
    deletePod(cluster.store, pod)
    const message = `Deleted pod: ${pod.metadata.name}`
    cluster.events.record(set, { reason: 'SuccessfulDelete', message, component: COMPONENT })
  }
  for (let created = 0; created < missing; created++) {
    const failure = createPod(cluster, set)
    if (failure) return failure
  }
  return undefined
}

function createPod({ create, events }: Cluster, set: ReplicaSet): ApiError | undefined {
  try {
    const pod = create('pods', podFrom(set.spec.template, set))
    const message = `Created pod: ${pod.metadata.name}`
    events.record(set, { reason: 'SuccessfulCreate', message, component: COMPONENT })
    return undefined
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    const message = `Error creating: ${error.message}`
    events.record(set, { type: 'Warning', reason: 'FailedCreate', message, component: COMPONENT })
    return error
  }
}

/** Which pods go first when there are too many: those that serve least, then the youngest. */
function dispensableFirst(a: Pod, b: Pod): number {
  const other = worth(b)
  return worth(a).reduce((order, value, index) => order || value - (other[index] ?? 0), 0)
}

/** By falling weight: placed, running, ready, dear, long ready, seldom restarted, old. */
function worth(pod: Pod): number[] {
  const restarts = (pod.status?.containerStatuses ?? []).map(({ restartCount }) => restartCount)
  return [
    pod.spec.nodeName ? 1 : 0,
    ['Pending', 'Unknown', 'Running'].indexOf(pod.status?.phase ?? 'Pending'),
    isReady(pod) ? 1 : 0,
    Number(pod.metadata.annotations?.['controller.kubernetes.io/pod-deletion-cost'] ?? 0),
    readyFor(pod) ?? 0,
    -Math.max(0, ...restarts),
    -Date.parse(pod.metadata.creationTimestamp ?? ''),
  ]
}

function writeStatus(
  { store }: Cluster,
  set: ReplicaSet,
  pods: Pod[],
  minReadyMs: number,
  failure: ApiError | undefined,
): void {
  const templateLabels = { matchLabels: set.spec.template.metadata?.labels ?? {} }
  const count = (test: (pod: Pod) => boolean) => pods.filter(test).length
  const counts = {
    fullyLabeledReplicas: count((pod) => matches(templateLabels, pod.metadata.labels)),
    readyReplicas: count(isReady),
    availableReplicas: count((pod) => (readyFor(pod) ?? -1) >= minReadyMs),
  }
  const conditions = failureCondition(set, failure)
  store.modify<ReplicaSet>('replicasets', set.metadata.namespace, set.metadata.name, (draft) => {
    draft.status = {
      replicas: pods.length, // the one count that is written even when it is 0
      ...Object.fromEntries(Object.entries(counts).filter(([, value]) => value > 0)),
      observedGeneration: set.metadata.generation ?? 1,
      ...(conditions.length && { conditions }),
    }
  })
}

function failureCondition(set: ReplicaSet, failure: ApiError | undefined): Condition[] {
  const known = set.status?.conditions?.find(({ type }) => type === 'ReplicaFailure')
  if (!failure) return []
  if (known) return [known]
  const { message } = failure
  return [
    { type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message, lastTransitionTime: now() },
  ]
}
