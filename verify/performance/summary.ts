/** The figures of a run. Latencies are kept in HdrHistograms, in µs, to three digits; figures are in ms. */
import { build, type Histogram } from 'hdr-histogram-js'
import type { Threshold } from '../../lib/settings/threshold.ts'
import type { Sample } from './lane.ts'

export interface Figures {
  requests: number
  failed: number
  /** Of the requests whose times count. NaN: there were none. */
  p50: number
  p90: number
  p99: number
  max: number
}

/** 10 minutes in µs; it grows by itself when something takes longer. */
const HIGHEST = 600_000_000

export function histogramOf(times: readonly number[]): Histogram {
  const histogram = build({ highestTrackableValue: HIGHEST, numberOfSignificantValueDigits: 3 })
  for (const ms of times) histogram.recordValue(Math.max(0, Math.round(ms * 1000)))
  return histogram
}

/**
 * The requests whose times count: those that were answered as expected, and those whose time was out, which took at
 * least that long. A quick error must not make a slow target look fast, and a slow one (a hang that ends in a 503)
 * must not go unseen: what failed counts where it took longer than 99 of 100 of the others.
 */
export function timed(samples: readonly Sample[]): Sample[] {
  const good = samples.filter(answered)
  const slow = measure({ percentile: 99 }, histogramOf(good.map(({ latency }) => latency)))
  return samples.filter((sample) => answered(sample) || sample.latency > slow)
}

/** As expected, or not in its time. */
export const answered = ({ failure, late = false }: Sample): boolean => failure === undefined || late

export function latencies(samples: readonly Sample[]): number[] {
  return timed(samples).map(({ latency }) => latency)
}

export function figures(samples: readonly Sample[]): Figures {
  const histogram = histogramOf(latencies(samples))
  const at = (percentile: number): number => measure({ percentile }, histogram)
  const failed = samples.filter(({ failure }) => failure !== undefined).length
  return { requests: samples.length, failed, p50: at(50), p90: at(90), p99: at(99), max: at(100) }
}

/** What a threshold is about, in ms; NaN where nothing was measured. */
export function measure(aggregate: Threshold['aggregate'], histogram: Histogram): number {
  if (histogram.totalCount === 0) return Number.NaN
  if (typeof aggregate === 'object') return histogram.getValueAtPercentile(aggregate.percentile) / 1000
  const named = {
    avg: () => histogram.mean,
    min: () => histogram.getValueAtPercentile(0),
    med: () => histogram.getValueAtPercentile(50),
    max: () => histogram.maxValue,
    rate: () => Number.NaN,
  }
  return named[aggregate]() / 1000
}

/** What went wrong, the most frequent first: `12 × status 500, 1 × no whole answer within 5 s`. */
export function failures(samples: readonly Pick<Sample, 'failure'>[]): string {
  const counts = new Map<string, number>()
  for (const { failure } of samples) {
    if (failure !== undefined) counts.set(failure, (counts.get(failure) ?? 0) + 1)
  }
  const ordered = [...counts].toSorted(([, a], [, b]) => b - a)
  const told = ordered.slice(0, 2).map(([failure, count]) => `${count} × ${failure}`)
  return [...told, ...(ordered.length > told.length ? ['…'] : [])].join(', ')
}

/** A time as it is shown: `0.84`, `12.3`, `512`. */
export function shown(ms: number): string {
  if (Number.isNaN(ms)) return '–'
  return ms >= 100 ? ms.toFixed(0) : ms >= 10 ? ms.toFixed(1) : ms.toFixed(2)
}
