/**
 * One writer (S3). The lock is a Lease, renewed in the background; whether a holder has gone is judged by
 * watching that it does not renew for the Lease's duration on our own clock, as client-go does, so clocks of
 * different machines need not agree. The holder's token also stands on the live Service, where every switch
 * tests it: a holder that was paused and comes back is refused by the API server, not by its own judgement.
 */
import { key, names } from '../app/color.ts'
import type { Observed } from '../app/observe.ts'
import {
  create,
  getNamed,
  patch,
  patchService,
  pointer,
  replace,
  type JsonPatch,
} from '../cluster/commands.ts'
import { lease, service, type Lease, type Service } from '../cluster/objects.ts'
import { isMissing, KubectlError } from '../cluster/refusal.ts'
import type { World } from '../cluster/world.ts'
import { seconds } from '../clock.ts'
import { DeployError, Exit, sentence } from '../errors.ts'

export interface Lock {
  token: string
  /** @throws DeployError (5) when the lock may no longer be ours; asked before every write */
  check(): void
  /** Aborted when the lock is lost. */
  lost: AbortSignal
  /**
   * From now on it is held for so many ms after each renewal, and renewed the less often: for a time in which little is
   * written, as each renewal is a kubectl. Never for less; and where the cluster does not take it, as before.
   */
  lengthen(ms: number): Promise<void>
  /** Stops renewing and lets the next one in. Never throws: a lock that cannot be released expires. */
  release(): Promise<void>
}

/** Whether an error means that somebody else may be writing by now. */
export const isLockLoss = (error: unknown): boolean =>
  error instanceof DeployError && error.exitCode === Exit.locked

/** Of the background renewals, which go by real time whatever clock the procedure is handed. */
const monotonic = (): number => performance.now()

/** A holder that has not renewed for this part of the duration no longer trusts its own lock. */
const TRUST = 0.7

const RENEWALS_PER_DURATION = 3

/**
 * Takes the lock, waiting out a holder that has stopped renewing. A holder that is alive is waited for `waitFor`
 * ms, by default not at all. What was planned before a wait may not hold after it.
 * @throws DeployError (5) naming the holder, once it is seen to be alive and that time is over
 */
export async function acquireLock(
  world: World,
  observed: Observed,
  token: string,
  { waitFor = 0 }: { waitFor?: number } = {},
): Promise<Lock> {
  const asked = await takeLease(world, observed.lease, token, waitFor)
  return await hold(world, token, asked)
}

/** Takes the lock from whoever has it, without waiting: a rollback must not wait for a deployment. */
export async function seizeLock(world: World, token: string): Promise<Lock> {
  const { kubectl, environment } = world
  const asked = monotonic()
  const seize: JsonPatch[] = [{ op: 'add', path: '/spec', value: leaseSpec(world, token, 0) }]
  try {
    await kubectl.insist(patch('lease', names(environment.app).lease, seize), lease)
  } catch (error) {
    if (!isMissing(error)) throw error
    await write(world, undefined, token)
  }
  return await hold(world, token, asked)
}

/** Keeps a Lease that is ours since some time after `asked`. */
async function hold(world: World, token: string, asked: number): Promise<Lock> {
  const { kubectl, environment, by } = world
  const steady = kubectl.unstoppable()
  const name = names(environment.app).lease
  const mine: JsonPatch = { op: 'test', path: '/spec/holderIdentity', value: identity(by, token) }
  const lost = new AbortController()
  let duration = environment.lock
  let renewed = asked
  let pending: Promise<unknown> = Promise.resolve()

  /** @param longer taken for true once the cluster has it: whoever waits goes by what stands there */
  const renew = async (longer?: number): Promise<void> => {
    const started = monotonic()
    const renewal: JsonPatch[] = [mine, { op: 'replace', path: '/spec/renewTime', value: now() }]
    if (longer) renewal.push({ op: 'replace', path: '/spec/leaseDurationSeconds', value: inSeconds(longer) })
    try {
      await steady.quietly(patch('lease', name, renewal), lease)
      renewed = started
      duration = longer ?? duration
    } catch (error) {
      // Slow, throttled or away: it is tried again for as long as the Lease is ours by its own terms.
      const refused = error instanceof KubectlError && ['TestFailed', 'NotFound'].includes(error.refusal)
      if (refused || monotonic() - renewed > duration)
        lost.abort(await takenOver(world, token).catch(unreachable))
    }
  }
  const renewing = () => setInterval(() => void (pending = renew()), duration / RENEWALS_PER_DURATION)
  // Its answer came late, so it may be old already.
  if (monotonic() - renewed > duration / RENEWALS_PER_DURATION) await renew()
  let timer = renewing()

  return {
    token,
    lost: lost.signal,
    check: () => {
      lost.signal.throwIfAborted()
      // After SIGSTOP, or on a machine that slept, the timer has not had its chance yet.
      if (monotonic() - renewed <= duration * TRUST) return
      throw new DeployError(
        `The lock was not renewed for ${duration / 1000} s: nothing more is written`,
        Exit.locked,
      )
    },
    lengthen: async (ms) => {
      if (ms <= duration) return
      await (pending = pending.then(() => renew(ms)))
      clearInterval(timer)
      timer = renewing()
    },
    release: async () => {
      clearInterval(timer)
      await pending
      const free: JsonPatch[] = [mine, { op: 'replace', path: '/spec/holderIdentity', value: '' }]
      try {
        await steady.insist(patch('lease', name, free), lease)
      } catch (error) {
        // Somebody else's by now, or out of reach: it expires by itself, and the next one waits for that.
        if (!(error instanceof KubectlError)) throw error
      }
    },
  }
}

