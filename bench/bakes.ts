/**
 * Bakes that never were: requests and errors as they come to healthy and to faulty releases, seeded, so that judges can be
 * asked thousands of times how often they are wrong. A reading is 15 s, a bake 40 of them, at 20 requests a second.
 */
import { limitOf, unweighed, weigh, type Count, type Reading } from '../lib/monitor/judge.ts'

export const READINGS = 40
export const SECONDS = 15
const RATE = 20
/** Of each color, a second. */
const PROBES = 2
/** Half an hour. */
const BASELINE = 120

/** deploy.yaml's absolute limit. */
export const MOST = 0.05
export const ODDS = 500

export interface World {
  /** The share of errors in ordinary times. */
  errors?: number
  /** Log-normal noise of that share, its correlation from reading to reading is 0.8. */
  noise?: number
  /** What that share is multiplied by from the start of the bake: another hour of the day. */
  drift?: number
  /** The same hour of yesterday is known, with its drift. */
  history?: boolean
  /** The chance that a reading has a burst of 20 %. */
  bursts?: number
  /** Readings during which nothing answers that needs a shared dependency, from a moment within the bake. */
  outage?: number
  /** How many of the first readings the old color answers half of. */
  overlap?: number
  /** What the release adds to the share of errors. */
  fault?: number
}

export interface Bake {
  baselines: Count[][]
  readings: Reading[]
}

/** Mulberry32: fast, seeded, and good enough to count with. */
export function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** How many of so many: from one to the next by the length of the gap. */
export function binomial(random: () => number, count: number, share: number): number {
  if (share <= 0) return 0
  if (share >= 1) return count
  const step = Math.log1p(-share)
  let found = 0
  for (let at = Math.log(1 - random()) / step; at < count; found++)
    at = Math.floor(at) + 1 + Math.log(1 - random()) / step
  return found
}

const normal = (random: () => number): number =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())

const CORRELATION = 0.8

export function bakeOf(world: World, seed: number): Bake {
  const { errors = 0.002, noise = 0, drift = 1, history = false, bursts = 0, fault = 0, overlap = 0 } = world
  const random = randomOf(seed)
  let level = normal(random)
  /** The share of errors that the world makes in the next reading. */
  const next = (times: number): number => {
    level = CORRELATION * level + Math.sqrt(1 - CORRELATION ** 2) * normal(random)
    const share = errors * times * Math.exp(noise * level - noise ** 2 / 2)
    return Math.min(1, share + (random() < bursts ? 0.2 : 0))
  }
  const count = (total: number, share: number): Count => ({ total, bad: binomial(random, total, share) })
  const past = (readings: number, times: number): Count[] =>
    Array.from({ length: readings }, () => count(RATE * SECONDS, next(times)))

  const baselines = [past(BASELINE, 1), ...(history ? [past(BASELINE, drift)] : [])]
  // It begins and ends in the middle of a reading, like anything else.
  const from = world.outage ? random() * (READINGS - world.outage) : 0
  const down = (reading: number): number =>
    world.outage ? Math.max(0, Math.min(reading + 1, from + world.outage) - Math.max(reading, from)) : 0

  const minutes: { live: Count; probesOfOld: Count }[] = []
  const readings = Array.from({ length: READINGS }, (_, index): Reading => {
    const share = next(drift)
    const lost = down(index)
    const worse = (extra: number): number => Math.min(1, lost + (1 - lost) * (share + extra))
    const both = index < overlap
    const total = both ? (RATE * SECONDS) / 2 : RATE * SECONDS
    const live = count(total, worse(fault))
    minutes.push({ live, probesOfOld: count(PROBES * SECONDS, worse(0)) })
    const last = minutes.slice(-60 / SECONDS)
    const lastMinute = {
      live: added(last.map(({ live }) => live)),
      probesOfOld: added(last.map(({ probesOfOld }) => probesOfOld)),
    }
    return { live, ...(both && { old: count(total, worse(0)) }), lastMinute }
  })
  return { baselines, readings }
}

const added = (counts: readonly Count[]): Count => ({
  total: counts.reduce((all, { total }) => all + total, 0),
  bad: counts.reduce((all, { bad }) => all + bad, 0),
})

/** At which reading a judge goes back; undefined where it never does. */
export type Judge = (bake: Bake) => number | undefined

const found = (index: number): number | undefined => (index < 0 ? undefined : index)

/** What this project's judge says first, other than to go on watching. */
export function verdictOf({ baselines, readings }: Bake): { verdict: string; at: number } {
  const limit = limitOf(baselines, MOST)
  let weighed = unweighed
  for (const [at, reading] of readings.entries()) {
    const step = weigh(weighed, reading, { limit, odds: ODDS })
    weighed = step.weighed
    if (step.verdict !== 'watching') return { verdict: step.verdict, at }
  }
  return { verdict: 'watching', at: readings.length }
}

