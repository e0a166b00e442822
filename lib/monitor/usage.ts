/** CPU and memory of pods by `metrics.k8s.io`, for an app that says nothing of its own. */
import { z } from 'zod'
import type { Place } from '../app/color.ts'
import type { Observed } from '../app/observe.ts'
import { quantity } from '../app/quantity.ts'
import { getUsage } from '../cluster/commands.ts'
import type { World } from '../cluster/world.ts'
import { parseJson } from '../json.ts'
import type { Values } from './metrics-of-pods.ts'

const WITHIN = 5_000

const form = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string() }),
      containers: z.array(z.object({ usage: z.object({ cpu: z.string(), memory: z.string() }) })),
    }),
  ),
})

/** Nothing where there is no metrics server, or these credentials may not ask it. */
export async function usageOf(
  { environment, kubectl, signal }: World,
  observed: Observed,
  places: readonly Place[],
): Promise<Values> {
  const output = await kubectl.ask(getUsage(kubectl.scope.namespace, environment.app), { timeout: WITHIN })
  signal.throwIfAborted()
  const parsed = form.safeParse(parseJson(output.stdout))
  return output.exitCode === 0 && parsed.success ? usageValues(parsed.data, observed, places) : {}
}

/** Of a color all cores together, and the memory of the largest pod, as the table has them. Pure. */
export function usageValues(
  { items }: z.infer<typeof form>,
  { colors }: Pick<Observed, 'colors'>,
  places: readonly Place[],
): Values {
  const values: Values = {}
  for (const place of places) {
    const names = new Set(colors[place].own.map(({ metadata }) => metadata.name))
    const own = items.filter(({ metadata }) => names.has(metadata.name))
    if (own.length === 0) continue
    const sums = own.map(({ containers }) => ({
      cpu: containers.reduce((sum, { usage }) => sum + quantity(usage.cpu), 0),
      memory: containers.reduce((sum, { usage }) => sum + quantity(usage.memory), 0),
    }))
    values.cpu = { ...values.cpu, [place]: sums.reduce((sum, { cpu }) => sum + cpu, 0) }
    values.memory = { ...values.memory, [place]: Math.max(...sums.map(({ memory }) => memory)) }
  }
  return values
}
