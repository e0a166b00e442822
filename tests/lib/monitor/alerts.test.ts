/** Each alert against series of known behaviour, judged by promtool: it fires, it does not, and not without data. */
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { rulesOf, type Group } from '../../../lib/monitor/rules.ts'
import { temporaryFolder } from '../../../lib/temporary.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

const promtool = Bun.which('promtool')
const place = { app: 'shop', namespace: 'shop-prod' }
const runbooks = 'https://example.com/guide.md'
const groups = rulesOf(place, runbooks)
const alertsOf = ({ rules }: Group): string[] => rules.flatMap((rule) => ('alert' in rule ? rule.alert : []))

/** In promtool's notation: `0+5x60` counts five up at each step, 60 times; steps are a minute unless told. */
interface Series {
  series: string
  values: string
}

type Labels = Record<string, string>

const series = (name: string, labels: Labels, values: string): Series => ({
  series: `${name}{${Object.entries({ namespace: 'shop-prod', ...labels })
    .map(([key, value]) => `${key}="${value}"`)
    .join(',')}}`,
  values,
})

const ofApp = (name: string, color: string, labels: Labels, values: string): Series =>
  series(name, { app: 'shop', pod: `shop-${color}-7d9f-x`, color, ...labels }, values)

interface Traffic {
  color?: string
  /** A step. */
  requests: number
  failed?: number
  slow?: number
  steps?: number
  labels?: Labels
}

/** Counters of requests that go on and on. */
function traffic({
  color = 'green',
  requests,
  failed = 0,
  slow = 0,
  steps = 400,
  labels = {},
}: Traffic): Series[] {
  const name = 'http_request_duration_seconds'
  const on = { route: '/api/session', method: 'GET', ...labels }
  const up = (count: number): string => `0+${count}x${steps}`
  return [
    ofApp(`${name}_count`, color, { ...on, status: '200' }, up(requests - failed)),
    ofApp(`${name}_bucket`, color, { ...on, status: '200', le: '0.5' }, up(requests - failed - slow)),
    ...(failed > 0
      ? [
          ofApp(`${name}_count`, color, { ...on, status: '500' }, up(failed)),
          ofApp(`${name}_bucket`, color, { ...on, status: '500', le: '0.5' }, up(failed)),
        ]
      : []),
  ]
}

/** Of a Deployment, as kube-state-metrics says it. */
const pods = (color: string, wanted: string, ready: string): Series[] => [
  series('kube_deployment_spec_replicas', { deployment: `shop-${color}` }, wanted),
  series('kube_deployment_status_replicas_ready', { deployment: `shop-${color}` }, ready),
]

const up = (color: string, values = '1x400'): Series => ofApp('up', color, {}, values)

const operations = (done: string, failed: string): Series[] => [
  ofApp('db_client_operation_duration_seconds_count', 'green', { operation: 'find' }, done),
  ofApp(
    'db_client_operation_duration_seconds_count',
    'green',
    { operation: 'find', error_type: 'E' },
    failed,
  ),
]

const memory = (used: number): Series[] => [
  series('container_memory_working_set_bytes', { pod: 'shop-green-7-x', container: 'app' }, `${used}x400`),
  // The pod as a whole, which cAdvisor has too, and a pod of another app.
  series('container_memory_working_set_bytes', { pod: 'shop-green-7-x', container: '' }, '999x400'),
  series('container_memory_working_set_bytes', { pod: 'other-green-7-x', container: 'app' }, '999x400'),
  series(
    'kube_pod_container_resource_limits',
    { pod: 'shop-green-7-x', container: 'app', resource: 'memory' },
    '100x400',
  ),
]

const record = (outcome: string): Series =>
  series(
    'kube_configmap_labels',
    {
      configmap: 'shop-deploy-01ABC',
      label_deploy_scripts_record: 'shop',
      label_deploy_scripts_outcome: outcome,
    },
    '1x400',
  )
const lock = (values: string): Series => series('kube_lease_renew_time', { lease: 'shop-deploy' }, values)

interface Case {
  when: string
  input: Series[]
  /** Minutes from the start. */
  at?: number
  /** Between two samples, and between two evaluations; minutes. */
  step?: number
  /** The color that each alarm names; '' where an alarm is not about one. */
  fires: string[]
}

