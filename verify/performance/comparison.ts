/**
 * Whether the idle color is slower than the live one, at p50, p90 and p99. The same was asked of both at the same
 * time, so whatever else the machines did happened to both. At a percentile it is slower when all of this holds:
 *
 * 1. It is more than N times live's, and 5 ms more at least (2 ms instead of 1 ms stop no release), in all but 1 of
 *    300 resamples. A resample draws as many seconds as the run had, with replacement, and takes what both colors
 *    answered in each (the block bootstrap, by its percentiles: Davison & Hinkley, Bootstrap Methods, 8.2). Requests
 *    of one second are not independent, since one pause of a process strikes all that were due meanwhile; seconds
 *    nearly are. 1 of 300, at three percentiles, are 1 of 100 for a release that is N times slower to a hair.
 * 2. Requests slower than that were due in at least 5 different seconds: a few pauses are no habit.
 *
 * Times count from when a request was sent here, not from when it was due: both lanes share one generator, and
 * its lateness, added to both, would hide a difference.
 *
 * simple-statistics has no such test: its permutation test is of means, and takes samples for independent.
 */
import type { Load, Sample } from './lane.ts'
import { answered, failures, shown, timed } from './summary.ts'
import { THROUGH_A_FORWARD, tooFew, type Finding, type Run } from './verdicts.ts'

const PERCENTILES: readonly number[] = [50, 90, 99]
const RESAMPLES = 1500
const CHANCE = 1 / 300
const LEAST_MS = 5
const LEAST_SECONDS = 5
/** A run is cut into so many blocks at least: in one of less than 20 s they are shorter than a second. */
const LEAST_BLOCKS = 20

/** The finding, where the live color was asked as well. A percentile of which one had too few requests is left out. */
export function notSlower(
  times: number,
  { settings, idle, live, generator, forwarded, ways }: Run,
): Finding[] {
  if (!live) return []
  const finding = {
    name: 'not slower than the live color',
    expected: `at most ${times} times as slow as the live color, beyond what chance explains`,
  }
  const { rate, liveRate } = settings
  const open = (seen: string): Finding[] => [{ ...finding, verdict: 'inconclusive', seen }]
  const unfit = unfitFor(needed(50), { rate }, idle) ?? unfitFor(LEAST_SECONDS * rate, { rate }, idle)
  if (unfit !== undefined) return open(unfit)
  const other = unfitFor(needed(50), { rate: Math.min(rate, liveRate) }, live)
  if (other !== undefined) return open(`of the live color, ${other}`)

  const percentiles = PERCENTILES.filter((one) => Math.min(idle.due, live.due) >= needed(one))
  const { objection, lag } = generator
  const compared = compare(idle.samples, live.samples, times, { percentiles })
  const seen = [
    compared.map(told).join(', '),
    ...(percentiles.length < PERCENTILES.length
      ? [
          `p${PERCENTILES[percentiles.length]} is not compared: ${live.due} requests to the live color are too few`,
        ]
      : []),
  ].join('; ')
  const slower = compared.filter((one) => one.slower)
  if (slower.length === 0) {
    const noticed = compared.map((one) => `${one.noticed.toFixed(1)} times at p${one.percentile}`)
    const power = `${noticed.join(', ')} would have been noticed in 95 of 100 runs`
    return [{ ...finding, verdict: 'passed', seen: [seen, power, ...(ways ? [ways] : [])].join('; ') }]
  }
  if (forwarded) return open(`${seen}; ${THROUGH_A_FORWARD}`)
  const certain = compare(idle.samples, live.samples, times, { percentiles, excused: 2 * lag.max })
  if (objection !== undefined && !certain.some((one) => one.slower)) return open(`${seen}; ${objection}`)
  return [{ ...finding, verdict: 'failed', seen }]
}

/** So many requests that ten lie beyond the percentile. */
const needed = (percentile: number): number => Math.round(1000 / (100 - percentile))

/** Why it cannot be compared: too short, or most of it failed. */
function unfitFor(most: number, { rate }: { rate: number }, load: Load): string | undefined {
  const few = load.stopped ?? tooFew(most, { rate }, load)
  if (few !== undefined) return few
  const good = load.samples.filter(answered).length
  if (good >= load.due / 2) return undefined
  return `only ${good} of ${load.due} requests were answered as expected: ${failures(load.samples)}`
}

