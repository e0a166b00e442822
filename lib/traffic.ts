/**
 * Moving traffic, with its proof. One JSON patch of the live Service moves it: the patch tests the selector it
 * leaves and the lock it is made under, and carries its own entry for the history, so that there is no instant
 * in which traffic has moved and nobody knows who moved it.
 */
import {
  isOverlap,
  key,
  names,
  observe,
  uids,
  type Color,
  type Observed,
  type Side,
  type Switch,
} from './color.ts'
import { waitUntil } from './clock.ts'
import { DeployError, Exit } from './errors.ts'
import {
  get,
  getNamed,
  KubectlError,
  patchService,
  pointer,
  type JsonPatch,
  type Kubectl,
} from './kubectl.ts'
import { endpointSlice, service, type EndpointSlice, type Service } from './objects.ts'
import type { Proof } from './record.ts'
import { reached } from './reach.ts'
import { startWitness, tally, type Sample, type Witness } from './witness.ts'
import type { World } from './world.ts'

export interface Move {
  intent: Switch
  to: Side & { color: Color }
  /** The live Service as it was when the move was decided. */
  service: Service
  /** The lock's token as it must stand on the Service; a rollback puts its own in its place. */
  token: { expected: string | undefined; next: string }
  /** How many pods must be behind the Service afterwards. */
  atLeast: number
  /** Uids of the pods that are known to be the new color's. */
  own?: readonly string[]
}

export interface Moved {
  /** When the patch was asked for, in ms as the clock tells it. */
  patchedAt: number
  /** ms from there until every EndpointSlice held the new color's pods only. */
  converged: number
}

const SELECTOR = '/spec/selector'

/**
 * Switches, and waits until the cluster has followed. `onMoved` is told as soon as traffic may be on the new
 * color: what fails before that call has moved nothing.
 * @throws DeployError (1) when the patch was refused, (5) when the lock was somebody else's by then
 */
export async function moveTraffic(world: World, move: Move, onMoved: () => void): Promise<Moved> {
  const { environment, clock, signal } = world
  const { app } = environment
  const patchedAt = clock.now()
  let next = move
  const both = isOverlap(app, move.service.spec.selector)
  if (environment.switch === 'overlap' && move.intent.from && !both) {
    const widening = { ...move, intent: { ...move.intent, overlap: true } }
    const current = await patchSelector(world, widening, { app }, onMoved)
    onMoved()
    await clock.sleep(environment.overlap, signal)
    next = { ...move, service: current, token: { expected: move.token.next, next: move.token.next } }
  }
  await patchSelector(world, next, { app, color: move.to.color }, onMoved)
  onMoved()
  await converge(world, names(app).live, move.to.color, move.atLeast, move.own)
  const converged = clock.now() - patchedAt
  const { from, kind } = move.intent
  await reached(world, environment.url, move.to.color, { opening: !from, leaving: kind !== 'deploy' })
  return { patchedAt, converged }
}

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

async function patchSelector(
  world: World,
  move: Move,
  selector: Record<string, string>,
  onMoved: () => void,
): Promise<Service> {
  const { live } = names(world.environment.app)
  // An interrupt must not leave it unknown whether the patch was made: it is let finish.
  const kubectl = world.kubectl.unstoppable()
  try {
    return await kubectl.change(patchService(live, operations(move, selector)), service)
  } catch (error) {
    const [current] = await kubectl.objects(getNamed(`service/${live}`), service).catch((lost: unknown) => {
      onMoved() // Nobody can tell: the answer to the patch may be all that was lost.
      throw lost
    })
    const moved = (now: Service) => Bun.deepEquals(now.spec.selector, selector) && isOurs(now, move)
    if (current && moved(current)) return current
    if (!isAnswer(error) && current && (await isTooLate(kubectl, move, current, onMoved, moved))) onMoved()
    throw refusal(error, move, current)
  }
}

/** Whether the server itself refused; anything else may still be carried out. */
const isAnswer = (error: unknown): boolean =>
  error instanceof KubectlError && error.refusal !== 'Unreachable' && error.refusal !== 'Other'

/**
 * A patch whose answer was lost may still be carried out. It tests the token that it was made under: another
 * token in its place, and the server refuses it. @returns whether it had been carried out before that
 */
async function isTooLate(
  kubectl: Kubectl,
  { token }: Move,
  { metadata }: Service,
  onUnknown: () => void,
  moved: (now: Service) => boolean,
): Promise<boolean> {
  const path = annotation(key.lock)
  const was: JsonPatch[] = token.expected ? [{ op: 'test', path, value: token.expected }] : []
  const voided: JsonPatch = { op: 'add', path, value: `${token.next}-void` }
  try {
    const [now] = await kubectl.quietly(patchService(metadata.name, [...was, voided]), service)
    return now !== undefined && moved(now)
  } catch (error) {
    onUnknown()
    throw error
  }
}

