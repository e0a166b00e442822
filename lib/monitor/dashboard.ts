/**
 * A Grafana dashboard in the classic form, which every Grafana imports: blue beside green in each panel, deployments as
 * annotations, and how fast the objectives' budgets are used up.
 */
import type * as common from '@grafana/grafana-foundation-sdk/common'
import type * as grafana from '@grafana/grafana-foundation-sdk/dashboard'
import type * as prometheus from '@grafana/grafana-foundation-sdk/prometheus'
import type * as timeseries from '@grafana/grafana-foundation-sdk/timeseries'
import { colors } from '../app/color.ts'
import { fill, metrics, records, type Metric, type MetricName } from './metrics.ts'
import { burns, objectives, recorded } from './rules.ts'

/** What JSON has of one of Grafana's types: the values of its enumerations, and no methods. */
type Plain<T> = 0 extends 1 & T
  ? unknown
  : T extends string
    ? `${T}`
    : T extends number
      ? number
      : T extends (infer Item)[]
        ? Plain<Item>[]
        : T extends object
          ? { [K in keyof T as T[K] extends (...all: never[]) => unknown ? never : K]: Plain<T[K]> }
          : T

type Panel = Plain<grafana.Panel>

const rows: { title: string; panels: MetricName[] }[] = [
  { title: 'What users meet', panels: ['requests', 'errors', 'slow', 'p50', 'p90', 'p99'] },
  { title: 'What they do', panels: ['activeUsers', 'conversations', 'messages'] },
  {
    title: 'Database',
    panels: ['databaseConnections', 'databaseOperations', 'databaseP99', 'databasePool', 'databaseErrors'],
  },
  { title: 'Resources', panels: ['cpu', 'memory', 'memoryOfLimit', 'network'] },
  { title: 'Pods', panels: ['ready', 'wanted', 'restarts'] },
]

const PANELS_A_ROW = 3
const WIDTH = 24 / PANELS_A_ROW
const HEIGHT = 7

const datasource = { type: 'prometheus', uid: '${datasource}' }

/** The dashboard of an app; the namespace is chosen in it. */
export function dashboardOf(app: string): Plain<grafana.Dashboard> {
  const place = { app, namespace: '$namespace', color: '$color' }
  return {
    id: null,
    uid: `${app}-colors`.slice(0, 40),
    title: `${app}: blue and green`,
    tags: [app, 'deployment'],
    timezone: 'browser',
    editable: true,
    graphTooltip: 1, // one crosshair in all panels
    time: { from: 'now-3h', to: 'now' },
    refresh: '30s',
    schemaVersion: 39,
    templating: { list: variables(app) },
    annotations: { list: [deployments(app)] },
    panels: laidOut([
      ...rows.map(({ title, panels }) => ({
        title,
        panels: panels.map((name) => panel(metrics[name], fill(metrics[name].query, place))),
      })),
      { title: 'Objectives: how many times faster than allowed', panels: burnPanels(app) },
    ]),
  }
}

/** Rows of panels, one below the other, each with a number of its own. */
function laidOut(all: { title: string; panels: Panel[] }[]): (Panel | Plain<grafana.RowPanel>)[] {
  let y = 0
  let id = 1
  return all.flatMap(({ title, panels }) => {
    const top = y + 1
    const row = {
      type: 'row',
      id: id++,
      title,
      collapsed: false,
      panels: [],
      gridPos: { x: 0, y, w: 24, h: 1 },
    } as const
    y = top + Math.ceil(panels.length / PANELS_A_ROW) * HEIGHT
    return [
      row,
      ...panels.map((panel, index) => ({
        ...panel,
        id: id++,
        gridPos: {
          x: (index % PANELS_A_ROW) * WIDTH,
          y: top + Math.floor(index / PANELS_A_ROW) * HEIGHT,
          w: WIDTH,
          h: HEIGHT,
        },
      })),
    ]
  })
}

function panel({ title, unit }: Pick<Metric, 'title' | 'unit'>, expr: string, ...limits: number[]): Panel {
  const target: Plain<prometheus.Dataquery> = { refId: 'A', datasource, expr, legendFormat: '{{color}}' }
  const options: Plain<timeseries.Options> = {
    legend: { displayMode: 'list', placement: 'bottom', showLegend: true, calcs: [] },
    tooltip: { mode: 'multi', sort: 'none' },
  }
  const custom: Plain<common.GraphFieldConfig> = {
    lineWidth: 2,
    fillOpacity: 0,
    spanNulls: false,
    ...(limits.length > 0 && { thresholdsStyle: { mode: 'line' } }),
  }
  const steps = [{ color: 'transparent', value: null }, ...limits.map((value) => ({ color: 'red', value }))]
  return {
    type: 'timeseries',
    title,
    datasource,
    targets: [target],
    options,
    fieldConfig: {
      defaults: {
        unit,
        min: 0,
        custom,
        ...(limits.length > 0 && { thresholds: { mode: 'absolute', steps } }),
      },
      overrides: colors.map((color) => ({
        matcher: { id: 'byName', options: color },
        properties: [{ id: 'color', value: { mode: 'fixed', fixedColor: color } }],
      })),
    },
  }
}

function burnPanels(app: string): Panel[] {
  return (['errors', 'slow'] as const).flatMap((name) =>
    burns.map(({ long, factor }) =>
      panel(
        { title: `${objectives[name].name} budget, over ${long} (alarm at ${factor})`, unit: 'short' },
        `${recorded(name, long)}{app="${app}",namespace="$namespace",color=~"$color"} / ${objectives[name].budget}`,
        factor,
      ),
    ),
  )
}

/** A line for each deployment, rollback and switch, at the time when its record was opened. */
function deployments(app: string): Plain<grafana.AnnotationQuery> {
  const { created, all, outcome } = records
  return {
    name: 'Deployments',
    datasource,
    enable: true,
    iconColor: 'purple',
    expr: fill(`${created} * on (namespace, configmap) group_left (${outcome}) ${all} * 1000`, {
      app,
      namespace: '$namespace',
      color: '',
    }),
    step: '60s',
    useValueForTime: true,
    titleFormat: '{{configmap}}',
    textFormat: `{{${outcome}}}`,
    tagKeys: outcome,
  }
}

function variables(app: string): Plain<grafana.VariableModel>[] {
  const options = colors.map((color) => ({ text: color, value: color, selected: true }))
  return [
    { type: 'datasource', name: 'datasource', label: 'Prometheus', query: 'prometheus' },
    {
      type: 'query',
      name: 'namespace',
      label: 'Namespace',
      datasource,
      query: `label_values(up{app="${app}"}, namespace)`,
      refresh: 2, // when the time range changes
      sort: 1,
    },
    {
      type: 'custom',
      name: 'color',
      label: 'Color',
      query: colors.join(','),
      multi: true,
      includeAll: false,
      options,
      current: { text: [...colors], value: [...colors] },
    },
  ]
}
