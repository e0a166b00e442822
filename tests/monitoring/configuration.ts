/** The configuration of k8s/monitoring, as Debian's Prometheus and Alertmanager can be asked about it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { ROOT } from '../tree.ts'

export const folder = join(ROOT, 'k8s/monitoring')

const read = (name: string): unknown => parse(readFileSync(join(folder, name), 'utf8'))

interface Receiver {
  name: string
  [kind: `${string}_configs`]: object[] | undefined
}

export interface Alertmanager {
  global?: object
  route: object
  inhibit_rules: object[]
  receivers: Receiver[]
}

/** Debian has 0.25, which knows no Teams: there a plain webhook stands in for that receiver. */
export function alertmanager(): Alertmanager {
  const shipped = read('alertmanager.yaml') as Alertmanager
  const receivers = shipped.receivers.map(({ msteamsv2_configs, ...rest }) => ({
    ...rest,
    ...(msteamsv2_configs && {
      webhook_configs: msteamsv2_configs.map(() => ({ url: 'http://127.0.0.1:1/' })),
    }),
  }))
  return { ...shipped, receivers }
}

export interface Prometheus {
  global: object
  rule_files: string[]
  alerting: { alertmanagers: { static_configs: { targets: string[] }[] }[] }
  scrape_configs: ({ job_name: string } & Record<string, unknown>)[]
}

/**
 * Debian's is built without the discovery of Kubernetes: each job's targets are listed, with the labels that it would
 * give them. They speak plain http.
 */
export function prometheus(targets: Record<string, object[]>): Prometheus {
  const shipped = read('prometheus.yaml') as Prometheus
  const discovery = ['kubernetes_sd_configs', 'scheme', 'tls_config', 'authorization']
  const scrape_configs = shipped.scrape_configs.map((job) => ({
    ...job,
    ...Object.fromEntries(discovery.map((key) => [key, undefined])),
    static_configs: targets[job.job_name] ?? [],
  }))
  return { ...shipped, scrape_configs }
}

export async function run(...command: string[]): Promise<{ code: number; out: string; err: string }> {
  const child = Bun.spawn(command, { stdout: 'pipe', stderr: 'pipe' })
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  return { code, out, err }
}
