/** How soon the judge is certain, of faults as they are played: readings of 5 s, 20 requests a second. */
import { oddsOf, unweighed, weigh } from '../lib/monitor/judge.ts'
import { binomial, randomOf } from './bakes.ts'

const EVERY = 5
const REQUESTS = 20 * EVERY
/** What it never falls below; the release before had next to no errors. */
const LIMIT = 0.005
/** Errors, slow ones, database operations and probes. */
const ODDS = oddsOf(4)
/** Healthy readings of the second watch before the fault begins. */
const BEFORE = 2
const MOST = 100
const NOBODY = { total: 0, bad: 0 }

/** s until it is certain that so large a share is bad: of half of the bakes, and of 95 in 100. */
export function delay(share: number, bakes = 2000): { median: number; p95: number } {
  const times = Array.from({ length: bakes }, (_, seed) => {
    const random = randomOf(seed + 1)
    let weighed = unweighed
    for (let reading = 1; reading <= MOST; reading++) {
      const bad = reading > BEFORE ? binomial(random, REQUESTS, share) : 0
      const live = { total: REQUESTS, bad }
      const lastMinute = { live, probesOfOld: NOBODY }
      const step = weigh(weighed, { live, lastMinute }, { limit: LIMIT, odds: ODDS })
      if (step.verdict === 'failed') return (reading - BEFORE) * EVERY
      weighed = step.weighed
    }
    return Number.POSITIVE_INFINITY
  }).toSorted((a, b) => a - b)
  const at = (part: number): number => times[Math.floor(part * (bakes - 1))] ?? Number.NaN
  return { median: at(0.5), p95: at(0.95) }
}
