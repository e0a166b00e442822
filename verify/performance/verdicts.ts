/**
 * What a run says about the target. A percentile needs samples: p(N) is asked of at least 10 / (1 - N/100)
 * requests, so that ten or more lie beyond it.
 *
 * What the generator's own lateness means: latency counts from when a request was due, so lateness only ever
 * makes the target look slower. A threshold that is kept in spite of it is kept. One that is broken is the
 * target's fault only if it is still broken with twice the worst lateness taken off (once for the request, once
 * for noticing the answer); otherwise nobody knows, which is inconclusive.
 */
import type { CheckResult } from '../../lib/check.ts'
import type { PerformanceSettings } from '../../lib/settings/gates.ts'
import { keeps, samplesNeeded, type Threshold } from '../../lib/settings/threshold.ts'
import type { Load, Sample } from './lane.ts'
import type { Lanes } from './load.ts'
import { answered, failures, histogramOf, latencies, measure, shown } from './summary.ts'

export type Finding = Pick<CheckResult, 'name' | 'verdict' | 'expected' | 'seen'>

/** How well the generator kept its schedule. Times in ms. */
export interface Generator {
  lag: { p50: number; p99: number; max: number }
  /** The most that the p99 of its lag may be. */
  allowed: number
  /** Requests a second that were sent in time. */
  delivered: number
  /** Why what looks slow may be its own fault. */
  objection?: string
}

/** A run, which the findings are about. */
export interface Run extends Lanes<Load> {
  settings: PerformanceSettings
  generator: Generator
  /** The target was reached through a port-forward. */
  forwarded: boolean
  /** How many of its pods are ready, where that is known. */
  pods?: number | undefined
  /** How the ways to the two colors differ, which is in whatever is compared. */
  ways?: string | undefined
}

/** The least share of the requests that must be sent before the measured part is over. */
const LEAST_DELIVERED = 0.98

export function generator(
  { thresholds }: Pick<PerformanceSettings, 'thresholds'>,
  { idle, live }: Lanes<Load>,
): Generator {
  const samples = [...idle.samples, ...(live?.samples ?? [])]
  const histogram = histogramOf(samples.map(({ lag }) => lag))
  const at = (percentile: number): number => measure({ percentile }, histogram)
  const lag = { p50: at(50), p99: at(99), max: at(100) }
  const tightest = Math.min(...thresholds.http_req_duration.map(({ value }) => value))
  const kept = {
    lag,
    allowed: Math.max(10, Number.isFinite(tightest) ? tightest / 10 : 0),
    delivered: idle.sentInTime / (idle.elapsed / 1000),
  }
  if (lag.p99 <= kept.allowed && shareSent(idle) >= LEAST_DELIVERED) return kept
  const late = `it was ${shown(lag.p99)} ms late at p99, ${shown(lag.max)} ms at most`
  return { ...kept, objection: `the generator could not keep the rate: ${late}` }
}

/** A request that was dropped had its moment too: that it was not sent is not the generator's fault. */
function shareSent({ sentInTime, dropped, due }: Load): number {
  return (sentInTime + dropped) / due
}

export function rateDelivered({ settings, idle, generator }: Run): Finding {
  const finding = {
    name: 'rate delivered',
    expected: `${settings.rate} requests a second, at least ${LEAST_DELIVERED * 100} % of them in time`,
  }
  if (idle.due === 0) return { ...finding, verdict: 'inconclusive', seen: noRequest(idle) }
  const dead = idle.stopped ?? (idle.samples.some(answered) ? undefined : failures(idle.samples))
  if (dead !== undefined) return { ...finding, verdict: 'failed', seen: `nothing was answered: ${dead}` }
  const seen = `${generator.delivered.toFixed(1)} a second, ${shown(generator.lag.p99)} ms late at p99`
  return shareSent(idle) >= LEAST_DELIVERED
    ? { ...finding, verdict: 'passed', seen }
    : { ...finding, verdict: 'inconclusive', seen: `${seen}: this machine has too much to do` }
}

