/** Which requests are slow: those above a bucket's bound, so that they are counted and nothing is interpolated. Pure. */
import { SLOW } from './metrics.ts'
import type { Sample } from './prometheus.ts'

/** Of fewer requests the 95th percentile says nothing. */
const FEWEST = 100

/**
 * The first bound that is not below the 95th percentile, in s; the usual one where too few requests are known. Undefined
 * where it is above all bounds: then nobody can say how many took longer.
 * @param buckets how many requests took no longer than the label `le`, of whatever pods
 */
export function boundOf(buckets: readonly Sample[]): number | undefined {
  const counts = new Map<number, number>()
  for (const { labels, value } of buckets) {
    const bound = labels['le'] === '+Inf' ? Infinity : Number(labels['le'] ?? '')
    counts.set(bound, (counts.get(bound) ?? 0) + value)
  }
  const total = counts.get(Infinity) ?? 0
  if (!(total >= FEWEST)) return SLOW
  const bounds = [...counts].filter(([, count]) => count >= 0.95 * total).map(([bound]) => bound)
  const least = Math.min(...bounds)
  return Number.isFinite(least) ? least : undefined
}
