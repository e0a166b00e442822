/**
 * Whether the idle color is slower than the live one. The same requests went to both at the same time, in turns,
 * so whatever else the machines did happened to both. It is slower when all of this holds:
 *
 * 1. Its p99 is more than N times live's, beyond what chance explains: the lower end of its 95 % interval lies
 *    above N times the upper end of live's. The interval is that of order statistics: of n samples the true
 *    p-quantile lies between those of rank np ± 1.96·√(np(1-p)) (the binomial distribution, by its normal
 *    approximation; of 1,000 samples, ranks 983 to 997 for p99).
 * 2. It is 5 ms more at least: 2 ms instead of 1 ms stop no release.
 * 3. Requests slower than that were due in at least 5 different seconds. The interval takes samples for
 *    independent, but one pause of one process strikes all that were due meanwhile. Were both colors alike, 5
 *    pauses out of 5 would strike the same one in 3 % of all runs.
 *
 * Times count from when a request was sent here, not from when it was due: both lanes share one generator, and
 * its lateness, added to both, would hide a difference.
 */
import type { Sample } from './lane.ts'
import { shown } from './summary.ts'
import { THROUGH_A_FORWARD, tooFew, type Finding, type Run } from './verdicts.ts'

const PERCENTILE = 0.99
const SAMPLES = 1000
const LEAST_MS = 5
const LEAST_SECONDS = 5

/** A percentile as it was measured, and between which values the true one lies (95 %). ms */
export interface Interval {
  value: number
  low: number
  high: number
}

/** Of sorted times. Its upper end is infinite where there are too few samples to have one. */
export function interval(sorted: readonly number[], quantile: number): Interval {
  const n = sorted.length
  const spread = 1.96 * Math.sqrt(n * quantile * (1 - quantile))
  const at = (rank: number): number => sorted[rank - 1] ?? (rank < 1 ? 0 : Number.POSITIVE_INFINITY)
  return {
    value: at(Math.ceil(n * quantile)),
    low: at(Math.floor(n * quantile - spread)),
    high: at(Math.ceil(n * quantile + spread)),
  }
}

interface Served {
  due: number
  ms: number
}

function served(samples: readonly Sample[]): Served[] {
  return samples
    .flatMap(({ due, lag, latency }) => (latency === undefined ? [] : { due, ms: latency - lag }))
    .toSorted((a, b) => a.ms - b.ms)
}

/** Pure; `times` is how many times live's p99 is too slow, `excused` what idle may be slower by besides (ms). */
export function compare(idle: readonly Sample[], live: readonly Sample[], times: number, excused = 0) {
  const [ours, theirs] = [served(idle), served(live)]
  const [a, b] = [p99(ours), p99(theirs)]
  const limit = Math.max(times * b.high, b.high + LEAST_MS) + excused
  const beyond = new Set(ours.filter(({ ms }) => ms > limit).map(({ due }) => Math.floor(due / 1000)))
  return { idle: a, live: b, slower: a.low > limit && beyond.size >= LEAST_SECONDS }
}

/** The finding, where the live color had the same load. */
export function notSlower(times: number, { settings, idle, live, generator, forwarded }: Run): Finding[] {
  if (!live) return []
  const finding = {
    name: 'not slower than the live color',
    expected: `p99 at most ${times} times that of the live color, beyond what chance explains`,
  }
  const needed = Math.max(SAMPLES, LEAST_SECONDS * settings.rate)
  const few = tooFew(needed, settings, idle)
  if (few) return [{ ...finding, verdict: 'inconclusive', seen: few }]
  const fewer = tooFew(needed, settings, live)
  if (fewer) return [{ ...finding, verdict: 'inconclusive', seen: `of the live color, ${fewer}` }]

  const { objection, queued, lag } = generator
  const compared = compare(idle.samples, live.samples, times)
  const seen = `p99 ${range(compared.idle)}, live ${range(compared.live)}`
  // What waits in the generator waits for both colors, which hides a difference.
  if (queued === 0 && !compared.slower) return [{ ...finding, verdict: 'passed', seen }]
  const late = queued > 0 || !compare(idle.samples, live.samples, times, 2 * lag.max).slower
  const excuse = forwarded ? THROUGH_A_FORWARD : late ? objection : undefined
  return excuse
    ? [{ ...finding, verdict: 'inconclusive', seen: `${seen}; ${excuse}` }]
    : [{ ...finding, verdict: 'failed', seen }]
}

function p99(sorted: readonly Served[]): Interval {
  return interval(
    sorted.map(({ ms }) => ms),
    PERCENTILE,
  )
}

/** `12.3 ms (95 %: 9.80 to 15.1)` */
function range({ value, low, high }: Interval): string {
  return `${shown(value)} ms (95 %: ${shown(low)} to ${shown(high)})`
}
