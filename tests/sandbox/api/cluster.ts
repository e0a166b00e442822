/** An API server of a test file's own, the real kubectl pointed at it, and plain HTTP beside it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { noNode } from '../../../sandbox/hooks.ts'
import { type ServerOptions, serveApi } from '../../../sandbox/server.ts'
import { Store } from '../../../sandbox/store.ts'

export interface Ran {
  code: number
  stdout: string
  stderr: string
}

export interface Reply {
  status: number
  /** The body; for an error, its Status. */
  body: Record<string, unknown>
  message: string
  headers: Headers
}

export interface Cluster {
  store: Store
  url: string
  kubeconfig: string
  /** Runs kubectl in the namespace `test`. */
  kubectl: (args: string[], stdin?: unknown) => Promise<Ran>
  call: (method: string, path: string, body?: unknown, headers?: Record<string, string>) => Promise<Reply>
  stop: () => void
}

export function startCluster(options: Partial<ServerOptions> = {}): Cluster {
  const store = new Store()
  const server = serveApi(store, { ...noNode, ...options })
  const directory = mkdtempSync(join(tmpdir(), 'sandbox-api-'))
  const kubeconfig = join(directory, 'kubeconfig')
  writeFileSync(kubeconfig, kubeconfigFor(server.url))
  const common = ['--kubeconfig', kubeconfig, '--cache-dir', join(directory, 'cache'), '-n', 'test']
  store.create('namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'test' } })
  return {
    store,
    url: server.url,
    kubeconfig,
    kubectl: (args, stdin) => run(['kubectl', ...common, ...args], stdin),
    call: (method, path, body, headers) => call(server.url + path, method, body, headers),
    stop: () => {
      server.stop()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

function kubeconfigFor(server: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'sandbox', cluster: { server } }],
    contexts: [{ name: 'sandbox', context: { cluster: 'sandbox', user: 'sandbox' } }],
    users: [{ name: 'sandbox', user: {} }],
    'current-context': 'sandbox',
  })
}

/** A string goes to stdin as it is, anything else as JSON, a list as a `List`. */
async function run(command: string[], stdin?: unknown): Promise<Ran> {
  const input = stdin === undefined ? '' : typeof stdin === 'string' ? stdin : JSON.stringify(listed(stdin))
  const child = Bun.spawn(command, { stdin: Buffer.from(input), stdout: 'pipe', stderr: 'pipe' })
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()])
  return { code: await child.exited, stdout: stdout.trim(), stderr: stderr.trim() }
}

function listed(objects: unknown): unknown {
  return Array.isArray(objects) ? { apiVersion: 'v1', kind: 'List', items: objects } : objects
}

async function call(
  url: string,
  method: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Reply> {
  const response = await fetch(url, {
    method,
    headers: { 'content-type': 'application/json', ...headers },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const answer = (await response.json()) as Record<string, unknown> & { message?: string }
  return {
    status: response.status,
    body: answer,
    message: answer.message ?? '',
    headers: response.headers,
  }
}

export const NAMESPACED = '/api/v1/namespaces/test'
export const APPS = '/apis/apps/v1/namespaces/test'

export const APPLY = { 'content-type': 'application/apply-patch+yaml' }
export const JSON_PATCH = { 'content-type': 'application/json-patch+json' }
export const MERGE_PATCH = { 'content-type': 'application/merge-patch+json' }
export const STRATEGIC_PATCH = { 'content-type': 'application/strategic-merge-patch+json' }

/** A Service as an application brings it. */
export function service(spec: object = {}, name = 'web'): Record<string, unknown> {
  const ports = [{ name: 'http', port: 80, targetPort: 8080 }]
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { selector: { app: 'web', color: 'blue' }, ports, ...spec },
  }
}

/** A Deployment with most of what a pod template can have. */
export function deployment(image = 'web:1', name = 'web'): Record<string, unknown> {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, labels: { app: 'web' } },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: 'web' } },
      template: {
        metadata: { labels: { app: 'web' } },
        spec: {
          containers: [
            {
              name: 'app',
              image,
              ports: [{ name: 'http', containerPort: 8080 }],
              env: [
                { name: 'A', value: '1' },
                { name: 'POD', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
              ],
              readinessProbe: { httpGet: { path: '/ready', port: 'http' } },
              resources: { requests: { cpu: '10m' }, limits: { memory: '64Mi' } },
              volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }],
            },
          ],
          volumes: [{ name: 'tmp', emptyDir: {} }],
        },
      },
    },
  }
}