export function dropped({ settings, idle, generator, forwarded }: Run): Finding {
  const most = Math.ceil((settings.rate * settings.timeout) / 1000)
  const finding = {
    name: 'dropped_iterations',
    expected: `never more than ${most} requests unanswered (rate × timeout), so that none is dropped`,
  }
  if (idle.due === 0) return { ...finding, verdict: 'inconclusive', seen: noRequest(idle) }
  const seen = `${idle.dropped} of ${idle.due} requests were dropped`
  if (idle.dropped === 0) return { ...finding, verdict: 'passed', seen }
  const excuse = forwarded ? THROUGH_A_FORWARD : generator.objection
  return excuse
    ? { ...finding, verdict: 'inconclusive', seen: `${seen}; ${excuse}` }
    : { ...finding, verdict: 'failed', seen }
}

export const THROUGH_A_FORWARD = 'measured through a port-forward, which may be what is slow'

export function noRequest({ stopped }: Load): string {
  return stopped ?? 'no request was due'
}

/** One of `http_req_failed`. Errors count whatever the way to the target, and however late a request was. */
export function errorRate(threshold: Threshold, { idle }: Run): Finding {
  const finding = {
    name: `http_req_failed ${threshold.text}`,
    expected: `failed requests: ${threshold.text}`,
  }
  const { samples, stopped } = idle
  if (stopped !== undefined) return { ...finding, verdict: 'failed', seen: stopped }
  if (samples.length === 0) return { ...finding, verdict: 'inconclusive', seen: noRequest(idle) }

  const told = failures(samples)
  const seen = `${countFailed(samples)} of ${samples.length} requests failed${told && `: ${told}`}`
  if (!keeps(threshold, countFailed(samples) / samples.length)) return { ...finding, verdict: 'failed', seen }
  const needed = samplesNeeded(threshold)
  if (samples.length >= needed) return { ...finding, verdict: 'passed', seen }
  return { ...finding, verdict: 'inconclusive', seen: `${seen}, and ${needed} are needed to tell` }
}

function countFailed(samples: readonly Sample[]): number {
  return samples.filter(({ failure }) => failure !== undefined).length
}

/** One of `http_req_duration`. */
export function duration(threshold: Threshold, { settings, idle, generator, forwarded }: Run): Finding {
  const finding = {
    name: `http_req_duration ${threshold.text}`,
    expected: `${threshold.text} ms at ${settings.rate} requests a second`,
  }
  const few = tooFew(samplesNeeded(threshold), settings, idle)
  if (few) return { ...finding, verdict: 'inconclusive', seen: few }

  const times = latencies(idle.samples)
  const measured = measure(threshold.aggregate, histogramOf(times))
  const seen = `${shown(measured)} ms over ${times.length} requests`
  if (keeps(threshold, measured))
    return {
      ...finding,
      verdict: 'passed',
      seen: forwarded ? `${seen}, measured through a port-forward` : seen,
    }
  const { objection, lag } = generator
  const late = keeps(threshold, measured - 2 * lag.max)
  const excuse = forwarded ? THROUGH_A_FORWARD : late ? objection : undefined
  return excuse
    ? { ...finding, verdict: 'inconclusive', seen: `${seen}; ${excuse}` }
    : { ...finding, verdict: 'failed', seen }
}

/**
 * Why a run is too small for something that needs so many requests. Those that failed were asked all the same,
 * and do not make the run too short; when most of what is needed failed, the rest stand for nothing.
 */
export function tooFew(
  needed: number,
  { rate }: Pick<PerformanceSettings, 'rate'>,
  load: Load,
): string | undefined {
  if (load.due < needed) {
    const remedy = load.stopped ?? `at ${rate} a second, a duration of ${Math.ceil(needed / rate)}s suffices`
    return `${needed} requests are needed and there were ${load.due}: ${remedy}`
  }
  const good = load.samples.filter(answered).length
  if (good >= needed / 2) return undefined
  return `only ${good} of ${load.due} requests were answered as expected: ${failures(load.samples)}`
}
