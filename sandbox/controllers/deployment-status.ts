/** A Deployment's status and conditions: what `kubectl rollout status` reads. */
import type { Condition, Deployment, ReplicaSet } from '../kinds.ts'
import { now } from '../store.ts'
import type { Cluster } from './controller.ts'
import { availableIn, limitsOf, sizeOf, sum, wantedReplicas } from './rolling-update.ts'

type Status = NonNullable<Deployment['status']>

export function conditionOf(status: Status | undefined, type: string): Condition | undefined {
  return status?.conditions?.find((condition) => condition.type === type)
}

/** Says how a rollout stands, unless the same was said before: an unchanged reason keeps its times. */
export function setProgressing(
  conditions: Condition[],
  status: Condition['status'],
  reason: string,
  message: string,
): Condition[] {
  return withCondition(conditions, { type: 'Progressing', status, reason, message })
}

/**
 * Writes the status after a step of a rollout.
 * @returns after how many milliseconds the progress deadline should be looked at
 */
export function writeStatus(
  { store }: Cluster,
  deployment: Deployment,
  newSet: ReplicaSet | undefined,
  all: ReplicaSet[],
): number | undefined {
  const counted = countStatus(deployment, newSet, all)
  let conditions = counted.conditions ?? []
  if (!deployment.spec.paused) conditions = judgeProgress(deployment, counted, newSet)
  const failure = all.flatMap((set) => set.status?.conditions ?? []).find(isFailure)
  if (failure) conditions = withCondition(conditions, failure)
  else conditions = conditions.filter((condition) => !isFailure(condition))
  const { namespace, name } = deployment.metadata
  const status = { ...counted, conditions }
  store.modify<Deployment>('deployments', namespace, name, (draft) => {
    draft.status = Object.fromEntries(Object.entries(status).filter(([, value]) => value !== 0))
  })
  return timeToDeadline(deployment, status)
}

function isFailure({ type }: Condition): boolean {
  return type === 'ReplicaFailure'
}

function countStatus(deployment: Deployment, newSet: ReplicaSet | undefined, all: ReplicaSet[]): Status {
  const available = sum(all, availableIn)
  const enough = available >= wantedReplicas(deployment) - limitsOf(deployment).unavailable
  const condition: Condition = {
    type: 'Available',
    status: enough ? 'True' : 'False',
    reason: `MinimumReplicas${enough ? 'Available' : 'Unavailable'}`,
    message: `Deployment ${enough ? 'has' : 'does not have'} minimum availability.`,
  }
  return {
    observedGeneration: deployment.metadata.generation ?? 1,
    replicas: sum(all, (set) => set.status?.replicas ?? 0),
    updatedReplicas: newSet?.status?.replicas ?? 0,
    readyReplicas: sum(all, (set) => set.status?.readyReplicas ?? 0),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, sum(all, sizeOf) - available),
    collisionCount: deployment.status?.collisionCount ?? 0,
    conditions: withCondition(deployment.status?.conditions ?? [], condition),
  }
}

function judgeProgress(deployment: Deployment, counted: Status, newSet: ReplicaSet | undefined): Condition[] {
  const conditions = counted.conditions ?? []
  const known = conditionOf(deployment.status, 'Progressing')
  const settled = known?.reason === 'NewReplicaSetAvailable' && counted.replicas === counted.updatedReplicas
  if (settled) return conditions
  const subject = newSet ? `ReplicaSet "${newSet.metadata.name}"` : `Deployment "${deployment.metadata.name}"`
  if (isComplete(deployment, counted)) {
    const message = `${subject} has successfully progressed.`
    return setProgressing(conditions, 'True', 'NewReplicaSetAvailable', message)
  }
  if (madeProgress(deployment.status ?? {}, counted)) {
    const progressing: Condition = {
      type: 'Progressing',
      status: 'True',
      reason: 'ReplicaSetUpdated',
      message: `${subject} is progressing.`,
    }
    const others = conditions.filter(({ type }) => type !== 'Progressing')
    return [...others, stamped(progressing, known)] // its time of update is the deadline's new start
  }
  if ((timeToDeadline(deployment, counted) ?? 1) <= 0) {
    const message = `${subject} has timed out progressing.`
    return setProgressing(conditions, 'False', 'ProgressDeadlineExceeded', message)
  }
  return conditions
}

export function isComplete(deployment: Deployment, status: Status): boolean {
  const wanted = wantedReplicas(deployment)
  return (
    (status.updatedReplicas ?? 0) === wanted &&
    (status.replicas ?? 0) === wanted &&
    (status.availableReplicas ?? 0) === wanted &&
    (status.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0)
  )
}

function madeProgress(before: Status, after: Status): boolean {
  const old = (status: Status) => (status.replicas ?? 0) - (status.updatedReplicas ?? 0)
  const grew = (['updatedReplicas', 'readyReplicas', 'availableReplicas'] as const).some(
    (count) => (after[count] ?? 0) > (before[count] ?? 0),
  )
  return grew || old(after) < old(before)
}

/** In milliseconds; undefined where no deadline runs. */
function timeToDeadline(deployment: Deployment, status: Status): number | undefined {
  const progressing = conditionOf(status, 'Progressing')
  const over = ['NewReplicaSetAvailable', 'ProgressDeadlineExceeded', 'DeploymentPaused']
  if (!progressing?.lastUpdateTime || over.includes(progressing.reason ?? '')) return undefined
  const seconds = deployment.spec.progressDeadlineSeconds ?? 600
  // The stamp has lost its milliseconds: without the extra second the deadline could come early.
  return Date.parse(progressing.lastUpdateTime) + (seconds + 1) * 1000 - Date.now()
}

function withCondition(conditions: Condition[], wanted: Condition): Condition[] {
  const known = conditions.find(({ type }) => type === wanted.type)
  if (known?.status === wanted.status && known.reason === wanted.reason) return conditions
  return [...conditions.filter(({ type }) => type !== wanted.type), stamped(wanted, known)]
}

function stamped(wanted: Condition, known: Condition | undefined): Condition {
  const time = now()
  const kept = known?.status === wanted.status ? known.lastTransitionTime : undefined
  return { ...wanted, lastUpdateTime: time, lastTransitionTime: kept ?? time }
}
