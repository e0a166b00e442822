/**
 * What a bake would have said on the past: a switch that never was, every ten minutes, judged as a release is. Pure. Only
 * the layer that compares with the past is tried: there was no other color to compare with.
 */
import { colors, type Place } from '../app/color.ts'
import type { Indicator } from './indicators.ts'
import { limitOf, oddsAgainst, oddsOf, unweighed, weigh, type Count } from './judge.ts'
import type { IndicatorName } from './source.ts'

/** What was counted up to a moment, since the one before. */
export interface Then {
  /** ms since 1970 */
  at: number
  counts: Record<Place, Record<IndicatorName, Count>>
}

export interface Trial {
  /** ms; as a bake has it. */
  time: number
  every: number
  indicators: readonly Indicator[]
  /** A share of requests that fail in addition, from the moment on, for so many ms. */
  inject?: { share: number; lasting: number } | undefined
}

/** How long before a moment it is looked what was normal, and how far apart moments are; in ms. */
const BASELINE = 30 * 60_000
const APART = 10 * 60_000

/** Of a bake's readings so many must be there, or it says nothing. */
const ENOUGH = 0.8

export interface Alarm {
  at: number
  /** ms from the moment on. */
  after: number
  indicator: IndicatorName
  limit: number
  odds: number
}

export interface Tried {
  /** That were judged. */
  moments: number
  alarms: Alarm[]
  /** At which users were led from one color to another, or not all of the time was known. */
  leftOut: { switched: number; unknown: number }
}

/** @param then oldest first */
export function tryBakes(then: readonly Then[], trial: Trial): Tried {
  const tried: Tried = { moments: 0, alarms: [], leftOut: { switched: 0, unknown: 0 } }
  const [first, last] = [then[0]?.at ?? 0, then.at(-1)?.at ?? 0]
  let from = 0
  for (let at = first + BASELINE; at + trial.time <= last; at += APART) {
    while ((then[from]?.at ?? Infinity) <= at - BASELINE) from++
    const near: Then[] = []
    for (let i = from; (then[i]?.at ?? Infinity) <= at + trial.time; i++) near.push(...then.slice(i, i + 1))
    const before = near.filter((one) => one.at <= at)
    const after = near.filter((one) => one.at > at)
    const isKnown = after.length * trial.every >= ENOUGH * trial.time && before.length > 1
    const [was, is] = [mostUsed(before), mostUsed(after)]
    if (!isKnown || was === undefined || is === undefined) tried.leftOut.unknown++
    else if (was !== is) tried.leftOut.switched++
    else {
      tried.moments++
      const alarm = bakeAt(at, { before, after, color: is }, trial)
      if (alarm) tried.alarms.push(alarm)
    }
  }
  return tried
}

/** Where most users were. */
function mostUsed(then: readonly Then[]): Place | undefined {
  const totals = ([...colors, 'plain'] as const).map((color) => ({
    color,
    total: then.reduce((sum, { counts }) => sum + (counts[color]['errors']?.total ?? 0), 0),
  }))
  const [most] = totals.toSorted((a, b) => b.total - a.total)
  return most && most.total > 0 ? most.color : undefined
}

function bakeAt(
  at: number,
  { before, after, color }: { before: readonly Then[]; after: readonly Then[]; color: Place },
  { indicators, inject }: Trial,
): Alarm | undefined {
  const odds = oddsOf(indicators.length)
  const watched = indicators.map(({ name, most }) => {
    const baseline = before.flatMap(({ counts }) => counts[color][name] ?? [])
    return { name, limit: limitOf([baseline], most), weighed: unweighed }
  })
  const random = randomOf(at)
  for (const { at: now, counts } of after) {
    for (const one of watched) {
      const counted = counts[color][one.name]
      if (!counted) continue
      const isHurt = inject && one.name === 'errors' && now - at <= inject.lasting
      const live = isHurt ? hurt(counted, inject.share, random) : counted
      const { weighed, verdict } = weigh(one.weighed, { live, lastMinute: ALONE }, { limit: one.limit, odds })
      one.weighed = weighed
      if (verdict === 'failed')
        return {
          at,
          after: now - at,
          indicator: one.name,
          limit: one.limit,
          odds: oddsAgainst(weighed.wealth),
        }
    }
  }
  return undefined
}

/** Nobody asked the other color anything. */
const ALONE = { live: { total: 0, bad: 0 }, probesOfOld: { total: 0, bad: 0 } }

/** Of so many each is drawn; of more their mean and spread say it as well. */
const DRAWN = 500

/** Of the requests that went well a share fails, too. */
function hurt({ total, bad }: Count, share: number, random: () => number): Count {
  const good = Math.max(0, Math.round(total - bad))
  if (good > DRAWN) {
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
    const more = Math.round(good * share + normal * Math.sqrt(good * share * (1 - share)))
    return { total, bad: bad + Math.min(good, Math.max(0, more)) }
  }
  let more = 0
  for (let i = 0; i < good; i++) if (random() < share) more++
  return { total, bad: bad + more }
}

/** The same moment is hurt in the same way each time (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
