/** Whether the cluster has followed: the pods behind a Service. */
import { names, type Color } from '../app/color.ts'
import { observe, uids, type Observed } from '../app/observe.ts'
import { seconds, waitUntil } from '../clock.ts'
import { get, patchService } from '../cluster/commands.ts'
import type { Kubectl } from '../cluster/kubectl.ts'
import { endpointSlice, service, type EndpointSlice } from '../cluster/objects.ts'
import type { World } from '../cluster/world.ts'
import { DeployError, Exit } from '../errors.ts'
import { SELECTOR } from './patch.ts'
import { reached } from './reach.ts'

/**
 * Points the preview Service at a color and waits until it leads there, and its address too.
 * @throws DeployError (70) when either does not in its time
 */
export async function pointPreview(
  world: World,
  observed: Observed,
  color: Color,
  atLeast: number,
): Promise<void> {
  const { app } = world.environment
  const name = names(app).preview
  await selectPreview(world, observed, color)
  await converge(world, name, color, atLeast, uids(observed.colors[color]))
  const { previewUrl } = world.environment
  if (!previewUrl) return
  const opening = !observed.preview?.spec.selector.color
  const { converged, ms, lastOther } = await reached(world, previewUrl, color, { opening })
  if (converged) return
  throw new DeployError(
    `${previewUrl} does not lead to ${color}, ${seconds(ms)} after Service ${name} does (${lastOther}): ` +
      'check "previewUrl", or give its load balancer more time ("timeouts.reach")',
    Exit.timedOut,
  )
}

/** Points the preview Service at a color, unless somebody else has pointed it elsewhere since it was read. */
export async function selectPreview(world: World, { preview }: Observed, color: Color): Promise<void> {
  const { app } = world.environment
  const was = preview?.spec.selector ?? {}
  const value = { app, color }
  if (Bun.deepEquals(was, value)) return
  const unchanged = Object.keys(was).length > 0 ? [{ op: 'test', path: SELECTOR, value: was } as const] : []
  const operations = [...unchanged, { op: 'add', path: SELECTOR, value } as const]
  await world.kubectl.change(patchService(names(app).preview, operations), service)
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
    const unknown = withoutPod(slices)
    if (unknown.length > 0) {
      const list = unknown.join(', ')
      return `Service ${name} leads to addresses that are no pods: delete EndpointSlice ${list}, or whatever makes it`
    }
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

export async function endpointSlices(kubectl: Kubectl, name: string): Promise<EndpointSlice[]> {
  return await kubectl.objects(
    get(['endpointslices'], `--selector=kubernetes.io/service-name=${name}`),
    endpointSlice,
  )
}

/** An endpoint that does not say is ready, as the API defines it. */
const ready = ({ endpoints }: EndpointSlice) =>
  endpoints.filter(({ conditions }) => conditions.ready !== false)

/** Uids of the pods that a Service sends traffic to, each one once: with two IP families it stands in two slices. */
export function readyEndpoints(slices: readonly EndpointSlice[]): string[] {
  return [...new Set(slices.flatMap(ready).flatMap(({ targetRef }) => targetRef?.uid ?? []))]
}

/**
 * EndpointSlices which send users to an address that is no pod's: made by hand, or mirrored from elsewhere. Nobody
 * can say what answers there, so a Service with such a one leads to no color.
 */
export function withoutPod(slices: readonly EndpointSlice[]): string[] {
  return slices
    .filter((slice) =>
      ready(slice).some(({ targetRef }) => targetRef?.kind !== 'Pod' || targetRef.uid === ''),
    )
    .map(({ metadata }) => metadata.name)
}
