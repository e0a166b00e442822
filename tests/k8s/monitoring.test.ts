/** k8s/monitoring: what its readers take, whom Alertmanager tells, and the guide that each alarm links to. */
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ServiceMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor'
import { stringify } from 'yaml'
import { rulesOf } from '../../lib/monitor/rules.ts'
import { temporaryFolder } from '../../lib/temporary.ts'
import { alertmanager, folder, prometheus, run } from '../monitoring/configuration.ts'
import { ROOT } from '../tree.ts'
import { container, names, only, render, renderBelow } from './render.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

const alerts = rulesOf({ app: 'chatbot-platform', namespace: 'chatbot-platform-prod' }, '').flatMap(
  ({ rules }) => rules.flatMap((rule) => ('alert' in rule ? [rule] : [])),
)

describe('for the Prometheus Operator', () => {
  test('four objects, in the namespace of production', async () => {
    const manifests = await render('monitoring')
    expect(names(manifests)).toEqual([
      'ConfigMap/chatbot-platform-dashboard',
      'PrometheusRule/chatbot-platform',
      'Service/chatbot-platform-metrics',
      'ServiceMonitor/chatbot-platform',
    ])
    expect(new Set(manifests.map(({ metadata }) => metadata.namespace))).toEqual(
      new Set(['chatbot-platform-prod']),
    )
  })

  test('the ServiceMonitor is one by the schema, and a misspelt one is not', async () => {
    const monitor = only(await render('monitoring'), 'ServiceMonitor')
    new ServiceMonitor(monitor as never).validate()
    const wrong = new ServiceMonitor({
      metadata: { name: 'x' },
      spec: { endpoints: [], selector: { matchLabels: 1 } },
    } as never)
    expect(() => wrong.validate()).toThrow('matchLabels')
  })

  test('its Service is another than the live one and the preview, and has the port of the pods', async () => {
    const service = only(await render('monitoring'), 'Service')
    const shared = (await renderBelow('production/shared', {})).filter(({ kind }) => kind === 'Service')
    const labels = (only(await render('monitoring'), 'ServiceMonitor').spec as { selector?: object }).selector
    expect(labels).toEqual({ matchLabels: service.metadata.labels })
    for (const { metadata } of shared)
      expect(metadata.labels).not.toMatchObject(service.metadata.labels ?? {})
    const deployment = only(await renderBelow('production/painted', {}), 'Deployment')
    const metrics = container(deployment).ports?.find(({ name }) => name === 'metrics')
    expect(service.spec?.ports).toMatchObject([{ port: metrics?.containerPort, targetPort: 'metrics' }])
  })
})

const promtool = Bun.which('promtool')
const amtool = Bun.which('amtool')

describe.skipIf(promtool === null)('by promtool, which Debian has in its package prometheus', () => {
  test('the rules are rules', async () => {
    const { code, out, err } = await run('promtool', 'check', 'rules', join(folder, 'rules.yaml'))
    expect({ code, out: out + err }).toEqual({ code: 0, out: expect.stringContaining('SUCCESS') })
  })

  test('the configuration is one, but for the discovery of Kubernetes, which Debian builds it without', async () => {
    using place = temporaryFolder()
    copyFileSync(join(folder, 'rules.yaml'), join(place.path, 'rules.yaml'))
    writeFileSync(join(place.path, 'prometheus.yaml'), stringify(prometheus({})))
    const file = join(place.path, 'prometheus.yaml')
    const { code, out, err } = await run('promtool', 'check', 'config', '--syntax-only', file)
    expect({ code, out: out + err }).toEqual({ code: 0, out: expect.stringContaining('is valid') })
  })
})

/** FILE is the configuration. */
async function withFile(...command: string[]) {
  using place = temporaryFolder()
  const file = join(place.path, 'alertmanager.yaml')
  writeFileSync(file, stringify(alertmanager()))
  return await run('amtool', ...command.map((word) => word.replace('FILE', file)))
}

