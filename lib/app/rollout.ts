/** Waiting until a color may get traffic; and what happens to the color that traffic has left. */
import { waitUntil } from '../clock.ts'
import { restart, scale } from '../cluster/commands.ts'
import { isEnding } from '../cluster/objects.ts'
import type { World } from '../cluster/world.ts'
import { breakdown, explained, type Since } from './breakdown.ts'
import { names, type Color, type Place } from './color.ts'
import { obstacles } from './live.ts'
import { observe, type Observed } from './observe.ts'

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
      const broken = breakdown(state, { since, now: clock.now(), ...environment.timeouts })
      if (broken) throw await explained(world, color, broken)
      const missing = obstacles(state, atLeast)
      return missing.length === 0 ? { done: observed } : missing.join('; ')
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
 * What happens to the color that traffic has left. Recycling replaces its pods one after the other, so that
 * clients whose connections are still pinned to them come back to the live color, while it stays warm.
 */
export async function retire(world: World, color: Color): Promise<void> {
  const { environment, kubectl, log } = world
  const deployment = names(environment.app).deployment(color)
  switch (environment.afterSwitch) {
    case 'keep':
      return
    case 'scale-down':
      log.step(`Scale ${color} down`)
      await kubectl.write(scale(deployment, 0))
      return await waitGone(world, color)
    case 'recycle': {
      log.step(`Recycle ${color}: clients that kept a connection to it come over`)
      const { colors } = await observe(environment.app, kubectl)
      await kubectl.write(restart(deployment))
      await waitReady(world, color, Math.max(1, colors[color].deployment?.spec.replicas ?? 1))
      return await waitGone(world, color)
    }
  }
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