const night = traffic({ requests: 0.5, failed: 0.1 })

/** Longer steps: six hours or three days of minutes would take promtool seconds. */
const hours = { step: 5, at: 60 * 7 }
const days = { step: 30, at: 60 * 80 }

const cases: Record<string, Case[]> = {
  ErrorBudgetBurnFast: [
    { when: '5 % fail', input: traffic({ requests: 1200, failed: 60 }), fires: ['green'] },
    {
      when: '5 % of blue fail',
      input: traffic({ color: 'blue', requests: 1200, failed: 60 }),
      fires: ['blue'],
    },
    { when: '1 % fail', input: traffic({ requests: 1200, failed: 12 }), fires: [] },
    {
      when: 'it is over for a quarter of an hour',
      input: [
        ofApp('http_request_duration_seconds_count', 'green', { route: '/', status: '200' }, '0+1000x400'),
        ofApp(
          'http_request_duration_seconds_count',
          'green',
          { route: '/', status: '500' },
          '0+100x65 6500x300',
        ),
      ],
      fires: [],
    },
    {
      when: 'a fifth fails for two minutes, and that is all',
      input: [
        ofApp('http_request_duration_seconds_count', 'green', { route: '/', status: '200' }, '0+1000x400'),
        ofApp(
          'http_request_duration_seconds_count',
          'green',
          { route: '/', status: '500' },
          '0x76 0+250x2 500x300',
        ),
      ],
      fires: [],
    },
    { when: 'at night six requests of thirty fail', input: night, fires: [] },
    {
      when: 'a gate meets errors in the idle color',
      input: traffic({ requests: 1200, failed: 1200, labels: { verification: 'true' } }),
      fires: [],
    },
    {
      when: 'pods that start say that they are not ready',
      input: traffic({ requests: 1200, failed: 600, labels: { route: '/ready' } }),
      fires: [],
    },
  ],
  ErrorBudgetBurn: [
    {
      when: '1 % fail for six hours',
      input: traffic({ requests: 1200, failed: 12 }),
      ...hours,
      fires: ['green'],
    },
    { when: '0.5 % fail', input: traffic({ requests: 1200, failed: 6 }), ...hours, fires: [] },
  ],
  ErrorBudgetBurnSlow: [
    {
      when: '0.2 % fail for three days',
      input: traffic({ requests: 1200, failed: 2.4, steps: 500 }),
      ...days,
      fires: ['green'],
    },
    {
      when: '0.05 % fail',
      input: traffic({ requests: 1200, failed: 0.6, steps: 500 }),
      ...days,
      fires: [],
    },
  ],
  LatencyBudgetBurnFast: [
    { when: '20 % are slow', input: traffic({ requests: 1200, slow: 240 }), fires: ['green'] },
    { when: '10 % are slow', input: traffic({ requests: 1200, slow: 120 }), fires: [] },
    { when: 'all are quick, and fail', input: traffic({ requests: 1200, failed: 1200 }), fires: [] },
  ],
  LatencyBudgetBurn: [
    {
      when: '8 % are slow for six hours',
      input: traffic({ requests: 1200, slow: 96 }),
      ...hours,
      fires: ['green'],
    },
    { when: '5 % are slow', input: traffic({ requests: 1200, slow: 60 }), ...hours, fires: [] },
  ],
  LatencyBudgetBurnSlow: [
    {
      when: '2 % are slow for three days',
      input: traffic({ requests: 1200, slow: 24, steps: 500 }),
      ...days,
      fires: ['green'],
    },
    { when: '0.5 % are slow', input: traffic({ requests: 1200, slow: 6, steps: 500 }), ...days, fires: [] },
  ],
  NoTraffic: [
    {
      when: 'nobody comes any more',
      input: [ofApp('http_request_duration_seconds_count', 'blue', { route: '/' }, '0+60x60 3600x300')],
      fires: [''],
    },
    {
      when: 'the users have moved to the other color',
      input: [
        ofApp('http_request_duration_seconds_count', 'blue', { route: '/' }, '0+60x60 3600x300'),
        ofApp('http_request_duration_seconds_count', 'green', { route: '/' }, '0x60 0+60x300'),
      ],
      fires: [],
    },
    { when: 'nobody ever came', input: traffic({ requests: 0 }), fires: [] },
    {
      when: 'the kubelet alone goes on asking',
      input: [
        ofApp('http_request_duration_seconds_count', 'blue', { route: '/' }, '0+60x60 3600x300'),
        ofApp('http_request_duration_seconds_count', 'blue', { route: '/health' }, '0+60x400'),
      ],
      fires: [''],
    },
  ],
  NoPodReady: [
    {
      when: 'the color that users were on has none',
      input: [
        ...traffic({ requests: 1200 }),
        ...pods('green', '3x400', '0x400'),
        ...pods('blue', '3x400', '3x400'),
      ],
      fires: ['green'],
    },
    {
      when: 'users have come to it five minutes ago',
      input: [
        ofApp('http_request_duration_seconds_count', 'blue', { route: '/' }, '0+1200x72 86400x300'),
        ofApp('http_request_duration_seconds_count', 'green', { route: '/' }, '0x72 0+1200x4 4800x300'),
        ...pods('green', '3x400', '3x76 0x300'),
        ...pods('blue', '3x400', '3x400'),
      ],
      fires: ['green'],
    },
    {
      when: 'the idle one has none, where a few clients have stayed',
      input: [
        ...traffic({ requests: 1200 }),
        ...traffic({ color: 'blue', requests: 5 }),
        ...pods('green', '3x400', '3x400'),
        ...pods('blue', '3x400', '0x400'),
      ],
      fires: [],
    },
    {
      when: 'the color was scaled down',
      input: [...traffic({ requests: 1200 }), ...pods('green', '0x400', '0x400')],
      fires: [],
    },
  ],
  PodsNotReady: [
    { when: 'two of three are', input: pods('blue', '3x400', '2x400'), fires: ['blue'] },
    { when: 'all are', input: pods('blue', '3x400', '3x400'), fires: [] },
    {
      when: 'one more was asked for ten minutes ago',
      input: pods('blue', '3x70 4x300', '3x400'),
      fires: [],
    },
  ],
  PodsRestarting: [
    {
      when: 'a container ends every three minutes',
      input: [
        series(
          'kube_pod_container_status_restarts_total',
          { pod: 'shop-green-7-x', container: 'app' },
          '0+0.34x400',
        ),
      ],
      fires: ['green'],
    },
    {
      when: 'it did once',
      input: [
        series(
          'kube_pod_container_status_restarts_total',
          { pod: 'shop-green-7-x', container: 'app' },
          '0x75 1x300',
        ),
      ],
      fires: [],
    },
  ],
  MemoryNearLimit: [
    { when: '95 of 100', input: memory(95), fires: ['green'] },
    { when: '80 of 100', input: memory(80), fires: [] },
    { when: 'there is no limit', input: memory(95).slice(0, 3), fires: [] },
  ],
  DatabaseFailing: [
    { when: 'one in ten fails', input: operations('0+54x400', '0+6x400'), fires: ['green'] },
    { when: 'one in a hundred fails', input: operations('0+594x400', '0+6x400'), fires: [] },
    { when: 'none has failed yet', input: operations('0+54x400', '0+0x400').slice(0, 1), fires: [] },
  ],
  DatabaseSlow: [
    { when: 'most take a second', input: buckets({ '0.5': 10, '1': 100, '+Inf': 100 }), fires: ['green'] },
    { when: 'most take a tenth', input: buckets({ '0.1': 99.5, '0.5': 100, '+Inf': 100 }), fires: [] },
  ],
  DatabaseConnectionsUsedUp: [
    { when: 'ten of ten', input: connections(10), fires: ['green'] },
    { when: 'five of ten', input: connections(5), fires: [] },
  ],
  MetricsMissing: [
    { when: 'a color is ready and not scraped', input: pods('green', '3x400', '3x400'), fires: ['green'] },
    {
      when: 'its scrapes fail',
      input: [...pods('green', '3x400', '3x400'), up('green', '0x400')],
      fires: ['green'],
    },
    { when: 'it is scraped', input: [...pods('green', '3x400', '3x400'), up('green')], fires: [] },
    { when: 'nothing is ready', input: pods('green', '3x400', '0x400'), fires: [] },
  ],
  DeploymentAbandoned: [
    { when: 'its record is open and the lock is left', input: [record('open'), lock('1x400')], fires: [''] },
    { when: 'the lock is renewed', input: [record('open'), lock('0+60x400')], fires: [] },
    { when: 'its record is closed', input: [record('succeeded'), lock('1x400')], fires: [] },
    { when: 'nothing is known of locks', input: [record('open')], fires: [] },
  ],
}

