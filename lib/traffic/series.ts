/** What users met over time, small enough for a record. */
import { colors } from '../app/color.ts'
import type { Proof } from '../history/record.ts'
import type { Sample } from './witness.ts'

/** A record holds no more than this many points a switch, and a screen shows no more. */
const MOST = 60
/** ms; shorter steps would show single requests at the usual rate. */
const SHORTEST = 100
/** ms before the patch: enough to see what was usual, and the rest is for what came of it. */
const BEFORE = 2000

const named = (color: string | undefined): boolean => colors.some((name) => name === color)

/** Pure. Undefined where nobody asked. `patchedAt` is in ms of the samples' clock. */
export function seriesOf(samples: readonly Sample[], patchedAt: number): Proof['series'] {
  const seen = samples.map((sample) => ({ ...sample, at: sample.done - patchedAt }))
  const near = seen.filter(({ at }) => at >= -BEFORE)
  if (near.length === 0) return undefined
  const times = near.map(({ at }) => at)
  const last = times.reduce((most, at) => Math.max(most, at), 0)
  const first = times.reduce((least, at) => Math.min(least, at), 0)
  const every = Math.max(SHORTEST, Math.ceil((last - first) / (MOST - 1) / SHORTEST) * SHORTEST)
  // A step begins at the patch, so that none holds what was before it and what was after.
  const from = Math.floor(first / every) * every
  const steps = Math.floor((last - from) / every) + 1
  const counted = (is: (sample: Sample) => boolean): number[] => {
    const counts = Array.from({ length: steps }, () => 0)
    for (const sample of near) {
      const step = Math.floor((sample.at - from) / every)
      if (is(sample)) counts[step] = (counts[step] ?? 0) + 1
    }
    return counts
  }
  const [blue, green] = colors.map((name) => counted(({ color, failure }) => !failure && color === name))
  return {
    from,
    every,
    blue: blue ?? [],
    green: green ?? [],
    unnamed: counted(({ color, failure }) => !failure && !named(color)),
    failed: counted(({ failure }) => failure !== undefined),
  }
}
