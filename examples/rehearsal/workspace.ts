/** One environment of its own to rehearse in: a namespace, an overlay, a deploy.yaml, and the scripts run on them. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import type { Cluster } from './cluster.ts'
import type { Images } from './image.ts'
import { writeOverlay, type Shape } from './overlay.ts'
import { freeNodePorts } from './ports.ts'
import { parseHistory, parseSelector, parseStatus, type Record, type Status } from './answers.ts'
import { startTraffic, type Traffic } from './traffic.ts'
import { output, ROOT, start, type Finished, type Options, type Started } from './program.ts'

export type Script =
  | 'deploy'
  | 'rollback-deployment'
  | 'deployment-status'
  | 'deployment-history'
  | 'switch-traffic'
  | 'verify-deployment'
  | 'diagnose-deployment'
  | 'monitor-deployment'
  | 'lock'
  | 'notify'
  | 'rollback-drill'

/** They write no evidence. */
const KEEPS_NOTHING: readonly Script[] = [
  'deployment-history',
  'diagnose-deployment',
  'monitor-deployment',
  'lock',
  'notify',
]

export type Settings = Readonly<{ [name: string]: unknown }>

export interface Wishes extends Partial<Omit<Shape, 'ports'>> {
  /** Laid over the settings of deploy.yaml. */
  settings?: Settings
  /** Laid over those of its one environment, `production`. */
  environment?: Settings
}

export const APP = 'chatbot-platform'

/** Where NodePorts are reached: this machine, or a node that it can route to. */
const NODE = process.env.NODE_ADDRESS ?? '127.0.0.1'

/**
 * Where users reach them. They are other machines than the scripts': what a refused connection leaves in a node's
 * conntrack holds for its two addresses alone. A sandbox has no conntrack, and only the one address.
 */
const usersNode = (kind: Cluster['kind']): string =>
  kind === 'real' && NODE === '127.0.0.1' ? '127.0.0.2' : NODE

export class Workspace {
  readonly cluster: Cluster
  readonly images: Images
  readonly namespace: string
  /** Where users reach the live color, and where the preview is. */
  readonly url: string
  readonly previewUrl: string
  readonly folder: string
  readonly config: string
  readonly #shape: Shape
  readonly #wishes: Wishes
  #clients = 0

  private constructor(cluster: Cluster, images: Images, ports: readonly number[], wishes: Wishes) {
    const [live = 0, preview = 0] = ports
    this.cluster = cluster
    this.images = images
    this.folder = mkdtempSync(join(cluster.folder, 'workspace-'))
    this.namespace = `rehearsal-${live}-${process.pid}`
    this.config = join(this.folder, 'deploy.yaml')
    this.url = `http://${NODE}:${live}`
    this.previewUrl = `http://${NODE}:${preview}`
    this.#shape = { replicas: 2, migration: false, ...wishes, ports: [live, preview] }
    this.#wishes = wishes
  }

  /** Creates the namespace and writes the files; nothing is deployed yet. */
  static async open(cluster: Cluster, images: Images, wishes: Wishes = {}): Promise<Workspace> {
    const workspace = new Workspace(cluster, images, await freeNodePorts(cluster, 2), wishes)
    workspace.overlay()
    workspace.configure()
    await output(['kubectl', 'create', 'namespace', workspace.namespace], { env: cluster.env })
    // Pods of a sandbox are processes of this machine: with a migration they share one file, as they would a database.
    if (wishes.migration && cluster.kind === 'sandbox') {
      const database = `--from-literal=url=sqlite:${join(workspace.folder, 'chat.db')}`
      await workspace.kubectl('create', 'secret', 'generic', `${APP}-database`, database)
    }
    const accounts = Object.entries(ACCOUNTS).map(([name, password]) => `${name}:${password}:user`)
    const literal = `--from-literal=accounts=${accounts.join(',')}`
    await workspace.kubectl('create', 'secret', 'generic', `${APP}-test-accounts`, literal)
    return workspace
  }

