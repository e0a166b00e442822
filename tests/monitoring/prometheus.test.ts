/**
 * The example in both colors, a real Prometheus with the scrape configuration and the rules as they are shipped, a real
 * Alertmanager with its routes, and somebody who is told. What differs: targets are listed instead of discovered, an
 * alarm waits a second instead of minutes, and each receiver is a webhook.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { dashboardOf } from '../../lib/monitor/dashboard.ts'
import { bothColors, fill, metrics, shares } from '../../lib/monitor/metrics.ts'
import { rulesOf } from '../../lib/monitor/rules.ts'
import { temporaryFolder } from '../../lib/temporary.ts'
import { kill, people, place, pod, target, until } from './app.ts'
import { alertmanager, prometheus as configuration } from './configuration.ts'
import {
  ask,
  cluster,
  podName,
  programs,
  startAlertmanager,
  startPrometheus,
  type Running,
} from './servers.ts'

setDefaultTimeout(60_000)

const runbooks = 'https://example.com/guide.md'
const groups = rulesOf(place, runbooks)

interface Alarm {
  labels: Record<string, string>
  annotations: Record<string, string>
}

interface Told {
  receiver: string
  alerts: Alarm[]
}

const missing = Object.entries(programs).flatMap(([name, path]) => (path === null ? [name] : []))

describe.skipIf(missing.length > 0)(
  'with prometheus and prometheus-alertmanager, which are packages of Debian',
  () => {
    const folder = temporaryFolder()
    const told: Told[] = []
    const closing: (() => unknown)[] = [() => folder[Symbol.dispose]()]
    /** Is closed at the end, in the opposite order. */
    const open = <T>(thing: T, close: (thing: T) => unknown): T => {
      closing.unshift(() => close(thing))
      return thing
    }
    let prometheus: Running

    beforeAll(async () => {
      const colors = {
        blue: open(await pod('blue', folder.path, {}), kill),
        // What only users see, and no gate: a share of errors that starts with them.
        green: open(await pod('green', folder.path, { FAULT_LIVE_ERROR_RATE: '0.2' }), kill),
      }
      const standIn = open(
        cluster(place.namespace, { blue: colors.blue.child.pid, green: colors.green.child.pid }),
        (server) => server.stop(true),
      )
      const receiver = open(
        Bun.serve({
          hostname: '127.0.0.1',
          port: 0,
          fetch: async (request) => {
            told.push((await request.json()) as Told)
            return new Response()
          },
        }),
        (server) => server.stop(true),
      )
      const routes = alertmanager()
      const alerts = open(
        await startAlertmanager(folder.path, {
          ...routes,
          global: {},
          route: quick(routes.route),
          receivers: routes.receivers.map(({ name }) => ({
            name,
            webhook_configs: [{ url: receiver.url.href }],
          })),
        }),
        (server) => server[Symbol.asyncDispose](),
      )
      writeFileSync(join(folder.path, 'rules.yaml'), stringify({ groups: groups.map(hasty) }))
      const targets = {
        [place.app]: Object.entries(colors).flatMap(([color, { metrics }]) => [
          target(metrics, color, 'metrics'),
          // A port that is not for metrics: discovery lists it too, and relabelling must leave it out.
          target('127.0.0.1:1', color, 'http'),
        ]),
        'kube-state-metrics': [{ targets: [standIn.url.host] }],
      }
      prometheus = open(
        await startPrometheus(folder.path, {
          ...configuration(targets),
          global: { scrape_interval: '500ms', scrape_timeout: '500ms', evaluation_interval: '500ms' },
          alerting: { alertmanagers: [{ static_configs: [{ targets: [alerts.address] }] }] },
        }),
        (server) => server[Symbol.asyncDispose](),
      )
      const stop = open(new AbortController(), (controller) => controller.abort())
      for (const one of Object.values(colors)) void people(one, stop.signal)
      await until(async () => (await ask(prometheus, fill(metrics.errors.query, whole))).length === 2)
    })

    afterAll(async () => {
      for (const close of closing) await close()
    })

    test('both colors are scraped, under the labels that all queries go by, and nothing else of them is', async () => {
      const up = await ask(prometheus, `up{app="${place.app}"}`)
      const seen = up.map(({ metric: { color, namespace, pod }, value }) => ({
        color,
        namespace,
        pod,
        value,
      }))
      expect(seen.toSorted((a, b) => String(a.color).localeCompare(String(b.color)))).toEqual(
        ['blue', 'green'].map((color) => ({
          color,
          namespace: place.namespace,
          pod: podName(color),
          value: 1,
        })),
      )
    })

    test.each(Object.entries(metrics))('the table: %s has a value for each color', async (_, { query }) => {
      const samples = await settled(() => ask(prometheus, fill(query, whole)), 2)
      expect(samples.map(({ metric }) => metric).toSorted(byColor)).toEqual([
        { color: 'blue' },
        { color: 'green' },
      ])
      expect(samples.every(({ value }) => Number.isFinite(value) && value >= 0)).toBe(true)
      const [one] = await ask(prometheus, fill(query, { ...place, color: 'green' }))
      expect(one?.metric).toEqual({ color: 'green' })
    })

    /** What a counter says of each color, in all. */
    const counted = async (selector: string) => {
      const samples = await ask(prometheus, fill(`sum by (color) (${selector})`, whole))
      return new Map(samples.map(({ metric, value }) => [metric['color'], value]))
    }

    test.each(Object.entries(shares))(
      'the counters of %s, as a bake reads them, hold what there was',
      async (_, share) => {
        // The part first: between the two questions there may be a scrape.
        const part = await counted('good' in share ? share.good : share.bad)
        const all = await counted(share.all)
        for (const color of ['blue', 'green']) {
          expect(all.get(color)).toBeGreaterThan(10)
          expect(part.get(color) ?? 0).toBeLessThanOrEqual(all.get(color) ?? 0)
          if ('good' in share) expect(part.get(color)).toBeGreaterThan(10)
        }
      },
    )

    test('what the table says of failures is what users met', async () => {
      const samples = await ask(prometheus, fill(metrics.errors.query, whole))
      const of = (color: string) => samples.find(({ metric }) => metric['color'] === color)?.value
      expect(of('blue')).toBe(0)
      expect(of('green')).toBeWithin(0.15, 0.25)
    })

    const recordings = groups.flatMap(({ rules }) =>
      rules.flatMap((rule) => ('record' in rule ? rule.record : [])),
    )
    test.each(recordings)('%s is recorded for each color', async (record) => {
      const samples = await settled(() => ask(prometheus, `${record}{app="${place.app}"}`), 2)
      expect(new Set(samples.map(({ metric }) => metric['color']))).toEqual(new Set(['blue', 'green']))
    })

    const alerts = groups.flatMap(({ rules }) => rules.flatMap((rule) => ('alert' in rule ? [rule] : [])))
    test.each(alerts.map(({ alert, expr }) => [alert, expr] as const))(
      '%s compares what has a value, in each of its conditions',
      async (_, expr) => {
        // Comparisons answer 0 or 1 instead of leaving out, and there is no hour before this one, nor a whole minute.
        const answering = expr
          .replaceAll(/ (==|>=|>) /g, ' $1 bool ')
          .replaceAll(' unless ', ' and ')
          .replaceAll(' offset 10m', '')
          .replaceAll(':1m]', ':1s]')
        expect(await settled(() => ask(prometheus, answering), 1)).not.toEqual([])
      },
    )

    const { panels = [], annotations } = dashboardOf(place.app)
    const asked = [
      ...panels.flatMap((panel) =>
        panel.type === 'timeseries' && 'targets' in panel
          ? (panel.targets ?? []).map((one) => [panel.title ?? '', (one as { expr: string }).expr] as const)
          : [],
      ),
      ...(annotations.list ?? []).map(({ name, expr = '' }) => [name, expr] as const),
    ]
    test.each(asked)('the dashboard: %s has data', async (_, expr) => {
      const chosen = expr.replaceAll('$namespace', place.namespace).replaceAll('$color', `(${bothColors})`)
      expect(await settled(() => ask(prometheus, chosen), 1)).not.toEqual([])
    })

    test('a deployment stands in it at the time when its record was opened, with how it went', async () => {
      const [annotation] = annotations.list ?? []
      const [one] = await ask(prometheus, (annotation?.expr ?? '').replaceAll('$namespace', place.namespace))
      expect(one?.metric).toMatchObject({
        configmap: 'chatbot-platform-deploy-01ABC',
        label_deploy_scripts_outcome: 'open',
      })
      expect(one?.value).toBeWithin(Date.now() - 120_000, Date.now())
    })

    /** Of these alarms, the first that somebody was told of. */
    const alarm = async (receiver: string, alertname: string): Promise<Alarm> => {
      const find = (): Alarm | undefined =>
        told
          .filter((one) => one.receiver === receiver)
          .flatMap(({ alerts }) => alerts)
          .find(({ labels }) => labels['alertname'] === alertname)
      await until(() => Promise.resolve(find() !== undefined))
      return find() ?? { labels: {}, annotations: {} }
    }

    test('what users meet in green is told to whom critical things are told; blue is not named', async () => {
      const { labels, annotations } = await alarm('critical', 'ErrorBudgetBurnFast')
      const marks = { severity: 'critical', objective: 'errors' }
      expect(labels).toEqual({ alertname: 'ErrorBudgetBurnFast', ...place, color: 'green', ...marks })
      expect(annotations['runbook_url']).toBe(`${runbooks}#errorbudgetburnfast`)
      expect(annotations['summary']).toMatch(
        /^(1[5-9]|2[0-5])(\.\d+)?% of the requests to green fail, over 1h and still in the last 5m$/,
      )
      const named = told.flatMap(({ alerts }) => alerts).map(({ labels }) => labels['color'])
      expect(named).not.toContain('blue')
    })

    test('a run that was killed is told to whom the status of deployments is told', async () => {
      const { annotations } = await alarm('status', 'DeploymentAbandoned')
      expect(annotations['summary']).toStartWith('The record chatbot-platform-deploy-01ABC is open')
    })
  },
)

const whole = { ...place, color: bothColors }

const byColor = (a: Record<string, string>, b: Record<string, string>): number =>
  String(a['color']).localeCompare(String(b['color']))

/** The same rules, that raise their alarms after a second. */
const hasty = (group: (typeof groups)[number]): object => ({
  ...group,
  rules: group.rules.map((rule) => ('alert' in rule ? { ...rule, for: '1s' } : rule)),
})

/** The same routes, that wait for nobody else. */
function quick(route: object & { routes?: object[] }): object {
  const at = { group_wait: '100ms', group_interval: '1s' }
  return { ...route, ...at, ...(route.routes && { routes: route.routes.map(quick) }) }
}

/** What is asked, as soon as it has so many values: a rate needs two scrapes. */
async function settled<T>(asking: () => Promise<T[]>, count: number): Promise<T[]> {
  const deadline = Date.now() + 10_000
  for (;;) {
    const found = await asking()
    if (found.length >= count || Date.now() > deadline) return found
    await Bun.sleep(200)
  }
}
