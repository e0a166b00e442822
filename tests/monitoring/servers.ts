/** A real Prometheus and a real Alertmanager on ports of their own, and what stands in for the cluster. */
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { stringify } from 'yaml'

export const programs = {
  prometheus: Bun.which('prometheus'),
  // Debian's name, and everybody else's.
  alertmanager: Bun.which('prometheus-alertmanager') ?? Bun.which('alertmanager'),
}

export interface Running extends AsyncDisposable {
  address: string
  url: string
  signal(name: 'SIGSTOP' | 'SIGCONT'): void
}

/** Starts a program, and waits until it says that it is ready. */
async function start(program: string, address: string, ...flags: string[]): Promise<Running> {
  const child = Bun.spawn([program, `--web.listen-address=${address}`, ...flags], {
    stdout: 'ignore',
    stderr: 'pipe',
  })
  const url = `http://${address}`
  const deadline = Date.now() + 20_000
  while (
    !(await fetch(`${url}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    ))
  ) {
    if (child.exitCode !== null || Date.now() > deadline) {
      child.kill('SIGKILL')
      throw new Error(`${program} did not start: ${await child.stderr.text()}`)
    }
    await Bun.sleep(50)
  }
  return {
    address,
    url,
    signal: (name) => child.kill(name),
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      await child.exited
    },
  }
}

async function freeAddress(): Promise<string> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return `127.0.0.1:${port}`
}

/** @param address for one that is started again where it was before */
export async function startPrometheus(
  folder: string,
  configuration: object,
  address?: string,
): Promise<Running> {
  const file = join(folder, 'prometheus.yaml')
  writeFileSync(file, stringify(configuration, { aliasDuplicateObjects: false }))
  const storage = `--storage.tsdb.path=${join(folder, 'prometheus')}`
  return await start(
    programs.prometheus ?? '',
    address ?? (await freeAddress()),
    `--config.file=${file}`,
    storage,
  )
}

export async function startAlertmanager(folder: string, configuration: object): Promise<Running> {
  const file = join(folder, 'alertmanager.yaml')
  writeFileSync(file, stringify(configuration, { aliasDuplicateObjects: false }))
  const storage = `--storage.path=${join(folder, 'alertmanager')}`
  const alone = '--cluster.listen-address='
  return await start(
    programs.alertmanager ?? '',
    await freeAddress(),
    `--config.file=${file}`,
    storage,
    alone,
  )
}

export interface Sample {
  metric: Record<string, string>
  value: number
}

/** An instant query. @throws with Prometheus' words when it does not take it */
export async function ask(prometheus: Running, query: string): Promise<Sample[]> {
  const response = await fetch(`${prometheus.url}/api/v1/query`, {
    method: 'POST',
    body: new URLSearchParams({ query }),
  })
  const { status, error, data } = (await response.json()) as {
    status: string
    error?: string
    data: { result: { metric: Record<string, string>; value: [number, string] }[] }
  }
  if (status !== 'success') throw new Error(`${query}: ${error}`)
  return data.result.map(({ metric, value: [, value] }) => ({ metric, value: Number(value) }))
}

/**
 * In the place of kube-state-metrics and of the kubelets' cAdvisor, which need a cluster: their names and labels, with
 * what the processes really take.
 */
export function cluster(namespace: string, processes: Record<string, number>) {
  const started = Math.floor(Date.now() / 1000)
  const lines = (): string[] => {
    const network =
      readFileSync('/proc/net/dev', 'utf8')
        .split(/\blo:\s+/)[1]
        ?.split(/\s+/) ?? []
    return [
      `kube_configmap_created{namespace="${namespace}",configmap="chatbot-platform-deploy-01ABC"} ${started}`,
      `kube_configmap_labels{namespace="${namespace}",configmap="chatbot-platform-deploy-01ABC",label_deploy_scripts_record="chatbot-platform",label_deploy_scripts_outcome="open"} 1`,
      // Never renewed: whoever held it is gone.
      `kube_lease_renew_time{namespace="${namespace}",lease="chatbot-platform-deploy"} ${started}`,
      ...Object.entries(processes).flatMap(([color, pid]) => {
        const deployment = `namespace="${namespace}",deployment="chatbot-platform-${color}"`
        const pod = `namespace="${namespace}",pod="${podName(color)}"`
        const resident = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * 4096
        return [
          `kube_deployment_spec_replicas{${deployment}} 1`,
          `kube_deployment_status_replicas_ready{${deployment}} 1`,
          `kube_pod_container_status_restarts_total{${pod},container="app"} 0`,
          `kube_pod_container_resource_limits{${pod},container="app",resource="memory",unit="byte"} 536870912`,
          `container_memory_working_set_bytes{${pod},container="app"} ${resident}`,
          `container_network_receive_bytes_total{${pod},interface="eth0"} ${network[0]}`,
          `container_network_transmit_bytes_total{${pod},interface="eth0"} ${network[8]}`,
        ]
      }),
    ]
  }
  return Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response(`${lines().join('\n')}\n`) })
}

/** As a Deployment's pods are named. */
export const podName = (color: string): string => `chatbot-platform-${color}-5d89f7c6b-x2x4z`
