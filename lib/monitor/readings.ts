/**
 * From counters as they stood to what was counted meanwhile, pod by pod: each has counters of its own, which begin anew
 * with its process. Pure.
 */
import type { Place } from '../app/color.ts'
import type { Count } from './judge.ts'
import type { IndicatorName, PodFigures, Snapshot } from './source.ts'

type Counts = Record<IndicatorName, Count>

/** Two clocks of one process: a start that is told with another fraction of a second is the same one. */
const SAME_START = 1

/**
 * A snapshot is as old as what of it was read first: while one pod is not read, that stays as it is but for the ms that a
 * question takes, and the others go on.
 */
const SAME_TIME = 1000

/**
 * What was counted from one snapshot to the next, of each color; never below zero. A pod that has gone has counted
 * nothing more that is known, and one that is new is counted from its first sight, or from zero where it says that it
 * began after `before`: what it had served earlier may be the gates' load. A snapshot that is older says nothing.
 */
export function difference(before: Snapshot, now: Snapshot): Record<Place, Counts> {
  const counted: Record<Place, Counts> = { blue: {}, green: {}, plain: {} }
  if (now.at < before.at - SAME_TIME) return counted
  const known = new Map(before.pods.map((pod) => [pod.pod, pod]))
  for (const pod of now.pods) {
    for (const [name, count] of Object.entries(meanwhile(known.get(pod.pod), pod, before.at))) {
      const { total, bad } = counted[pod.color][name] ?? { total: 0, bad: 0 }
      counted[pod.color][name] = { total: total + count.total, bad: bad + Math.min(count.bad, count.total) }
    }
  }
  return counted
}

/**
 * What the next snapshot is to be compared with: pods that could not be read this time are kept as they were last seen,
 * so that nothing of what they count meanwhile is lost when they answer again.
 */
export function kept(before: Snapshot, now: Snapshot): Snapshot {
  const read = new Set(now.pods.map(({ pod }) => pod))
  const known = new Map(before.pods.map((pod) => [pod.pod, pod]))
  const pods = now.pods.map((pod) => {
    const old = known.get(pod.pod)
    return old && !isNewProcess(old, pod) ? { ...pod, counters: { ...old.counters, ...pod.counters } } : pod
  })
  return { at: now.at, pods: [...pods, ...before.pods.filter(({ pod }) => !read.has(pod))] }
}

function meanwhile(old: PodFigures | undefined, pod: PodFigures, since: number): Counts {
  if (!old) {
    const { startTime } = pod.gauges
    return startTime !== undefined && startTime * 1000 > since ? pod.counters : {}
  }
  if (isNewProcess(old, pod)) return pod.counters
  return Object.fromEntries(
    Object.entries(pod.counters).flatMap(([name, count]) => {
      const last = old.counters[name]
      return last ? [[name, grown(last, count)]] : []
    }),
  )
}

/** A counter that is lower began anew, and has counted since then what it says. */
function grown(last: Count, now: Count): Count {
  const isReset = now.total < last.total
  const total = isReset ? now.total : now.total - last.total
  const bad = isReset ? now.bad : Math.max(0, now.bad - last.bad)
  return { total, bad }
}

/** By the start that the process tells: after a restart it may have counted more than was seen before. */
function isNewProcess(old: PodFigures, pod: PodFigures): boolean {
  const [before, now] = [old.gauges['startTime'], pod.gauges['startTime']]
  return before !== undefined && now !== undefined && now > before + SAME_START
}
