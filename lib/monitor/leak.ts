/** Memory that grows until a container is killed for it. Pure. */
import type { BakeReading, BakeRecord } from './bake.ts'
import { slopeOf, type Point } from './slope.ts'

/** While a process warms up it grows, and stops: until then nothing is said. In ms. */
const WARM = 120_000

/** Fewer readings tell no slope. */
const LEAST = 8

/** A leak that takes longer than this until it hurts is the alert rules' business, in ms. */
const SOON = 60 * 60_000

/** How many times faster than the last good releases it must grow. */
const TIMES = 3

const MIB = 2 ** 20

/** Bytes a second, of each pod that was read often enough. */
function slopes(readings: readonly BakeReading[]): { pod: string; slope: number; now: number }[] {
  const begun = Date.parse(readings[0]?.at ?? '')
  const warm = readings.filter(({ at }) => Date.parse(at) - begun >= WARM)
  const pods = new Set(warm.flatMap(({ memory = {} }) => Object.keys(memory)))
  return [...pods].flatMap((pod) => {
    const points = warm.flatMap(({ at, memory }): Point[] => {
      const value = memory?.[pod]
      return value === undefined ? [] : [{ at: Date.parse(at), value }]
    })
    // What grew in the first half alone has stopped.
    const half = slopeOf(points.slice(Math.floor(points.length / 2)))
    const slope = slopeOf(points)
    if (points.length < LEAST || slope === undefined || half === undefined || !isHigher(points)) return []
    return { pod, slope: Math.min(slope, half), now: points.at(-1)?.value ?? 0 }
  })
}

/** A heap that is swept now and then goes up and down: in the last third it is always above the first one, or it is no leak. */
function isHigher(points: readonly Point[]): boolean {
  const third = Math.floor(points.length / 3)
  const values = points.map(({ value }) => value)
  return Math.min(...values.slice(-third)) > Math.max(...values.slice(0, third))
}

/** The fastest growth of a watch, bytes a second; 0 where nothing is known. */
export const growthOf = ({ readings }: Pick<BakeRecord, 'readings'>): number =>
  Math.max(0, ...slopes(readings).map(({ slope }) => slope))

/**
 * A pod whose memory reaches its container's limit within the hour, and grows more than three times as fast as that of the
 * releases before did at the same age.
 */
export function leakOf({ readings, memory }: Pick<BakeRecord, 'readings' | 'memory'>): string | undefined {
  if (memory === undefined) return undefined
  for (const { pod, slope, now } of slopes(readings)) {
    const left = ((memory.limit - now) / slope) * 1000
    if (slope <= 0 || left > SOON || slope <= TIMES * memory.normal) continue
    const minutes = Math.max(1, Math.round(left / 60_000))
    return (
      `the memory of ${pod} grows by ${((slope * 60) / MIB).toFixed(1)} MiB a minute: ` +
      `it reaches its limit of ${Math.round(memory.limit / MIB)} MiB in ${minutes} min`
    )
  }
  return undefined
}
