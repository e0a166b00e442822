/** One step of a gradual switch: both colors serve, and it is looked at what users of the new one meet. */
import { holdBounds } from '../app/autoscaler.ts'
import type { Color, Switch } from '../app/color.ts'
import { scaleColor } from '../app/fenced.ts'
import { capacity, isOverlap, strangers } from '../app/live.ts'
import { observe, type Observed } from '../app/observe.ts'
import { keepPace } from '../app/rollout.ts'
import { DeployError, Exit } from '../errors.ts'
import { bothServe, selectBoth, sharedLosses, sharedProof, untilMet } from '../traffic/shared.ts'
import type { Witness } from '../traffic/witness.ts'
import type { Attempt } from './attempt.ts'
import { isOurs, MovedAway, TAKEN_OVER } from './fence.ts'
import { moveOf, ours } from './move.ts'
import type { Change } from './switchover.ts'

/** What a judge is told. */
export interface Stage {
  from: Color
  to: Color
  /** The new color's part of all pods, and so of new connections, where each pod is met alike. */
  share: number
  /** How long it is looked at, in ms. */
  for: number
  /** What the witness has lost in this step, as a sentence; undefined as long as it is no more than is allowed. */
  lost: () => string | undefined
}

/** Looks for as long as it is told to; throws when users must go back, and says why. */
export type Watch = (attempt: Attempt, stage: Stage) => Promise<void>

/** How often the witness is asked what it has lost, in ms. */
const LOOK = 1000

/** Without another judge it is the witness: users go back as soon as it has lost more than is allowed. */
export const byWitness: Watch = async ({ clock, signal }, stage) => {
  const end = clock.monotonic() + stage.for
  for (;;) {
    const lost = stage.lost()
    if (lost) throw new DeployError(lost)
    const left = end - clock.monotonic()
    if (left <= 0) return
    await clock.sleep(Math.min(LOOK, left), signal)
  }
}

export type GradualChange = Change & { from: Color }

export interface Step {
  name: NonNullable<Switch['gradual']>
  /** Of the new color. */
  pods: number
  /** How long it is looked at, in ms. */
  hold: number
  /** What is there before it, as long as this run may write. */
  before: () => Promise<Observed>
}

/** What all steps go by. */
export interface Course {
  attempt: Attempt
  change: GradualChange
  witness: Witness
  watch: Watch
  /** Told as soon as users may meet the new color. */
  onShared: () => void
}

/**
 * The patch, the pods, the proof of both, the judge; and the step's entry in the record, however it ends.
 * @throws what speaks against the new color
 */
export async function share(course: Course, step: Step): Promise<void> {
  const { attempt, change, witness, watch } = course
  const { environment, clock, log, signal, journal } = attempt
  const { from, to, kind } = change
  log.step(`${step.name === 'first' ? 'Some' : 'All'} of ${to} beside all of ${from}`)
  const observed = await step.before()
  const pods = { entered: step.pods, stayed: capacity(observed.colors[from]) }
  const part = pods.entered / (pods.entered + pods.stayed)
  const since = await select(course, step, observed)
  let converged = 0
  const leaving = kind === 'switch'
  const { allowedFailures } = environment.witness
  const lost = () => sharedLosses(since, witness.samples, to, allowedFailures, { leaving })
  const stage = { from, to, share: part, for: step.hold, lost }
  try {
    await grow(attempt, change, step.pods, lost)
    await bothServe(attempt, to, step.pods)
    converged = clock.monotonic() - since.patchedAt
    log.info(`serving: ${pods.entered} of ${to} beside ${pods.stayed} of ${from}`)
    await untilMet(attempt, witness, since, to, lost)
    await Promise.all([clock.sleep(environment.witness.after, signal), witness.next()])
    await byWitness(attempt, { ...stage, for: 0 })
    await watch(attempt, stage)
  } finally {
    const proof = sharedProof({ ...since, converged, share: part }, witness, to)
    log.info(`${proof.requests} requests by the witness, ${proof.failures} failed`)
    journal.entry.switches.push(proof)
    journal.save()
  }
}

/** The one write of a step that users can notice. @throws as `selectBoth`; DeployError (1) for pods of no color */
async function select({ attempt, change, onShared }: Course, { name, pods }: Step, observed: Observed) {
  const strays = strangers(observed)
  if (strays.length > 0)
    throw new DeployError(
      `Both colors together would send users to ${strays.join(', ')}, which are no color's`,
    )
  const { from, to, kind } = change
  const move = moveOf(attempt, observed, { kind, from, to, atLeast: pods }, ours(attempt))
  attempt.lock.check()
  return await selectBoth(attempt, move, name, onShared)
}

/** Gives the new color so many pods, while what it has goes on serving; where it has them, nothing is written. */
async function grow(
  attempt: Attempt,
  { from, to }: GradualChange,
  pods: number,
  lost: () => string | undefined,
): Promise<void> {
  const reading = async (): Promise<Observed> => {
    const why = lost()
    if (why) throw new DeployError(why)
    return await stillShared(attempt)
  }
  const state = (await reading()).colors[to]
  if ((state.deployment?.spec.replicas ?? pods) >= pods) return
  const { maxReplicas = pods } = attempt.journal.entry.temporary.autoscaler ?? {}
  await holdBounds(attempt, state, { minReplicas: pods, maxReplicas: Math.max(pods, maxReplicas) })
  await scaleColor(attempt, state, pods)
  await keepPace(attempt, { color: to, live: from, atLeast: pods }, reading)
}

/**
 * Both colors are still selected, and the lock is ours.
 * @throws DeployError (5) when it was taken over; MovedAway when somebody else has changed the selector
 */
export async function stillShared({ environment, kubectl, lock }: Attempt): Promise<Observed> {
  lock.check()
  const observed = await observe(environment.app, kubectl)
  if (!isOurs(observed, lock)) throw new DeployError(TAKEN_OVER, Exit.locked)
  const selector = observed.service?.spec.selector ?? {}
  if (isOverlap(environment.app, selector)) return observed
  throw new MovedAway(`Somebody changed the live selector to ${JSON.stringify(selector)} meanwhile`)
}