describe.skipIf(amtool === null)('by amtool, which Debian has in its package prometheus-alertmanager', () => {
  test('the routes are a configuration', async () => {
    const { code, out } = await withFile('check-config', 'FILE')
    expect({ code, out }).toEqual({ code: 0, out: expect.stringContaining('3 receivers') })
  })

  // Written down, and not worked out of the labels: the routes do that.
  const told = {
    critical: [
      ['ErrorBudgetBurnFast', 'ErrorBudgetBurn', 'LatencyBudgetBurnFast', 'LatencyBudgetBurn'],
      ['NoTraffic', 'NoPodReady', 'DatabaseFailing'],
    ].flat(),
    status: ['DeploymentAbandoned'],
    team: [
      ['ErrorBudgetBurnSlow', 'LatencyBudgetBurnSlow', 'PodsNotReady', 'PodsRestarting', 'MemoryNearLimit'],
      ['DatabaseSlow', 'DatabaseConnectionsUsedUp', 'MetricsMissing'],
    ].flat(),
  }

  test('each alarm is told to somebody', () => {
    expect(Object.values(told).flat().toSorted()).toEqual(alerts.map(({ alert }) => alert).toSorted())
  })

  test.each(
    Object.entries(told).flatMap(([receiver, names]) => names.map((name) => [name, receiver] as const)),
  )('%s goes to %s', async (alertname, receiver) => {
    const labels = alerts.find(({ alert }) => alert === alertname)?.labels
    const pairs = Object.entries({ alertname, ...labels }).map(([key, value]) => `${key}=${value}`)
    const { code, out } = await withFile('config', 'routes', 'test', '--config.file=FILE', ...pairs)
    expect({ code, out: out.trim() }).toEqual({ code: 0, out: receiver })
  })
})

test('critical goes to Slack, the status of deployments by e-mail, the rest to Teams', async () => {
  const shipped = await Bun.file(join(folder, 'alertmanager.yaml')).text()
  const kinds = [...shipped.matchAll(/^ {2}- name: (\w+)\n {4}(\w+):/gm)].map(([, name, kind]) => [
    name,
    kind,
  ])
  expect(kinds).toEqual([
    ['critical', 'slack_configs'],
    ['status', 'email_configs'],
    ['team', 'msteamsv2_configs'],
  ])
})

describe('the guide', () => {
  const guide = readFileSync(join(ROOT, 'docs/monitoring-alerting-guide.md'), 'utf8')
  const sections = new Map(
    guide.split(/^(?=#{2,3} )/m).map((text) => [/^#+ (.*)/.exec(text)?.[1] ?? '', text] as const),
  )

  test.each(alerts.map(({ alert, annotations }) => [alert, annotations.runbook_url] as const))(
    'has a section for %s, where its link leads: what it means, where to look, what to do',
    (alert, link) => {
      expect(link).toBe(`#${alert.toLowerCase()}`)
      const section = sections.get(alert) ?? ''
      expect(section.match(/^\*\*(Means|Look|Do)\.\*\*/gm)).toEqual(['**Means.**', '**Look.**', '**Do.**'])
    },
  )

  test('has no section for an alarm that is none', () => {
    const told = guide.slice(guide.indexOf('## The alarms'), guide.indexOf('## The dashboard'))
    expect([...told.matchAll(/^### (.*)$/gm)].map(([, name]) => name)).toEqual(
      alerts.map(({ alert }) => alert),
    )
  })

  test('leads nowhere that is not there', () => {
    const anchors = [...sections.keys()].map((title) =>
      title
        .toLowerCase()
        .replaceAll(/[^\w -]/g, '')
        .replaceAll(' ', '-'),
    )
    const links = [...guide.matchAll(/\]\(([^)]+)\)/g)].map(([, link = '']) => link)
    expect(links.length).toBeGreaterThan(5)
    const dead = links.filter((link) =>
      link.startsWith('#') ? !anchors.includes(link.slice(1)) : !existsSync(join(ROOT, 'docs', link)),
    )
    expect(dead).toEqual([])
  })

  test('names scripts that are there, with flags that they know', async () => {
    const commands = [...guide.matchAll(/\bbun (scripts\/[\w-]+\.ts)([^`\n]*)/g)].map(
      ([, script = '', rest = '']) => ({
        script,
        flags: rest.match(/--[\w-]+/g) ?? [],
      }),
    )
    expect(commands.length).toBeGreaterThan(8)
    const helps = new Map<string, string>()
    for (const { script, flags } of commands) {
      const help = helps.get(script) ?? (await run(process.execPath, join(ROOT, script), '--help')).out
      helps.set(script, help)
      expect(help).toStartWith(`Usage: bun ${script}`)
      expect(flags.filter((flag) => !help.includes(flag))).toEqual([])
    }
  })

  test('names metrics that the rules or the table know', () => {
    const known = readFileSync(join(ROOT, 'lib/monitor/metrics.ts'), 'utf8')
    const named = guide.match(/\b(http|db|chatbot|kube|container|process)_\w+/g) ?? []
    const base = named.map((name) => name.replace(/_(bucket|count)$/, ''))
    expect(base.filter((name) => !known.includes(name) && !name.startsWith('kube_state'))).toEqual([])
  })
})
