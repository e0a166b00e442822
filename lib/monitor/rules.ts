/**
 * The rules that Prometheus evaluates for one environment: what it records for the objectives, and what it raises an
 * alarm for. They tell; they never move traffic. docs/monitoring-alerting-guide.md has a section for each alert.
 */
import {
  bothColors,
  fill,
  lockRenewed,
  metrics,
  records,
  requestsOver,
  scraped,
  shareOf,
  shares,
  type MetricName,
  type Place,
} from './metrics.ts'

export interface Alert {
  alert: string
  expr: string
  /** How long it must hold, in Prometheus' words. */
  for: string
  labels: { severity: 'critical' | 'warning' } & Record<string, string>
  annotations: { summary: string; runbook_url: string }
}

export interface Recording {
  record: string
  expr: string
  labels: Record<string, string>
}

export interface Group {
  name: string
  rules: (Recording | Alert)[]
}

/** What users are promised: the share of a month's requests that may break it. */
export const objectives = {
  errors: { name: 'Error', budget: 0.001, says: 'fail' },
  slow: { name: 'Latency', budget: 0.01, says: 'are slow' },
} as const

type Objective = keyof typeof objectives

/**
 * How many times faster than allowed the budget is used up, in a long window and still in a short one, so that an alarm
 * ends soon after its cause (Google's SRE Workbook, chapter 5).
 */
export const burns = [
  { name: 'Fast', factor: 14.4, long: '1h', short: '5m', for: '1m', severity: 'critical' },
  { name: '', factor: 6, long: '6h', short: '30m', for: '5m', severity: 'critical' },
  { name: 'Slow', factor: 1, long: '3d', short: '6h', for: '1h', severity: 'warning' },
] as const

/** Fewer bad requests than this in the long window raise no alarm: at night one request of ten is 10 %. */
const FEWEST = 10

const seconds = { '1h': 3600, '6h': 21_600, '3d': 259_200 }

const windows = [...new Set(burns.flatMap(({ long, short }) => [short, long]))]

export const recorded = (name: string, window: string): string => `color:${name}:ratio_rate${window}`

/** @param runbooks where docs/monitoring-alerting-guide.md can be read */
export function rulesOf(place: Omit<Place, 'color'>, runbooks: string): Group[] {
  const whole = { ...place, color: bothColors }
  const labels = { app: place.app, namespace: place.namespace }
  const recordings = [
    ...windows.flatMap((window) =>
      (['errors', 'slow'] as const).map((name) => ({
        record: recorded(name, window),
        expr: shareOf(shares[name], window),
      })),
    ),
    ...burns.map(({ long }) => ({ record: `color:requests:rate${long}`, expr: requestsOver(long) })),
  ]
  const alarm = ({ alert, expr, for: pending, summary, ...more }: Condition): Alert => ({
    alert,
    expr: fill(expr, whole),
    for: pending,
    labels: { ...labels, ...more },
    annotations: { summary, runbook_url: `${runbooks}#${alert.toLowerCase()}` },
  })
  return [
    {
      // Alarms and what they are made of in one group, which is evaluated in its order and at one time.
      name: `${place.app}-objectives`,
      rules: [
        ...recordings.map(({ record, expr }) => ({ record, expr: fill(expr, whole), labels })),
        ...(['errors', 'slow'] as const).flatMap(burning).map(alarm),
      ],
    },
    { name: `${place.app}-conditions`, rules: conditions.map(alarm) },
  ]
}

interface Condition {
  alert: string
  expr: string
  for: string
  severity: 'critical' | 'warning'
  summary: string
  /** Of deployments rather than of what users meet: told as their status is. */
  topic?: 'deployment'
  /** Alarms of one objective: the more urgent one is enough. */
  objective?: Objective
}

/** What must all hold, for the labels of the first. */
const all = (...conditions: string[]): string => conditions.join('\nand ')

