/** What a switch did to users: counted by the witness, judged, recorded. */
import type { Color } from '../app/color.ts'
import type { World } from '../cluster/world.ts'
import type { Proof } from '../history/record.ts'
import type { Moved } from './move.ts'
import { startWitness, tally, type Sample, type Witness } from './witness.ts'

/** A witness of the live URL, asking already. */
export async function watchLive(world: World): Promise<Witness> {
  return await startWitness(world.environment.url, world.environment.witness, world.clock)
}

/** What the witness saw, as the record keeps it. */
export function proofOf({ patchedAt, converged }: Moved, samples: readonly Sample[], to: Color): Proof {
  const { reasons: _, requestsBefore: __, ...counted } = tally(samples, patchedAt, to)
  return { converged, ...counted }
}

/**
 * Requests that the switch cost, as a sentence; undefined when it cost no more than is allowed. A live color
 * that was failing already is not held against the new one: then only what came after it answered alone counts.
 */
export function losses(
  moved: Moved,
  samples: readonly Sample[],
  to: Color,
  allowed: number,
): string | undefined {
  const all = tally(samples, moved.patchedAt, to)
  const judged = all.failuresBefore > 0 ? tally(samples, moved.patchedAt + moved.converged, to) : all
  if (judged.requests === 0) return 'the witness got no answer at all, so nothing is proven'
  if (judged.failures <= allowed) return undefined
  return `${judged.failures} of ${judged.requests} requests failed (${judged.reasons.join(', ')})`
}