/** `p50 12.3 ms, live 9.80 (slower)` */
function told({ percentile, idle, live, slower }: Compared): string {
  return `p${percentile} ${shown(idle)} ms, live ${shown(live)}${slower ? ' (slower)' : ''}`
}

/** At one percentile. Times in ms. */
export interface Compared {
  percentile: number
  idle: number
  live: number
  slower: boolean
  /** What is so many times slower would have been found in 95 of 100 runs such as this one. */
  noticed: number
}

/** A run of so many ms in blocks of a second, or of less where it would be too few of them. Pure. */
export function blocksOf(end: number): { length: number; blocks: number } {
  const length = Math.min(1000, end / LEAST_BLOCKS)
  return { length, blocks: Math.ceil(end / length) }
}

/**
 * Pure, and the same runs give the same answer. `times` is how many times live's is too slow, `excused` what idle may
 * be slower by besides (ms).
 */
export function compare(
  idle: readonly Sample[],
  live: readonly Sample[],
  times: number,
  { percentiles = PERCENTILES, excused = 0 }: { percentiles?: readonly number[]; excused?: number } = {},
): Compared[] {
  const [ours, theirs] = [served(idle), served(live)]
  const end = 1 + [...ours, ...theirs].reduce((last, { due }) => Math.max(last, due), 0)
  const { length, blocks } = blocksOf(end)
  const mine = quantiles(ours, percentiles, length, blocks)
  const yours = quantiles(theirs, percentiles, length, blocks)
  const once = new Uint32Array(blocks).fill(1)
  const draw = drawing(blocks)
  const draws = Array.from({ length: RESAMPLES }, draw).map((drawn) => [mine(drawn), yours(drawn)] as const)
  const [a, b] = [mine(once), yours(once)]
  const limit = (ms: number): number => Math.max(times * ms, ms + LEAST_MS) + excused
  return percentiles.map((percentile, i) => {
    const [idle = Number.NaN, live = Number.NaN] = [a[i], b[i]]
    const pairs = draws.map(([x, y]) => [x[i] ?? Number.NaN, y[i] ?? Number.NaN] as const)
    const alike = pairs.filter(([x, y]) => !(x > limit(y))).length
    const beyond = new Set(ours.flatMap(({ ms, due }) => (ms > limit(live) ? Math.floor(due / 1000) : [])))
    // How far a run's ratio may lie below the true one, and a resample's below its run's.
    const ratios = pairs.map(([x, y]) => Math.log(x / y)).toSorted((x, y) => x - y)
    const below = (share: number): number =>
      (ratios[RESAMPLES / 2] ?? Number.NaN) - (ratios[RESAMPLES * share] ?? Number.NaN)
    return {
      percentile,
      idle,
      live,
      slower: idle > limit(live) && alike <= CHANCE * RESAMPLES && beyond.size >= LEAST_SECONDS,
      noticed: (limit(live) / live) * Math.exp(below(CHANCE) + below(0.05)),
    }
  })
}

interface Served {
  due: number
  ms: number
}

/** Sorted by how long it took. */
function served(samples: readonly Sample[]): Served[] {
  return timed(samples)
    .map(({ due, lag, latency }) => ({ due, ms: latency - lag }))
    .toSorted((a, b) => a.ms - b.ms)
}

/** The percentiles where each block counts as often as its weight says. Taken thousands of times. */
function quantiles(
  sorted: readonly Served[],
  percentiles: readonly number[],
  length: number,
  blocks: number,
): (weights: Uint32Array) => number[] {
  const times = Float64Array.from(sorted, ({ ms }) => ms)
  const block = Uint32Array.from(sorted, ({ due }) => due / length)
  const sizes = new Uint32Array(blocks)
  for (const one of block) sizes[one] = (sizes[one] ?? 0) + 1
  return (weights) => {
    const total = sizes.reduce((sum, size, i) => sum + size * (weights[i] ?? 0), 0)
    let [passed, at] = [0, -1]
    return percentiles.map((percentile) => {
      while (passed < (total * percentile) / 100 && at < times.length)
        passed += weights[block[++at] ?? 0] ?? 0
      return times[at] ?? Number.NaN
    })
  }
}

/** How often each block is drawn when as many are drawn as there are; the same in every run (mulberry32). */
function drawing(blocks: number): () => Uint32Array {
  let state = 1
  const random = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  return () => {
    const weights = new Uint32Array(blocks)
    for (let i = 0; i < blocks; i++) {
      const block = Math.floor(random() * blocks)
      weights[block] = (weights[block] ?? 0) + 1
    }
    return weights
  }
}
