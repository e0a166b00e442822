/** A thousand latencies in ms, log-normal around 40 ms: the same ones in the same order each time. */
export const LATENCIES: readonly number[] = Array.from({ length: 1000 }, seeded(7))

/** The value below which so many percent of them lie, in ms. */
export function percentile(percent: number): number {
  const sorted = LATENCIES.toSorted((a, b) => a - b)
  return sorted[Math.ceil((sorted.length * percent) / 100) - 1] ?? Number.NaN
}

/** Box and Muller's normal deviates of a linear congruential generator (Numerical Recipes' constants). */
function seeded(seed: number): () => number {
  let state = seed
  const uniform = (): number => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32
    return (state + 1) / (2 ** 32 + 1)
  }
  return () => 40 * Math.exp(0.6 * Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()))
}
