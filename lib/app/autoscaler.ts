/** An autoscaler's bounds: raised while a color gets live's capacity, and given back afterwards. */
import { z } from 'zod'
import { FIELD_MANAGER, patch } from '../cluster/commands.ts'
import { autoscaler, type Manifest } from '../cluster/objects.ts'
import type { World } from '../cluster/world.ts'
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

/** Gives an autoscaler the bounds back that the manifests declare. */
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
  await setBounds(world, declared)
}

/** Keeps an autoscaler from taking pods away that a color is given. */
export async function raiseBounds(
  world: World,
  { autoscaler: found }: ColorState,
  pods: number,
): Promise<void> {
  if (!found || found.spec.minReplicas >= pods) return
  const { minReplicas, maxReplicas } = found.spec
  await setBounds(world, {
    name: found.metadata.name,
    minReplicas: Math.max(minReplicas, pods),
    maxReplicas: Math.max(maxReplicas, pods),
  })
}

async function setBounds(world: World, { name, minReplicas, maxReplicas }: AutoscalerBounds): Promise<void> {
  const operations = [
    { op: 'add', path: '/spec/minReplicas', value: minReplicas },
    { op: 'add', path: '/spec/maxReplicas', value: maxReplicas },
  ] as const
  await world.kubectl
    .unstoppable()
    .change(
      patch('horizontalpodautoscaler', name, operations, `--field-manager=${FIELD_MANAGER}`),
      autoscaler,
    )
}
