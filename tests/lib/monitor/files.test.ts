/** What `make monitoring` writes is what lies in k8s/monitoring, and is of the forms that its readers expect. */
import { describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { PrometheusRule } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule'
import { parse } from 'yaml'
import { dashboardOf } from '../../../lib/monitor/dashboard.ts'
import { monitoringFiles } from '../../../lib/monitor/files.ts'
import { bothColors, fill, metrics } from '../../../lib/monitor/metrics.ts'
import { rulesOf } from '../../../lib/monitor/rules.ts'
import { loadEnvironment } from '../../../lib/settings/load.ts'
import { ROOT } from '../../tree.ts'

const { app, namespace, runbooks = '' } = loadEnvironment(join(ROOT, 'deploy.yaml'), 'production', {})
const files = monitoringFiles({ app, namespace }, runbooks)

test.each(Object.entries(files))('%s is up to date; `make monitoring` makes it so', (name, content) => {
  expect(readFileSync(join(ROOT, 'k8s/monitoring', name), 'utf8')).toBe(content)
})

describe('the rules', () => {
  const rules = rulesOf({ app, namespace }, runbooks).flatMap(({ rules }) => rules)

  test('are an object that the Prometheus Operator takes', () => {
    new PrometheusRule(parse(files['prometheus-rule.yaml'] ?? '')).validate()
    const wrong = new PrometheusRule({
      metadata: { name: 'x' },
      spec: { groups: [{ name: 'x', rules: [{ alert: 'X', expr: '1', for: 'soon' }] }] },
    })
    expect(() => wrong.validate()).toThrow('for')
  })

  test('name the app and its namespace in each alarm and each record, which the routes and silences go by', () => {
    expect(rules.every(({ labels }) => labels['app'] === app && labels['namespace'] === namespace)).toBe(true)
  })

  test('have no place left to fill', () => {
    const queries = rules.map(({ expr }) => expr)
    expect(queries.filter((query) => query.includes('{{'))).toEqual([])
  })
})

describe('the table', () => {
  test.each(Object.entries(metrics))('%s is of one app in one namespace, by color', (_, { query }) => {
    for (const wanted of ['{{app}}', '{{namespace}}', '{{color}}', 'by (color'])
      expect(query).toContain(wanted)
    const filled = fill(query, { app: 'shop', namespace: 'shop-prod', color: 'green' })
    expect(filled).not.toMatch(/\{\{|\}\}/)
  })

  test('both colors are one regular expression', () => expect(bothColors).toBe('blue|green'))
})

describe('the dashboard', () => {
  const { panels = [], templating, uid } = dashboardOf('shop')
  const graphs = panels.flatMap((panel) => (panel.type === 'timeseries' ? [panel] : []))

  test('shows each metric of the table', () => {
    const titles = graphs.map(({ title }) => title)
    expect(Object.values(metrics).filter(({ title }) => !titles.includes(title))).toEqual([])
  })

  test('asks for the colors and the namespace that are chosen in it, and knows no other variable', () => {
    const known = templating.list?.map(({ name }) => `$${name}`) ?? []
    const queries = graphs.flatMap(({ targets = [] }) => targets.map((target) => JSON.stringify(target)))
    expect(queries).toHaveLength(graphs.length)
    for (const query of queries) {
      expect(query).toContain('$namespace')
      const used = query.replaceAll('${datasource}', '$datasource').match(/\$[a-z]\w*/g) ?? []
      expect(used.filter((name) => !known.includes(name))).toEqual([])
    }
  })

  test('has no two panels in one place, and none with the number of another', () => {
    const cells = panels.flatMap(({ gridPos = { x: 0, y: 0, w: 0, h: 0 } }) =>
      Array.from({ length: gridPos.w * gridPos.h }, (_, i) => {
        const [x, y] = [gridPos.x + (i % gridPos.w), gridPos.y + Math.floor(i / gridPos.w)]
        expect(x).toBeLessThan(24)
        return `${x} ${y}`
      }),
    )
    expect(new Set(cells).size).toBe(cells.length)
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
  })

  test('has an address that Grafana takes, of an app with the longest name too', () => {
    expect(uid).toMatch(/^[a-zA-Z0-9_-]{1,40}$/)
    expect(dashboardOf('a'.repeat(40)).uid).toMatch(/^[a-zA-Z0-9_-]{1,40}$/)
  })
})
