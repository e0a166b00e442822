/**
 * One change of what is live, from the last look before it to the proof after it. What fails before the patch
 * leaves traffic where it was; what fails after it brings traffic back, by the same mechanism and with the
 * same proof.
 */
import { key, type Color, type Switch } from '../app/color.ts'
import { capacity, isOverlap, liveColor, obstacles } from '../app/live.ts'
import { observe, side, uids, type Observed } from '../app/observe.ts'
import { waitReady } from '../app/rollout.ts'
import type { Gates } from '../check.ts'
import { seconds } from '../clock.ts'
import type { World } from '../cluster/world.ts'
import { DeployError, Exit, sentence } from '../errors.ts'
import type { Journal } from '../history/journal.ts'
import type { Lock } from '../history/lock.ts'
import type { Proof } from '../history/record.ts'
import { moveTraffic, type Moved } from '../traffic/move.ts'
import { byHand, type Move } from '../traffic/patch.ts'
import { losses, proofOf, watchLive } from '../traffic/proof.ts'
import type { Witness } from '../traffic/witness.ts'
import { TAKEN_OVER } from './fence.ts'
import { pass } from './gates.ts'
import { AfterSwitch, left } from './settle.ts'

export interface Change {
  kind: Switch['kind']
  to: Color
  /** Undefined on a first deployment: nobody is served yet. */
  from: Color | undefined
  /** Pods that the new color must have at the least, whatever the old one has. */
  atLeast: number
  lock: Lock
  journal: Journal
  gates: Gates
}

/** Traffic has moved; the witness goes on watching until the change is settled. */
export interface Underway {
  moved: Moved
  /** Stops the witness and says what users met, all in all. */
  settle(): Promise<Proof>
}

/**
 * Checks S1 once more, switches, proves, verifies through the live URL; or goes back.
 * @throws DeployError (1, 5) traffic did not move; AfterSwitch (3) it is back, (4) a person is needed
 */
export async function switchOver(world: World, change: Change): Promise<Underway> {
  const { environment, clock, log, signal } = world
  const { to, from, lock } = change
  log.step(from ? `Switch ${from} → ${to}` : `Open ${to} to users`)
  const observed = await observe(environment.app, world.kubectl)
  const move = decide(world, observed, change)
  // Requests to a Service without endpoints would be refused, and with kube-proxy such a refusal outlives it.
  let witness = from && (await watchLive(world))
  let moved = false
  try {
    // Whoever leaves a color in need does not ask whether it answers.
    if (witness && change.kind === 'deploy')
      await lookBefore(world, witness, observed.colors[from ?? to].ready.length)
    lock.check()
    const traffic = await moveTraffic(world, move, () => (moved = true))
    witness ??= await watchLive(world)
    await Promise.all([clock.sleep(environment.witness.after, signal), witness.next()])
    const lost = losses(traffic, witness.samples, to, environment.witness.allowedFailures)
    reportProof(world, proofOf(traffic, witness.samples, to))
    if (lost) throw new DeployError(lost)
    log.step('Verify through the live URL')
    await pass(world, change.journal, change.gates, 'live', { url: environment.url, color: to })
    return underway(traffic, witness, to, change.journal)
  } catch (error) {
    await witness?.stop()
    if (!moved) throw error
    if (signal.aborted) throw left(world, to, error)
    throw await goBack(world, change, sentence(error))
  }
}

function underway(moved: Moved, witness: Witness, to: Color, journal: Journal): Underway {
  return {
    moved,
    settle: async () => {
      const proof = proofOf(moved, await witness.stop(), to)
      journal.entry.switches.push(proof)
      return proof
    },
  }
}

/** Whether and how traffic may move, from one reading. Pure but for the clock. @throws DeployError (1) */
function decide(world: World, observed: Observed, { kind, from, to, atLeast, lock, journal }: Change): Move {
  const { app } = world.environment
  const { service } = observed
  if (!service) throw new DeployError(`There is no Service ${app}`)
  if (from && liveColor(app, observed) !== from) {
    throw new DeployError(`Traffic is no longer on ${from}: somebody else moved it. Nothing was switched`)
  }
  // What is being left in a hurry may have more pods than what served well before it.
  const asMany = from && kind !== 'automatic-rollback' ? capacity(observed.colors[from]) : 1
  const needed = Math.max(atLeast, asMany)
  const missing = obstacles(observed.colors[to], needed)
  if (missing.length > 0) throw new DeployError(`Traffic may not go to ${to}: ${missing.join('; ')}`)
  const intent: Switch = {
    id: journal.entry.id,
    kind,
    ...(from && { from: side(observed.colors[from]) }),
    to: side(observed.colors[to]),
    by: world.by,
    at: new Date(world.clock.now()).toISOString(),
    ...(journal.entry.reason !== undefined && { reason: journal.entry.reason }),
  }
  const token = { expected: lock.token, next: lock.token }
  return {
    intent,
    to: { ...intent.to, color: to },
    service,
    token,
    atLeast: needed,
    own: uids(observed.colors[to]),
  }
}

