/**
 * The load: an open model with a constant arrival rate. A request is due at a time fixed beforehand and is sent
 * then, whatever became of the ones before it; its latency counts from when it was due. So a target that stalls
 * is asked as often as users would ask it, and all who would have waited are counted, none left out
 * ("coordinated omission"). The live color gets the same schedule at the same time, to be compared with.
 */
import { openLane, type Exchange, type Load, type Schedule } from './lane.ts'

/** Of the target, and of the live color where there is one to compare with. */
export interface Lanes<T> {
  idle: T
  live?: T | undefined
}

/** The longest time between two looks at whether to stop, in ms. */
const LONGEST_SLEEP = 50

/**
 * Puts the load on the target, and the same on the live color. A target that fails everything ends it; a live
 * color that does is left out from then on. Never throws for what is answered.
 * @throws what the signal was aborted with
 */
export async function putLoad(
  schedule: Schedule,
  exchanges: Lanes<readonly Exchange[]>,
  signal: AbortSignal,
  progress?: (state: string) => void,
): Promise<Lanes<Load>> {
  const { rate, duration, warmup } = schedule
  const interval = 1000 / rate
  const [warming, measured] = [Math.round(warmup / interval), Math.round(duration / interval)]
  const weights = schedule.endpoints.map(({ weight }) => weight)
  const order = interleaved(weights, warming + measured)
  const ending = new AbortController()
  const stop = AbortSignal.any([signal, ending.signal])
  const underway = { count: 0 }
  const idle = openLane(exchanges.idle, schedule, stop, underway)
  const live = exchanges.live && openLane(exchanges.live, schedule, stop, underway)
  // The live color's requests are due halfway between the target's.
  const lanes = live ? [idle, live] : [idle]
  const slots = order.length * lanes.length
  const dueAt = (slot: number): number => (slot / lanes.length - warming) * interval
  const start = performance.now() + warming * interval
  const elapsed = (): number => Math.max(0, Math.min(duration, performance.now() - start))
  let reported = 0
  try {
    for (let slot = 0; !idle.load.stopped && (slot < slots || underway.count > 0);) {
      const now = performance.now() - start
      for (; slot < slots && dueAt(slot) <= now; slot++) {
        const endpoint = order[Math.floor(slot / lanes.length)] ?? 0
        lanes[slot % lanes.length]?.send(endpoint, dueAt(slot), performance.now() - start)
      }
      const second = Math.floor((now + warming * interval) / 1000)
      if (second > reported && slot < slots) {
        reported = second
        progress?.(`performance: ${second} s of ${(warmup + duration) / 1000}, ${idle.state()}`)
      }
      const wait = slot < slots ? dueAt(slot) - now : LONGEST_SLEEP
      await Bun.sleep(Math.max(1, Math.min(wait, LONGEST_SLEEP)))
      signal.throwIfAborted()
    }
    return {
      idle: { ...idle.load, elapsed: elapsed() },
      live: live && { ...live.load, elapsed: elapsed() },
    }
  } finally {
    ending.abort()
  }
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
