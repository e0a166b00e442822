/** What Prometheus is asked of each pod, as one query, and what its answer means. Pure. */
import type { Color, Place } from '../app/color.ts'
import type { Count } from './judge.ts'
import { connections, countOf, gauges, partOf, type Indicator } from './indicators.ts'
import { app, bothColors, fill, type Query } from './metrics.ts'
import type { Sample } from './prometheus.ts'
import type { IndicatorName, PodFigures, Unknown } from './source.ts'

/** How series tell what color they are of. */
export interface Way {
  /** `by the label color` */
  says: string
  /** In a selector, in the place of the usual ones. */
  matchers: string
  /** The label that names the color; without one, the pod's name does. */
  label?: 'color' | 'label_color'
}

const namespace = 'namespace="{{namespace}}"'

/** In the order in which they are tried; an app without colors is told by its name alone. */
export function waysOf(strategy: 'blue-green' | 'rolling'): Way[] {
  if (strategy === 'rolling')
    return [
      { says: 'by the label app', matchers: `${namespace},app="{{app}}",color=""` },
      { says: "by their pods' names", matchers: `${namespace},pod=~"{{app}}-[a-z0-9]+-[a-z0-9]{5}"` },
    ]
  return [
    { says: 'by the label color', matchers: app, label: 'color' },
    {
      says: 'by the label label_color',
      matchers: `${namespace},app="{{app}}",label_color=~"{{color}}"`,
      label: 'label_color',
    },
    { says: "by their pods' names", matchers: `${namespace},pod=~"{{app}}-({{color}})-.+"` },
  ]
}

/** Where it is looked: one color, or both where none is named. */
export interface Site {
  app: string
  namespace: string
  way: Way
  color?: Place
}

/** A query of the table, or of deploy.yaml, as it is asked there. */
export function asked({ app: name, namespace: space, way, color }: Site, query: Query): string {
  const colors = color === undefined || color === 'plain' ? bothColors : color
  return fill(query.replaceAll(app, way.matchers), { app: name, namespace: space, color: colors })
}

/** Any of these is there as soon as a pod is read at all. */
const usual = [
  gauges.startTime,
  'http_request_duration_seconds_count',
  'db_client_operation_duration_seconds_count',
]

const figure = (query: Query, name: string): Query => `label_replace(${query}, "figure", "${name}", "", "")`

/** How many series each way finds, as `figure` says its index. */
export const whichWay = (ways: readonly Way[], site: Omit<Site, 'way'>): string =>
  ways
    .map((way, index) =>
      figure(asked({ ...site, way }, `count({__name__=~"${usual.join('|')}",${app}})`), String(index)),
    )
    .join(' or ')

/** What tells one reader of a pod from another: counted twice, each request would count as two. */
const READERS = 'job, instance, prometheus, prometheus_replica, replica, receive, tenant_id, cluster'

/** All figures of all pods; each is a series of its own with a label `figure`. */
export function figuresQuery(indicators: readonly Indicator[], site: Site): string {
  const { label } = site.way
  const by = `by (pod${label === undefined ? '' : `, ${label}`})`
  const grouped = `by (pod${label === undefined ? '' : `, ${label}`}, ${READERS})`
  const single = (query: Query): Query => `(sum ${by} (${query}) unless (count ${by} (${query}) > 1))`
  const limits = `kube_pod_container_resource_limits{${namespace},pod=~"{{app}}-.+",resource="memory"}`
  const limit = `(sum by (pod) (${limits}) unless (count by (pod) (${limits}) > 1))`
  const parts: [string, Query][] = [
    ['now', 'vector(time())'],
    ...indicators.flatMap(({ name, share }): [string, Query][] => {
      const { kind, query } = partOf(share)
      return [
        [`${name}/all`, `sum ${by} (${share.all})`],
        [`${name}/${kind}`, `sum ${by} (${query})`],
        [`${name}/at`, `max ${by} (timestamp(${share.all}))`],
        [`${name}/readers`, `count ${by} (count ${grouped} (${share.all}))`],
      ]
    }),
    ...Object.entries(gauges).map(([name, metric]): [string, Query] => [
      `gauge/${name}`,
      single(`${metric}{${app}}`),
    ]),
    ['start/at', `max ${by} (timestamp(${gauges.startTime}{${app}}))`],
    ['gauge/databaseConnections', `sum ${by} (${connections.name}{${app},${connections.matcher}})`],
    ['gauge/memoryLimit', limit],
  ]
  return parts.map(([name, query]) => figure(asked(site, query), name)).join(' or ')
}

