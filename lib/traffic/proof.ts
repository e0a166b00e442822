/** What a switch did to users: counted by the witness, judged, recorded. */
import type { Color } from '../app/color.ts'
import type { World } from '../cluster/world.ts'
import type { Proof } from '../history/record.ts'
import type { Moved } from './move.ts'
import { seriesOf } from './series.ts'
import { leftBehind, startWitness, tally, type Sample, type Tally, type Witness } from './witness.ts'

/** A witness of the live URL, asking already. */
export async function watchLive(world: World): Promise<Witness> {
  return await startWitness(world.environment.url, world.environment.witness, world.clock)
}

/** What the witness saw, as the record keeps it; `skipped` is what it had no time to ask. */
export function proofOf(
  { patchedAt, converged }: Moved,
  samples: readonly Sample[],
  to: Color,
  skipped = 0,
): Proof {
  const { reasons: _, requestsBefore: __, ...counted } = tally(samples, patchedAt, to)
  const series = seriesOf(samples, patchedAt)
  return { converged, ...counted, ...(skipped > 0 && { skipped }), ...(series && { series }) }
}

/** When new connections led to the new color alone, as far as is known, in ms of the monotonic clock. */
function settled({ patchedAt, converged, reached }: Moved): number {
  return patchedAt + converged + (reached?.since ?? reached?.ms ?? 0)
}

/**
 * Requests that the switch cost, as a sentence; undefined when it cost no more than is allowed. A live color
 * that was failing already is not held against the new one: then only what can have been the new one's counts, as
 * clients with kept connections stay on the old one.
 * @param how `leaving`: users are taken away from a color, whose answers are never held against the one that is
 * entered; and where nothing can be said, nothing is: going back asks for less harm, not for proof (S9)
 */
export function losses(
  moved: Moved,
  samples: readonly Sample[],
  to: Color,
  allowed: number,
  how: { leaving?: boolean } = {},
): string | undefined {
  if (how.leaving) return failed(tally(ofEntered(moved, samples, to), moved.patchedAt, to), allowed)
  const all = tally(samples, moved.patchedAt, to)
  const judged = all.failuresBefore > 0 ? tally(ofEntered(moved, samples, to), moved.patchedAt, to) : all
  if (judged.requests === 0) return 'the witness got no answer at all, so nothing is proven'
  return failed(judged, allowed)
}

const failed = ({ failures, requests, reasons }: Tally, allowed: number): string | undefined =>
  failures <= allowed ? undefined : `${failures} of ${requests} requests failed (${reasons.join(', ')})`

/**
 * What can only have been the color that is entered: what names it, new connections since nothing else was behind
 * them, and connections that are kept with it. An error page names nobody.
 */
function ofEntered(moved: Moved, samples: readonly Sample[], to: Color): Sample[] {
  const since = settled(moved)
  const said = samples.filter(({ done, color }) => done >= moved.patchedAt && color !== undefined)
  const byClient = Map.groupBy(
    said.toSorted((a, b) => a.done - b.done),
    ({ client }) => client,
  )
  return samples.filter(({ done, due, color, connection, client }) => {
    if (color !== undefined) return color === to && done >= moved.patchedAt
    if (connection === 'new') return due >= since
    return byClient.get(client)?.findLast((sample) => sample.done <= due)?.color === to
  })
}

/**
 * Waits until each kept connection of a witness that is asking has been answered by another color than the one
 * that was left, which takes as many requests as there are such connections at the least.
 * @returns ms from the patch (`since`, of the monotonic clock) to that color's last answer, 0 when there was none;
 * undefined when somebody was on it still after so many ms (`within`), or where the application names no color
 */
export async function untilNobodyOn(
  { environment, clock, signal }: World,
  witness: Witness,
  { color, since }: { color: Color; since: number },
  within: number,
): Promise<number | undefined> {
  if (environment.witness.color === undefined) return undefined
  const deadline = clock.monotonic() + within
  while (leftBehind(witness.samples, since, color, witness.connections).length > 0) {
    if (clock.monotonic() >= deadline) return undefined
    await Promise.all([clock.sleep(Math.min(100, deadline - clock.monotonic()), signal), witness.next()])
  }
  return lastOf(witness.samples, since, color)
}

const lastOf = (samples: readonly Sample[], since: number, color: Color): number =>
  Math.max(0, ...samples.filter((sample) => sample.color === color).map(({ done }) => done - since))