/**
 * Writes our token on the live Service. The value that stood there before must have been read before the Lease
 * was taken; otherwise a holder that slept in between could overwrite its successor's token.
 */
export async function fence(world: World, before: Service, lock: Lock): Promise<Service> {
  const { app } = world.environment
  const held = before.metadata.annotations[key.lock]
  const path = pointer('metadata', 'annotations', key.lock)
  const hasAnnotations = Object.keys(before.metadata.annotations).length > 0
  const operations: JsonPatch[] = hasAnnotations
    ? [...(held ? [{ op: 'test', path, value: held } as const] : []), { op: 'add', path, value: lock.token }]
    : [{ op: 'add', path: '/metadata/annotations', value: { [key.lock]: lock.token } }]
  const landed = async (): Promise<Service | undefined> => {
    const current = await liveService(world)
    return current?.metadata.annotations[key.lock] === lock.token ? current : undefined
  }
  lock.check()
  try {
    const [fenced] = await world.kubectl.insist(patchService(names(app).live, operations), service, {
      landed,
    })
    if (fenced) return fenced
    throw new DeployError('The live Service could not be marked with the lock')
  } catch (error) {
    if (error instanceof KubectlError && error.refusal === 'TestFailed') return await fenceAgain(world, lock)
    throw error
  }
}

/** The token changed since it was read. If the Lease is still ours, the other writer came before us. */
async function fenceAgain(world: World, lock: Lock): Promise<Service> {
  const current = await liveService(world)
  const held = await readLease(world)
  if (!current || held?.spec.holderIdentity !== identity(world.by, lock.token))
    throw await takenOver(world, lock.token)
  return await fence(world, current, lock)
}

async function liveService({ environment, kubectl }: World): Promise<Service | undefined> {
  const [found] = await kubectl.objects(getNamed(`service/${names(environment.app).live}`), service)
  return found
}

/** ms between looks at a Lease: a run that may fail at once looks often, one that waits for minutes does not. */
const LOOK = { often: 500, seldom: 2000 }

/** @returns when it was asked for, as `monotonic` tells it */
async function takeLease(
  world: World,
  seen: Lease | undefined,
  token: string,
  waitFor: number,
): Promise<number> {
  const { clock, log, signal } = world
  const deadline = clock.monotonic() + waitFor
  const report = reporter(world, deadline)
  let watched = seen
  for (;;) {
    let since = clock.monotonic()
    while (watched?.spec.holderIdentity) {
      const left = since + watched.spec.leaseDurationSeconds * 1000 - clock.monotonic()
      if (left <= 0) break
      report(watched, left)
      await clock.sleep(Math.min(left, waitFor > 0 ? LOOK.seldom : LOOK.often), signal)
      const current = await readLease(world)
      if (current?.metadata.resourceVersion !== watched.metadata.resourceVersion) {
        if (current?.spec.holderIdentity && clock.monotonic() >= deadline)
          throw lockHeld(world, current, waitFor)
        since = clock.monotonic()
      }
      watched = current
    }
    if (watched?.spec.holderIdentity)
      log.warn(`The lock of ${holder(watched)} was not renewed: it is taken over`)
    const asked = monotonic()
    try {
      await write(world, watched, token)
      return asked
    } catch (error) {
      const beaten = error instanceof KubectlError && ['AlreadyExists', 'Conflict'].includes(error.refusal)
      if (!beaten) throw error
      watched = await readLease(world)
      if (watched?.spec.holderIdentity && clock.monotonic() >= deadline)
        throw lockHeld(world, watched, waitFor)
    }
  }
}

