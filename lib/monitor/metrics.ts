/**
 * What is measured of a color, as one table: the alert rules, the dashboard and the default queries of a bake are made
 * of it. The names are those that the example gives to Prometheus, the usual ones of kube-state-metrics and cAdvisor,
 * and a label `color` on whatever an app says of itself (k8s/monitoring/prometheus.yaml).
 */
import { colors, key, names } from '../app/color.ts'

/** Where the queries look. */
export interface Place {
  app: string
  namespace: string
  /** A regular expression: one color, or both. */
  color: string
}

/** PromQL in which `{{app}}`, `{{namespace}}` and `{{color}}` stand for a place. */
export type Query = string

/** A share of all, by counters. The good ones are named where the bad ones have no counter of their own. */
export type Share = { all: Query } & ({ bad: Query } | { good: Query })

export interface Metric {
  title: string
  /** As Grafana names it. */
  unit: 'none' | 'bytes' | 'Bps' | 'reqps' | 'ops' | 'cps' | 's' | 'percentunit' | 'short'
  /** Which way is good, where either is. */
  good: 'low' | 'high' | 'neither'
  from: 'app' | 'cAdvisor' | 'kube-state-metrics'
  /** One series for each color, with the label `color`. */
  query: Query
  /**
   * For whoever judges by counts (a bake), instead of a rate that is taken over a window: the counters themselves, as
   * selectors.
   */
  share?: Share
}

export const bothColors = colors.join('|')

export function fill(query: Query, { app, namespace, color }: Place): string {
  return query
    .replaceAll('{{app}}', app)
    .replaceAll('{{namespace}}', namespace)
    .replaceAll('{{color}}', color)
}

/** How whatever an app says of itself is found, where its color is a label. */
export const app = 'namespace="{{namespace}}",app="{{app}}",color=~"{{color}}"'

/** Without probes, and without the checks of a deployment where the app tells them apart (X-Deploy-Verification). */
const users = `${app},route!~"/health|/ready",verification!="true"`

// What the cluster measures knows no color, but its names do.
const pods = 'namespace="{{namespace}}",pod=~"{{app}}-({{color}})-.+"'
const deployments = 'namespace="{{namespace}}",deployment=~"{{app}}-({{color}})"'

const byPod = (query: Query): Query =>
  `label_replace(${query}, "color", "$1", "pod", "{{app}}-({{color}})-.+")`
const byDeployment = (query: Query): Query =>
  `label_replace(${query}, "color", "$1", "deployment", "{{app}}-({{color}})")`

const rate = (counter: Query, window = '5m'): Query => `sum by (color) (rate(${counter}[${window}]))`

/**
 * No requests, no share: 0/0 is NaN, and a comparison with NaN says "all is well". No series of failures is a share of
 * 0 only where there are requests.
 */
export function shareOf(share: Share, window = '5m'): Query {
  const all = rate(share.all, window)
  if ('good' in share) return `1 - ${rate(share.good, window)} / (${all} > 0)`
  return `(${rate(share.bad, window)} or 0 * ${all}) / (${all} > 0)`
}

const quantile = (q: number, histogram: string, selector: string): Query =>
  `histogram_quantile(${q}, sum by (color, le) (rate(${histogram}_bucket{${selector}}[5m])))`

/** Above this a request is slow, in seconds: a bucket's bound, so that nothing is interpolated. */
export const SLOW = 0.5

const requests = `http_request_duration_seconds_count{${users}}`
/** With the bound of each bucket as `le`. */
export const requestBuckets: Query = `http_request_duration_seconds_bucket{${users}}`
const operations = `db_client_operation_duration_seconds_count{${app}}`

export const shares = {
  errors: { all: requests, bad: `http_request_duration_seconds_count{${users},status=~"5.."}` },
  slow: { all: requests, good: `http_request_duration_seconds_bucket{${users},le="${SLOW}"}` },
  databaseErrors: {
    all: operations,
    bad: `db_client_operation_duration_seconds_count{${app},error_type!=""}`,
  },
} satisfies Record<string, Share>

/**
 * Requests that took longer than a bucket's bound, in s: nothing is interpolated. OpenMetrics, and Prometheus from 3.0 on,
 * write a whole number with a fraction.
 */
export const slowerThan = (bound: number): Share => ({
  all: requests,
  good: `http_request_duration_seconds_bucket{${users},le=~"${bound}${Number.isInteger(bound) ? '(.0)?' : ''}"}`,
})

const latency = (q: number): Metric => ({
  title: `Latency, p${q * 100}`,
  unit: 's',
  good: 'low',
  from: 'app',
  query: quantile(q, 'http_request_duration_seconds', users),
})

