/** Runs a Job's pods until enough of them succeeded, or too many failed. */
import type { Condition, Job, Pod } from '../kinds.ts'
import { now } from '../store.ts'
import { ApiError } from '../status.ts'
import type { Cluster, Controller } from './controller.ts'
import { keyOf } from './controller.ts'
import { deletePod, isActive, podFrom } from './pods.ts'
import { controllerOf } from './selector.ts'

const COMPONENT = 'job-controller'
/** After a failed pod: 10 s, doubling, as in Kubernetes. */
const BACKOFF_MS = { first: 10_000, most: 360_000 }

export function jobController(cluster: Cluster): Controller {
  const { store } = cluster
  return {
    name: COMPONENT,
    triggers: {
      jobs: (job) => [keyOf(job)],
      pods: (pod) => {
        const owner = controllerOf(pod)
        return owner?.kind === 'Job' ? [`${pod.metadata.namespace}/${owner.name}`] : []
      },
    },
    reconcile(namespace, name) {
      const job = store.get<Job>('jobs', namespace, name)
      return job && !job.metadata.deletionTimestamp ? reconcile(cluster, job) : undefined
    },
  }
}

interface Counted {
  active: Pod[]
  succeeded: number
  failed: number
}

function reconcile(cluster: Cluster, job: Job): number | undefined {
  const { store } = cluster
  const end = endOf(job)
  if (end) return expire(cluster, job, end)
  const pods = store
    .list<Pod>('pods', job.metadata.namespace)
    .filter((pod) => controllerOf(pod)?.uid === job.metadata.uid)
  const counted = count(pods)
  const verdict = judge(job, counted)
  if (verdict) return finish(cluster, job, counted, verdict)
  const { failure, again } = job.spec.suspend
    ? suspend(cluster, job, counted)
    : run(cluster, job, pods, counted)
  writeStatus(cluster, job, counted, [])
  if (failure) throw failure
  const waits = [again, timeToDeadline(job)].filter((ms) => ms !== undefined)
  return waits.length ? Math.min(...waits) : undefined
}

/** The condition with which a Job ended, if it did. */
function endOf({ status }: Job): Condition | undefined {
  return status?.conditions?.find(
    ({ type, status: is }) => ['Complete', 'Failed'].includes(type) && is === 'True',
  )
}

function count(pods: Pod[]): Counted {
  const inPhase = (phase: string) => pods.filter(({ status }) => status?.phase === phase).length
  return { active: pods.filter(isActive), succeeded: inPhase('Succeeded'), failed: inPhase('Failed') }
}

/** The condition that the pods' results amount to, if the Job is over. */
function judge(job: Job, { active, succeeded, failed }: Counted): Condition | undefined {
  const { backoffLimit = 6, completions, parallelism = 1, template } = job.spec
  const restarts = template.spec.restartPolicy === 'OnFailure' ? restartsOf(active) : 0
  if (failed > backoffLimit || (restarts > 0 && restarts >= backoffLimit)) {
    return ended('Failed', 'BackoffLimitExceeded', 'Job has reached the specified backoff limit')
  }
  if ((timeToDeadline(job) ?? 1) <= 0) {
    return ended('Failed', 'DeadlineExceeded', 'Job was active longer than specified deadline')
  }
  const isComplete =
    completions === undefined
      ? (succeeded > 0 || parallelism === 0) && active.length === 0
      : succeeded >= completions
  return isComplete ? ended('Complete') : undefined
}

function ended(type: 'Complete' | 'Failed', reason?: string, message?: string): Condition {
  const time = now()
  const why = reason && message ? { reason, message } : {}
  return { type, status: 'True', lastProbeTime: time, lastTransitionTime: time, ...why }
}

function restartsOf(pods: Pod[]): number {
  const statuses = pods.flatMap(({ status }) => status?.containerStatuses ?? [])
  return statuses.reduce((sum, { restartCount }) => sum + restartCount, 0)
}

/** In milliseconds; undefined without a deadline. */
function timeToDeadline({ spec, status }: Job): number | undefined {
  if (spec.activeDeadlineSeconds === undefined || spec.suspend) return undefined
  const started = status?.startTime ? Date.parse(status.startTime) : Date.now()
  return started + spec.activeDeadlineSeconds * 1000 - Date.now()
}