function burning(objective: Objective): Condition[] {
  const { name, budget, says } = objectives[objective]
  const place = '{app="{{app}}",namespace="{{namespace}}"}'
  return burns.map(({ name: speed, factor, long, short, for: pending, severity }) => {
    const limit = Number((factor * budget).toPrecision(6))
    const over = (window: string): string => `${recorded(objective, window)}${place}`
    return {
      alert: `${name}BudgetBurn${speed}`,
      expr: all(
        `${over(long)} > ${limit}`,
        `${over(short)} > ${limit}`,
        `${over(long)} * color:requests:rate${long}${place} * ${seconds[long]} >= ${FEWEST}`,
      ),
      for: pending,
      severity,
      objective,
      summary: `{{ $value | humanizePercentage }} of the requests to {{ $labels.color }} ${says}, over ${long} and still in the last ${short}`,
    }
  })
}

const query = (name: MetricName): string => metrics[name].query

const conditions: Condition[] = [
  {
    alert: 'NoTraffic',
    expr: all(
      `sum(${requestsOver('10m')}) == 0`,
      `sum(${requestsOver('1h').replace('[1h]', '[1h] offset 10m')}) > 0.1`,
    ),
    for: '5m',
    severity: 'critical',
    summary: 'No request of a user has come for 10 minutes; in the hour before there were some',
  },
  {
    alert: 'NoPodReady',
    // Which color is live the cluster does not tell Prometheus; where most users were, at some time, it knows.
    expr: all(
      `${query('ready')} == 0`,
      `${query('wanted')} > 0`,
      `count_over_time((${query('requests')} > ignoring (color) group_left 0.5 * sum(${query('requests')}))[30m:1m]) > 0`,
    ),
    for: '1m',
    severity: 'critical',
    summary: 'No pod of {{ $labels.color }} is ready, and there users were in the last half hour',
  },
  {
    alert: 'PodsNotReady',
    expr: `${query('wanted')} - ${query('ready')} > 0`,
    for: '15m',
    severity: 'warning',
    summary: '{{ $value }} pods of {{ $labels.color }} have not been ready for 15 minutes',
  },
  {
    alert: 'PodsRestarting',
    expr: `${query('restarts')} >= 3`,
    for: '1m',
    severity: 'warning',
    summary: 'Containers of {{ $labels.color }} were restarted {{ $value | humanize }} times in 15 minutes',
  },
  {
    alert: 'MemoryNearLimit',
    expr: `${query('memoryOfLimit')} > 0.9`,
    for: '10m',
    severity: 'warning',
    summary: 'A container of {{ $labels.color }} uses {{ $value | humanizePercentage }} of its memory limit',
  },
  {
    alert: 'DatabaseFailing',
    expr: `${query('databaseErrors')} > 0.05`,
    for: '2m',
    severity: 'critical',
    summary: '{{ $value | humanizePercentage }} of the database operations of {{ $labels.color }} fail',
  },
  {
    alert: 'DatabaseSlow',
    expr: `${query('databaseP99')} > 0.5`,
    for: '10m',
    severity: 'warning',
    summary:
      'One in a hundred database operations of {{ $labels.color }} takes {{ $value | humanizeDuration }} or more',
  },
  {
    alert: 'DatabaseConnectionsUsedUp',
    expr: `${query('databasePool')} > 0.9`,
    for: '5m',
    severity: 'warning',
    summary:
      '{{ $labels.color }} uses {{ $value | humanizePercentage }} of the database connections it may open',
  },
  {
    alert: 'MetricsMissing',
    expr: `${query('ready')} > 0 unless on (color) ${scraped} > 0`,
    for: '5m',
    severity: 'warning',
    summary:
      'Pods of {{ $labels.color }} are ready, and Prometheus has no metrics of them: no other alarm can be raised',
  },
  {
    alert: 'DeploymentAbandoned',
    // By the renewals that Prometheus sees, and not by the time that they name: that is another machine's clock.
    expr: `${records.open} and on () max(changes(${lockRenewed}[5m])) == 0`,
    for: '2m',
    severity: 'warning',
    topic: 'deployment',
    summary:
      'The record {{ $labels.configmap }} is open, and nobody has renewed the lock for 5 minutes: its run has ended without a word',
  },
]
