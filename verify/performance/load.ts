/**
 * The load: an open model with a constant arrival rate. A request is due at a time fixed beforehand and is sent
 * then, whatever became of the ones before it; its latency counts from when it was due. So a target that stalls
 * is asked as often as users would ask it, and all who would have waited are counted, none left out
 * ("coordinated omission"). The live color is asked the same at the same time, at a rate of its own, to be compared with.
 */
import type { Exchange } from './connections.ts'
import { openLane, type Load, type Schedule } from './lane.ts'

/** Of the target, and of the live color where there is one to compare with. */
export interface Lanes<T> {
  idle: T
  live?: T | undefined
}

/** The longest time between two looks at whether to stop, in ms. */
const LONGEST_SLEEP = 50
/**
 * Connections that are kept for each ready pod: where a balancer gives them out by chance, one pod of ten has none
 * of fifty in 1 of 200 runs, and then there are the new ones. Of a target whose pods nobody has counted, so many.
 */
const EACH_POD = 5
const UNCOUNTED = 20
/** A server may close what is not used for some seconds: of the few that live is asked, each is used that often (s). */
const USED_EVERY = 2

/**
 * Puts the load on the target, and its share on the live color. A target that fails everything ends it; a live
 * color that does is left out from then on. Never throws for what is answered.
 * @param pods how many pods of the target are ready, where that is known
 * @throws what the signal was aborted with
 */
export async function putLoad(
  schedule: Schedule,
  exchanges: Lanes<readonly Exchange[]>,
  signal: AbortSignal,
  progress?: (state: string) => void,
  pods?: number,
): Promise<Lanes<Load>> {
  const { rate, duration, warmup } = schedule
  const liveRate = Math.min(schedule.liveRate, rate)
  const count = Math.max(UNCOUNTED, (pods ?? 0) * EACH_POD)
  const idle = startLane(exchanges.idle, schedule, count)
  const live =
    exchanges.live &&
    startLane(
      exchanges.live,
      { ...schedule, rate: liveRate },
      Math.min(UNCOUNTED, Math.ceil(liveRate * USED_EVERY)),
    )
  const lanes = live ? [idle, live] : [idle]
  const start = performance.now() + warmup
  const elapsed = (): number => Math.max(0, Math.min(duration, performance.now() - start))
  const due = (): number => Math.min(...lanes.map((lane) => lane.next()))
  let reported = 0
  try {
    while (!idle.load.stopped && (Number.isFinite(due()) || lanes.some((lane) => lane.underway() > 0))) {
      const now = performance.now() - start
      for (const lane of lanes) lane.sendUntil(now, start)
      const second = Math.floor((now + warmup) / 1000)
      if (second > reported && Number.isFinite(due())) {
        reported = second
        progress?.(`performance: ${second} s of ${(warmup + duration) / 1000}, ${idle.state()}`)
      }
      await Bun.sleep(Math.max(1, Math.min(due() - now, LONGEST_SLEEP)))
      signal.throwIfAborted()
    }
    return { idle: idle.ended(elapsed()), live: live?.ended(elapsed()) }
  } finally {
    for (const lane of lanes) lane.close()
  }
}

/** A lane with its schedule: a request is due every `1000 / rate` ms, from the warm-up's beginning on. */
function startLane(exchanges: readonly Exchange[], schedule: Omit<Schedule, 'liveRate'>, count: number) {
  const { rate, duration, warmup, endpoints } = schedule
  const interval = 1000 / rate
  const [warming, measured] = [Math.round(warmup / interval), Math.round(duration / interval)]
  const weights = endpoints.map(({ weight }) => weight)
  const order = interleaved(weights, warming + measured)
  const lane = openLane(exchanges, schedule, count)
  let slot = 0
  const next = (): number => (slot < order.length ? (slot - warming) * interval : Number.POSITIVE_INFINITY)
  const sendUntil = (now: number, start: number): void => {
    for (; next() <= now; slot++) lane.send(order[slot] ?? 0, next(), performance.now() - start)
  }
  return { ...lane, next, sendUntil }
}

/**
 * Which endpoint each request asks for: as often as its weight says, and as evenly as can be (smooth weighted
 * round robin, as nginx does it). The same weights give the same order, so that runs can be compared.
 */
export function interleaved(weights: readonly number[], count: number): number[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const credit = weights.map(() => 0)
  return Array.from({ length: count }, () => {
    weights.forEach((weight, i) => (credit[i] = (credit[i] ?? 0) + weight))
    const chosen = credit.indexOf(Math.max(...credit))
    credit[chosen] = (credit[chosen] ?? 0) - total
    return chosen
  })
}