function finish(cluster: Cluster, job: Job, counted: Counted, verdict: Condition): undefined {
  for (const pod of counted.active) removePod(cluster, job, pod)
  const failedNow = verdict.type === 'Failed' ? counted.active.length : 0
  writeStatus(cluster, job, { ...counted, active: [], failed: counted.failed + failedNow }, [verdict])
  const { reason = 'Completed', message = 'Job completed' } = verdict
  const type = verdict.type === 'Failed' ? 'Warning' : 'Normal'
  cluster.events.record(job, { type, reason, message, component: COMPONENT })
}

/** Removes a finished Job when its time to live is over; its pods follow, by their owner reference. */
function expire({ store }: Cluster, job: Job, { lastTransitionTime = '' }: Condition): number | undefined {
  const { ttlSecondsAfterFinished: ttl } = job.spec
  if (ttl === undefined) return undefined
  const left = Date.parse(lastTransitionTime) + ttl * 1000 - Date.now()
  if (left > 0) return left
  store.remove('jobs', job.metadata.namespace, job.metadata.name)
  return undefined
}

interface Step {
  failure?: ApiError
  /** After how many milliseconds a failed pod is replaced. */
  again?: number
}

function suspend(cluster: Cluster, job: Job, counted: Counted): Step {
  for (const pod of counted.active) removePod(cluster, job, pod)
  counted.active = []
  return {}
}

function run(cluster: Cluster, job: Job, pods: Pod[], counted: Counted): Step {
  const { parallelism = 1, completions } = job.spec
  const { active, succeeded } = counted
  const wanted =
    completions === undefined
      ? succeeded > 0
        ? active.length // a work queue: once one pod succeeded, no new ones are started
        : parallelism
      : Math.min(parallelism, completions - succeeded)
  for (const pod of active.slice(wanted)) removePod(cluster, job, pod)
  const again = backoff(pods, counted.failed)
  if (active.length < wanted && again > 0) return { again }
  try {
    while (counted.active.length < wanted) counted.active.push(createPod(cluster, job))
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    const message = `Error creating: ${error.message}`
    cluster.events.record(job, { type: 'Warning', reason: 'FailedCreate', message, component: COMPONENT })
    return { failure: error }
  }
  return {}
}

function createPod({ create, events }: Cluster, job: Job): Pod {
  const pod = create('pods', podFrom(job.spec.template, job))
  const message = `Created pod: ${pod.metadata.name}`
  events.record(job, { reason: 'SuccessfulCreate', message, component: COMPONENT })
  return pod
}

function removePod({ store, events }: Cluster, job: Job, pod: Pod): void {
  deletePod(store, pod)
  const message = `Deleted pod: ${pod.metadata.name}`
  events.record(job, { reason: 'SuccessfulDelete', message, component: COMPONENT })
}

function backoff(pods: Pod[], failed: number): number {
  if (failed === 0) return 0
  const ends = pods.flatMap(({ status }) =>
    status?.phase === 'Failed' ? (status.containerStatuses ?? []).map(({ state }) => state.terminated) : [],
  )
  const last = Math.max(0, ...ends.map((end) => (end ? Date.parse(end.finishedAt) : 0)))
  return last + Math.min(BACKOFF_MS.first * 2 ** (failed - 1), BACKOFF_MS.most) - Date.now()
}

function writeStatus({ store }: Cluster, job: Job, counted: Counted, conditions: Condition[]): void {
  const { active, succeeded, failed } = counted
  const counts = Object.entries({ active: active.length, succeeded, failed }).filter(([, value]) => value > 0)
  const isComplete = conditions.some(({ type }) => type === 'Complete')
  store.modify<Job>('jobs', job.metadata.namespace, job.metadata.name, (draft) => {
    draft.status = {
      ...(conditions.length && { conditions }),
      ...(!job.spec.suspend && { startTime: job.status?.startTime ?? now() }),
      ...(isComplete && { completionTime: now() }),
      ...Object.fromEntries(counts),
    }
  })
}
