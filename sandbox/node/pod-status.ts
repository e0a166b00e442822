/** A pod's status from the states of its containers, as a kubelet reckons it. */
import type { Condition, ContainerStatus, Pod, PodStatus } from '../kinds.ts'
import { now } from '../store.ts'

interface Parts {
  inits: ContainerStatus[]
  containers: ContainerStatus[]
  podIP: string
  hostIP: string
}

export function podStatus(pod: Pod, { inits, containers, podIP, hostIP }: Parts): PodStatus {
  const phase = phaseOf(pod.spec.restartPolicy ?? 'Always', inits, containers)
  return {
    ...pod.status,
    phase,
    conditions: conditionsOf(pod.status?.conditions ?? [], phase, inits, containers),
    hostIP,
    podIP,
    podIPs: [{ ip: podIP }],
    startTime: pod.status?.startTime ?? now(),
    ...(inits.length && { initContainerStatuses: inits }),
    containerStatuses: containers,
  }
}

function phaseOf(policy: string, inits: ContainerStatus[], containers: ContainerStatus[]): string {
  if (!inits.every(hasSucceeded)) return policy === 'Never' && inits.some(hasFailed) ? 'Failed' : 'Pending'
  if (containers.some(({ state, lastState }) => state.waiting && !lastState.terminated)) return 'Pending'
  if (policy === 'Always' || !containers.every(({ state }) => state.terminated)) return 'Running'
  if (containers.every(hasSucceeded)) return 'Succeeded'
  return policy === 'Never' ? 'Failed' : 'Running'
}

function hasSucceeded({ state }: ContainerStatus): boolean {
  return state.terminated?.exitCode === 0
}

function hasFailed({ state }: ContainerStatus): boolean {
  return state.terminated !== undefined && state.terminated.exitCode !== 0
}

function conditionsOf(
  known: Condition[],
  phase: string,
  inits: ContainerStatus[],
  containers: ContainerStatus[],
): Condition[] {
  const unfinished = inits.filter((init) => !hasSucceeded(init))
  const initialized: Omit<Condition, 'type'> =
    phase === 'Succeeded'
      ? { status: 'True', reason: 'PodCompleted' }
      : verdict(unfinished, 'ContainersNotInitialized', 'containers with incomplete status')
  const unready = containers.filter(({ ready }) => !ready)
  const readiness: Omit<Condition, 'type'> =
    phase === 'Succeeded'
      ? { status: 'False', reason: 'PodCompleted' }
      : verdict(unready, 'ContainersNotReady', 'containers with unready status')
  const wanted: Condition[] = [
    { type: 'Initialized', ...initialized },
    { type: 'Ready', ...readiness },
    { type: 'ContainersReady', ...readiness },
  ]
  const others = known.filter(({ type }) => !wanted.some((condition) => condition.type === type))
  return [...wanted.map((condition) => stamped(condition, known)), ...others]
}

function verdict(lacking: ContainerStatus[], reason: string, what: string): Omit<Condition, 'type'> {
  if (!lacking.length) return { status: 'True' }
  const names = lacking.map(({ name }) => name).join(' ')
  return { status: 'False', reason, message: `${what}: [${names}]` }
}

function stamped(condition: Condition, known: Condition[]): Condition {
  const before = known.find(({ type }) => type === condition.type)
  const since = before?.status === condition.status ? before.lastTransitionTime : undefined
  return { ...condition, lastProbeTime: null, lastTransitionTime: since ?? now() }
}
