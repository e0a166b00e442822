/**
 * The bake: users are on the new color, and are watched (bake.md). First beside the old color, which is left as it is, so that
 * one can be compared with the other; then, once it has been drained and recycled, all of them. A release that hurts its users
 * goes back; where going back would not help, traffic stays; where nothing certain can be said, it is watched for longer.
 */
import type { Color } from '../app/color.ts'
import { seconds } from '../clock.ts'
import { Exit } from '../errors.ts'
import { doubts, weighAll } from '../monitor/bake.ts'
import { summary } from '../monitor/lines.ts'
import type { Attempt } from './attempt.ts'
import { byWitness, type Watch as ShareWatch } from './share.ts'
import { AfterSwitch, left, type Ending } from './settle.ts'
import { reasonToStop } from './settle-forward.ts'
import type { Underway } from './switchover.ts'
import { Hurt, look, noted, until, watchedFor, watching, type Watch } from './watch.ts'
import { goBack } from './way-back.ts'

/** The new color beside the old one, which `settle` ends; then the new one alone. */
export async function bake(
  attempt: Attempt,
  way: { from: Color | undefined; to: Color },
  underway: Underway,
  settle: () => Promise<Ending>,
): Promise<Ending> {
  const settings = attempt.environment.bake
  if (!settings) return await settle()
  const { from, to } = way
  return await watching(attempt, settings, way, async (watch) => {
    const back = (why: string) => {
      // What the switch itself has cost comes first in the record; users do not wait for its last answers.
      void underway.settle()
      return goBack(attempt, { from: to, to: from }, why)
    }
    if (from && settings.first > watchedFor(watch)) {
      attempt.log.step(`Watch ${to} beside ${from} for ${seconds(settings.first)}`)
      try {
        await orBack(watch, to, back, () => until(watch, settings.first))
      } catch (error) {
        await underway.settle()
        throw error
      }
    }
    const ending = await settle()
    watch.eyes.forgetOld()
    return await orBack(watch, to, back, () => alone(watch, ending))
  })
}

/** A step of a gradual switch: users of both colors, until the time of the step is over. Part of the one bake. */
export const byBake: ShareWatch = async (attempt, stage) => {
  const settings = attempt.environment.bake
  if (!settings || attempt.journal.entry.kind !== 'deploy') return await byWitness(attempt, stage)
  const { from, to, lost } = stage
  await watching(attempt, settings, { from, to, shared: true }, (watch) =>
    noted(watch, async () => {
      const end = watchedFor(watch) + stage.for
      while (watchedFor(watch) < end) {
        await until(watch, Math.min(end, watchedFor(watch) + settings.every))
        const why = lost()
        if (why) throw new Hurt(why)
      }
    }),
  )
}

/** A watch whose command died: from the counters as they stood, or from its beginning. @throws AfterSwitch where users had to go back, or a person is needed */
export async function resumeBake(
  attempt: Attempt,
  way: { from: Color | undefined; to: Color },
  back: (why: string) => Promise<AfterSwitch>,
): Promise<Ending> {
  const settings = attempt.environment.bake
  const { kind, bake: begun } = attempt.journal.entry
  if (!settings || kind !== 'deploy' || begun?.verdict) return { outcome: 'succeeded' }
  return await watching(attempt, settings, way, (watch) =>
    orBack(watch, way.to, back, async () => {
      if (begun) await look(watch, { gap: true })
      return await alone(watch, { outcome: 'succeeded' })
    }),
  )
}

/** `strategy: rolling`: nothing serves beside it, so that only the past is its measure. @throws DeployError when it hurts its users */
export async function bakeRolling(attempt: Attempt): Promise<Ending> {
  const settings = attempt.environment.bake
  if (!settings) return { outcome: 'succeeded' }
  const way = { from: undefined, to: 'plain' } as const
  return await watching(attempt, settings, way, (watch) =>
    noted(watch, async () => {
      if (watch.bake.readings.length > 0) await look(watch, { gap: true })
      return await alone(watch, { outcome: 'succeeded' })
    }),
  )
}

/** @throws what brings users back, or says where they are */
async function orBack<T>(
  watch: Watch,
  to: Color,
  back: (why: string) => Promise<AfterSwitch>,
  work: () => Promise<T>,
): Promise<T> {
  const { attempt } = watch
  try {
    return await noted(watch, work)
  } catch (error) {
    if (error instanceof AfterSwitch) throw error
    const stopped = await reasonToStop(attempt, to, error)
    if (stopped) throw stopped
    if (!(error instanceof Hurt)) throw await left(attempt, to, error)
    throw await back(error.message)
  }
}

/** All users are on the new color. @throws Hurt; AfterSwitch (4) where both colors fail until the end */
async function alone(watch: Watch, ending: Ending): Promise<Ending> {
  const { attempt, settings, sides, bake: record } = watch
  const { log, journal } = attempt
  if (record.beside === undefined) {
    // While it was drained and recycled nobody looked, but the counters did.
    if (watchedFor(watch) > 0) await look(watch)
    record.beside = watchedFor(watch)
  }
  const least = record.beside + settings.time
  const most = record.beside + Math.max(settings.time, settings.maxTime)
  log.step(`Watch ${sides.to} for ${seconds(Math.max(0, least - watchedFor(watch)))}`)
  await until(watch, least)
  let doubt = doubtsOf(watch)
  if (doubt.length > 0 && watchedFor(watch) < most) {
    log.warn(
      `Not certain yet: ${doubt.join('; ')}. It is watched for up to ${seconds(most - watchedFor(watch))} more`,
    )
    while (doubt.length > 0 && watchedFor(watch) < most) {
      await until(watch, Math.min(most, watchedFor(watch) + settings.every))
      doubt = doubtsOf(watch)
    }
  }
  // A fact that was seen for the first time at the very end is looked at once more.
  if (watch.fact) {
    await until(watch, watchedFor(watch) + settings.every)
    doubt = doubtsOf(watch)
  }
  for (const line of summary(record)) log.info(line)
  const { judgement } = weighAll(record)
  const verdict =
    judgement.verdict === 'environment' ? 'environment' : doubt.length > 0 ? 'inconclusive' : 'passed'
  const reason = judgement.verdict === 'environment' ? judgement.reason : doubt.join('; ')
  if (verdict === 'inconclusive' && settings.onDoubt === 'rollback')
    throw new Hurt(`Nothing certain can be said of it: ${reason}`)
  Object.assign(record, { verdict, ...(reason && { reason }) })
  delete record.last
  journal.save()
  if (verdict === 'environment') {
    const message = `Both colors fail, and traffic stays on ${journal.entry.to.version} (${sides.to}): ${reason}`
    throw new AfterSwitch(message, Exit.needsPerson, { outcome: 'needs-person', message })
  }
  if (verdict === 'passed') return ending
  const remarks = [ending.remark, `nothing certain can be said of it (bake.onDoubt keeps it): ${reason}`]
  return { ...ending, remark: remarks.filter((text) => text !== undefined).join('; ') }
}

/** Why it cannot end yet. */
function doubtsOf({ bake: record }: Watch): string[] {
  const { judgement } = weighAll(record)
  if (judgement.verdict === 'environment') return [judgement.reason]
  return doubts(record, record.required)
}
