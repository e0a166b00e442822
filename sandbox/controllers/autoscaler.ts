/**
 * HorizontalPodAutoscalers as on a cluster without a metrics server: the bounds are enforced, nothing is measured.
 */
import type { Autoscaler, Condition, Deployment } from '../kinds.ts'
import { now } from '../store.ts'
import type { KubeObject } from '../store.ts'
import type { Cluster, Controller } from './controller.ts'
import { keyOf } from './controller.ts'

const COMPONENT = 'horizontal-pod-autoscaler'
const RESOURCES: Record<string, string> = { Deployment: 'deployments', ReplicaSet: 'replicasets' }

export function autoscalerController(cluster: Cluster): Controller {
  const { store } = cluster
  const ofTarget = (target: KubeObject): string[] =>
    store
      .list<Autoscaler>('horizontalpodautoscalers', target.metadata.namespace)
      .filter(
        ({ spec: { scaleTargetRef: ref } }) => ref.kind === target.kind && ref.name === target.metadata.name,
      )
      .map(keyOf)
  return {
    name: COMPONENT,
    triggers: {
      horizontalpodautoscalers: (autoscaler) => [keyOf(autoscaler)],
      deployments: ofTarget,
      replicasets: ofTarget,
    },
    reconcile(namespace, name) {
      const autoscaler = store.get<Autoscaler>('horizontalpodautoscalers', namespace, name)
      if (autoscaler) reconcile(cluster, autoscaler)
      return undefined
    },
  }
}

function reconcile(cluster: Cluster, autoscaler: Autoscaler): void {
  const { kind, name } = autoscaler.spec.scaleTargetRef
  const { namespace } = autoscaler.metadata
  const resource = RESOURCES[kind]
  const target = resource && cluster.store.get<Deployment>(resource, namespace, name)
  if (!resource || !target) {
    const message = `the HPA controller was unable to get the target's current scale: ${kind} "${name}" not found`
    const condition = conditionIn(autoscaler, 'AbleToScale', 'False', 'FailedGetScale', message)
    writeStatus(cluster, autoscaler, { conditions: [condition] })
    return
  }
  const current = target.spec.replicas ?? 1
  const { replicas, why } = bounded(autoscaler, current)
  if (replicas !== current) {
    cluster.store.modify<Deployment>(resource, namespace, name, ({ spec }) => {
      spec.replicas = replicas
    })
    const message = `New size: ${replicas}; reason: ${why}`
    cluster.events.record(autoscaler, { reason: 'SuccessfulRescale', message, component: COMPONENT })
  }
  writeStatus(cluster, autoscaler, {
    currentReplicas: target.status?.replicas ?? 0,
    desiredReplicas: replicas,
    ...(replicas !== current && { lastScaleTime: now() }),
    conditions: conditions(autoscaler, current, replicas),
  })
}

/** A target scaled to 0 by hand is left alone, as in Kubernetes. */
function bounded({ spec }: Autoscaler, current: number): { replicas: number; why?: string } {
  const { minReplicas = 1, maxReplicas } = spec
  if (current === 0) return { replicas: 0 }
  if (current > maxReplicas) {
    return { replicas: maxReplicas, why: 'Current number of replicas above Spec.MaxReplicas' }
  }
  if (current < minReplicas) {
    return { replicas: minReplicas, why: 'Current number of replicas below Spec.MinReplicas' }
  }
  return { replicas: current }
}

function conditions(autoscaler: Autoscaler, current: number, replicas: number): Condition[] {
  const message = "the HPA controller was able to get the target's current scale"
  const able = conditionIn(autoscaler, 'AbleToScale', 'True', 'SucceededGetScale', message)
  if (current === 0) {
    const disabled = 'scaling is disabled since the replica count of the target is zero'
    return [able, conditionIn(autoscaler, 'ScalingActive', 'False', 'ScalingDisabled', disabled)]
  }
  if (replicas !== current) return [able]
  const unable = 'the HPA was unable to compute the replica count: the sandbox has no metrics'
  return [able, conditionIn(autoscaler, 'ScalingActive', 'False', 'FailedGetResourceMetric', unable)]
}

function conditionIn(
  { status }: Autoscaler,
  type: string,
  is: 'True' | 'False',
  reason: string,
  message: string,
): Condition {
  const known = status?.conditions?.find((condition) => condition.type === type)
  const since = known?.status === is ? known.lastTransitionTime : undefined
  return { type, status: is, lastTransitionTime: since ?? now(), reason, message }
}

function writeStatus(
  { store }: Cluster,
  autoscaler: Autoscaler,
  status: NonNullable<Autoscaler['status']>,
): void {
  const { namespace, name } = autoscaler.metadata
  store.modify<Autoscaler>('horizontalpodautoscalers', namespace, name, (draft) => {
    draft.status = { ...draft.status, ...status }
  })
}
