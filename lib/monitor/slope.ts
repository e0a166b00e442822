/** How fast something grows, whatever jumps in between: the median of the slopes of all pairs (Theil and Sen). Pure. */

export interface Point {
  /** ms */
  at: number
  value: number
}

/** More pairs say no more, and take time: of many points an even choice is taken. */
const MOST_POINTS = 200

/** Per second; undefined where there are no two moments. */
export function slopeOf(points: readonly Point[]): number | undefined {
  const step = Math.ceil(points.length / MOST_POINTS)
  const chosen = points.filter((_, index) => index % step === 0)
  const slopes = chosen.flatMap((one, index) =>
    chosen.slice(index + 1).flatMap((other) => {
      const seconds = (other.at - one.at) / 1000
      return seconds === 0 ? [] : [(other.value - one.value) / seconds]
    }),
  )
  return medianOf(slopes)
}

function medianOf(values: number[]): number | undefined {
  const sorted = values.toSorted((a, b) => a - b)
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]]
  return low === undefined || high === undefined ? undefined : (low + high) / 2
}
