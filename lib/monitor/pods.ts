/**
 * The pods' own /metrics, by way of the API server, for who has no Prometheus and for when there is none. A selector of
 * deploy.yaml is applied to them as Prometheus would, with the labels that its configuration gives to each pod.
 */
import type { Place } from '../app/color.ts'
import { quantity } from '../app/quantity.ts'
import { get, getFromPod } from '../cluster/commands.ts'
import { isActive, pod as podForm, type Pod } from '../cluster/objects.ts'
import { refusalOf } from '../cluster/refusal.ts'
import type { World } from '../cluster/world.ts'
import { sentence } from '../errors.ts'
import { plain } from '../text.ts'
import { parseSelector, type Selector } from '../settings/selector.ts'
import { parseExposition } from './exposition.ts'
import { connections, countOf, gauges, partOf, type Indicator } from './indicators.ts'
import type { Count } from './judge.ts'
import { bothColors, fill, requestBuckets } from './metrics.ts'
import type { Sample } from './prometheus.ts'
import type { IndicatorName, PodFigures, Snapshot, Unknown } from './source.ts'

/** As many of each color are read: a bake may take 2 % of a core, and where its proxy does not run each is a kubectl. */
const MOST_OF_A_COLOR = 3
const AT_ONCE = 4

/** For all pods together, and for one of them; in ms. */
const WITHIN = 10_000
const WITHIN_OF_A_POD = 5_000

/** A pod and what it said of itself. */
export interface Told {
  pod: Pod
  color: Place
  samples: Sample[]
}

export interface Heard {
  /** Before the first was asked: whatever is counted had been counted then, or later. */
  at: number
  told: Told[]
  /** Pods that said nothing that can be read, with the reason. */
  silent: string[]
  /** Pods of a color that are left out, where there are more than are asked. */
  left: number
}

/** Asks pods of each color what they count. Unknown where not one has said it. */
export async function hear(world: World): Promise<Heard | Unknown> {
  const { clock } = world
  const at = clock.now()
  const deadline = clock.monotonic() + WITHIN
  const running = await runningPods(world)
  if ('unknown' in running) return running
  const asked = [...Map.groupBy(running, colorOf).values()].flatMap((own) => own.slice(0, MOST_OF_A_COLOR))
  const queue = [...asked]
  const heard: Heard = { at, told: [], silent: [], left: running.length - asked.length }
  const one = async (): Promise<void> => {
    for (let pod = queue.shift(); pod; pod = queue.shift()) {
      const samples = await samplesOf(world, pod, deadline - clock.monotonic())
      if ('problem' in samples) heard.silent.push(samples.problem)
      else heard.told.push({ pod, color: colorOf(pod), samples })
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, one))
  const [why = ''] = heard.silent
  return heard.told.length > 0 ? heard : { unknown: why }
}

/** In the order of their names. */
async function runningPods({ environment, kubectl, signal }: World): Promise<Pod[] | Unknown> {
  try {
    const command = get(['pods'], `--selector=app=${environment.app}`)
    const pods = await kubectl.objects(command, podForm, { timeout: WITHIN_OF_A_POD })
    const running = pods.filter((pod) => isActive(pod) && pod.status.phase === 'Running')
    if (running.length === 0) return { unknown: 'No pod of the app is running' }
    return running.toSorted((a, b) => a.metadata.name.localeCompare(b.metadata.name))
  } catch (error) {
    signal.throwIfAborted()
    return { unknown: `The pods cannot be listed: ${plain(sentence(error), 200)}` }
  }
}

const colorOf = ({ metadata: { labels } }: Pod): Place =>
  labels['color'] === 'blue' || labels['color'] === 'green' ? labels['color'] : 'plain'

