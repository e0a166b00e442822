/**
 * A watch of a release while it runs: a reading after another is taken, entered into the record, weighed and told, until
 * something speaks against the release, or the time is over.
 */
import { observe, type Observed } from '../app/observe.ts'
import { KubectlError } from '../cluster/refusal.ts'
import { DeployError } from '../errors.ts'
import {
  downReason,
  isShared,
  oddsFor,
  PROBES,
  sharedReason,
  weighAll,
  type BakeReading,
  type BakeRecord,
} from '../monitor/bake.ts'
import { factsOf, worse } from '../monitor/facts.ts'
import { leakOf } from '../monitor/leak.ts'
import type { Count } from '../monitor/judge.ts'
import { drawn } from '../monitor/lines.ts'
import { difference, kept } from '../monitor/readings.ts'
import type { Snapshot } from '../monitor/source.ts'
import { tell } from '../notify/tell.ts'
import type { BakeSettings } from '../settings/bake.ts'
import type { Attempt } from './attempt.ts'
import { normalOf } from './baselines.ts'
import { openEyes, type Eyes, type Sides } from './eyes.ts'
import { ensureLive } from './fence.ts'
import { stillShared } from './share.ts'

/** A watch that has begun. */
export interface Watch {
  attempt: Attempt
  settings: BakeSettings
  sides: Sides
  bake: BakeRecord
  eyes: Eyes
  /** Of the last reading, ms of the monotonic clock. */
  at: number
  /** The wall clock when it began, beside the monotonic one: somebody may set it meanwhile. */
  wall: number
  /** Readings in a row in which the live URL refused every connection. */
  refused: number
  /** The last reading had something against the release's pods: a probe that was late once is nothing. */
  fact: boolean
  /** What was said last, and when, ms of the monotonic clock. */
  told: { state: string; at: number }
}

/** The release hurts its users: they are to be brought back. */
export class Hurt extends DeployError {}

/**
 * For so many readings, and a minute at the most, the lock is held after each renewal: a kubectl each five seconds, as for a
 * switch, would be most of what a watch takes of a core. Who comes after one that was killed waits as long.
 */
const HELD_FOR = { readings: 4, most: 60_000 }

/** How often it is asked whether the old color has recovered, too, in ms. */
const HELD = 10_000

/** ms by which two clocks may drift apart while figures are asked for; by more, one of them was set. */
const SET = 1000

/** Opens the eyes, begins the record of the watch or goes on with it, and closes the eyes again. */
export async function watching<T>(
  attempt: Attempt,
  settings: BakeSettings,
  sides: Sides,
  use: (watch: Watch) => Promise<T>,
): Promise<T> {
  const { journal, clock, log, lock } = attempt
  const { entry } = journal
  await lock.lengthen(Math.min(HELD_FOR.readings * settings.every, HELD_FOR.most))
  const eyes = await openEyes(attempt, settings, sides, entry.bake ?? {})
  try {
    const record = (entry.bake ??= await begun(attempt, settings, sides, eyes))
    journal.save()
    tell(attempt, 'baking')
    for (const what of record.notCovered) log.info(`not watched: ${what}`)
    const told = { state: '', at: Number.NEGATIVE_INFINITY }
    return await use({
      attempt,
      settings,
      sides,
      bake: record,
      eyes,
      at: clock.monotonic(),
      wall: wallOf(attempt),
      refused: 0,
      fact: false,
      told,
    })
  } finally {
    await eyes.stop()
  }
}

const wallOf = ({ clock }: Attempt): number => clock.now() - clock.monotonic()

/** What is known at the beginning: what the counters are, how the pods do, and what is normal. */
async function begun(
  attempt: Attempt,
  settings: BakeSettings,
  sides: Sides,
  { source, slow, notCovered }: Eyes,
): Promise<BakeRecord> {
  const { clock } = attempt
  const now = clock.now()
  const [first, facts] = await Promise.all([source.look(), factsAtFirst(attempt, sides)])
  const known = 'unknown' in first ? undefined : first
  const time = (ms: number): string => new Date(now + ms).toISOString()
  return {
    startedAt: time(0),
    until: time((sides.from ? settings.first : 0) + settings.time),
    latest: time(settings.maxTime),
    source: source.name,
    ...(slow !== undefined && { slow }),
    notCovered: 'unknown' in first ? [...notCovered, `what the pods count: ${first.unknown}`] : notCovered,
    ...(await normalOf(attempt, settings, sides, { source, slow, first: known })),
    ...(facts && { facts }),
    readings: [],
    ...(known && { last: known }),
  }
}

/** What is restarted before the first reading has been restarted, too. */
async function factsAtFirst({ environment, kubectl, signal }: Attempt, { to }: Sides) {
  try {
    return factsOf(await observe(environment.app, kubectl), to)
  } catch (error) {
    if (error instanceof KubectlError && !signal.aborted) return undefined
    throw error
  }
}

/** What speaks against the release is in the record before anything is done about it. */
export async function noted<T>({ attempt, bake: record }: Watch, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof Hurt)) throw error
    Object.assign(record, { verdict: 'failed', reason: error.message })
    attempt.journal.save()
    throw error
  }
}

/** ms */
export const watchedFor = ({ bake: { readings } }: Watch): number =>
  readings.reduce((all, { ms }) => all + ms, 0)