  /** Where the scripts leave reports and evidence. */
  get reports(): string {
    return join(this.folder, 'reports')
  }

  /** Writes the overlay anew, with these changes. */
  overlay(changes: Partial<Shape> = {}): void {
    writeOverlay(join(this.folder, 'overlay'), { ...this.#shape, ...changes })
  }

  /** Writes deploy.yaml anew, with these settings over the ones the workspace was opened with. */
  configure(settings: Settings = {}, environment: Settings = {}): void {
    const production = {
      context: this.cluster.context,
      namespace: this.namespace,
      manifests: 'overlay',
      url: this.url,
      previewUrl: this.previewUrl,
      ...this.#wishes.environment,
      ...environment,
    }
    const file = {
      ...quick,
      // An API server that shares two cores with all that it runs can take seconds to renew a Lease.
      ...(this.cluster.kind === 'real' && { lock: '30s' }),
      image: this.images.name,
      ...this.#wishes.settings,
      ...settings,
      environments: { production },
    }
    writeFileSync(this.config, stringify(file))
  }

  /** Starts a script, perhaps behind another program; the caller waits for it, or ends it. */
  start(
    script: Script,
    flags: readonly string[],
    options: Options = {},
    before: readonly string[] = [],
  ): Started {
    const out = KEEPS_NOTHING.includes(script) ? [] : ['--out', this.reports]
    const command = [process.execPath, `scripts/${script}.ts`, '--config', this.config, ...out, ...flags]
    return start([...before, ...command], {
      ...options,
      env: { ...this.cluster.env, ...PASSWORDS, ...options.env },
    })
  }

  async run(script: Script, flags: readonly string[] = [], options?: Options): Promise<Finished> {
    return await this.start(script, ['--env', 'production', ...flags], options).ended
  }

  async deploy(version: string, ...flags: string[]): Promise<Finished> {
    return await this.run('deploy', ['--yes', '--version', version, ...flags])
  }

  /**
   * Versions that are live one after the other before what a test is about begins: deployed as ever, but nobody
   * watches for longer than it takes, and the color that was left stays as it is. Then with the settings of before.
   */
  async bring(...versions: string[]): Promise<void> {
    const before = readFileSync(this.config)
    this.configure({ ...unwatched, timeouts: TIMES })
    for (const version of versions) succeeded(await this.deploy(version))
    writeFileSync(this.config, before)
  }

  async rollback(...flags: string[]): Promise<Finished> {
    return await this.run('rollback-deployment', ['--yes', ...flags])
  }

  async status(): Promise<Status> {
    return parseStatus(succeeded(await this.run('deployment-status', ['--json'])))
  }

  /** Newest first. */
  async history(): Promise<Record[]> {
    return parseHistory(succeeded(await this.run('deployment-history', ['--json', '--limit', '1000'])))
  }

  /** Users, until they are stopped: so many requests a second, kept connections, WebSockets. */
  async traffic(rate?: number, connections?: number, sockets?: number): Promise<Traffic> {
    const file = join(this.folder, `traffic-${++this.#clients}.ndjson`)
    const url = new URL(this.url)
    url.hostname = usersNode(this.cluster.kind)
    return await startTraffic(url.origin, file, rate, connections, sockets)
  }

  /** What the live Service selects. */
  async selector(): Promise<ReturnType<typeof parseSelector>> {
    return parseSelector(await this.cluster.read(`/api/v1/namespaces/${this.namespace}/services/${APP}`))
  }

  /** Whatever these scripts could have changed, as it is now. */
  async resourceVersions(): Promise<string> {
    const all = (kinds: string, fields: string) =>
      this.kubectl('get', kinds, '-o', `jsonpath={range .items[*]}${fields}{"\\n"}{end}`)
    const versions = all(
      'services,deployments,configmaps,leases,jobs',
      '{.kind} {.metadata.name} {.metadata.resourceVersion}',
    )
    // A real cluster's controller writes its status by itself, again and again.
    const bounds = all('horizontalpodautoscalers', '{.kind} {.metadata.name} {.spec}')
    return (await Promise.all([versions, bounds])).join('')
  }

  /** Standard output of kubectl in this namespace, as an administrator. @throws Error with what it said */
  async kubectl(...args: string[]): Promise<string> {
    return await output(['kubectl', '-n', this.namespace, ...args], { env: this.cluster.env })
  }

  /** Applies manifests as somebody with a file would. */
  async apply(manifests: object | string, ...flags: string[]): Promise<string> {
    const input = typeof manifests === 'string' ? manifests : JSON.stringify(manifests)
    const command = ['kubectl', '-n', this.namespace, 'apply', ...flags, '-f', '-']
    return await output(command, { env: this.cluster.env, input })
  }

  /** Deletes the namespace, without waiting for it, and the files. */
  async close(): Promise<void> {
    await this.cluster.kubectl('delete', 'namespace', this.namespace, '--wait=false', '--ignore-not-found')
    rmSync(this.folder, { recursive: true, force: true })
  }
}

export const WITNESS: Settings = {
  path: '/version',
  color: 'color',
  rate: 40,
  connections: 6,
  before: '200ms',
  after: '300ms',
  timeout: '20s',
}

/**
 * For what is healthy. On a busy machine it takes its time, and before Kubernetes 1.22 a kubelet can lose that a startup
 * probe succeeded, and looks again after 60 to 90 s: https://github.com/kubernetes/kubernetes/issues/95140.
 */
export const TIMES = { rollout: '2m', ready: '2m', schedule: '3s', endpoints: '30s', migration: '60s' }

/** Short times: what is waited for is watched, not slept for. */
const quick: Settings = {
  app: APP,
  smoke: [
    { name: 'the process is alive', path: '/health', expect: { json: { status: 'ok' } } },
    { name: 'the database answers', path: '/ready', expect: { status: 200 } },
    { name: 'the page is served', path: '/', expect: { text: '<title>' } },
    { name: 'conversations are protected', path: '/api/conversations', expect: { status: 401 } },
  ],
  witness: WITNESS,
  drain: '100ms',
  // As long must whoever takes over from a run that was killed wait for it.
  lock: '15s',
  timeouts: TIMES,
  bake: false,
}

/** For what only has to be there: one answer is proof enough, and nobody is on the color that is left. */
const unwatched: Settings = {
  witness: { path: WITNESS['path'], connections: 1, before: '0ms', after: '0ms', timeout: '20s' },
  switch: 'direct',
  drain: '0ms',
  afterSwitch: 'keep',
}

/** The test accounts, with passwords that open nothing else. */
const ACCOUNTS = { verifier: 'rehearsal-only-1', bystander: 'rehearsal-only-2' }
const PASSWORDS = { VERIFIER_PASSWORD: ACCOUNTS.verifier, BYSTANDER_PASSWORD: ACCOUNTS.bystander }

/** Every kind of check, as deploy.yaml of this repository declares them, but for fewer requests and Lighthouse runs. */
export const ALL_GATES = {
  accounts: {
    user: { name: 'verifier', password: 'VERIFIER_PASSWORD' },
    other: { name: 'bystander', password: 'BYSTANDER_PASSWORD' },
  },
  performance: {
    rate: 100,
    duration: '10s',
    warmup: '1s',
    liveRate: 100,
    endpoints: [{ path: '/', weight: 2 }, { path: '/version' }, { path: '/api/session' }],
  },
  ui: { specs: join(ROOT, 'verify/ui') },
  security: {
    signIn: { path: '/api/session', signOut: { path: '/api/session' } },
    protected: [
      { path: '/api/me' },
      { path: '/api/conversations' },
      { path: '/api/admin/users', user: 'refused' },
    ],
    owned: { path: '/api/conversations', body: '{}', headers: { 'content-type': 'application/json' } },
  },
  pageQuality: { runs: 1 },
}

/** @throws Error with what the script said */
export function succeeded({ code, stdout, stderr }: Finished): string {
  if (code === 0) return stdout
  throw new Error(`exit ${code}:\n${stderr}`)
}