/** Users' view before the switch. @throws DeployError (1) when the live URL leads nowhere, which would prove nothing */
async function lookBefore(
  { environment, clock, signal }: World,
  witness: Witness,
  ready: number,
): Promise<void> {
  await Promise.all([clock.sleep(environment.witness.before, signal), witness.next()])
  const answered = witness.samples.filter(({ failure }) => !failure || failure.startsWith('status'))
  if (answered.length > 0 || ready === 0 || environment.witness.before === 0) return
  const failure = witness.samples[0]?.failure ?? `no answer within ${seconds(environment.witness.before)}`
  throw new DeployError(
    `${environment.url} leads nowhere (${failure}), although ${ready} pods are ready: check "url"`,
  )
}

/** What the switch did, in two lines. */
export function reportProof({ log }: World, proof: Proof): void {
  const times = [
    proof.firstNew !== undefined && `first new answer ${seconds(proof.firstNew)}`,
    proof.lastOldOnNew !== undefined && `last old answer on a new connection ${seconds(proof.lastOldOnNew)}`,
  ].filter((text) => text !== false)
  log.info(
    `endpoints converged ${seconds(proof.converged)} after the patch; ${times.join(', ') || 'colors not named'}`,
  )
  log.info(`${proof.requests} requests by the witness, ${proof.failures} failed`)
}

/** Brings traffic back to the color it came from. @returns what to throw: it never succeeds silently */
async function goBack(world: World, change: Change, why: string): Promise<AfterSwitch> {
  const { environment, log } = world
  const { from, to, journal } = change
  log.warn(why)
  if (!from) {
    return new AfterSwitch(
      `${why}. This was the first release: there is none to go back to`,
      Exit.needsPerson,
      { outcome: 'needs-person', message: why },
    )
  }
  try {
    log.step(`Roll back to ${from}`)
    const observed = await waitReady(world, from, 1)
    // What failed may be that somebody has gone back already: his is the last word.
    if (observed.service?.metadata.annotations[key.lock] !== change.lock.token)
      return left(world, to, new DeployError(TAKEN_OVER, Exit.locked))
    if (await narrow(world, change.lock, observed)) {
      await pass(world, journal, change.gates, 'back', { url: environment.url, color: from })
      return new AfterSwitch(`${why}. Rolled back: users are on ${from} alone again`, Exit.rolledBack, {
        outcome: 'rolled-back',
        message: why,
      })
    }
    const back = { ...change, kind: 'automatic-rollback', from: to, to: from, atLeast: 1 } as const
    const witness = await watchLive(world)
    try {
      const moved = await moveTraffic(world, decide(world, observed, back), () => {})
      await pass(world, journal, change.gates, 'back', { url: environment.url, color: from })
      journal.entry.switches.push(proofOf(moved, await witness.stop(), from))
    } finally {
      await witness.stop()
    }
    const closing = { outcome: 'rolled-back', message: why } as const
    return new AfterSwitch(`${why}. Rolled back: users are on ${from} again`, Exit.rolledBack, closing)
  } catch (error) {
    if (world.signal.aborted) return left(world, to, error)
    const message = `${why}; and the rollback failed: ${sentence(error)}`
    const todo = `To send users to ${from} by hand:\n  ${byHand(world, from)}`
    return new AfterSwitch(`${why}. The rollback failed too: ${sentence(error)}. ${todo}`, Exit.needsPerson, {
      outcome: 'needs-person',
      message,
    })
  }
}

/**
 * An overlap switch that stopped halfway selects both colors: traffic goes back to the one it was leaving.
 * @returns whether there was anything to narrow
 */
export async function narrow(world: World, lock: Lock, observed: Observed): Promise<boolean> {
  const { service, switch: last } = observed
  const { app } = world.environment
  if (!service || !last?.from || !isOverlap(app, service.spec.selector)) return false
  const color = liveColor(app, observed)
  const missing = obstacles(observed.colors[color], 1)
  if (missing.length > 0) {
    throw new DeployError(`Both colors are selected, and ${color} cannot serve alone: ${missing.join('; ')}`)
  }
  const at = new Date(world.clock.now()).toISOString()
  const { id, from, to } = last
  const intent = { id, kind: 'repair', from: to, to: from, by: world.by, at } as const
  const token = { expected: lock.token, next: lock.token }
  await moveTraffic(world, { intent, to: { ...from, color }, service, token, atLeast: 1 }, () => {})
  return true
}
