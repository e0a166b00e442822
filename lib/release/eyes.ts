/**
 * What a watch looks with: the source of figures, requests to the live URL that stand for users at three in the morning, and
 * the same requests to the color that was left, which say whether going back would help.
 */
import type { Color, Place } from '../app/color.ts'
import { sentence } from '../errors.ts'
import type { Count } from '../monitor/judge.ts'
import { sourceOf } from '../monitor/sources.ts'
import type { Source } from '../monitor/source.ts'
import type { BakeSettings } from '../settings/bake.ts'
import { withPreview } from '../traffic/preview.ts'
import { selectPreview } from '../traffic/endpoints.ts'
import { startWitness, type Sample, type Witness } from '../traffic/witness.ts'
import { observe } from '../app/observe.ts'
import type { Attempt } from './attempt.ts'

export interface Eyes {
  source: Source
  slow: number | undefined
  notCovered: string[]
  /** What our own requests have met since it was asked last; of the old color nothing where it cannot be reached. */
  probes(): Promise<{ live: Count; old?: Count; refused: boolean }>
  /** The color that was left is being restarted by ourselves: what was asked of it meanwhile says nothing. */
  forgetOld(): void
  stop(): Promise<void>
}

export interface Sides {
  /** Undefined on a first release, and for a rolling update: there is nothing beside it. */
  from: Color | undefined
  to: Place
  /** Users come to both (`switch: gradual`): what the live URL answers is no color's. */
  shared?: boolean
}

export async function openEyes(
  attempt: Attempt,
  { probes: rate }: BakeSettings,
  { from }: Sides,
  { slow: bound }: { slow?: number | undefined },
): Promise<Eyes> {
  const { environment, clock, journal } = attempt
  const settings = { ...environment.witness, rate, connections: 1 }
  const known = bound === undefined ? {} : { slow: bound }
  const { source, slow, notCovered } = await sourceOf(attempt, known)
  const live = await startWitness(environment.url, settings, clock)
  const mark = { 'x-deploy-verification': journal.entry.id }
  const old = from && oldProbes(attempt, from, (url) => startWitness(url, settings, clock, mark))
  const seen = counter(live)
  return {
    source,
    slow,
    notCovered,
    probes: async () => {
      const samples = seen()
      const refused = samples.length > 1 && samples.every(({ status }) => status === undefined)
      const count = await old?.count()
      return { live: countOf(samples), ...(count && { old: count }), refused }
    },
    forgetOld: () => old?.forget(),
    stop: async () => {
      await Promise.all([live.stop(), old?.stop()])
    },
  }
}

/** What has been answered since it was asked last. */
function counter({ samples }: Witness): () => readonly Sample[] {
  let known = 0
  return () => {
    const news = samples.slice(known)
    known += news.length
    return news
  }
}

const countOf = (samples: readonly Sample[]): Count => ({
  total: samples.length,
  bad: samples.filter(({ failure }) => failure !== undefined).length,
})

/**
 * Asks the color that was left. Through a port-forward a pod that ends takes the way there with it, which says nothing of
 * the color: then only answers count, and the way is opened again.
 */
function oldProbes(attempt: Attempt, from: Color, ask: (url: string) => Promise<Witness>) {
  let way: { forwarded: boolean; seen: () => readonly Sample[]; close(): Promise<void> } | undefined
  const open = async (): Promise<void> => {
    await selectPreview(attempt, await observe(attempt.environment.app, attempt.kubectl), from)
    way = await opened(attempt, ask)
  }
  return {
    count: async (): Promise<Count | undefined> => {
      try {
        if (!way) await open()
        const samples = way?.seen() ?? []
        const answered = way?.forwarded ? samples.filter(({ status }) => status !== undefined) : samples
        if (samples.length > 0 && answered.length === 0) {
          await way?.close()
          way = undefined
        }
        return answered.length > 0 ? countOf(answered) : undefined
      } catch (error) {
        attempt.signal.throwIfAborted()
        attempt.log.progress(`${from} cannot be asked: ${sentence(error)}`)
        return undefined
      }
    },
    forget: (): void => void way?.seen(),
    stop: async (): Promise<void> => await way?.close(),
  }
}

/** The preview, held open until it is closed. */
async function opened(attempt: Attempt, ask: (url: string) => Promise<Witness>) {
  const ended = Promise.withResolvers<void>()
  const begun = Promise.withResolvers<{ witness: Witness; forwarded: boolean }>()
  const quiet = { ...attempt, log: { ...attempt.log, info: () => {} } }
  const session = withPreview(quiet, async ({ url, forwarded }) => {
    begun.resolve({ witness: await ask(url), forwarded })
    await ended.promise
  }).catch((error: unknown) => begun.reject(error))
  const { witness, forwarded } = await begun.promise
  return {
    forwarded,
    seen: counter(witness),
    close: async (): Promise<void> => {
      await witness.stop()
      ended.resolve()
      await session
    },
  }
}
