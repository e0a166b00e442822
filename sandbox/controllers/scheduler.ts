/** Puts pods on the one node there is, or says why it cannot. */
import { parseQuantity } from '../api/quantity.ts'
import type { Condition, Node, Pod } from '../kinds.ts'
import { now } from '../store.ts'
import type { Cluster, Controller } from './controller.ts'
import { keyOf } from './controller.ts'
import { isFinished } from './pods.ts'
import { matches } from './selector.ts'

const COMPONENT = 'default-scheduler'

export function schedulerController(cluster: Cluster, nodeName: string): Controller {
  const { store } = cluster
  const waiting = (): string[] =>
    store
      .list<Pod>('pods')
      .filter(({ spec }) => !spec.nodeName)
      .map(keyOf)
  return {
    name: COMPONENT,
    triggers: {
      pods: (pod, event) => (event === 'DELETED' || isFinished(pod as Pod) ? waiting() : [keyOf(pod)]),
      nodes: waiting,
    },
    reconcile(namespace, name) {
      const pod = store.get<Pod>('pods', namespace, name)
      const node = store.get<Node>('nodes', undefined, nodeName)
      if (pod && node && !pod.spec.nodeName) schedule(cluster, pod, node)
      return undefined
    },
  }
}

function schedule({ store, events }: Cluster, pod: Pod, node: Node): void {
  const others = store
    .list<Pod>('pods')
    .filter((other) => other.spec.nodeName === node.metadata.name && !isFinished(other))
  const problem = misfit(pod, node, others)
  const { namespace, name } = pod.metadata
  const condition: Condition = {
    type: 'PodScheduled',
    status: problem ? 'False' : 'True',
    lastProbeTime: null,
    lastTransitionTime: now(),
    ...(problem && { reason: 'Unschedulable', message: `0/1 nodes are available: 1 ${problem}.` }),
  }
  const known = pod.status?.conditions?.find(({ type }) => type === condition.type)
  if (problem && known?.message === condition.message) return // said before; a node's change asks again
  store.modify<Pod>('pods', namespace, name, (draft) => {
    if (!problem) draft.spec.nodeName = node.metadata.name
    const conditions = draft.status?.conditions?.filter(({ type }) => type !== condition.type) ?? []
    draft.status = { phase: 'Pending', ...draft.status, conditions: [...conditions, condition] }
  })
  const occurrence = problem
    ? { type: 'Warning' as const, reason: 'FailedScheduling', message: condition.message ?? '' }
    : { reason: 'Scheduled', message: `Successfully assigned ${namespace}/${name} to ${node.metadata.name}` }
  events.record(pod, { ...occurrence, component: COMPONENT })
}

/** Why the pod does not fit, in the real scheduler's words. */
function misfit(pod: Pod, node: Node, others: Pod[]): string | undefined {
  if (node.spec.unschedulable) return 'node(s) were unschedulable'
  if (!matches({ matchLabels: pod.spec.nodeSelector ?? {} }, node.metadata.labels)) {
    return "node(s) didn't match Pod's node affinity"
  }
  const { allocatable } = node.status
  if (others.length >= parseQuantity(allocatable.pods ?? '0')) return 'Too many pods'
  return (
    ['cpu', 'memory']
      .filter((resource) => {
        const used = others.reduce((sum, other) => sum + requested(other, resource), 0)
        const wanted = requested(pod, resource)
        return wanted > 0 && used + wanted > parseQuantity(allocatable[resource] ?? '0')
      })
      .map((resource) => `Insufficient ${resource}`)
      .join(', 1 ') || undefined
  )
}

/** What the containers ask for together, or the largest init container if that is more. */
function requested({ spec }: Pod, resource: string): number {
  const of = (container: { resources?: { requests?: Record<string, string> } }): number =>
    parseQuantity(container.resources?.requests?.[resource] ?? '0')
  const together = spec.containers.reduce((sum, container) => sum + of(container), 0)
  return Math.max(together, ...(spec.initContainers ?? []).map(of))
}
