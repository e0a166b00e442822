/**
 * Users are sent forward to a color: S1 is asked once more, one patch moves them, the witness proves it, the live
 * URL is verified. What fails before the patch leaves them where they were; what fails after it brings them back.
 */
import { other, type Color } from '../app/color.ts'
import { capacity, isOverlap, liveColor, obstacles, obstaclesBack, strangers } from '../app/live.ts'
import { observe, type Observed } from '../app/observe.ts'
import { empty } from '../app/rollout.ts'
import { seconds } from '../clock.ts'
import type { World } from '../cluster/world.ts'
import { DeployError, sentence } from '../errors.ts'
import type { Lock } from '../history/lock.ts'
import type { Proof } from '../history/record.ts'
import { tell } from '../notify/tell.ts'
import { moveTraffic, type Moved } from '../traffic/move.ts'
import type { Move } from '../traffic/patch.ts'
import type { Reached } from '../traffic/reach.ts'
import { losses, proofOf, watchLive } from '../traffic/proof.ts'
import type { Witness } from '../traffic/witness.ts'
import type { Attempt } from './attempt.ts'
import { ensureLive } from './fence.ts'
import { verify } from './gates.ts'
import { moveOf, ours, reportProof } from './move.ts'
import { left, tidyUp } from './settle.ts'
import { goBack } from './way-back.ts'

export interface Change {
  kind: 'deploy' | 'switch'
  to: Color
  /** Undefined on a first deployment: nobody is served yet. */
  from: Color | undefined
  /** Pods that the new color must have at the least, whatever the old one has. */
  atLeast: number
}

/** Traffic has moved; the witness goes on watching until the change is settled. */
export interface Underway {
  moved: Moved
  witness: Witness
  /** From when on new connections met the new color alone, in ms of the monotonic clock. */
  since: number
  /** Stops the witness, and enters into the record what users met, all in all; once. */
  settle(): Promise<Proof>
}

/**
 * Checks S1 once more, switches, proves, verifies through the live URL; or goes back.
 * @throws DeployError (1, 5) traffic did not move; AfterSwitch (3) it is back, (4) a person is needed
 */
export async function switchOver(attempt: Attempt, change: Change): Promise<Underway> {
  const { environment, clock, log, signal, lock } = attempt
  const { to, from } = change
  log.step(from ? `Switch ${from} → ${to}` : `Open ${to} to users`)
  const observed = await observe(environment.app, attempt.kubectl)
  const move = decide(attempt, observed, change)
  // Requests to a Service without endpoints would be refused, and with kube-proxy such a refusal outlives it.
  let witness = from && (await watchLive(attempt))
  let moved: { at: number } | undefined
  let traffic: Moved | undefined
  try {
    // Whoever leaves a color in need does not ask whether it answers.
    if (witness && change.kind === 'deploy')
      await lookBefore(attempt, witness, observed.colors[from ?? to].ready.length)
    lock.check()
    const patchedAt = clock.monotonic()
    traffic = await moveTraffic(attempt, move, () => (moved ??= { at: patchedAt }))
    witness ??= await watchLive(attempt)
    await Promise.all([clock.sleep(environment.witness.after, signal), witness.next()])
    const { allowedFailures } = environment.witness
    const leaving = change.kind === 'switch'
    const lost = losses(traffic, witness.samples, to, allowedFailures, { leaving })
    reportProof(attempt, proofOf(traffic, witness.samples, to, witness.skipped))
    tell(attempt, 'switched')
    if (lost) throw new DeployError(lost)
    if (traffic.reached?.converged === false) throw new DeployError(halfway(traffic.reached))
    log.step('Verify through the live URL')
    await verify(attempt, 'live', { url: environment.url, color: to })
    return underway(attempt, traffic, witness, to)
  } catch (error) {
    const samples = (await witness?.stop()) ?? []
    if (!moved) throw error
    const cost = proofOf(
      traffic ?? { patchedAt: moved.at, converged: clock.monotonic() - moved.at },
      samples,
      to,
      witness?.skipped,
    )
    attempt.journal.entry.switches.push(cost)
    if (signal.aborted) throw await left(attempt, to, signal.reason)
    throw await goBack(attempt, { from: to, to: from }, sentence(error))
  }
}

function underway({ journal, clock }: Attempt, moved: Moved, witness: Witness, to: Color): Underway {
  const settle = async (): Promise<Proof> => {
    const samples = await witness.stop()
    const proof = proofOf(moved, samples, to, witness.skipped)
    journal.entry.switches.push(proof)
    return proof
  }
  let settled: Promise<Proof> | undefined
  return { moved, witness, since: clock.monotonic(), settle: () => (settled ??= settle()) }
}

/** A balancer in front of the cluster that never follows would keep a part of users where nothing serves them soon. */
const halfway = ({ ms, lastOther = 'another color' }: Reached): string =>
  `New connections still met ${lastOther} ${seconds(ms)} after the cluster had followed (timeouts.reach)`

/** Whether and how traffic may move, from one reading. Pure but for the clock. @throws DeployError (1) */
export function decide(attempt: Attempt, observed: Observed, { kind, from, to, atLeast }: Change): Move {
  const { environment } = attempt
  if (from && liveColor(environment, observed) !== from) {
    throw new DeployError(`Traffic is no longer on ${from}: somebody else moved it. Nothing was switched`)
  }
  const needed = Math.max(atLeast, from ? capacity(observed.colors[from]) : 1)
  const missing = obstacles(observed.colors[to], needed)
  if (environment.switch !== 'direct' && from) {
    const strays = strangers(observed)
    if (strays.length > 0)
      missing.push(`an overlap would send users to ${strays.join(', ')}, which are no color's`)
  }
  if (missing.length > 0) throw new DeployError(`Traffic may not go to ${to}: ${missing.join('; ')}`)
  return moveOf(attempt, observed, { kind, from, to, atLeast: needed }, ours(attempt))
}

/** Users' view before the switch. @throws DeployError (1) when the live URL leads nowhere, which would prove nothing */
export async function lookBefore(
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

/**
 * An overlap switch that stopped halfway selects both colors: traffic goes back to the one it was leaving. After a
 * gradual one, whose new color has been served for long, that one is emptied: nobody stays behind on it.
 * @returns whether there was anything to narrow
 */
export async function narrow(world: World, lock: Lock, observed: Observed): Promise<boolean> {
  const { service, switch: last } = observed
  const { environment } = world
  if (!service || !last?.from || !isOverlap(environment.app, service.spec.selector)) return false
  const color = liveColor(environment, observed)
  const missing = obstaclesBack(observed.colors[color])
  if (missing.length > 0) {
    throw new DeployError(`Both colors are selected, and ${color} cannot serve alone: ${missing.join('; ')}`)
  }
  const at = new Date(world.clock.now()).toISOString()
  const { id, from, to } = last
  const intent = { id, kind: 'repair', from: to, to: from, by: world.by, at } as const
  const token = { expected: lock.token, next: lock.token }
  await moveTraffic(world, { intent, to: { ...from, color }, service, token, atLeast: 1 }, () => {})
  if (last.gradual) await tidyUp(world, () => emptyOther({ ...world, lock }, color))
  return true
}

async function emptyOther(world: World & { lock: Lock }, color: Color): Promise<void> {
  const { colors } = await ensureLive(world, color)
  const left = colors[other(color)]
  if (left.deployment) await empty(world, left)
}
