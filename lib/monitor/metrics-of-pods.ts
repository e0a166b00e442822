/** The table's metrics from what pods said at two moments, as Prometheus would reckon them. Pure. */
import type { Place } from '../app/color.ts'
import { parseSelector } from '../settings/selector.ts'
import {
  bothColors,
  fill,
  requestBuckets,
  shares,
  slowerThan,
  SLOW,
  type MetricName,
  type Share,
} from './metrics.ts'
import { partOf } from './indicators.ts'
import { snapshotOf, type Heard, type Told } from './pods.ts'
import type { Sample } from './prometheus.ts'

export type Values = Partial<Record<MetricName, Partial<Record<Place, number>>>>

export function metricsOf(
  before: Heard,
  now: Heard,
  { app, places }: { app: string; places: readonly Place[] },
): Values {
  const values: Values = {}
  for (const place of places) {
    const own = { before: of(before, place), now: of(now, place), seconds: (now.at - before.at) / 1000, app }
    for (const [name, reckon] of reckoned) {
      const value = own.now.length > 0 ? reckon(own) : undefined
      if (value !== undefined && Number.isFinite(value)) values[name] = { ...values[name], [place]: value }
    }
  }
  return values
}

interface Own {
  before: Told[]
  now: Told[]
  seconds: number
  app: string
}

const of = ({ told }: Heard, place: Place): Told[] => told.filter(({ color }) => color === place)

/** What only the nodes count (network) is not among them. */
const reckoned: [MetricName, (own: Own) => number | undefined][] = [
  ['requests', (own) => rate(own, shares.errors.all)],
  ['errors', (own) => share(own, shares.errors)],
  ['slow', (own) => share(own, slowerThan(SLOW))],
  ['p50', (own) => quantile(own, 0.5, requestBuckets)],
  ['p90', (own) => quantile(own, 0.9, requestBuckets)],
  ['p99', (own) => quantile(own, 0.99, requestBuckets)],
  ['activeUsers', (own) => sum(own, 'chatbot_active_users')],
  ['conversations', (own) => rate(own, 'chatbot_conversations_started_total')],
  ['messages', (own) => rate(own, 'chatbot_messages_total')],
  ['databaseConnections', (own) => sum(own, USED)],
  ['databasePool', (own) => ratio(sum(own, USED), sum(own, 'db_client_connection_max'))],
  ['databaseOperations', (own) => rate(own, shares.databaseErrors.all)],
  ['databaseErrors', (own) => share(own, shares.databaseErrors)],
  ['databaseP99', (own) => quantile(own, 0.99, 'db_client_operation_duration_seconds_bucket')],
  ['cpu', (own) => rate(own, 'process_cpu_seconds_total')],
  ['memory', ({ now }) => most(now.flatMap((told) => memoryOf(told).memory ?? []))],
  [
    'memoryOfLimit',
    ({ now }) =>
      most(
        now.flatMap((told) => {
          const { memory, memoryLimit } = memoryOf(told)
          return ratio(memory, memoryLimit) ?? []
        }),
      ),
  ],
]

const USED = 'db_client_connection_count{state="used"}'

const memoryOf = (told: Told): Record<string, number | undefined> =>
  snapshotOf({ at: 0, told: [told], silent: [], left: 0 }, [], '').pods[0]?.gauges ?? {}

const most = (values: readonly number[]): number | undefined =>
  values.length > 0 ? Math.max(...values) : undefined

const ratio = (part: number | undefined, all: number | undefined): number | undefined =>
  part === undefined || all === undefined || !(all > 0) ? undefined : part / all

/** Of one pod. */
function selected({ samples }: Told, query: string, app: string): Sample[] {
  const namespace = samples[0]?.labels['namespace'] ?? ''
  const selector = parseSelector(fill(query, { app, namespace, color: `${bothColors}|` }))
  return selector ? samples.filter(({ labels }) => selector(labels)) : []
}

const total = (samples: readonly Sample[]): number => samples.reduce((all, { value }) => all + value, 0)

function sum({ now, app }: Own, query: string): number | undefined {
  const found = now.flatMap((told) => selected(told, query, app))
  return found.length > 0 ? total(found) : undefined
}

/** How much each series has grown, of the pods that were there before; a counter that is lower began anew. */
function grown({ before, now, app }: Own, query: string): Sample[] {
  return now.flatMap((told) => {
    const old = before.find(({ pod }) => pod.metadata.uid === told.pod.metadata.uid)
    if (!old) return []
    const known = new Map(
      selected(old, query, app).map(({ labels, value }) => [JSON.stringify(labels), value]),
    )
    return selected(told, query, app).map(({ labels, value }) => {
      const last = known.get(JSON.stringify(labels)) ?? 0
      return { labels, value: value < last ? value : value - last }
    })
  })
}

function rate(own: Own, query: string): number | undefined {
  const found = grown(own, query)
  return found.length > 0 ? total(found) / own.seconds : undefined
}

function share(own: Own, one: Share): number | undefined {
  const { kind, query } = partOf(one)
  const all = total(grown(own, one.all))
  const part = grown(own, query)
  if (kind === 'good') return part.length > 0 ? ratio(Math.max(0, all - total(part)), all) : undefined
  return ratio(total(part), all)
}

/** As Prometheus' histogram_quantile does: between two bounds in a straight line, and no further than the last of them. */
function quantile(own: Own, q: number, query: string): number | undefined {
  const counts = new Map<number, number>()
  for (const { labels, value } of grown(own, query)) {
    const bound = labels['le'] === '+Inf' ? Infinity : Number(labels['le'] ?? '')
    counts.set(bound, (counts.get(bound) ?? 0) + value)
  }
  const bounds = [...counts].toSorted(([a], [b]) => a - b)
  const all = counts.get(Infinity) ?? 0
  if (!(all > 0)) return undefined
  const index = bounds.findIndex(([, count]) => count >= q * all)
  const [[lower, below] = [0, 0], [upper, count] = [Infinity, all]] = [bounds[index - 1], bounds[index]]
  if (upper === Infinity) return lower
  return lower + ((upper - lower) * (q * all - below)) / (count - below)
}
