/**
 * Whether one pod is slower than the others. A third of users on a pod that takes 400 ms are hardly in a p50, and
 * one pod of a hundred is in no p99. Requests are told apart by the pod that answered, where the application names
 * it in a header (`podHeader`); else by the connection, which behind most balancers leads to one pod for its life.
 *
 * It is slower when its median is N times theirs and 5 ms more, and its requests rank above theirs beyond what chance
 * explains (the rank-sum test of Mann and Whitney). Each connection is asked all endpoints equally often, all the time:
 * neither a slow endpoint nor a slow second is a pod's.
 */
import type { Sample } from './lane.ts'
import { figures, shown, timed, type Figures } from './summary.ts'
import { noRequest, type Finding, type Run } from './verdicts.ts'

/** Fewer requests on a connection say nothing of it. */
const LEAST = 8
const LEAST_MS = 5
/** Standard deviations. Of a hundred connections that are alike, one lies beyond that in 3 of 1,000 runs. */
const BEYOND = 4
/** So many are named in a sentence. */
const NAMED = 3

export interface Part extends Figures {
  /** `pod-7f9c` or `connection 12`. */
  name: string
}

/** By pod where the answers name one; else by kept connection, and what came on new ones is then no part of any. */
function grouped(samples: readonly Sample[]): Map<string, Sample[]> {
  const named = samples.filter(({ pod }) => pod !== undefined)
  if (named.length > 0) return Map.groupBy(named, ({ pod }) => pod ?? '')
  const kept = samples.filter(({ connection }) => connection !== undefined)
  return Map.groupBy(kept, ({ connection }) => `connection ${connection}`)
}

/** What each pod, or each connection, answered: for the evidence. */
export function parts(samples: readonly Sample[]): Part[] {
  const all = [...grouped(samples)].map(([name, own]) => ({ name, ...figures(own) }))
  return all.toSorted((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }))
}

/** The finding. */
export function alike(times: number, { idle, pods, forwarded }: Run): Finding {
  const finding = {
    name: 'no pod slower than the others',
    expected: `each pod at most ${times} times as slow as the others at p50, beyond what chance explains`,
  }
  const skipped = (seen: string): Finding => ({
    ...finding,
    verdict: 'skipped',
    seen: `not applicable: ${seen}`,
  })
  if (forwarded) return skipped('a port-forward leads to one pod only; "previewUrl" would lead to all')
  if (idle.due === 0) return { ...finding, verdict: 'inconclusive', seen: noRequest(idle) }
  if (pods === 1) return skipped('one pod is ready')
  const byPod = idle.samples.some(({ pod }) => pod !== undefined)
  const groups = [...grouped(timed(idle.samples))].filter(([, own]) => own.length >= LEAST)
  if (byPod && pods !== undefined && groups.length < pods)
    return {
      ...finding,
      verdict: 'inconclusive',
      seen: `${groups.length} of ${pods} pods answered ${LEAST} times`,
    }
  if (groups.length < 2) {
    const few = `fewer than two connections were kept for ${LEAST} answers`
    if (pods === undefined) return skipped(few)
    const remedy = 'let the application name its pod ("podHeader"), or raise "duration"'
    return { ...finding, verdict: 'inconclusive', seen: `${few}: ${remedy}` }
  }
  const slow = slower(groups, times)
  const what = byPod ? 'pods' : `connections (${idle.connections} were opened)`
  if (slow.length === 0)
    return { ...finding, verdict: 'passed', seen: `${groups.length} ${what}, none is slower` }
  const told = slow
    .slice(0, NAMED)
    .map(({ name, own, others }) => `${name} takes ${own} ms, the others ${others}`)
  const more = slow.length > NAMED ? ', …' : ''
  const whose = byPod ? '' : '; a connection leads to one pod'
  return {
    ...finding,
    verdict: 'failed',
    seen: `${slow.length} of ${groups.length} ${what}: ${told.join(', ')}${more}${whose}`,
  }
}

/** The slowest first, with their medians. */
function slower(groups: readonly (readonly [string, readonly Sample[]])[], times: number) {
  const all = groups.flatMap(([name, own]) => own.map(({ latency, lag }) => ({ name, ms: latency - lag })))
  const sorted = all.toSorted((a, b) => a.ms - b.ms)
  const ranks = rankSums(sorted)
  return groups
    .flatMap(([name, { length: n }]) => {
      const m = sorted.length - n
      const own = middle(sorted.filter((one) => one.name === name))
      const others = middle(sorted.filter((one) => one.name !== name))
      // Ties make the true spread smaller, never larger: this errs on the side of "alike".
      const spread = Math.sqrt((n * m * (n + m + 1)) / 12)
      const beyond = ((ranks.get(name) ?? 0) - (n * (n + m + 1)) / 2) / spread
      if (beyond < BEYOND || own <= Math.max(times * others, others + LEAST_MS)) return []
      return [{ name, ratio: own / others, own: shown(own), others: shown(others) }]
    })
    .toSorted((a, b) => b.ratio - a.ratio)
}

interface One {
  name: string
  ms: number
}

/** Of each name, the sum of its places; those that took equally long share theirs. */
function rankSums(sorted: readonly One[]): Map<string, number> {
  const sums = new Map<string, number>()
  for (let from = 0, to = 0; from < sorted.length; from = to) {
    while (to < sorted.length && sorted[to]?.ms === sorted[from]?.ms) to++
    for (const { name } of sorted.slice(from, to)) sums.set(name, (sums.get(name) ?? 0) + (from + to + 1) / 2)
  }
  return sums
}

const middle = (sorted: readonly One[]): number => sorted[sorted.length >> 1]?.ms ?? Number.NaN