const annotation = (name: string): string => pointer('metadata', 'annotations', name)

/** Pure: the one write that moves traffic. */
export function operations(
  { service: before, intent, token }: Move,
  selector: Record<string, string>,
): JsonPatch[] {
  const hadSelector = Object.keys(before.spec.selector).length > 0
  return [
    ...(hadSelector ? [{ op: 'test', path: SELECTOR, value: before.spec.selector } as const] : []),
    ...(token.expected ? [{ op: 'test', path: annotation(key.lock), value: token.expected } as const] : []),
    { op: 'add', path: SELECTOR, value: selector },
    ...(Object.keys(before.metadata.annotations).length === 0
      ? [{ op: 'add', path: '/metadata/annotations', value: {} } as const]
      : []),
    { op: 'add', path: annotation(key.lock), value: token.next },
    { op: 'add', path: annotation(key.switch), value: JSON.stringify(intent) },
  ]
}

const isOurs = ({ metadata }: Service, { intent }: Move): boolean =>
  (metadata.annotations[key.switch] ?? '').includes(`"id":"${intent.id}","kind":"${intent.kind}"`)

function refusal(
  error: unknown,
  { service: before, token, to }: Move,
  current: Service | undefined,
): unknown {
  if (!current) return new DeployError('The live Service is gone: nothing was switched')
  if (token.expected && current.metadata.annotations[key.lock] !== token.expected) {
    const problem = `The lock was taken over before the switch to ${to.color}, and the cluster refused it`
    return new DeployError(problem, Exit.locked)
  }
  if (!Bun.deepEquals(current.spec.selector, before.spec.selector)) {
    const was = JSON.stringify(before.spec.selector)
    const is = JSON.stringify(current.spec.selector)
    return new DeployError(
      `Somebody changed the live selector from ${was} to ${is}: the cluster refused the switch`,
    )
  }
  return error
}

/** Points the preview Service at a color and waits until it leads there. */
export async function pointPreview(
  world: World,
  observed: Observed,
  color: Color,
  atLeast: number,
): Promise<void> {
  const { app } = world.environment
  const selector = { app, color }
  const name = names(app).preview
  if (!Bun.deepEquals(observed.preview?.spec.selector, selector)) {
    await world.kubectl.change(patchService(name, [{ op: 'add', path: SELECTOR, value: selector }]), service)
  }
  await converge(world, name, color, atLeast, uids(observed.colors[color]))
  const { previewUrl } = world.environment
  const opening = !observed.preview?.spec.selector.color
  if (previewUrl) await reached(world, previewUrl, color, { opening })
}

/** Waits until a Service leads to a color's own pods, all of them ready, and to nothing else. */
export async function converge(
  world: World,
  name: string,
  color: Color,
  atLeast: number,
  known: readonly string[] = [],
): Promise<void> {
  const { environment, kubectl, clock, signal, log } = world
  let own = new Set(known)
  const look = async (): Promise<{ done: true } | string> => {
    const slices = await endpointSlices(kubectl, name)
    const behind = readyEndpoints(slices)
    if (behind.some((uid) => !own.has(uid))) {
      const { colors } = await observe(environment.app, kubectl)
      own = new Set(uids(colors[color]))
    }
    const foreign = behind.filter((uid) => !own.has(uid)).length
    if (foreign > 0) return `${foreign} endpoints of Service ${name} are not ${color}'s yet`
    return behind.length >= atLeast
      ? { done: true }
      : `${behind.length} of ${atLeast} endpoints of Service ${name}`
  }
  const within = environment.timeouts.endpoints
  const progress = (state: string) => log.progress(state)
  await waitUntil(look, {
    clock,
    signal,
    within,
    every: 100,
    progress,
    what: `Service ${name} did not lead to ${color}`,
  })
}

async function endpointSlices(kubectl: Kubectl, name: string): Promise<EndpointSlice[]> {
  return await kubectl.objects(
    get(['endpointslices'], `--selector=kubernetes.io/service-name=${name}`),
    endpointSlice,
  )
}

/** The pods that a Service sends traffic to. An endpoint that does not say is ready, as the API defines it. */
export function readyEndpoints(slices: readonly EndpointSlice[]): string[] {
  return slices.flatMap(({ endpoints }) =>
    endpoints
      .filter(({ conditions }) => conditions.ready !== false)
      .map(({ targetRef }) => targetRef?.uid ?? 'unknown'),
  )
}

/** What a person runs when nothing else is left: the selector as it should be. */
export function byHand(world: World, color: Color): string {
  const { app, namespace, context } = world.environment
  const change = JSON.stringify([{ op: 'replace', path: SELECTOR, value: { app, color } }])
  return `kubectl --context ${context} -n ${namespace} patch service ${app} --type=json -p '${change}'`
}
