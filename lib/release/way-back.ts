/**
 * The law of the way back (S9). Going forward asks for proof; going back asks only for less harm: one ready pod
 * of what served before is enough, what the color that is left answers counts for nothing, an old release is
 * judged by the checks that it went live with, and nobody stays behind on a kept connection.
 */
import { raiseBounds } from '../app/autoscaler.ts'
import { key, type Color } from '../app/color.ts'
import { scaleColor } from '../app/fenced.ts'
import { byHand, capacity, obstaclesBack } from '../app/live.ts'
import { observe, type ColorState, type Observed } from '../app/observe.ts'
import { empty, waitServing } from '../app/rollout.ts'
import type { KeptCheck } from '../check.ts'
import { seconds } from '../clock.ts'
import { KubectlError } from '../cluster/refusal.ts'
import type { World } from '../cluster/world.ts'
import { DeployError, Exit, sentence } from '../errors.ts'
import type { DeploymentRecord } from '../history/record.ts'
import { readRecord } from '../history/store.ts'
import { selectPreview } from '../traffic/endpoints.ts'
import { moveTraffic, type Moved } from '../traffic/move.ts'
import { proofOf, untilNobodyOn, watchLive } from '../traffic/proof.ts'
import type { Witness } from '../traffic/witness.ts'
import type { Attempt } from './attempt.ts'
import { ensureLive, isForeign, isOurs, TAKEN_OVER } from './fence.ts'
import { verify } from './gates.ts'
import { moveOf, ours, reportProof } from './move.ts'
import { AfterSwitch, left, named, tidyUp, type Ending } from './settle.ts'

/** From the color that is left to the one that is entered. */
export interface Way {
  from: Color
  to: Color
}

/** How long the witness's connections may take to be answered by the other color, once the old one is gone, in ms. */
const LAST_CLIENT = 5_000

/** How long the cluster may be away while users wait to be brought back, in ms. */
const AWAY = 60_000

/**
 * Brings users back to where they came from, by whatever is ready there.
 * @returns what to throw: (3) they are back, (4) a person is needed, (5) somebody else has the last word
 */
export async function goBack(
  attempt: Attempt,
  { from, to }: { from: Color; to: Color | undefined },
  why: string,
): Promise<AfterSwitch> {
  const { log } = attempt
  log.warn(why)
  if (!to) {
    const none = `${why}. This was the first release: there is none to go back to`
    return new AfterSwitch(none, Exit.needsPerson, { outcome: 'needs-person', message: why })
  }
  const way = { from, to }
  log.step(`Roll back to ${to}`)
  const witness = await watchLive(attempt)
  let moved: Moved
  try {
    moved = await bringBack(attempt, way)
  } catch (error) {
    await witness.stop()
    if (error instanceof AfterSwitch) return error
    if (attempt.signal.aborted) return await left(attempt, from, attempt.signal.reason)
    return await stranded(attempt, way, why, error)
  }
  const remarks = await settleBack(attempt, way, moved, witness)
  if (attempt.signal.aborted) return await left(attempt, to, attempt.signal.reason)
  const said = [`${why}. Rolled back: users are on ${named(attempt.journal, to)} again`, ...remarks].join(
    '; but ',
  )
  if (remarks.length === 0)
    return new AfterSwitch(said, Exit.rolledBack, { outcome: 'rolled-back', message: why })
  return new AfterSwitch(said, Exit.needsPerson, { outcome: 'needs-person', message: said })
}