/** Reads, and reads again, until it has been watched for so many ms. @throws Hurt */
export async function until(watch: Watch, ms: number): Promise<void> {
  const { clock, signal } = watch.attempt
  while (watchedFor(watch) < ms) {
    const held = weighAll(watch.bake).judgement.verdict === 'environment'
    const every = held ? Math.min(HELD, watch.settings.every) : watch.settings.every
    const pause = Math.min(every, ms - watchedFor(watch))
    await clock.sleep(Math.max(0, watch.at + pause - clock.monotonic()), signal)
    await look(watch)
  }
}

/**
 * One reading: entered into the record, weighed, told.
 * @param gap the command that watched before has died: only what the counters make up for was watched
 * @throws Hurt; DeployError when users, or the lock, are not where they were
 */
export async function look(watch: Watch, { gap = false } = {}): Promise<void> {
  const { attempt, bake: record, eyes, sides } = watch
  const { clock, journal, signal } = attempt
  const wall = wallOf(attempt)
  const [probes, figures, observed] = await Promise.all([eyes.probes(), eyes.source.look(), seen(watch)])
  signal.throwIfAborted()
  const isSet = Math.abs(wallOf(attempt) - wall) > SET
  const now = clock.monotonic()
  const reading: BakeReading = {
    at: new Date(clock.now()).toISOString(),
    ms: now - watch.at,
    covers: 0,
    counts: {},
    odds: {},
  }
  watch.at = now
  if (!sides.shared) enter(reading, PROBES, probes)
  // They are dated as if nobody had set the clock since it began.
  if (!('unknown' in figures || isSet))
    count(watch, reading, { ...figures, at: figures.at - (wall - watch.wall) })
  if (gap) reading.ms = reading.covers
  record.readings.push(reading)
  const { weighed, judgement } = weighAll(record)
  for (const [indicator, each] of Object.entries(weighed))
    reading.odds[indicator] = Number(oddsFor(each).toPrecision(4))
  journal.save()
  watch.refused = probes.refused && !sides.shared ? watch.refused + 1 : 0
  const fact = factAgainst(watch, observed)
  const shared = isShared(record.readings)
  if (fact && !shared) throw new Hurt(fact)
  const held = judgement.verdict === 'environment' ? judgement.reason : ''
  say(watch, fact ? `${fact}; but ${sharedReason(record.readings)}` : held)
  if (judgement.verdict === 'failed') throw new Hurt(judgement.reason)
}

/** The cluster, as long as users are where they were. Undefined where it does not answer: then nothing is said of it. */
async function seen({ attempt, sides: { to, shared } }: Watch): Promise<Observed | undefined> {
  try {
    if (shared) return await stillShared(attempt)
    if (to === 'plain') return await observe(attempt.environment.app, attempt.kubectl)
    return await ensureLive(attempt, to)
  } catch (error) {
    if (error instanceof KubectlError && !attempt.signal.aborted) return undefined
    throw error
  }
}

function enter(
  reading: BakeReading,
  indicator: string,
  { live, old }: { live?: Count | undefined; old?: Count | undefined },
): void {
  reading.counts[indicator] = {
    ...(live && { live: [live.bad, live.total] }),
    ...(old && { old: [old.bad, old.total] }),
  }
}

/** What has been counted since the last reading. */
function count({ bake: record, sides: { from, to } }: Watch, reading: BakeReading, figures: Snapshot): void {
  remember(reading, figures, to)
  const before = record.last
  // What was counted before users came is the gates' load; and a scrape that was read already says nothing new.
  if (before && figures.at <= before.at) return
  record.last = before ? kept(before, figures) : figures
  if (!before || before.at < Date.parse(record.startedAt)) return
  reading.covers = figures.at - before.at
  const counted = difference(before, figures)
  for (const indicator of Object.keys(record.limits)) {
    if (indicator === PROBES) continue
    enter(reading, indicator, { live: counted[to][indicator], old: from && counted[from][indicator] })
  }
}

/** How many pods' memory is written down: of a leak it is enough to see some. */
const PODS = 3

function remember(reading: BakeReading, { pods }: Snapshot, to: Sides['to']): void {
  const known = pods.flatMap(({ color, pod, gauges: { memory } }): [string, number][] =>
    color === to && memory !== undefined ? [[pod, memory]] : [],
  )
  if (known.length > 0) reading.memory = Object.fromEntries(known.slice(0, PODS))
}

/** What needs no odds. */
function factAgainst(watch: Watch, observed: Observed | undefined): string | undefined {
  const { bake: record, sides, refused } = watch
  if (refused >= 2) return 'the live URL refuses connections'
  const down = downReason(record.readings)
  if (down) return down
  if (!observed) return undefined
  const now = factsOf(observed, sides.to)
  record.facts ??= now
  const fact = worse(record.facts, now) ?? leakOf(record)
  const again = fact !== undefined && watch.fact
  watch.fact = fact !== undefined
  return again ? fact : undefined
}

/** In place on a terminal; elsewhere each half minute, and when it changes. */
function say(watch: Watch, state: string): void {
  const { attempt, told, bake: record } = watch
  const line = drawn(record, watchedFor(watch), state)
  attempt.log.draw(line)
  const now = attempt.clock.monotonic()
  const same = Boolean(told.state) === Boolean(state)
  if (same && now - told.at < 30_000) return
  if (!same && state) tell(attempt, 'environment', state)
  watch.told = { state, at: now }
  attempt.log.progress(line)
}