export const metrics = {
  requests: { title: 'Requests', unit: 'reqps', good: 'neither', from: 'app', query: rate(requests) },
  errors: {
    title: 'Failed requests (5xx)',
    unit: 'percentunit',
    good: 'low',
    from: 'app',
    query: shareOf(shares.errors),
    share: shares.errors,
  },
  slow: {
    title: `Requests slower than ${SLOW * 1000} ms`,
    unit: 'percentunit',
    good: 'low',
    from: 'app',
    query: shareOf(shares.slow),
    share: shares.slow,
  },
  p50: latency(0.5),
  p90: latency(0.9),
  p99: latency(0.99),

  activeUsers: {
    title: 'Active users',
    unit: 'short',
    good: 'high',
    from: 'app',
    query: `sum by (color) (chatbot_active_users{${app}})`,
  },
  conversations: {
    title: 'Conversations started',
    unit: 'cps',
    good: 'high',
    from: 'app',
    query: rate(`chatbot_conversations_started_total{${app}}`),
  },
  messages: {
    title: 'Messages',
    unit: 'cps',
    good: 'high',
    from: 'app',
    query: rate(`chatbot_messages_total{${app}}`),
  },

  databaseConnections: {
    title: 'Database connections in use',
    unit: 'short',
    good: 'low',
    from: 'app',
    query: `sum by (color) (db_client_connection_count{${app},state="used"})`,
  },
  databasePool: {
    title: 'Database connections in use, of those allowed',
    unit: 'percentunit',
    good: 'low',
    from: 'app',
    query: `sum by (color) (db_client_connection_count{${app},state="used"}) / sum by (color) (db_client_connection_max{${app}})`,
  },
  databaseOperations: {
    title: 'Database operations',
    unit: 'ops',
    good: 'neither',
    from: 'app',
    query: rate(operations),
  },
  databaseErrors: {
    title: 'Failed database operations',
    unit: 'percentunit',
    good: 'low',
    from: 'app',
    query: shareOf(shares.databaseErrors),
    share: shares.databaseErrors,
  },
  databaseP99: {
    title: 'Database operations, p99',
    unit: 's',
    good: 'low',
    from: 'app',
    query: quantile(0.99, 'db_client_operation_duration_seconds', app),
  },

  cpu: {
    title: 'CPU, cores',
    unit: 'none',
    good: 'low',
    from: 'app',
    query: rate(`process_cpu_seconds_total{${app}}`),
  },
  memory: {
    title: 'Memory, the largest pod',
    unit: 'bytes',
    good: 'low',
    from: 'app',
    query: `max by (color) (process_resident_memory_bytes{${app}})`,
  },
  memoryOfLimit: {
    title: 'Memory of its limit, the fullest container',
    unit: 'percentunit',
    good: 'low',
    from: 'cAdvisor',
    // The pod as a whole, which cAdvisor counts too, has no limit and so no share of one.
    query: `max by (color) (${byPod(
      `max by (namespace, pod, container) (container_memory_working_set_bytes{${pods}}) / on (namespace, pod, container) max by (namespace, pod, container) (kube_pod_container_resource_limits{${pods},resource="memory"})`,
    )})`,
  },
  network: {
    title: 'Network, both ways',
    unit: 'Bps',
    good: 'neither',
    from: 'cAdvisor',
    query: `sum by (color) (${byPod(
      `rate(container_network_receive_bytes_total{${pods}}[5m]) + rate(container_network_transmit_bytes_total{${pods}}[5m])`,
    )})`,
  },

  ready: {
    title: 'Ready pods',
    unit: 'short',
    good: 'high',
    from: 'kube-state-metrics',
    query: `max by (color) (${byDeployment(`kube_deployment_status_replicas_ready{${deployments}}`)})`,
  },
  wanted: {
    title: 'Wanted pods',
    unit: 'short',
    good: 'neither',
    from: 'kube-state-metrics',
    query: `max by (color) (${byDeployment(`kube_deployment_spec_replicas{${deployments}}`)})`,
  },
  restarts: {
    title: 'Restarts in 15 minutes',
    unit: 'short',
    good: 'low',
    from: 'kube-state-metrics',
    query: `sum by (color) (${byPod(`increase(kube_pod_container_status_restarts_total{${pods}}[15m])`)})`,
  },
} satisfies Record<string, Metric>

export type MetricName = keyof typeof metrics

/** Pods of which Prometheus reads metrics. */
export const scraped: Query = `sum by (color) (up{${app}} == 1)`

/** Requests of users over another window than the table's, for the rules. */
export const requestsOver = (window: string): Query => rate(requests, window)

/** As kube-state-metrics writes a label's key. */
const label = (key: string): string => `label_${key.replaceAll(/\W/g, '_')}`

/** Each deployment's record, 1; the outcome is a label. */
export const records = {
  all: `max by (namespace, configmap, ${label(key.outcome)}) (kube_configmap_labels{namespace="{{namespace}}",${label(key.record)}="{{app}}"})`,
  open: `max by (configmap) (kube_configmap_labels{namespace="{{namespace}}",${label(key.record)}="{{app}}",${label(key.outcome)}="open"})`,
  /** When it was opened, in seconds since 1970. */
  created: `max by (namespace, configmap) (kube_configmap_created{namespace="{{namespace}}"})`,
  outcome: label(key.outcome),
}

/** When the lock was renewed last, as whoever holds it says. */
export const lockRenewed: Query = `kube_lease_renew_time{namespace="{{namespace}}",lease="${names('{{app}}').lease}"}`