/** The move alone. While the cluster is away it is tried again: users wait. @throws AfterSwitch where it is not ours to make */
async function bringBack(attempt: Attempt, { from, to }: Way): Promise<Moved> {
  const { clock, log, lock, signal, environment } = attempt
  const began = clock.monotonic()
  for (;;) {
    try {
      await startIfDown(attempt, to)
      const observed = await waitServing(attempt, to, 1)
      // What failed may be that somebody has gone back already: his is the last word.
      const token = observed.service?.metadata.annotations[key.lock]
      if (token === undefined || isForeign(token, lock))
        throw await left(attempt, from, new DeployError(TAKEN_OVER, Exit.locked))
      const selector = observed.service?.spec.selector
      // An answer that was lost: users are back already.
      if (Bun.deepEquals(selector, { app: environment.app, color: to }))
        return { patchedAt: began, converged: clock.monotonic() - began }
      const way = { kind: 'automatic-rollback', from, to, atLeast: 1 } as const
      // Ours, or made void by this run when the answer to a patch was lost: then that one cannot land any more either.
      const move = moveOf(attempt, observed, way, { expected: token, next: lock.token })
      return await moveTraffic(attempt, move, () => {})
    } catch (error) {
      const away = error instanceof KubectlError && error.refusal === 'Unreachable'
      if (!away || clock.monotonic() - began > AWAY) throw error
      log.warn(`${sentence(error)}. It is tried again: users are still on ${named(attempt.journal, from)}`)
      await clock.sleep(1000, signal)
    }
  }
}

/** A color that somebody has scaled down meanwhile gets the pods back that it served with. */
async function startIfDown(attempt: Attempt, color: Color): Promise<void> {
  const { environment, kubectl, lock, log } = attempt
  const observed = await observe(environment.app, kubectl)
  const state = observed.colors[color]
  if (!isOurs(observed, lock) || !state.deployment || state.deployment.spec.replicas > 0) return
  const { from } = observed.switch ?? {}
  const pods = (from?.color === color ? from.ready : undefined) ?? 1
  log.info(`${color} was scaled down: ${pods} pods are started`)
  await raiseBounds(attempt, state, pods)
  await scaleColor(attempt, state, pods)
}

/** Nothing more can be done from here: what is ready decides what a person is told to run. */
async function stranded(
  { environment, kubectl, journal }: Attempt,
  { from, to }: Way,
  why: string,
  error: unknown,
): Promise<AfterSwitch> {
  const observed = await observe(environment.app, kubectl.unstoppable()).catch(() => undefined)
  const command = `To send users to ${to} by hand${observed ? '' : ', once the cluster answers'}:\n  ${byHand(environment, to)}`
  const missing = observed ? obstaclesBack(observed.colors[to]) : []
  const again = `bun scripts/rollback-deployment.ts --env ${environment.name}`
  const stay = `Users stay on ${named(journal, from)}, since ${missing.join('; ')}; ${again} starts what is kept in a record`
  const todo = missing.length === 0 ? command : stay
  return new AfterSwitch(`${why}. The rollback failed too: ${sentence(error)}. ${todo}`, Exit.needsPerson, {
    outcome: 'needs-person',
    message: `${why}; and the rollback failed: ${sentence(error)}`,
  })
}

/**
 * Users are on the color that they went back to. It is verified by what it went live with, the color that was left
 * is emptied so that nobody stays behind, and what users met goes into the record.
 * @returns what did not go as it should, a clause each; never a reason to move users again
 */
export async function settleBack(
  attempt: Attempt,
  { from, to }: Way,
  moved: Moved,
  witness: Witness,
): Promise<string[]> {
  const { log, clock, journal, environment } = attempt
  const remarks = unreached(moved, from)
  let emptied: number | undefined
  log.step(`Verify through the live URL, and empty ${from}: nobody stays behind`)
  try {
    await Promise.all([
      verifyBack(attempt, to, remarks),
      orRemark(attempt, remarks, `clients with kept connections may still be on ${from}`, async () => {
        const observed = await ensureLive(attempt, to)
        if (observed.colors[from].deployment) await empty(attempt, observed.colors[from])
        await tidyUp(attempt, () => selectPreview(attempt, observed, from))
        emptied = clock.monotonic() - moved.patchedAt
        const since = { color: from, since: moved.patchedAt }
        const last = await untilNobodyOn(attempt, witness, since, LAST_CLIENT)
        if (last === undefined && environment.witness.color !== undefined)
          throw new DeployError(`${from} still answers ${seconds(LAST_CLIENT)} after its last pod has ended`)
      }),
    ])
  } finally {
    const samples = await witness.stop()
    const proof = {
      ...proofOf(moved, samples, to, witness.skipped),
      ...(emptied !== undefined && { emptied }),
    }
    journal.entry.switches.push(proof)
    reportProof(attempt, proof)
    if (emptied !== undefined) {
      const last =
        proof.lastOld === undefined ? '' : `; its last answer came ${seconds(proof.lastOld)} after the patch`
      log.info(`nobody is on ${from} any more, ${seconds(emptied)} after the patch${last}`)
    }
  }
  return remarks
}

