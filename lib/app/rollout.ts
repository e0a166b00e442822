/** Waiting until a color may get traffic; and what happens to the color that traffic has left. */
import { waitUntil } from '../clock.ts'
import { isEnding } from '../cluster/objects.ts'
import type { World } from '../cluster/world.ts'
import { DeployError } from '../errors.ts'
import { raiseBounds } from './autoscaler.ts'
import { breakdown, explained, withoutNode, type Since } from './breakdown.ts'
import type { Color, Place } from './color.ts'
import { restartColor, scaleColor } from './fenced.ts'
import { capacity, impostors, obstacles, obstaclesBack } from './live.ts'
import { observe, type ColorState, type Observed } from './observe.ts'

/**
 * Waits until a color holds S1 with at least so many pods.
 * @throws DeployError (1) when the release is broken; (70) when it has not started in time
 */
export async function waitReady(world: World, color: Place, atLeast: number): Promise<Observed> {
  const { environment, clock, kubectl, log, signal } = world
  const since: Since = new Map()
  return await waitUntil(
    async () => {
      const observed = await observe(environment.app, kubectl)
      const state = observed.colors[color]
      const broken = breakdown(state, { since, now: clock.monotonic(), ...environment.timeouts })
      if (broken) throw await explained(world, color, broken)
      const missing = obstacles(state, atLeast)
      return missing.length === 0 ? { done: observed } : waitingFor(state, missing)
    },
    {
      clock,
      signal,
      within: environment.timeouts.rollout,
      every: 400,
      what: `${color} was not ready`,
      progress: (state) => log.progress(state),
    },
  )
}

/**
 * Waits until a color may take over from the live one, and raises it to what the live one has by now: gates take
 * minutes, an autoscaler seconds.
 * @param reading what is there, as long as the color may be written to
 * @throws as `waitReady`; what `reading` throws; KubectlError (TestFailed) when the color is somebody else's by now
 */
export async function keepPace(
  world: World,
  { color, live, atLeast }: { color: Color; live: Color; atLeast: number },
  reading: () => Promise<Observed>,
): Promise<Observed> {
  const { environment, clock, log, signal } = world
  const since: Since = new Map()
  let asked = 0
  const look = async (): Promise<{ done: Observed } | string> => {
    const observed = await reading()
    const state = observed.colors[color]
    const wanted = Math.max(atLeast, capacity(observed.colors[live]))
    const missing = obstacles(state, wanted)
    if (missing.length === 0) return { done: observed }
    const broken = breakdown(state, { since, now: clock.monotonic(), ...environment.timeouts })
    if (broken) throw await explained(world, color, broken)
    if (asked < wanted && (state.deployment?.spec.replicas ?? wanted) < wanted) {
      asked = wanted
      log.info(`${live} has ${wanted} pods by now: ${color} gets as many`)
      await raiseBounds(world, state, wanted)
      await scaleColor(world, state, wanted)
    }
    return waitingFor(state, missing)
  }
  const progress = (state: string) => log.progress(state)
  const within = environment.timeouts.rollout
  return await waitUntil(look, {
    clock,
    signal,
    within,
    every: 400,
    progress,
    what: `${color} was not ready`,
  })
}

/** What is missing, and whether it is a node. */
const waitingFor = (state: ColorState, missing: readonly string[]): string =>
  [...missing, withoutNode(state)].filter((text) => text !== undefined).join('; ')

/** How long users wait for the capacity of what they go back to, in ms, once one pod of it is ready. */
export const PATIENCE = 30_000

/**
 * Waits for a color that users are to go back to: until it has `enough` pods ready or, where that takes long or
 * will not come, at least one (S9).
 * @throws DeployError (1) when none of its pods can become ready, or something else would answer; (70) when none has in time
 */
export async function waitServing(world: World, color: Color, enough: number): Promise<Observed> {
  const { environment, clock, kubectl, log, signal } = world
  const since: Since = new Map()
  const began = clock.monotonic()
  const look = async (): Promise<{ done: Observed } | string> => {
    const observed = await observe(environment.app, kubectl)
    const state = observed.colors[color]
    const wrong = state.deployment ? impostors(state) : [`${color} has no Deployment`]
    if (wrong.length > 0) throw new DeployError(`Traffic may not go to ${color}: ${wrong.join('; ')}`)
    const missing = obstaclesBack(state)
    if (missing.length === 0 && state.ready.length >= enough) return { done: observed }
    const broken = breakdown(state, { since, now: clock.monotonic(), ...environment.timeouts })
    if (missing.length === 0 && (broken || clock.monotonic() - began >= PATIENCE)) return { done: observed }
    if (broken) throw await explained(world, color, broken)
    return waitingFor(state, [...missing, `${state.ready.length} of ${enough} pods ready`])
  }
  const progress = (state: string) => log.progress(state)
  const within = environment.timeouts.rollout
  return await waitUntil(look, { clock, signal, within, every: 200, progress, what: `${color} cannot serve` })
}

/**
 * What happens to the color that a deployment has left. Recycling replaces its pods one after the other, so that
 * clients whose connections are still pinned to them come back to the live color, while it stays warm.
 * @throws KubectlError (TestFailed) when the color is somebody else's by now
 */
export async function retire(world: World, state: ColorState): Promise<void> {
  const { environment, log } = world
  const { color, deployment } = state
  if (color === 'plain') throw new Error('only a color is retired')
  switch (environment.afterSwitch) {
    case 'keep':
      return
    case 'scale-down':
      log.step(`Scale ${color} down`)
      await scaleColor(world, state, 0)
      return await waitGone(world, color)
    case 'recycle': {
      log.step(`Recycle ${color}: clients that kept a connection to it come over`)
      await restartColor(world, state)
      await waitReady(world, color, Math.max(1, deployment?.spec.replicas ?? 1))
      return await waitGone(world, color)
    }
  }
}

/**
 * Ends every connection to a color at once: all of its pods go. What it runs may never be ready again, so they
 * are not replaced one after the other.
 * @throws KubectlError (TestFailed) when the color is somebody else's by now; DeployError (70)
 */
export async function empty(world: World, state: ColorState): Promise<void> {
  if (state.color === 'plain') throw new Error('only a color is emptied')
  if ((state.deployment?.spec.replicas ?? 0) > 0) await scaleColor(world, state, 0)
  await waitGone(world, state.color)
}

/** Pods that are on their way out still serve the connections they have; some a busy controller has yet to tell. */
async function waitGone(world: World, color: Color): Promise<void> {
  const { environment, clock, signal, kubectl, log } = world
  const look = async (): Promise<{ done: undefined } | string> => {
    const { pods, colors } = await observe(environment.app, kubectl)
    const { deployment, own } = colors[color]
    const leaving = pods.filter(
      (pod) =>
        (pod.metadata.labels.color === color && isEnding(pod)) ||
        (deployment?.spec.replicas === 0 && own.includes(pod)),
    )
    return leaving.length === 0 ? { done: undefined } : `${leaving.length} pods of ${color} are finishing`
  }
  const progress = (state: string) => log.progress(state)
  const within = environment.timeouts.rollout
  await waitUntil(look, {
    clock,
    signal,
    within,
    every: 400,
    progress,
    what: `Old pods of ${color} did not end`,
  })
}