/** Says who is waited for: when it is somebody else, and again every 30 s. */
function reporter({ clock, log }: World, deadline: number): (held: Lease, left: number) => void {
  let told = { who: '', at: Number.NEGATIVE_INFINITY }
  return (held, left) => {
    const now = clock.monotonic()
    const who = holder(held)
    if (who === told.who && now - told.at < 30_000) return
    told = { who, at: now }
    const waiting = deadline > now ? `; waiting ${seconds(deadline - now)} more at the most` : ''
    log.progress(`held by ${who}; free in ${seconds(left)} unless it is renewed${waiting}`)
  }
}

/** Creates the Lease, or replaces the one that was read: `resourceVersion` lets only one of several do it. */
async function write(world: World, current: Lease | undefined, token: string): Promise<void> {
  const { kubectl, environment, by } = world
  const wanted = {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: {
      name: names(environment.app).lease,
      labels: { app: environment.app },
      ...(current && { resourceVersion: current.metadata.resourceVersion }),
    },
    spec: leaseSpec(world, token, (current?.spec.leaseTransitions ?? -1) + 1),
  }
  const landed = async (): Promise<Lease | undefined> => {
    const found = await readLease(world)
    return found?.spec.holderIdentity === identity(by, token) ? found : undefined
  }
  const input = JSON.stringify(wanted)
  await kubectl.insist(current ? replace() : create(), lease, { input, landed })
}

function leaseSpec({ environment, by }: World, token: string, leaseTransitions: number) {
  return {
    holderIdentity: identity(by, token),
    leaseDurationSeconds: inSeconds(environment.lock),
    acquireTime: now(),
    renewTime: now(),
    leaseTransitions,
  }
}

const inSeconds = (ms: number): number => Math.max(1, Math.ceil(ms / 1000))

async function readLease({ kubectl, environment }: World): Promise<Lease | undefined> {
  const [found] = await kubectl
    .unstoppable()
    .objects(getNamed(`lease/${names(environment.app).lease}`), lease)
  return found
}

/** Nobody can say who has the lock by now. */
const unreachable = (error: unknown): DeployError =>
  new DeployError(`The lock could not be renewed, this run stops here: ${sentence(error)}`, Exit.locked)

async function takenOver(world: World, token: string): Promise<DeployError> {
  const holding = await readLease(world)
  if (holding?.spec.holderIdentity === identity(world.by, token))
    return unreachable('the cluster did not take it')
  const who = holding?.spec.holderIdentity ? `by ${holder(holding)}` : 'and released'
  return new DeployError(`The lock was taken over ${who}: this run stops here`, Exit.locked)
}

function lockHeld({ environment }: World, held: Lease, waited: number): DeployError {
  const what = `${environment.app} in ${environment.name}`
  const still = waited > 0 ? ` still, after ${seconds(waited)}` : ''
  return new DeployError(
    `${what} is locked by ${holder(held)}${still}. Wait for it, or roll back, which takes the lock over`,
    Exit.locked,
  )
}

/** `alice@laptop since 2026-11-23T08:00:00Z`, as people ask for it. */
export function holder({ spec }: Lease): string {
  const [who = 'somebody'] = spec.holderIdentity.split(' ')
  return `${who} since ${spec.acquireTime.replace(/\.\d+Z$/, 'Z')}`
}

/** Of whoever holds it. */
export const tokenOf = ({ spec }: Lease): string | undefined => spec.holderIdentity.split(' ')[1]

const identity = (by: string, token: string): string => `${by.replaceAll(' ', '_')} ${token}`

/** Leases have microseconds. */
const now = (): string => new Date().toISOString().replace('Z', '000Z')

/** The same world, which also stops when the lock is lost. */
export function lockedBy(world: World, lock: Lock): World {
  const signal = AbortSignal.any([world.signal, lock.lost])
  return { ...world, signal, kubectl: world.kubectl.until(signal) }
}
