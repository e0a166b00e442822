/** One change of traffic: the patch, and the wait until the cluster and the proxies have followed. */
import { names } from '../app/color.ts'
import { isOverlap } from '../app/live.ts'
import type { World } from '../cluster/world.ts'
import { converge } from './endpoints.ts'
import { patchSelector, type Move } from './patch.ts'
import { reached, type Reached } from './reach.ts'

export interface Moved {
  /** When the patch was asked for, in ms of the monotonic clock. */
  patchedAt: number
  /** ms from there until every EndpointSlice held the new color's pods only. */
  converged: number
  /** What new connections met from there on. */
  reached?: Reached
}

/**
 * Switches, and waits until the cluster has followed. `onMoved` is told as soon as traffic may be on the new
 * color: what fails before that call has moved nothing.
 * @throws DeployError (1) when the patch was refused, (5) when the lock was somebody else's by then
 */
export async function moveTraffic(world: World, move: Move, onMoved: () => void): Promise<Moved> {
  const { environment, clock, signal } = world
  const { app } = environment
  const patchedAt = clock.monotonic()
  let next = move
  const both = isOverlap(app, move.service.spec.selector)
  if (environment.switch === 'overlap' && move.intent.from && !both && !move.direct) {
    const widening = { ...move, intent: { ...move.intent, overlap: true } }
    const current = await patchSelector(world, widening, { app }, onMoved)
    onMoved()
    await clock.sleep(environment.overlap, signal)
    next = { ...move, service: current, token: { expected: move.token.next, next: move.token.next } }
  }
  await patchSelector(world, next, { app, color: move.to.color }, onMoved)
  onMoved()
  await converge(world, names(app).live, move.to.color, move.atLeast, move.own)
  const converged = clock.monotonic() - patchedAt
  const { from, kind } = move.intent
  const how = { opening: !from, leaving: kind !== 'deploy' }
  return { patchedAt, converged, reached: await reached(world, environment.url, move.to.color, how) }
}