export interface Figures {
  /** s since 1970, by the server's clock. */
  now: number
  pods: PodFigures[]
  /** When each pod was read last, in s. */
  read: Map<string, number>
}

/** More than a deployment has: it is another app's series that were found, too. */
const MOST_PODS = 1000

/** What has not been read for so long is of a pod that has gone, in s: of what is pushed nobody says so. */
const GONE = 90

/** Each pod with what it counts. What is not exactly what was asked for is unknown, with the reason. */
export function figuresOf(
  samples: readonly Sample[],
  indicators: readonly Indicator[],
  { app: name, way }: Site,
): Figures | Unknown {
  const own = new Map<string, { color?: Place; values: Map<string, number> }>()
  let now = Number.NaN
  for (const { labels, value } of samples) {
    const { figure: what, pod, ...rest } = labels
    if (what === undefined || Object.keys(rest).some((label) => label !== way.label))
      return unknown(`gave a series that was not asked for: ${JSON.stringify(labels).slice(0, 100)}`)
    if (!Number.isFinite(value) || value < 0)
      return unknown(`counts ${value} as ${what} of ${pod ?? 'no pod'}`)
    if (what === 'now') now = value
    else if (pod === undefined || pod === '') return unknown(`has ${what} without the label "pod"`)
    else {
      const known = own.get(pod) ?? { values: new Map<string, number>() }
      const color = placeOf(name, pod, rest, way)
      if (known.values.has(what) || (color && known.color && color !== known.color))
        return unknown(`has several series for ${what} of ${pod}, where one is expected`)
      known.values.set(what, value)
      own.set(pod, { ...known, ...(color && { color }) })
    }
  }
  if (Number.isNaN(now)) return unknown('does not say what time it is')
  if (own.size > MOST_PODS) return unknown(`tells of ${own.size.toLocaleString('en')} pods`)
  return gathered(own, indicators, now)
}

function gathered(
  own: ReadonlyMap<string, { color?: Place; values: Map<string, number> }>,
  indicators: readonly Indicator[],
  now: number,
): Figures | Unknown {
  const counted = indicators.filter(({ name }) =>
    [...own.values()].some(({ values }) => values.has(`${name}/all`)),
  )
  const found: Figures = { now, pods: [], read: new Map() }
  for (const [pod, { color, values }] of own) {
    const read = [...values].flatMap(([what, value]) => (what.endsWith('/at') ? value : []))
    const last = Math.max(...read)
    if (color === undefined || read.length === 0 || now - last > GONE) continue
    const readers = [...values].find(([what, value]) => what.endsWith('/readers') && value > 1)
    if (readers)
      return unknown(`has the counters of ${pod} from ${readers[1]} readers, where one is expected`)
    found.read.set(pod, last)
    found.pods.push({ pod, color, counters: countersOf(counted, values), gauges: gaugesOf(values) })
  }
  return found
}

function countersOf(
  counted: readonly Indicator[],
  values: ReadonlyMap<string, number>,
): Record<IndicatorName, Count> {
  return Object.fromEntries(
    counted.flatMap(({ name, share }): [string, Count][] => {
      const { kind } = partOf(share)
      const count = countOf(kind, values.get(`${name}/all`), values.get(`${name}/${kind}`))
      return count ? [[name, count]] : []
    }),
  )
}

const gaugesOf = (values: ReadonlyMap<string, number>): Record<string, number> =>
  Object.fromEntries(
    [...values].flatMap(([what, value]) => {
      const [kind, name = ''] = what.split('/')
      return kind === 'gauge' ? [[name, value]] : []
    }),
  )

const isColor = (text: string | undefined): text is Color => text === 'blue' || text === 'green'

/** By the label, where there is one; kube-state-metrics has none, and where the label is expected its series say nothing. */
function placeOf(
  name: string,
  pod: string,
  labels: Record<string, string>,
  { label }: Way,
): Place | undefined {
  if (label !== undefined) {
    const color = labels[label]
    return isColor(color) ? color : undefined
  }
  const color = pod.startsWith(`${name}-`) ? pod.slice(name.length + 1).split('-')[0] : undefined
  return isColor(color) ? color : 'plain'
}

const unknown = (what: string): Unknown => ({ unknown: `Prometheus ${what}` })