/** The one of this project. An outage that both colors share is held, and watched on. */
export const bet: Judge = ({ baselines, readings }) => {
  const limit = limitOf(baselines, MOST)
  let weighed = unweighed
  return found(
    readings.findIndex((reading) => {
      const step = weigh(weighed, reading, { limit, odds: ODDS })
      weighed = step.weighed
      return step.verdict === 'failed'
    }),
  )
}

/** The same, of which nobody asks whether going back would help. */
export const betAlone: Judge = ({ baselines, readings }) =>
  bet({
    baselines,
    readings: readings.map((reading) => ({
      ...reading,
      lastMinute: { ...reading.lastMinute, probesOfOld: { total: 0, bad: 0 } },
    })),
  })

/** Two shares are the same, p < 0.05 on one side, at each reading over all that there is so far. */
export const zTest: Judge = ({ baselines: [baseline = []], readings }) => {
  const before = added(baseline)
  let total = 0
  let bad = 0
  return found(
    readings.findIndex(({ live }) => {
      total += live.total
      bad += live.bad
      const pooled = (before.bad + bad) / (before.total + total)
      const error = Math.sqrt(pooled * (1 - pooled) * (1 / before.total + 1 / total))
      return error > 0 && (bad / total - before.bad / before.total) / error > 1.645
    }),
  )
}

const isOver = ({ live }: Reading): boolean => live.bad / live.total > 0.01

export const onceOver: Judge = ({ readings }) => found(readings.findIndex(isOver))

export const twiceOver: Judge = ({ readings }) =>
  found(
    readings.findIndex((reading, index) => {
      const before = readings[index - 1]
      return isOver(reading) && before !== undefined && isOver(before)
    }),
  )

/** Five readings over, wherever they are. */
export const fiveOver: Judge = ({ readings }) => {
  let over = 0
  return found(readings.findIndex((reading) => (over += isOver(reading) ? 1 : 0) >= 5))
}

/** Kayenta's test, p < 0.02 on one side: the shares of all readings so far against those before, from the fifth reading on. */
export const mannWhitney: Judge = ({ baselines: [baseline = []], readings }) => {
  const before = baseline.map(({ total, bad }) => bad / total)
  const after: number[] = []
  return found(
    readings.findIndex(({ live }) => {
      after.push(live.bad / live.total)
      return after.length >= 5 && rankZ(after, before) > 2.054
    }),
  )
}

/** How far the first are above the second by rank, in standard errors, with ties. */
export function rankZ(first: readonly number[], second: readonly number[]): number {
  const counts = new Map<number, [number, number]>()
  for (const [values, side] of [[first, 0] as const, [second, 1] as const])
    for (const value of values) {
      const pair = counts.get(value) ?? [0, 0]
      pair[side]++
      counts.set(value, pair)
    }
  const all = first.length + second.length
  let below = 0
  let ranks = 0
  let ties = 0
  for (const [, [mine, theirs]] of [...counts].toSorted(([a], [b]) => a - b)) {
    const same = mine + theirs
    ranks += mine * (below + (same + 1) / 2)
    ties += same ** 3 - same
    below += same
  }
  const u = ranks - (first.length * (first.length + 1)) / 2
  const variance = ((first.length * second.length) / 12) * (all + 1 - ties / (all * (all - 1)))
  return variance > 0 ? (u - (first.length * second.length) / 2) / Math.sqrt(variance) : 0
}

export interface Share {
  /** Of all bakes. */
  share: number
  /** At most that, with 99 % confidence (Wilson). */
  atMost: number
}

/** How often a judge goes back. */
export function goesBack(judge: Judge, world: World, bakes: number, seed = 1): Share {
  let back = 0
  for (let index = 0; index < bakes; index++)
    if (judge(bakeOf(world, seed * 1_000_003 + index)) !== undefined) back++
  const share = back / bakes
  const squared = 2.3263 ** 2
  const root = Math.sqrt((share * (1 - share)) / bakes + squared / (4 * bakes * bakes))
  return { share, atMost: (share + squared / (2 * bakes) + 2.3263 * root) / (1 + squared / bakes) }
}

export interface Delay {
  /** Seconds from the switch, of those that were caught. */
  median: number
  p95: number
  /** Of all bakes. */
  caught: number
}

export function delayOf(judge: Judge, world: World, bakes: number, seed = 2): Delay {
  const times: number[] = []
  for (let index = 0; index < bakes; index++) {
    const at = judge(bakeOf(world, seed * 1_000_003 + index))
    if (at !== undefined) times.push((at + 1) * SECONDS)
  }
  times.sort((a, b) => a - b)
  const at = (share: number): number => times[Math.floor(share * (times.length - 1))] ?? Number.NaN
  return { median: at(0.5), p95: at(0.95), caught: times.length / bakes }
}
