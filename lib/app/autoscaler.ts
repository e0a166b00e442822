/** An autoscaler's bounds: raised while a color gets live's capacity, and given back afterwards. */
import { z } from 'zod'
import { FIELD_MANAGER, patch, pointer, type JsonPatch } from '../cluster/commands.ts'
import { autoscaler, type Autoscaler, type Manifest } from '../cluster/objects.ts'
import type { World } from '../cluster/world.ts'
import { key } from './color.ts'
import { withReplicas } from './manifests.ts'
import type { ColorState, Observed } from './observe.ts'

/** Sets the number of pods, and raises an autoscaler's bounds so that it leaves them be for now. */
export function atCapacity(objects: readonly Manifest[], replicas: number): Manifest[] {
  return withReplicas(objects, replicas).map((object) => {
    if (object.kind !== 'HorizontalPodAutoscaler') return object
    const { minReplicas, maxReplicas } = bounds(object)
    const raised = {
      minReplicas: Math.max(minReplicas, replicas),
      maxReplicas: Math.max(maxReplicas, replicas),
    }
    return { ...object, spec: { ...object.spec, ...raised } }
  })
}

/** What the manifests say an autoscaler's bounds are; undefined without one. */
export function declaredBounds(objects: readonly Manifest[]): AutoscalerBounds | undefined {
  const autoscaler = objects.find(({ kind }) => kind === 'HorizontalPodAutoscaler')
  return autoscaler && bounds(autoscaler)
}

function bounds({ metadata, spec }: Manifest): AutoscalerBounds {
  const form = z.object({ minReplicas: z.number().default(1), maxReplicas: z.number() })
  return { name: metadata.name, ...form.parse(spec) }
}

export const autoscalerBounds = z.object({
  name: z.string(),
  minReplicas: z.number(),
  maxReplicas: z.number(),
})

export type AutoscalerBounds = z.infer<typeof autoscalerBounds>

/** Gives an autoscaler the bounds back that the manifests declare. @throws KubectlError (TestFailed) when it is somebody else's by now */
export async function restoreBounds(
  world: World,
  observed: Observed,
  declared: AutoscalerBounds | undefined,
): Promise<void> {
  if (!declared) return
  const { name, minReplicas, maxReplicas } = declared
  const current = Object.values(observed.colors).find(
    ({ autoscaler }) => autoscaler?.metadata.name === name,
  )?.autoscaler
  if (!current || (current.spec.minReplicas === minReplicas && current.spec.maxReplicas === maxReplicas))
    return
  await setBounds(world, current, { minReplicas, maxReplicas })
}

/** Keeps an autoscaler from taking pods away that a color is given. @throws as `restoreBounds` */
export async function raiseBounds(
  world: World,
  { autoscaler: found }: ColorState,
  pods: number,
): Promise<void> {
  if (!found || found.spec.minReplicas >= pods) return
  const { minReplicas, maxReplicas } = found.spec
  await setBounds(world, found, {
    minReplicas: Math.max(minReplicas, pods),
    maxReplicas: Math.max(maxReplicas, pods),
  })
}

/** Sets both bounds, for a time in which a color is to have so many pods. @throws as `restoreBounds` */
export async function holdBounds(
  world: World,
  { autoscaler: found }: ColorState,
  wanted: Omit<AutoscalerBounds, 'name'>,
): Promise<void> {
  if (found) await setBounds(world, found, wanted)
}

/** Its status changes all the time, so only a token, where it has one, says whether it is as it was read (S3). */
async function setBounds(
  world: World,
  { metadata: { name, annotations } }: Autoscaler,
  { minReplicas, maxReplicas }: Omit<AutoscalerBounds, 'name'>,
): Promise<void> {
  const value = annotations[key.lock]
  const path = pointer('metadata', 'annotations', key.lock)
  const operations: JsonPatch[] = [
    ...(value === undefined ? [] : [{ op: 'test', path, value } as const]),
    { op: 'add', path: '/spec/minReplicas', value: minReplicas },
    { op: 'add', path: '/spec/maxReplicas', value: maxReplicas },
  ]
  await world.kubectl
    .unstoppable()
    .change(
      patch('horizontalpodautoscaler', name, operations, `--field-manager=${FIELD_MANAGER}`),
      autoscaler,
    )
}