function buckets(bounds: Record<string, number>): Series[] {
  return Object.entries(bounds).map(([le, count]) =>
    ofApp(
      'db_client_operation_duration_seconds_bucket',
      'green',
      { operation: 'find', le },
      `0+${count}x400`,
    ),
  )
}

function connections(used: number): Series[] {
  return [
    ofApp('db_client_connection_count', 'green', { state: 'used' }, `${used}x400`),
    ofApp('db_client_connection_count', 'green', { state: 'idle' }, `${10 - used}x400`),
    ofApp('db_client_connection_max', 'green', {}, '10x400'),
  ]
}

test('there are cases for each alert', () => {
  expect(Object.keys(cases)).toEqual(groups.flatMap(alertsOf))
})

describe.skipIf(promtool === null)('by promtool, which Debian has in its package prometheus', () => {
  test.each(Object.entries(cases))('%s', async (alert, all) => {
    expect(all.some(({ fires }) => fires.length > 0) && all.some(({ fires }) => fires.length === 0)).toBe(
      true,
    )
    const firing = `count by (color) (ALERTS{alertname="${alert}",alertstate="firing",namespace="shop-prod"})`
    await judge(
      groups.map((group) => needed(group, alert)),
      all.map((one) => ({ ...one, expr: firing })),
    )
  })

  test('and none fires where nothing is known, or only what the app says, or only what the cluster says', async () => {
    const app = [...traffic({ requests: 1200 }), up('green'), ...operations('0+60x400', '0+0x400')]
    const cluster = [...pods('green', '3x400', '3x400'), ...memory(50), record('succeeded'), lock('1x400')]
    await judge(
      groups,
      [[], app, [...cluster, up('green')]].map((input, index) => ({
        when: `input ${index}`,
        input,
        fires: [],
        expr: 'count by (color) (ALERTS)',
      })),
    )
  })

  test('and this test can fail', () => {
    const input = traffic({ requests: 1200, failed: 60 })
    const wrong = judge(groups, [
      { when: '5 % fail', input, fires: [], expr: 'count by (color) (ALERTS{alertstate="firing"})' },
    ])
    return expect(wrong).rejects.toThrow('color="green"')
  })
})

