/**
 * What the cluster says of a color's pods, and what of it speaks against the release that they run. Pure. A container that
 * was restarted does; a pod that a drain, the scheduler or an autoscaler replaced does not.
 */
import { z } from 'zod'
import type { Place } from '../app/color.ts'
import type { Observed } from '../app/observe.ts'
import { isReady, type ContainerStatus, type Pod } from '../cluster/objects.ts'
import { plain } from '../text.ts'

const podForm = z.object({
  pod: z.string(),
  uid: z.string(),
  restarts: z.number(),
  /** How its container ended that was restarted last: `OOMKilled`, `exit code 1`. */
  ended: z.string().optional(),
  /** Its container is not started again for a while. */
  crashing: z.boolean(),
  ready: z.boolean(),
  /** A container of it runs, and does not answer its readiness probe; of a node that is gone nobody knows that. */
  failing: z.boolean(),
})
type PodFacts = z.infer<typeof podForm>

/** As plain data, which a record holds. */
export const factsForm = z.object({
  color: z.enum(['blue', 'green', 'plain']),
  /** Pods that its Deployment is to have. */
  wanted: z.number(),
  ready: z.number(),
  pods: z.array(podForm),
  /** Pods that a kubelet threw out, each with its reason. */
  evicted: z.array(z.object({ uid: z.string(), why: z.string() })),
})
export type Facts = z.infer<typeof factsForm>

export function factsOf({ colors, pods }: Observed, color: Place): Facts {
  const { deployment, own, ready } = colors[color]
  const label = color === 'plain' ? undefined : color
  return {
    color,
    wanted: deployment?.spec.replicas ?? 0,
    ready: ready.length,
    pods: own.map(podFacts),
    evicted: pods
      .filter(({ metadata, status }) => metadata.labels['color'] === label && status.reason === 'Evicted')
      .map(({ metadata: { uid, name }, status }) => ({
        uid,
        why: `${name}: evicted (${plain(status.message, 120) || 'no reason given'})`,
      })),
  }
}

function podFacts(pod: Pod): PodFacts {
  const { containerStatuses: containers } = pod.status
  const [last] = containers.toSorted((a, b) => b.restartCount - a.restartCount)
  const ended = last && endOf(last)
  return {
    pod: pod.metadata.name,
    uid: pod.metadata.uid,
    restarts: containers.reduce((sum, { restartCount }) => sum + restartCount, 0),
    ...(ended !== undefined && { ended }),
    crashing: containers.some(({ state }) => state.waiting?.reason === 'CrashLoopBackOff'),
    ready: isReady(pod),
    failing: !isReady(pod) && containers.some(({ ready, state }) => state.running && !ready),
  }
}

function endOf({ lastState, state }: ContainerStatus): string | undefined {
  const end = state.terminated ?? lastState.terminated
  if (!end) return undefined
  return end.reason === 'OOMKilled' ? 'OOMKilled' : `exit code ${end.exitCode}`
}

/**
 * What has happened to a color since, in a sentence; undefined where nothing speaks against it.
 * @param before when its release was let to users
 */
export function worse(before: Facts, now: Facts): string | undefined {
  const known = new Map(before.pods.map((pod) => [pod.uid, pod]))
  for (const pod of now.pods) {
    const restarts = pod.restarts - (known.get(pod.uid)?.restarts ?? 0)
    const ended = pod.ended ?? 'its container ended'
    const times = restarts > 1 ? `${restarts} times` : 'once'
    if (restarts > 0 && pod.crashing) return `${pod.pod}: ${ended}, restarted ${times}, CrashLoopBackOff`
    if (restarts > 0) return `${pod.pod}: ${ended}, restarted ${times}`
    if (pod.crashing && !known.get(pod.uid)?.crashing) return `${pod.pod}: ${ended}, CrashLoopBackOff`
  }
  const old = new Set(before.evicted.map(({ uid }) => uid))
  const evicted = now.evicted.find(({ uid }) => !old.has(uid))
  return evicted?.why ?? unready(before, now, known)
}

/** Fewer are ready than were, or than are wanted by now; and not because they are other pods, which are still starting. */
function unready(
  { ready: were }: Facts,
  { color, ready, wanted, pods }: Facts,
  known: ReadonlyMap<string, PodFacts>,
): string | undefined {
  const needed = Math.min(were, wanted)
  const failing = pods.filter(({ uid, failing: fails }) => fails && known.get(uid)?.ready)
  if (ready >= needed || failing.length === 0) return undefined
  const names = failing.map(({ pod }) => pod)
  return `${ready} of ${needed} pods of ${color} are ready: ${names.slice(0, 3).join(', ')}${names.length > 3 ? ' …' : ''} ${names.length === 1 ? 'is' : 'are'} no longer`
}
