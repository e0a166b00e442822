/**
 * What a watch of a release has seen, and what follows from it: pure. The readings are kept in the record, and everything
 * else is made of them: whoever goes on with a watch whose command died weighs the same readings, and has the same odds.
 */
import { z } from 'zod'
import { factsForm } from './facts.ts'
import {
  evidence,
  isDown,
  isEnvironment,
  limitOf,
  oddsAgainst,
  oddsOf,
  unweighed,
  upperBound,
  weigh,
  type Count,
  type Weighed,
} from './judge.ts'

/** [bad, all] */
const counted = z.tuple([z.number(), z.number()])

const readingForm = z.object({
  at: z.string(),
  /** ms since the reading before */
  ms: z.number(),
  /** ms of counters that it covers: less where the source has said nothing, more where it makes up for that */
  covers: z.number(),
  counts: z.record(z.string(), z.object({ live: counted.optional(), old: counted.optional() })),
  /** How many to one it is, after it, that more is bad than the limit allows. */
  odds: z.record(z.string(), z.number()),
  /** Of each pod of the new color, in bytes; three of them at the most. */
  memory: z.record(z.string(), z.number()).optional(),
})
export type BakeReading = z.infer<typeof readingForm>

export const verdicts = ['passed', 'failed', 'environment', 'inconclusive', 'superseded'] as const

const figures = z.object({
  at: z.number(),
  pods: z.array(
    z.object({
      pod: z.string(),
      color: z.enum(['blue', 'green', 'plain']),
      counters: z.record(z.string(), z.object({ total: z.number(), bad: z.number() })),
      gauges: z.record(z.string(), z.number()),
    }),
  ),
})

export const bakeForm = z.object({
  startedAt: z.string(),
  /** When it ends at the earliest, and at the latest. */
  until: z.string(),
  latest: z.string(),
  /** ms that it was watched beside the old color, once that has ended. */
  beside: z.number().optional(),
  source: z.string(),
  /** The bound above which a request is slow, in seconds. */
  slow: z.number().optional(),
  /** What nobody looks at, and why. */
  notCovered: z.array(z.string()),
  /** The share of bad ones above which a release is worse than normal, and where it comes from. */
  limits: z.record(z.string(), z.object({ share: z.number(), why: z.string() })),
  /** What must be known of, for the release to pass: what somebody counted when it began. */
  required: z.array(z.string()),
  /** What the cluster said of the new color's pods at the beginning. */
  facts: factsForm.optional(),
  /** Bytes: the limit of a container, and how fast those of earlier releases grew, a second. */
  memory: z.object({ limit: z.number(), normal: z.number() }).optional(),
  readings: z.array(readingForm),
  /** The counters as they stood at the last reading: where a watch whose command died is taken up. */
  last: figures.optional(),
  verdict: z.enum(verdicts).optional(),
  reason: z.string().optional(),
})
export type BakeRecord = z.infer<typeof bakeForm>

/** What is asked of the live URL by ourselves, without any source. */
export const PROBES = 'probes'

const titles: Record<string, string> = {
  errors: 'requests fail',
  slow: 'requests are slow',
  databaseErrors: 'database operations fail',
  [PROBES]: 'requests to the live URL fail',
}
/** `requests fail`, as the end of "more than 0.5 % of". */
export const titleOf = (indicator: string): string => titles[indicator] ?? `of ${indicator} are bad`

export type Judgement =
  | { verdict: 'watching' }
  | { verdict: 'failed' | 'environment'; indicator: string; reason: string }

/** How far the evidence is, indicator by indicator. */
export interface Weights {
  weighed: Record<string, Weighed>
  judgement: Judgement
}

const count = ([bad, total]: readonly [number, number] = [0, 0]): Count => ({ bad, total })

const summed = (counts: readonly Count[]): Count =>
  counts.reduce((a, b) => ({ total: a.total + b.total, bad: a.bad + b.bad }), { total: 0, bad: 0 })

/** Of so many readings it is asked whether the old color fails, too: the last minute, by default. */
const RECENT = 4

const recent = (readings: readonly BakeReading[], index: number): readonly BakeReading[] =>
  readings.slice(Math.max(0, index + 1 - RECENT), index + 1)

const seen = (readings: readonly BakeReading[], indicator: string, which: 'live' | 'old'): Count =>
  summed(readings.map(({ counts }) => count(counts[indicator]?.[which])))

/** What the old color's probes met lately, and what `indicator` did on the live one. */
const recently = (readings: readonly BakeReading[], index: number, indicator: string) => {
  const last = recent(readings, index)
  return { live: seen(last, indicator, 'live'), probesOfOld: seen(last, PROBES, 'old') }
}

/** Whether going back would not help, by the last readings. */
export function isShared(readings: readonly BakeReading[], indicator = PROBES): boolean {
  const { live, probesOfOld } = recently(readings, readings.length - 1, indicator)
  return isEnvironment(live, probesOfOld)
}

/**
 * All readings, weighed in their order. The judgement is that after the last one: a watch that failed ends, and one that
 * held goes on.
 */
export function weighAll({ readings, limits }: Pick<BakeRecord, 'readings' | 'limits'>): Weights {
  const indicators = Object.keys(limits)
  const odds = oddsOf(indicators.length)
  const weighed: Record<string, Weighed> = {}
  let judgement: Judgement = { verdict: 'watching' }
  for (const [index, { counts }] of readings.entries()) {
    judgement = { verdict: 'watching' }
    for (const indicator of indicators) {
      const limit = limits[indicator]?.share ?? 1
      const { live, old } = counts[indicator] ?? {}
      // Of probes the old color is asked as often as the new one, whether it serves anybody or not: no control.
      const control = indicator !== PROBES && old && { old: count(old) }
      const reading = { live: count(live), ...control, lastMinute: recently(readings, index, indicator) }
      const step = weigh(weighed[indicator] ?? unweighed, reading, { limit, odds })
      weighed[indicator] = step.weighed
      if (step.verdict === 'watching' || judgement.verdict === 'failed') continue
      judgement = { verdict: step.verdict, indicator, reason: '' }
    }
    if (judgement.verdict === 'failed') break
  }
  if (judgement.verdict === 'failed')
    judgement.reason = reasonOf({ readings, limits }, judgement.indicator, weighed[judgement.indicator])
  if (judgement.verdict === 'environment') judgement.reason = sharedReason(readings)
  return { weighed, judgement }
}

