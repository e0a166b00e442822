/**
 * Whether a release hurts its users more than is normal, told by counts that come in one reading after another and that
 * may be looked at after each. Pure. The layers of a bake: what is down; a control that serves at the same time, where there
 * is one, else the past; and, before traffic goes back, whether that would help. bench/results-bake.md says how often it is
 * wrong, beside the judges that others use.
 */

/** Of one reading: all that was counted, and how much of it was bad. */
export interface Count {
  total: number
  bad: number
}

/** The 99 % point of the normal distribution. */
const Z = 2.3263

/** Less is never held against a release, nor more excused than twice the worst that is normal. */
const LEAST_LIMIT = 0.005
const TIMES_NORMAL = 2

const sum = (counts: readonly Count[]): Count =>
  counts.reduce((a, b) => ({ total: a.total + b.total, bad: a.bad + b.bad }), { total: 0, bad: 0 })

/**
 * The share of bad ones in a baseline, at the most, with 99 % confidence: by how its readings differ from each other, since
 * errors come in bursts, and never below what as many independent ones would allow (Wilson). Undefined without any.
 */
export function upperBound(readings: readonly Count[]): number | undefined {
  const { total, bad } = sum(readings)
  if (total === 0) return undefined
  const share = bad / total
  const squares = readings.reduce((all, reading) => all + (reading.bad - share * reading.total) ** 2, 0)
  const count = readings.length
  const spread = count > 1 ? Math.sqrt((squares * count) / (count - 1)) / total : 0
  return Math.min(1, Math.max(share + Z * spread, wilson(share, total)))
}

function wilson(share: number, total: number): number {
  const squared = Z * Z
  const root = Math.sqrt((share * (1 - share)) / total + squared / (4 * total * total))
  return (share + squared / (2 * total) + Z * root) / (1 + squared / total)
}

/**
 * The share of bad ones above which a release is worse than normal.
 * @param baselines each with its readings: before the deployment, the same hour of other days; the largest counts
 * @param most what is never exceeded, and what holds where there is no baseline
 */
export function limitOf(baselines: readonly (readonly Count[])[], most: number): number {
  const bounds = baselines.flatMap((readings) => upperBound(readings) ?? [])
  if (bounds.length === 0) return most
  return Math.min(most, Math.max(LEAST_LIMIT, TIMES_NORMAL * Math.max(...bounds)))
}

/** The odds that stop a bake, so that one in a hundred healthy ones is stopped at the most, however many indicators bet. */
export const oddsOf = (indicators: number): number => indicators / 0.01

const STAKES = [0.1, 0.3, 0.6, 0.9]

/** As many requests as make a reading count in full. */
const FULL = 20

/** What each stake has become, of 1. */
export type Wealth = readonly number[]

export const unbet: Wealth = STAKES.map(() => 1)

/**
 * Bets on one reading that the share of bad ones is above the limit. While it is not, what is won is lost again: the mean
 * never grows, and the chance that it ever reaches the odds is one to the odds, however often one looks (Ville's
 * inequality; Waudby-Smith and Ramdas, arXiv 2010.09686). 500 errors in a second are one bet: the cap, the root of the
 * odds, keeps a single reading from deciding.
 */
export function bet(wealth: Wealth, { total, bad }: Count, limit: number, odds: number): Wealth {
  if (total === 0) return wealth
  const gain = (Math.min(1, total / FULL) * (bad / total - limit)) / limit
  return STAKES.map((stake, index) => (wealth[index] ?? 1) * Math.min(Math.sqrt(odds), 1 + stake * gain))
}

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length

/** How many to one it is that more is bad than the limit allows. */
export const oddsAgainst = (wealth: Wealth): number => mean(wealth)

/** How many times the old color's share of errors is tolerated. */
const TOLERATED = 1.5

/** How many times more than that it may be: the one that fits best weighs most. */
const TIMES = [1.5, 2, 3, 5, 10, 30, 100]

/** Their logarithms: what a whole bake gathers is beyond what a number holds. */
export type Likelihoods = readonly number[]

export const uncompared: Likelihoods = TIMES.map(() => 0)

/**
 * Weighs one reading in which both colors served users: an error happened; on which color? Whatever changes with time
 * changes for both, and drops out (Lindon and Malek, arXiv 2011.03567).
 */
export function compare(likelihoods: Likelihoods, live: Count, old: Count): Likelihoods {
  if (live.total === 0 || old.total === 0) return likelihoods
  const chance = (times: number): number => (times * live.total) / (times * live.total + old.total)
  const tolerated = chance(TOLERATED)
  return TIMES.map((times, index) => {
    const worse = chance(times * TOLERATED)
    const onLive = live.bad * Math.log(worse / tolerated)
    return (likelihoods[index] ?? 0) + onLive + old.bad * Math.log((1 - worse) / (1 - tolerated))
  })
}

/** How many to one it is that the live color's share of errors is more than 1.5 times the old one's. */
export const evidence = (likelihoods: Likelihoods): number => mean(likelihoods.map(Math.exp))

/**
 * A fact that needs no odds: at least half of what the witness asked failed, in two readings in a row. What the cluster says
 * of its pods is the other such fact.
 */
export const isDown = (before: Count, now: Count): boolean =>
  [before, now].every(({ total, bad }) => total >= FULL && bad / total >= 0.5)

/**
 * Whether the old color fails, too: then going back would not help. Of the last minute.
 * @param old what the probes of the old color met
 */
export function isEnvironment(live: Count, old: Count): boolean {
  if (live.total === 0 || old.total === 0) return false
  return old.bad >= 3 && old.bad / old.total >= 0.4 * (live.bad / live.total)
}

export interface Reading {
  /** Users of the live color. */
  live: Count
  /** Users whom the old color still answered. */
  old?: Count
  lastMinute: { live: Count; probesOfOld: Count }
}

export interface Weighed {
  wealth: Wealth
  likelihoods: Likelihoods
  /** Both colors failed when it was asked last. */
  held: boolean
}

export const unweighed: Weighed = { wealth: unbet, likelihoods: uncompared, held: false }

/**
 * The old color really serves, a fifth of the users: then 5 % more errors are found in 75 s by it and in 60 s by the past,
 * simulated; with a tenth of them in 120 s, and the past is asked.
 */
const isControl = (live: Count, old: Count): boolean => old.total >= FULL && old.total >= live.total / 4

/**
 * One indicator after one more reading: `failed` says go back, `environment` that going back would not help. As long as
 * that holds nothing is gathered, and afterwards it starts anew: what happened while both colors failed says nothing of
 * the release.
 */
export function weigh(
  { wealth, likelihoods, held }: Weighed,
  { live, old, lastMinute }: Reading,
  { limit, odds }: { limit: number; odds: number },
): { weighed: Weighed; verdict: 'watching' | 'failed' | 'environment' } {
  const environment = isEnvironment(lastMinute.live, lastMinute.probesOfOld)
  if (held && environment) return { weighed: { ...unweighed, held }, verdict: 'environment' }
  const weighed =
    old && isControl(live, old)
      ? { wealth, likelihoods: compare(likelihoods, live, old), held: false }
      : { wealth: bet(wealth, live, limit, odds), likelihoods, held: false }
  const certain = Math.max(oddsAgainst(weighed.wealth), evidence(weighed.likelihoods)) >= odds
  if (!certain) return { weighed, verdict: 'watching' }
  if (environment) return { weighed: { ...unweighed, held: true }, verdict: 'environment' }
  return { weighed, verdict: 'failed' }
}
