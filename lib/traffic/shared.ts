/**
 * Both colors behind the live Service for a while, on purpose (`switch: gradual`): the patch that selects both, the wait
 * until both serve, and what users met meanwhile.
 */
import { names, other, type Color, type Switch } from '../app/color.ts'
import { observe, uids } from '../app/observe.ts'
import { seconds, waitUntil } from '../clock.ts'
import type { World } from '../cluster/world.ts'
import { DeployError } from '../errors.ts'
import type { Proof } from '../history/record.ts'
import { endpointSlices, readyEndpoints, withoutPod } from './endpoints.ts'
import { patchSelector, type Move } from './patch.ts'
import { losses, proofOf } from './proof.ts'
import type { Sample, Witness } from './witness.ts'

/** Since when both colors are selected in this step, in ms of the monotonic clock. */
export interface Since {
  patchedAt: number
}

/**
 * Selects both colors, or says that the next step of it has come. Tests what it leaves and the lock, as a switch does.
 * @throws DeployError (1) when the patch was refused, (5) when the lock was somebody else's by then
 */
export async function selectBoth(
  world: World,
  move: Move,
  gradual: NonNullable<Switch['gradual']>,
  onMoved: () => void,
): Promise<Since> {
  const patchedAt = world.clock.monotonic()
  const intent = { ...move.intent, overlap: true, gradual }
  await patchSelector(world, { ...move, intent }, { app: world.environment.app }, onMoved)
  onMoved()
  return { patchedAt }
}

/**
 * Waits until the live Service leads to so many pods of one color, beside the other's, and to nothing else.
 * @throws DeployError (70)
 */
export async function bothServe(world: World, to: Color, atLeast: number): Promise<void> {
  const { environment, kubectl, clock, signal, log } = world
  const { app, timeouts } = environment
  const name = names(app).live
  const look = async (): Promise<{ done: undefined } | string> => {
    const [slices, { colors }] = await Promise.all([endpointSlices(kubectl, name), observe(app, kubectl)])
    const behind = readyEndpoints(slices)
    const [entered, stayed] = [to, other(to)].map((color) => {
      const own = new Set(uids(colors[color]))
      return behind.filter((uid) => own.has(uid)).length
    })
    const foreign = behind.length - (entered ?? 0) - (stayed ?? 0) + withoutPod(slices).length
    if (foreign > 0) return `${foreign} endpoints of Service ${name} are of no color`
    if (!entered || !stayed || entered < atLeast)
      return `Service ${name} leads to ${entered} of ${atLeast} pods of ${to}, and to ${stayed} of ${other(to)}`
    return { done: undefined }
  }
  const progress = (state: string) => log.progress(state)
  const within = timeouts.endpoints
  const what = `Service ${name} did not lead to both colors`
  await waitUntil(look, { clock, signal, within, every: 100, progress, what })
}

/**
 * Waits until the witness has met the color that is entered: before that, nothing that it says is about it.
 * @throws DeployError (1) once more requests failed than are allowed, or when it was not met within `timeouts.reach`
 */
export async function untilMet(
  { environment, clock, signal }: World,
  witness: Witness,
  { patchedAt }: Since,
  to: Color,
  lost: () => string | undefined,
): Promise<void> {
  const { reach } = environment.timeouts
  const deadline = clock.monotonic() + reach
  while (!metSince(witness.samples, patchedAt, to)) {
    const why = lost()
    if (why) throw new DeployError(why)
    if (clock.monotonic() >= deadline)
      throw new DeployError(
        `No request of the witness met ${to} within ${seconds(reach)} (timeouts.reach) of both colors being selected, ` +
          'so nothing of it is proven: does "sessionAffinity" keep each client on its pod?',
      )
    await Promise.all([clock.sleep(100, signal), witness.next()])
  }
}

const metSince = (samples: readonly Sample[], since: number, color: Color): boolean =>
  samples.some((sample) => sample.done >= since && sample.color === color)

/**
 * Requests that were lost while both colors serve, as a sentence; undefined when they are no more than is allowed. Where
 * the live color was failing before, only what names the other one counts, or comes on a connection that is kept with
 * it: of an error page on a new connection nobody can say whose it is.
 */
export function sharedLosses(
  { patchedAt }: Since,
  samples: readonly Sample[],
  to: Color,
  allowed: number,
  how: { leaving?: boolean } = {},
): string | undefined {
  const sick = samples.some(({ done, failure }) => done < patchedAt && failure !== undefined)
  const after = samples.some(({ done }) => done >= patchedAt)
  if (!after || (sick && !metSince(samples, patchedAt, to))) return undefined
  // It never converges on one of the two.
  return losses({ patchedAt, converged: Number.POSITIVE_INFINITY }, samples, to, allowed, how)
}

/** What the witness saw of one step, as the record keeps it. When the other color answered last says nothing here. */
export function sharedProof(
  { patchedAt, converged, share }: Since & { converged: number; share: number },
  { samples, skipped }: Pick<Witness, 'samples' | 'skipped'>,
  to: Color,
): Proof {
  const all = proofOf({ patchedAt, converged }, samples, to, skipped)
  const { lastOld: _, lastOldOnNew: __, lastOldOnKept: ___, ...proof } = all
  return { share, ...proof }
}