/** The alert, and what is recorded for it: the rest is work for nothing. */
function needed({ name, rules }: Group, alert: string): Group {
  const own = rules.find((rule) => 'alert' in rule && rule.alert === alert)
  return {
    name,
    rules: rules.filter((rule) => rule === own || ('record' in rule && own?.expr.includes(rule.record))),
  }
}

/** @throws with promtool's words where an expression has other results than expected */
async function judge(groups: readonly Group[], all: (Case & { expr: string })[]): Promise<void> {
  using folder = temporaryFolder()
  const file = (name: string) => join(folder.path, name)
  writeFileSync(file('rules.yaml'), stringify({ groups }))
  const tests = all.map(({ when, input, at = 80, step = 1, fires, expr }) => ({
    name: when,
    interval: `${step}m`,
    input_series: input,
    promql_expr_test: [
      {
        expr,
        eval_time: `${at}m`,
        exp_samples: fires.map((color) => ({ labels: color ? `{color="${color}"}` : '{}', value: 1 })),
      },
    ],
  }))
  // Evaluated as often as there are samples: one file for each step.
  for (const [step, group] of Map.groupBy(tests, ({ interval }) => interval)) {
    writeFileSync(
      file('test.yaml'),
      stringify({ rule_files: ['rules.yaml'], evaluation_interval: step, tests: group }),
    )
    const run = Bun.spawn(['promtool', 'test', 'rules', 'test.yaml'], {
      cwd: folder.path,
      stdout: 'pipe',
      stderr: 'pipe',
    })
    const [out, err, code] = await Promise.all([run.stdout.text(), run.stderr.text(), run.exited])
    if (code !== 0) throw new Error(out + err)
  }
}