async function verifyBack(attempt: Attempt, to: Color, remarks: string[]): Promise<void> {
  const { environment, journal } = attempt
  const kept = await keptChecks(
    attempt,
    journal.entry.to.color === to ? journal.entry.to : journal.entry.from,
  )
  await orRemark(attempt, remarks, kept ? undefined : "by today's deploy.yaml", () =>
    verify(attempt, 'back', { url: environment.url, color: to }, kept),
  )
}

/** A balancer in front of the cluster may follow late, or in part never. */
function unreached({ reached }: Moved, from: Color): string[] {
  if (!reached || reached.converged) return []
  return [
    `new connections still met ${reached.lastOther ?? from} ${seconds(reached.ms)} after the cluster had followed`,
  ]
}

/** What a release went live with, as its record keeps it; undefined where that is not known. */
async function keptChecks(
  world: World,
  about: { release: string } | undefined,
): Promise<readonly KeptCheck[] | undefined> {
  if (!about) return undefined
  const record = await readRecord(world, about.release).catch(() => undefined)
  return record?.entry.smoke
}

/** What fails here does not undo what has been done: it is told. An interrupt ends the run all the same. */
async function orRemark(
  { signal }: World,
  remarks: string[],
  about: string | undefined,
  work: () => Promise<void>,
): Promise<void> {
  if (signal.aborted) return
  try {
    await work()
  } catch (error) {
    if (!signal.aborted) remarks.push(about ? `${about}: ${sentence(error)}` : sentence(error))
  }
}

/**
 * Users go back, as a person has said, to a color that they have been on: less harm is all that is asked.
 * @throws DeployError (1) when nothing moved; AfterSwitch (4)
 */
export async function enter(
  attempt: Attempt,
  { from, to }: Way,
  kind: 'rollback' | 'switch',
): Promise<Ending> {
  const { log, lock } = attempt
  log.step(`Switch ${from} → ${to}`)
  // Its pods may be on their way, since somebody has left it a moment ago.
  await startIfDown(attempt, to)
  const observed = await waitServing(attempt, to, 1)
  sayCapacity(attempt, observed, { from, to })
  lock.check()
  const witness = await watchLive(attempt)
  let moved = false
  try {
    const move = moveOf(attempt, observed, { kind, from, to, atLeast: 1 }, ours(attempt))
    const traffic = await moveTraffic(attempt, move, () => (moved = true))
    const remarks = await settleBack(attempt, { from, to }, traffic, witness)
    attempt.signal.throwIfAborted()
    return whole(named(attempt.journal, to), remarks)
  } catch (error) {
    await witness.stop()
    if (!moved || error instanceof AfterSwitch) throw error
    throw await left(attempt, to, attempt.signal.aborted ? attempt.signal.reason : error)
  }
}

/** @throws AfterSwitch (4) saying what is not as it should be where users are now */
export function whole(to: string, remarks: readonly string[]): Ending {
  if (remarks.length === 0) return { outcome: 'succeeded' }
  const message = `Users are on ${to}, but ${remarks.join('; ')}`
  throw new AfterSwitch(message, Exit.needsPerson, { outcome: 'needs-person', message })
}

/** Fewer pods than before are no reason to stay, but one to know. */
export function sayCapacity({ log }: World, { colors }: Observed, { from, to }: Way): void {
  const [before, after] = [capacity(colors[from]), colors[to].ready.length]
  if (after < before)
    log.warn(`${to} has ${after} pods ready, ${from} had ${before}: capacity is less than before`)
}

/** How many pods a color gets back that is emptied. */
export function comesBack(
  { environment }: World,
  { color, release, deployment }: ColorState,
): NonNullable<DeploymentRecord['temporary']['replicas']> {
  const replicas = deployment?.spec.replicas ?? 0
  if (environment.afterSwitch === 'scale-down' || !release || replicas === 0) return []
  return [{ color, release: release.release, replicas }]
}
