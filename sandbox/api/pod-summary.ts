/** A pod's READY, STATUS and RESTARTS, after printPod of kubernetes/pkg/printers. */
import { since } from './duration.ts'
import { type JsonMap, at, listAt, numberAt, stringAt } from './json.ts'

export function podReady(pod: JsonMap): string {
  const ready = listAt(pod, 'status', 'containerStatuses').filter(
    (status) => status.ready === true && at(status, 'state', 'running') !== undefined,
  )
  return `${ready.length}/${listAt(pod, 'spec', 'containers').length}`
}

export function podRestarts(pod: JsonMap): string | number {
  const statuses = listAt(pod, 'status', 'containerStatuses')
  const count = statuses.reduce((sum, status) => sum + numberAt(status, 'restartCount'), 0)
  const ends = statuses.map((status) => stringAt(status, 'lastState', 'terminated', 'finishedAt'))
  const last = ends.toSorted().at(-1)
  return count > 0 && last ? `${count} (${since(last)} ago)` : String(count)
}

export function podStatus(pod: JsonMap): string {
  const phase = stringAt(pod, 'status', 'reason') || stringAt(pod, 'status', 'phase')
  const initializing = initStatus(pod)
  const reason = initializing ?? containerStatus(pod, phase)
  if (stringAt(pod, 'metadata', 'deletionTimestamp') === '') return reason
  return phase === 'NodeLost' ? 'Unknown' : 'Terminating'
}

/** What keeps a pod in its init containers, if anything does. */
function initStatus(pod: JsonMap): string | undefined {
  const total = listAt(pod, 'spec', 'initContainers').length
  for (const [i, status] of listAt(pod, 'status', 'initContainerStatuses').entries()) {
    const terminated = at(status, 'state', 'terminated')
    if (terminated && numberAt(terminated, 'exitCode') === 0) continue
    if (terminated) return `Init:${stringAt(terminated, 'reason') || exit(terminated)}`
    const waiting = stringAt(status, 'state', 'waiting', 'reason')
    return waiting && waiting !== 'PodInitializing' ? `Init:${waiting}` : `Init:${i}/${total}`
  }
  return undefined
}

function containerStatus(pod: JsonMap, phase: string): string {
  const statuses = listAt(pod, 'status', 'containerStatuses')
  const reasons = statuses.map(reasonOf).filter(Boolean)
  const reason = reasons[0] ?? phase
  const isRunning = statuses.some(
    (status) => status.ready === true && at(status, 'state', 'running') !== undefined,
  )
  if (reason !== 'Completed' || !isRunning) return reason
  const ready = listAt(pod, 'status', 'conditions').some(
    ({ type, status }) => type === 'Ready' && status === 'True',
  )
  return ready ? 'Running' : 'NotReady'
}

function reasonOf(status: JsonMap): string {
  const waiting = stringAt(status, 'state', 'waiting', 'reason')
  const terminated = at(status, 'state', 'terminated')
  if (waiting || !terminated) return waiting
  return stringAt(terminated, 'reason') || exit(terminated)
}

function exit(terminated: unknown): string {
  const signal = numberAt(terminated, 'signal')
  return signal ? `Signal:${signal}` : `ExitCode:${numberAt(terminated, 'exitCode')}`
}
