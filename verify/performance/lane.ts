/** One lane of the load: what one target is asked, and what came of it. */
import { build } from 'hdr-histogram-js'
import type { PerformanceSettings } from '../../lib/settings/gates.ts'
import { seconds } from '../../lib/clock.ts'
import { openConnections, type Exchange } from './connections.ts'
import { failures } from './summary.ts'

export type Schedule = Pick<
  PerformanceSettings,
  'rate' | 'liveRate' | 'duration' | 'warmup' | 'timeout' | 'endpoints' | 'podHeader'
>

/** A request of the measured part. Times are in ms. */
export interface Sample {
  /** Which of the endpoints. */
  endpoint: number
  /** From the beginning of the measured part. */
  due: number
  /** How late it was sent, which is the generator's fault. */
  lag: number
  /** From when it was due until its whole answer was there, it failed, or its time was out. */
  latency: number
  failure?: string
  /** Its time was out: it would have taken that long at least. */
  late?: boolean
  /** The number of the kept connection that it went down; undefined: it had a new one to itself. */
  connection?: number
  /** The pod that answered, where it says so. */
  pod?: string
}

export interface Load {
  samples: readonly Sample[]
  /** Requests that were due in the measured part, up to its end or to when it was stopped. */
  due: number
  /** Of these, the ones that were sent before the measured part was over. */
  sentInTime: number
  /** Of these, the ones never sent, since as many as can be unanswered at this rate already were (k6's `dropped_iterations`). */
  dropped: number
  /** Connections that were opened for all of it, the warm-up included. */
  connections: number
  /** The part of the measured part that took place, in ms. */
  elapsed: number
  /** Why it ended early. */
  stopped?: string
}

/** A target that has failed every request for so long (ms), and this many, is left alone. */
const FAILING = { for: 5000, count: 5 }

/** @param count how many connections are kept, at least */
export function openLane(
  exchanges: readonly Exchange[],
  { rate, duration, timeout, podHeader }: Omit<Schedule, 'liveRate'>,
  count: number,
) {
  const samples: Sample[] = []
  const load: Omit<Load, 'elapsed' | 'connections'> = { samples, due: 0, sentInTime: 0, dropped: 0 }
  const connections = openConnections(exchanges, { count, timeout, podHeader })
  const latencies = build({ highestTrackableValue: 60_000, numberOfSignificantValueDigits: 2 })
  // Little's law: more than this many are unanswered only if some are older than the timeout.
  const most = Math.ceil((rate * timeout) / 1000)
  let [unanswered, failed, closed] = [0, 0, false]
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
    close()
  }
  /** Nothing more is sent, and what is under way counts no more. */
  const close = (): void => {
    closed = true
    connections.close()
  }

  const ask = async (exchange: Exchange, sample: Omit<Sample, 'latency'>, begun: number): Promise<void> => {
    const outcome = await connections.ask(exchange)
    if (closed) return
    const latency = performance.now() - begun + sample.lag
    notice(outcome.failure)
    if (sample.due < 0) return
    if (outcome.failure !== undefined) failed++
    else latencies.recordValue(Math.round(latency))
    samples.push({ ...sample, ...outcome, latency })
  }

  const send = (endpoint: number, due: number, now: number): void => {
    const exchange = exchanges[endpoint]
    if (!exchange || closed) return
    if (due >= 0) load.due++
    if (unanswered >= most) {
      if (due >= 0) load.dropped++
      return
    }
    if (due >= 0 && now < duration) load.sentInTime++
    unanswered++
    void ask(exchange, { endpoint, due, lag: now - due }, performance.now()).finally(() => unanswered--)
  }

  const state = (): string => {
    if (load.due === 0) return 'warming up'
    const p99 = latencies.totalCount > 0 ? `, p99 ${latencies.getValueAtPercentile(99)} ms` : ''
    return `${samples.length} requests, ${failed} failed${p99}`
  }
  const ended = (elapsed: number): Load => ({ ...load, connections: connections.opened, elapsed })
  return { load, send, state, close, ended, underway: () => (closed ? 0 : unanswered) }
}
