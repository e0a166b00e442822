/**
 * Where the figures of a bake come from: Prometheus where there is one, and the pods themselves where there is none, or
 * where it fails. Both give the same counters of the same pods, so that one goes on where the other has ended.
 */
import type { World } from '../cluster/world.ts'
import { bake as bakeForm, type BakeSettings } from '../settings/bake.ts'
import { begin, findWay, prometheusSource, read, type Owner } from './from-prometheus.ts'
import { indicatorsOf, type Indicator } from './indicators.ts'
import { bucketsOf, hear, snapshotOf, type Heard } from './pods.ts'
import type { Server } from './prometheus.ts'
import { boundOf } from './slow.ts'
import type { Snapshot, Source, Unknown } from './source.ts'

/** ms in which Prometheus has to answer; less where it is asked more often. */
const WITHIN = 5_000
const SHORTEST = 1_000

export interface Figured {
  source: Source
  /** Above so many seconds a request is slow; undefined where that cannot be counted. */
  slow: number | undefined
  /** What nobody watches, and what counts although it should not; as sentences. */
  notCovered: string[]
}

/**
 * What a release is watched by. Whatever does not answer is no failure: it is said in `notCovered`.
 * @param known what was found when the bake began, for one that is resumed: the same requests are to be slow
 * @throws what the world's signal was aborted with
 */
export async function sourceOf(world: World, known: { slow?: number | undefined } = {}): Promise<Figured> {
  const { environment, clock } = world
  const settings = environment.bake === false ? bakeForm.parse({}) : environment.bake
  const server = serverOf(world, settings)
  const begun = server && (await beginning(server, environment))
  if (begun && !('unknown' in begun)) {
    const slow = known.slow ?? boundOf(begun.buckets)
    const indicators = indicatorsOf(settings, slow)
    const { server: asked, site, labelled } = begun
    const first = await read(asked, site, indicators)
    const { way } = site
    const source = prometheusSource(asked, environment, { indicators, way, every: settings.every, clock })
    const notCovered = [...uncounted(indicators, first), ...(labelled ? [] : [UNMARKED])]
    return {
      source: withPods({ ...source, name: `Prometheus, ${way.says}` }, world, indicators),
      slow,
      notCovered,
    }
  }
  const heard = await hear(world)
  const slow = known.slow ?? boundOf('unknown' in heard ? [] : bucketsOf(heard, environment.app))
  const indicators = indicatorsOf(settings, slow)
  const first = 'unknown' in heard ? heard : snapshotOf(heard, indicators, environment.app)
  const notCovered = [...uncounted(indicators, first), ...unheard(heard)]
  const pods = podsSource(world, indicators)
  if (!begun) return { source: pods, slow, notCovered }
  notCovered.unshift(`${begun.unknown}; the pods' own /metrics are read as long as that is so`)
  if (!server || 'unknown' in server) return { source: pods, slow, notCovered }
  const late = prometheusSource(server, environment, { indicators, every: settings.every, clock })
  return { source: withPods(late, world, indicators), slow, notCovered }
}

/** Its address, with the token that a variable holds; undefined where there is none. */
export function serverOf(
  { signal }: Pick<World, 'signal'>,
  { prometheus: url, token: variable, every }: Pick<BakeSettings, 'prometheus' | 'token' | 'every'>,
): Server | Unknown | undefined {
  if (url === undefined) return undefined
  const token = variable === undefined ? undefined : process.env[variable]
  if (variable !== undefined && !token)
    return {
      unknown: `Prometheus cannot be asked: the environment variable ${variable} (bake.token) is not set`,
    }
  return { url, token, within: Math.max(SHORTEST, Math.min(WITHIN, every / 2)), signal }
}

async function beginning(server: Server | Unknown, owner: Owner) {
  if ('unknown' in server) return server
  const way = await findWay(server, owner)
  if ('unknown' in way) return way
  const { app, namespace, strategy } = owner
  const site = { app, namespace, strategy, way }
  const begun = await begin(server, site)
  return 'unknown' in begun ? begun : { server, site, ...begun }
}

/** The pods' own /metrics alone. */
function podsSource(world: World, indicators: readonly Indicator[]): Source {
  return {
    name: "the pods' own /metrics",
    look: async () => {
      const heard = await hear(world)
      return 'unknown' in heard ? heard : snapshotOf(heard, indicators, world.environment.app)
    },
    past: async () => ({}),
  }
}

/**
 * Prometheus, and the pods for each look at which it says nothing. What Prometheus had read before the pods were asked
 * would seem to be counters that began anew: until it has read all of them since, the pods are asked on.
 */
function withPods(prometheus: Source, world: World, indicators: readonly Indicator[]): Source {
  const pods = podsSource(world, indicators)
  let asked = Number.NEGATIVE_INFINITY
  return {
    ...prometheus,
    look: async () => {
      const found = await prometheus.look()
      if (!('unknown' in found) && found.at > asked) return found
      const own = await pods.look()
      if (!('unknown' in own)) asked = world.clock.now()
      else if ('unknown' in found) return { unknown: `${found.unknown}. ${own.unknown}` }
      return own
    },
  }
}

const UNMARKED =
  'No request is marked as a check of a deployment (label verification="true"): such checks count among users’ requests'

/** Indicators of which no pod says anything. */
function uncounted(indicators: readonly Indicator[], first: Pick<Snapshot, 'pods'> | Unknown): string[] {
  if ('unknown' in first) return [first.unknown]
  return indicators.flatMap(({ name, title }) =>
    first.pods.some(({ counters }) => counters[name])
      ? []
      : [`Whether ${title} (${name}): no pod counts that`],
  )
}

function unheard(heard: Heard | Unknown): string[] {
  if ('unknown' in heard) return []
  const { silent, left, told } = heard
  const marked = told.some(({ samples }) => samples.some(({ labels }) => labels['verification'] === 'true'))
  return [
    ...silent,
    ...(left > 0 ? [`${left} of ${left + told.length + silent.length} pods: so many are not asked`] : []),
    ...(marked ? [] : [UNMARKED]),
    'What was normal before: nothing is kept without Prometheus',
  ]
}
