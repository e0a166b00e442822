/**
 * What waiting will not mend, and its evidence: a release that cannot become ready is called broken as soon as
 * the cluster knows it, with its own events and logs, never "timed out".
 */
import { seconds } from '../clock.ts'
import { events, logs } from '../cluster/commands.ts'
import { isReady, type ContainerStatus, type Deployment, type Pod } from '../cluster/objects.ts'
import type { World } from '../cluster/world.ts'
import { DeployError, Exit } from '../errors.ts'
import { key } from './color.ts'
import type { ColorState } from './observe.ts'

/** Something that waiting will not mend. */
export interface Breakdown {
  /** The object to look at, as `kind/name`. */
  object: string
  what: string
  /** The container whose logs tell more. */
  container?: string
  /** Its logs are those of the run before. */
  previous?: boolean
  /** How often it exited, where that is what is wrong. */
  exits?: number
}

/** Since when, on our clock, a pod has been in a state that may still change by itself. */
export type Since = Map<string, number>

/** Reasons for which a kubelet goes on trying although only a person can help; krane's list. */
const HOPELESS = [
  'ImagePullBackOff',
  'InvalidImageName',
  'ErrImageNeverPull',
  'CreateContainerConfigError',
  'CreateContainerError',
  'RunContainerError',
  'CrashLoopBackOff',
]

/** What the scheduler says where a new node would change nothing, and how long a claim may take to appear, in ms. */
const NO_NODE_HELPS =
  /persistentvolumeclaim "[^"]*" (not found|is being deleted|bound to non-existent)|unbound immediate PersistentVolumeClaims/i
const CLAIM = 30_000

const NOT_THERE = /not found|manifest unknown|unauthorized|denied|no such host|does not exist/i

/**
 * What makes further waiting pointless, if anything. Only the release that was applied is judged: pods of the one
 * before, which may have failed, stay until new ones are available, and conditions may be as old. Pure but for
 * `since`, which remembers first sightings.
 */
export function breakdown(
  { deployment, own, refused }: ColorState,
  when: { since: Since; now: number; ready: number; schedule: number },
): Breakdown | undefined {
  if (!deployment) return undefined
  const { metadata, status } = deployment
  const object = `deployment/${metadata.name}`
  if (refused !== undefined) return { object, what: `pods cannot be created: ${refused}` }
  const stalled = status.conditions.find(
    ({ type, reason }) => type === 'Progressing' && reason === 'ProgressDeadlineExceeded',
  )
  if (stalled && status.observedGeneration >= metadata.generation) return { object, what: stalled.message }
  for (const pod of ofRelease(deployment, own)) {
    const found = podBreakdown(pod, when)
    if (found) return found
  }
  return undefined
}

/** How many pods of the release find no node, and why: minutes may pass while one is added. Pure. */
export function withoutNode({ deployment, own }: ColorState): string | undefined {
  const messages = deployment ? ofRelease(deployment, own).flatMap((pod) => unschedulable(pod) ?? []) : []
  return messages.length > 0 ? `${messages.length} pods without a node: ${messages[0]}` : undefined
}

/** Without a release of these scripts, all of them. */
function ofRelease({ metadata }: Deployment, pods: readonly Pod[]): readonly Pod[] {
  const release = metadata.annotations[key.release]
  if (release === undefined) return pods
  return pods.filter((pod) => pod.metadata.annotations[key.release] === release)
}

/** Why the scheduler finds no node for a pod. */
function unschedulable({ status }: Pod): string | undefined {
  return status.conditions.find(({ type, reason }) => type === 'PodScheduled' && reason === 'Unschedulable')
    ?.message
}

/** What is wrong with one pod, if waiting will not mend it. */
export function podBreakdown(
  pod: Pod,
  when: { since: Since; now: number; ready: number; schedule: number },
): Breakdown | undefined {
  const object = `pod/${pod.metadata.name}`
  const lasting = (what: string, ms: number): boolean => {
    const first = when.since.get(`${object} ${what}`) ?? when.now
    when.since.set(`${object} ${what}`, first)
    return when.now - first >= ms
  }
  const message = unschedulable(pod)
  if (message !== undefined) {
    const patience = NO_NODE_HELPS.test(message) ? Math.min(CLAIM, when.schedule) : when.schedule
    if (lasting('unschedulable', patience)) return { object, what: `unschedulable: ${message}` }
  }

  for (const container of [...pod.status.initContainerStatuses, ...pod.status.containerStatuses]) {
    const found = containerBreakdown(object, container)
    if (found) return found
  }
  const running = pod.status.containerStatuses.find(({ state, ready }) => state.running && !ready)
  if (running && !isReady(pod) && lasting(`running ${running.restartCount}`, when.ready)) {
    return { object, container: running.name, what: `runs, but was not ready within ${seconds(when.ready)}` }
  }
  return undefined
}

/**
 * A container that has exited twice is broken. Newer kubelets say `Error` for minutes before they say
 * `CrashLoopBackOff`, so the exits are judged and not the word.
 */
function containerBreakdown(
  object: string,
  { name, state, lastState, restartCount, ready }: ContainerStatus,
): Breakdown | undefined {
  if (ready) return undefined // it exited once upon a time, and works now
  const about = { object, container: name }
  const ended = state.terminated ?? lastState.terminated
  const exits = restartCount + (state.terminated && state.terminated.exitCode !== 0 ? 1 : 0)
  if (exits >= 2 && ended) {
    const previous = state.terminated === undefined
    return {
      ...about,
      previous,
      exits,
      what: `exited ${exits} times, last with code ${ended.exitCode} (${ended.reason || 'Error'})`,
    }
  }
  const { reason = '', message = '' } = state.waiting ?? {}
  if (/sync (configmap|secret) cache/.test(message)) return undefined // the kubelet has only just started
  const absent = reason === 'ErrImagePull' && NOT_THERE.test(message)
  if (!absent && !HOPELESS.includes(reason)) return undefined
  return { ...about, previous: reason === 'CrashLoopBackOff', what: `${reason}: ${message}` }
}

/** Shows the guilty object's events and last log lines, and makes the error of it. */
export async function explained(
  { kubectl, log }: World,
  who: string,
  broken: Breakdown,
): Promise<DeployError> {
  const { object, what, container, previous } = broken
  const name = object.slice(object.indexOf('/') + 1)
  const happened = await kubectl.ask(events(name))
  if (happened.stdout.trim()) log.block(`events of ${object}`, happened.stdout)
  if (container) {
    // Between two runs of a container that keeps exiting, only one of the two has logs.
    const runs = previous ? [['--previous'], []] : [[], ['--previous']]
    let said = ''
    for (const run of runs) said ||= (await kubectl.ask(logs(name, container, ...run))).stdout.trim()
    log.block(`last log lines of ${object}, container ${container}`, said || '(it logged nothing)')
  }
  return new DeployError(`${who} is broken: ${object}: ${what}`, Exit.failed)
}