async function samplesOf(
  { environment: { bake, app }, kubectl, signal }: World,
  pod: Pod,
  left: number,
): Promise<Sample[] | { problem: string }> {
  const { name, namespace = kubectl.scope.namespace, labels } = pod.metadata
  const { path, port = portOf(pod) } = bake === false ? { path: '/metrics' } : bake.metrics
  if (port === undefined)
    return { problem: `Pod ${name} names no port that its metrics could be at: bake.metrics.port` }
  if (left <= 0) return { problem: `Pod ${name} was not asked in time` }
  const timeout = Math.min(left, WITHIN_OF_A_POD)
  const output = await kubectl.ask(getFromPod(namespace, name, port, path), { timeout })
  signal.throwIfAborted()
  if (output.exitCode === 124) return { problem: `Pod ${name} says nothing at :${port}${path} in time` }
  if (refusalOf(output) === 'Forbidden')
    return {
      problem: `These credentials may not get pods/proxy in ${namespace}, by which pods' metrics are read: k8s/rbac grants it`,
    }
  if (output.exitCode !== 0)
    return { problem: `Pod ${name} has no metrics at :${port}${path}: ${plain(output.stderr, 200)}` }
  const samples = parseExposition(output.stdout)
  if ('problem' in samples) return { problem: `What pod ${name} has at :${port}${path} ${samples.problem}` }
  // As Prometheus has it: what it knows of the target holds, whatever the process says.
  const own = { namespace, app, pod: name, color: labels['color'] ?? '', label_color: labels['color'] ?? '' }
  return samples.map((sample) => ({ ...sample, labels: { ...sample.labels, ...own } }))
}

/** Where Prometheus is told to look; else a port of that name; else the first. */
function portOf({ metadata, spec }: Pod): number | undefined {
  const annotated = Number(metadata.annotations['prometheus.io/port'] ?? '')
  if (Number.isInteger(annotated) && annotated > 0) return annotated
  const ports = spec.containers.flatMap((container) => container.ports)
  return (ports.find(({ name }) => name === 'metrics') ?? ports[0])?.containerPort
}

/** What they count, by the same selectors. Pure. */
export function snapshotOf({ at, told }: Heard, indicators: readonly Indicator[], app: string): Snapshot {
  const read = indicators.flatMap(({ name, share }) => {
    const { kind, query } = partOf(share)
    return [{ name, kind, all: selected(share.all, app, told), part: selected(query, app, told) }]
  })
  // Of all, none is zero only where another pod counts it.
  const counted = read.filter(({ all }) => all.some((sum) => sum !== undefined))
  const pods = told.map(({ pod, color, samples }, index): PodFigures => {
    const counters = counted.flatMap(({ name, kind, all, part }): [IndicatorName, Count][] => {
      const count = countOf(kind, all[index], part[index])
      return count ? [[name, count]] : []
    })
    return {
      pod: pod.metadata.name,
      color,
      counters: Object.fromEntries(counters),
      gauges: { ...gaugesOf(samples), ...memoryLimit(pod) },
    }
  })
  return { at, pods }
}

/** How many of users' requests took no longer than each bound, since each pod began. */
export const bucketsOf = ({ told }: Heard, app: string): Sample[] =>
  told.flatMap((one) => {
    const selector = selectorOf(requestBuckets, app, one)
    return selector ? one.samples.filter(({ labels }) => selector(labels)) : []
  })

/** The sum of what a selector finds in each pod; undefined where that is nothing, and for what is no selector. */
function selected(query: string, app: string, told: readonly Told[]): (number | undefined)[] {
  return told.map((one) => {
    const selector = selectorOf(query, app, one)
    return selector && sumOf(one.samples, selector)
  })
}

/** A pod without a color is matched, too: each is asked for its own. */
const selectorOf = (query: string, app: string, { samples }: Told): Selector | undefined =>
  parseSelector(
    fill(query, { app, namespace: samples[0]?.labels['namespace'] ?? '', color: `${bothColors}|` }),
  )

function sumOf(samples: readonly Sample[], selector: Selector): number | undefined {
  const found = samples.filter(({ labels }) => selector(labels))
  const sum = found.reduce((all, { value }) => all + value, 0)
  return found.length > 0 ? sum : undefined
}

function gaugesOf(samples: readonly Sample[]): Record<string, number> {
  const single = Object.entries(gauges).flatMap(([name, metric]) => {
    const [one, ...more] = samples.filter(({ labels }) => labels['__name__'] === metric)
    return one && more.length === 0 && Number.isFinite(one.value) ? [[name, one.value] as const] : []
  })
  const used = parseSelector(`${connections.name}{${connections.matcher}}`)
  const open = used && sumOf(samples, used)
  return {
    ...Object.fromEntries(single),
    ...(open !== undefined && Number.isFinite(open) && { databaseConnections: open }),
  }
}

/** In bytes, of a pod with one container: of several nobody knows whose memory is meant. */
function memoryLimit({ spec: { containers } }: Pod): Record<string, number> {
  const [one, ...more] = containers
  const limit = one?.resources.limits['memory']
  return limit === undefined || more.length > 0 ? {} : { memoryLimit: quantity(limit) }
}
