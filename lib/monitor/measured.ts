/** Every metric of the table, of both colors, for whoever looks: by Prometheus, or by what the pods say twice. */
import type { Place } from '../app/color.ts'
import type { Observed } from '../app/observe.ts'
import type { World } from '../cluster/world.ts'
import { bake as bakeForm } from '../settings/bake.ts'
import { asked } from './figures.ts'
import { findWay } from './from-prometheus.ts'
import { metrics } from './metrics.ts'
import { metricsOf, type Values } from './metrics-of-pods.ts'
import { hear, type Heard } from './pods.ts'
import { instant, type Server } from './prometheus.ts'
import { serverOf } from './sources.ts'
import { usageOf } from './usage.ts'
import type { Unknown } from './source.ts'

export interface Measured {
  by: string
  /** Why there is nothing, or less. */
  problems: string[]
  values: Values
}

/** ms between the two times that pods are asked at first: what is counted has no rate before the second. */
const APART = 5_000

export const placesOf = (strategy: 'blue-green' | 'rolling'): readonly Place[] =>
  strategy === 'rolling' ? ['plain'] : ['blue', 'green']

/** Measures each time it is called. What does not answer is no failure. @throws what the world's signal was aborted with */
export function meter(world: World): (observed: Observed) => Promise<Measured> {
  const measure = meterOf(world)
  return async (observed) => {
    const measured = await measure(observed)
    const { cpu, memory } = measured.values
    const places = placesOf(world.environment.strategy).filter(
      (place) => observed.colors[place].own.length > 0,
    )
    if (places.every((place) => cpu?.[place] !== undefined && memory?.[place] !== undefined)) return measured
    const usage = await usageOf(world, observed, places)
    const values = {
      ...measured.values,
      cpu: { ...usage.cpu, ...cpu },
      memory: { ...usage.memory, ...memory },
    }
    return { ...measured, values }
  }
}

function meterOf(world: World): (observed: Observed) => Promise<Measured> {
  const { environment } = world
  const server = serverOf(world, environment.bake === false ? bakeForm.parse({}) : environment.bake)
  let last: Heard | undefined
  return async (observed) => {
    const fromCluster = clusterValues(observed, placesOf(environment.strategy))
    const problems: string[] = []
    if (server) {
      const found = 'unknown' in server ? server : await valuesOf(server, world)
      if (!('unknown' in found)) return { by: 'Prometheus', problems, values: { ...found, ...fromCluster } }
      problems.push(found.unknown)
    }
    const by = "the pods' own /metrics"
    const before = last ?? (await hear(world))
    if ('unknown' in before) return { by, problems: [...problems, before.unknown], values: fromCluster }
    if (!last) await world.clock.sleep(APART, world.signal)
    const now = await hear(world)
    if ('unknown' in now) return { by, problems: [...problems, now.unknown], values: fromCluster }
    last = now
    problems.push(...now.silent)
    const values = metricsOf(before, now, { app: environment.app, places: placesOf(environment.strategy) })
    return { by, problems, values: { ...values, ...fromCluster } }
  }
}

/** One query: each metric of each color, with both as labels. */
async function valuesOf(server: Server, { environment }: World): Promise<Values | Unknown> {
  const { app, namespace, strategy } = environment
  const way = await findWay(server, environment)
  if ('unknown' in way) return way
  const parts = placesOf(strategy).flatMap((color) =>
    Object.entries(metrics).map(([name, { query }]) => {
      const own = asked({ app, namespace, way, color }, query)
      return `label_replace(label_replace(${own}, "color", "${color}", "", ""), "metric", "${name}", "", "")`
    }),
  )
  const samples = await instant(server, parts.join(' or '))
  if ('unknown' in samples) return samples
  const values: Values = {}
  for (const name of namesOf(metrics)) {
    const own = placesOf(strategy).flatMap((color) => {
      const [one, ...more] = samples.filter(
        ({ labels }) => labels['metric'] === name && labels['color'] === color,
      )
      return one && more.length === 0 && Number.isFinite(one.value) ? [[color, one.value] as const] : []
    })
    values[name] = Object.fromEntries(own)
  }
  return values
}

/** What the cluster itself says, whoever else is asked. */
function clusterValues({ colors }: Observed, places: readonly Place[]): Values {
  const of = (value: (place: Place) => number) =>
    Object.fromEntries(places.map((place) => [place, value(place)]))
  return {
    ready: of((place) => colors[place].ready.length),
    wanted: of((place) => colors[place].deployment?.spec.replicas ?? 0),
  }
}

const namesOf = <T extends object>(table: T): (keyof T & string)[] =>
  Object.keys(table).filter((name): name is keyof T & string => name in table)
