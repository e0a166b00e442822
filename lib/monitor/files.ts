/** The generated files of k8s/monitoring, each by its name. */
import { stringify } from 'yaml'
import { dashboardOf } from './dashboard.ts'
import type { Place } from './metrics.ts'
import { rulesOf } from './rules.ts'

const HEADER = '# Made by `make monitoring` of lib/monitor: change it there.\n'

const yaml = (content: unknown): string =>
  HEADER + stringify(content, { lineWidth: 0, singleQuote: true, aliasDuplicateObjects: false })

export function monitoringFiles(place: Omit<Place, 'color'>, runbooks: string): Record<string, string> {
  const { app, namespace } = place
  const groups = rulesOf(place, runbooks)
  return {
    'rules.yaml': yaml({ groups }),
    // The same for the Prometheus Operator, which reads them as an object of the cluster.
    'prometheus-rule.yaml': yaml({
      apiVersion: 'monitoring.coreos.com/v1',
      kind: 'PrometheusRule',
      metadata: { name: app, namespace, labels: { app } },
      spec: { groups },
    }),
    'dashboard.json': `${JSON.stringify(dashboardOf(app), undefined, 2)}\n`,
  }
}