const round = (number: number): string => Math.round(number).toLocaleString('en')

/** `1,240 : 1` against a release, `1 : 40` for it. */
export function weightOf(odds: number): string {
  return odds >= 1 ? `${round(odds)} : 1` : `1 : ${round(1 / Math.max(odds, 1e-6))}`
}

/** Why going back would not help. */
export function sharedReason(readings: readonly BakeReading[]): string {
  const { bad, total } = seen(recent(readings, readings.length - 1), PROBES, 'old')
  return `the color that was left fails too (${bad} of the last ${total} probes of it): going back would not help`
}

/** How many to one, for people and for the record; what is beyond a million is a million. */
export const oddsFor = ({ wealth, likelihoods }: Weighed): number =>
  Math.min(1e6, Math.max(oddsAgainst(wealth), evidence(likelihoods)))

/** One sentence with its numbers. */
function reasonOf(
  { readings, limits }: Pick<BakeRecord, 'readings' | 'limits'>,
  indicator: string,
  weighed: Weighed = unweighed,
): string {
  const { share, why } = limits[indicator] ?? { share: 1, why: '' }
  const live = seen(readings, indicator, 'live')
  const since = `${round(live.bad)} of ${round(live.total)} since ${timeOf(readings[0]?.at)}`
  const against = `${weightOf(oddsFor(weighed))} that more`
  if (evidence(weighed.likelihoods) <= oddsAgainst(weighed.wealth))
    return `${against} than ${percent(share)} of ${titleOf(indicator)} (limit: ${why}): ${since}`
  const old = seen(readings, indicator, 'old')
  return `${against} ${titleOf(indicator)} than on the old color beside it: ${since}, ${round(old.bad)} of ${round(old.total)} there`
}

export interface Baseline {
  /** `blue, 13:02–13:32`, as people read it. */
  name: string
  readings: readonly Count[]
}

/** The share of bad ones that is tolerated, and where it comes from: the worst of what was normal. */
export function limitFor(baselines: readonly Baseline[], most: number): { share: number; why: string } {
  const share = limitOf(
    baselines.map(({ readings }) => readings),
    most,
  )
  const [worst] = baselines
    .flatMap(({ name, readings }) => {
      const bound = upperBound(readings)
      return bound === undefined ? [] : { name, bound }
    })
    .toSorted((a, b) => b.bound - a.bound)
  if (!worst) return { share, why: 'deploy.yaml, since nothing is known of before' }
  if (share === most)
    return { share, why: `deploy.yaml; before it was up to ${percent(worst.bound)}, ${worst.name}` }
  if (share > 2 * worst.bound)
    return { share, why: `the least; before it was up to ${percent(worst.bound)}, ${worst.name}` }
  return { share, why: `2 × ${percent(worst.bound)}, ${worst.name}` }
}

/** UTC, to the second. */
export const timeOf = (at = ''): string => at.slice(11, 19)

/** `0.5 %`, `12 %`, `0.042 %` */
export function percent(share: number): string {
  const hundredth = share * 100
  const digits = hundredth >= 10 || hundredth === 0 ? 0 : hundredth >= 1 ? 1 : 2
  return `${Number(hundredth.toFixed(digits))} %`
}

/** A fact that needs no odds: what the live URL answers, when nothing else would be asked any more. */
export function downReason(readings: readonly BakeReading[]): string | undefined {
  const [before, now] = readings.slice(-2).map(({ counts }) => count(counts[PROBES]?.live))
  if (!before || !now || !isDown(before, now)) return undefined
  return `${now.bad} of the last ${now.total} requests to the live URL failed, and ${before.bad} of ${before.total} before them`
}

/** Under so many of its readings nothing is known of an indicator. */
const COVERED = 0.8

/** The chance of seeing nothing bad in so many requests, although the limit is exceeded. */
const CHANCE = 0.01

/**
 * Why nothing certain can be said yet, a clause each; none: it has passed. Asked once its time is over.
 * @param required what the source says something of
 */
export function doubts(
  { readings, limits }: Pick<BakeRecord, 'readings' | 'limits'>,
  required: readonly string[],
): string[] {
  const watched = readings.reduce((all, { ms }) => all + ms, 0)
  const unknown = required.filter((indicator) => {
    const known = readings.filter(({ counts }) => counts[indicator]?.live !== undefined)
    const covered = known.reduce((all, { ms, covers }) => all + (indicator === PROBES ? ms : covers), 0)
    return covered < COVERED * watched
  })
  const main = required.includes('errors') ? 'errors' : PROBES
  const share = limits[main]?.share ?? 1
  const { total } = seen(readings, main, 'live')
  const needed = Math.ceil(-Math.log(CHANCE) / share)
  const bound = upperBound(readings.map(({ counts }) => count(counts[main]?.live)))
  const few = total < needed && !(bound !== undefined && bound <= share)
  return [
    ...(unknown.length > 0
      ? [`for more than a fifth of the time nothing is known of ${unknown.join(', ')}`]
      : []),
    ...(few ? [`${total} requests are too few to tell: ${needed} would be enough`] : []),
  ]
}
