/** One lane of the load: what one target is asked, and what came of it. Bun's fetch sends; it keeps connections. */
import { build } from 'hdr-histogram-js'
import type { PerformanceSettings } from '../../lib/settings/gates.ts'
import { seconds } from '../../lib/clock.ts'
import { sentence } from '../../lib/errors.ts'
import { failures } from './summary.ts'

export type Schedule = Pick<PerformanceSettings, 'rate' | 'duration' | 'warmup' | 'timeout' | 'endpoints'>

/** One endpoint, as one lane asks for it. */
export interface Exchange {
  url: URL
  init: RequestInit
  /** Any other status is a failure. */
  status: number
}

/** A request of the measured part. Times are in ms. */
export interface Sample {
  /** Which of the endpoints. */
  endpoint: number
  /** From the beginning of the measured part. */
  due: number
  /** How late it was sent, which is the generator's fault. */
  lag: number
  /** From when it was due until its whole answer was there or its time was out; undefined: no answer, or a wrong one. */
  latency?: number
  failure?: string
  /** It was sent while fetch had as many under way as it takes, and may have waited in its queue. */
  queued: boolean
}

export interface Load {
  samples: readonly Sample[]
  /** Requests that were due in the measured part, up to its end or to when it was stopped. */
  due: number
  /** Of these, the ones that were sent before the measured part was over. */
  sentInTime: number
  /** Of these, the ones never sent, since as many as can be unanswered at this rate already were (k6's `dropped_iterations`). */
  dropped: number
  /** The part of the measured part that took place, in ms. */
  elapsed: number
  /** Why it ended early. */
  stopped?: string
}

/** A target that has failed every request for so long (ms), and this many, is left alone. */
const FAILING = { for: 5000, count: 5 }
/** More than any page; of the rest it is enough to know that it is there. */
const MOST_BYTES = 10_000_000
/** How many requests Bun's fetch has under way at once; it queues the rest in silence (256, measured). */
export const FETCH_LIMIT = Number(process.env['BUN_CONFIG_MAX_HTTP_REQUESTS']) || 256

/** `underway` is counted over all lanes, since they share one fetch. */
export function openLane(
  exchanges: readonly Exchange[],
  { rate, duration, timeout }: Schedule,
  signal: AbortSignal,
  underway: { count: number },
) {
  const samples: Sample[] = []
  const load: Omit<Load, 'elapsed'> = { samples, due: 0, sentInTime: 0, dropped: 0 }
  const latencies = build({ highestTrackableValue: 60_000, numberOfSignificantValueDigits: 2 })
  // Little's law: more than this many are unanswered only if some are older than the timeout.
  const most = Math.ceil((rate * timeout) / 1000)
  const leaving = new AbortController()
  const either = AbortSignal.any([signal, leaving.signal])
  let [unanswered, failed] = [0, 0]
  /** What has failed since the last success. */
  let failing: { at: number; failure: string }[] = []

  /** Leaves a target alone that does nothing but fail. */
  const notice = (failure: string | undefined): void => {
    const at = performance.now()
    if (failure === undefined) failing = []
    else failing.push({ at, failure })
    const time = at - (failing[0]?.at ?? at)
    if (failing.length < FAILING.count || time < FAILING.for) return
    load.stopped = `stopped after ${seconds(time)} in which all ${failing.length} requests failed: ${failures(failing)}`
    leaving.abort()
  }

  const ask = async (exchange: Exchange, sample: Sample, begun: number): Promise<void> => {
    const { failure, late } = await outcome(exchange, timeout, either)
    if (either.aborted) return
    const took = performance.now() - begun
    notice(failure)
    if (sample.due < 0) return
    if (failure !== undefined) failed++
    const answered = failure === undefined || late
    if (answered) latencies.recordValue(Math.round(took + sample.lag))
    samples.push({
      ...sample,
      ...(failure !== undefined && { failure }),
      ...(answered && { latency: took + sample.lag }),
    })
  }

  const send = (endpoint: number, due: number, now: number): void => {
    const exchange = exchanges[endpoint]
    if (!exchange || load.stopped) return
    if (due >= 0) load.due++
    if (unanswered >= most) {
      if (due >= 0) load.dropped++
      return
    }
    if (due >= 0 && now < duration) load.sentInTime++
    const queued = underway.count >= FETCH_LIMIT
    unanswered++
    underway.count++
    void ask(exchange, { endpoint, due, lag: now - due, queued }, performance.now()).finally(() => {
      unanswered--
      underway.count--
    })
  }

  const state = (): string => {
    if (load.due === 0) return 'warming up'
    const p99 = latencies.totalCount > 0 ? `, p99 ${latencies.getValueAtPercentile(99)} ms` : ''
    return `${samples.length} requests, ${failed} failed${p99}`
  }
  return { load, send, state }
}

/** Asks once, and reads the whole answer. What went wrong, if anything did, and whether its time was out. */
async function outcome(
  { url, init, status }: Exchange,
  timeout: number,
  signal: AbortSignal,
): Promise<{ failure?: string; late?: boolean }> {
  const deadline = AbortSignal.timeout(timeout)
  try {
    const response = await fetch(url, {
      ...init,
      redirect: 'manual',
      signal: AbortSignal.any([signal, deadline]),
    })
    let bytes = 0
    for await (const chunk of response.body ?? []) {
      bytes += chunk.length
      if (bytes > MOST_BYTES) return { failure: `an answer of more than ${MOST_BYTES} bytes` }
    }
    return response.status === status ? {} : { failure: `status ${response.status}` }
  } catch (error) {
    if (deadline.aborted) return { failure: `no whole answer within ${seconds(timeout)}`, late: true }
    return { failure: sentence(error) }
  }
}
