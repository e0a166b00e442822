/**
 * A cluster as the scripts see it through kubectl: it answers the commands that they use from objects held here,
 * and keeps what it was asked. Deployments get their pods at once, in the state that the test chooses.
 */
import { readFileSync } from 'node:fs'
import { applyPatch, type Operation } from 'rfc6902'
import type { Command, Output, RunOptions, Shell } from '../../lib/command.ts'
import type { Manifest } from '../../lib/cluster/objects.ts'
import { APP, ready, type Stored } from './objects.ts'

const WRITES = ['create', 'replace', 'patch', 'apply', 'delete', 'annotate']

const KINDS: Record<string, string> = {
  services: 'Service',
  deployments: 'Deployment',
  replicasets: 'ReplicaSet',
  pods: 'Pod',
  horizontalpodautoscalers: 'HorizontalPodAutoscaler',
  leases: 'Lease',
  configmaps: 'ConfigMap',
  endpointslices: 'EndpointSlice',
  poddisruptionbudgets: 'PodDisruptionBudget',
  resourcequotas: 'ResourceQuota',
  cronjobs: 'CronJob',
  ingresses: 'Ingress',
  networkpolicies: 'NetworkPolicy',
  serviceaccounts: 'ServiceAccount',
}

const said = (stdout: string): Output => ({ stdout, stderr: '', exitCode: 0 })
export const refused = (stderr: string): Output => ({ stdout: '', stderr, exitCode: 1 })
export const UNREACHABLE = refused(
  'Unable to connect to the server: dial tcp 127.0.0.1:6443: connect: refused',
)

const recordLine = ({ metadata: { name, creationTimestamp, labels } }: Stored): string =>
  `${name} ${creationTimestamp ?? ''} ${labels?.['deploy-scripts/outcome'] ?? ''}\n`

export class Cluster implements Shell {
  readonly objects = new Map<string, Stored>()
  /** What was written, as `patch service chat`; later writes of records, and Events, whose moment is not fixed, left out. */
  readonly writes: string[] = []
  /** Every command line. */
  readonly asked: string[] = []
  /** Commands that were printed before they ran. */
  readonly printed: string[] = []
  /** Answers in the cluster's place, or does something first. */
  intercept: (
    line: string,
    write: string | undefined,
    args: readonly string[],
  ) => Output | undefined | Promise<Output | undefined> = () => undefined
  /** Whether an answer is lost on its way back: what was asked for has been done. */
  loses: (line: string) => boolean = () => false
  /** The status that new pods get. */
  podStatus: (pod: string) => Record<string, unknown> = ready
  #version = 0

  async read(command: Command, options: RunOptions = {}): Promise<Output> {
    const args = command.slice(1).filter((arg) => !/^--(context|namespace|request-timeout)=/.test(arg))
    const [verb = ''] = args
    const line = args.join(' ')
    const name = WRITES.includes(verb) ? nameOfWrite(args, options.input) : undefined
    this.asked.push(line)
    const instead = await this.intercept(line, name, args)
    if (instead) return instead
    const answer = this.#answer(verb, args.slice(1), options.input ?? '')
    if (name && !/^(patch configmap|create Event)/.test(name) && answer.exitCode === 0) this.writes.push(name)
    return this.loses(line) ? UNREACHABLE : answer
  }

  async write(command: Command, options: RunOptions = {}): Promise<Output> {
    this.printed.push(command.join(' '))
    return await this.read(command, options)
  }

  start(): never {
    throw new Error('nothing is started here')
  }

  /** As the real kubectl renders it. */
  kustomize(line: string): Output {
    const { stdout, stderr, exitCode } = Bun.spawnSync(['kubectl', ...line.split(' ')])
    return { stdout: stdout.toString(), stderr: stderr.toString(), exitCode }
  }

  /** The one object, for a test to look at or to change. */
  object(kind: string, name: string): Stored {
    const found = this.objects.get(`${kind}/${name}`)
    if (!found) throw new Error(`the cluster holds no ${kind}/${name}`)
    return found
  }

  all(kind: string): Stored[] {
    return [...this.objects.values()].filter((object) => object.kind === kind)
  }

  selector(name = APP): unknown {
    return this.object('Service', name).spec?.selector
  }

  records(): { id: string; kind: string; outcome: string; message?: string; reason?: string }[] {
    return this.all('ConfigMap').map(({ data }) => JSON.parse(data?.record ?? 'null'))
  }

  /** Stores an object as the server would; a Deployment's pods follow. */
  put(given: Stored | Manifest): Stored {
    const object = given as Stored
    const id = `${object.kind}/${object.metadata.name}`
    const before = this.objects.get(id)
    const { resourceVersion: _, ...metadata } = object.metadata
    const stored = structuredClone({
      ...before,
      ...object,
      metadata: {
        ...before?.metadata,
        ...metadata,
        ...((before?.metadata.annotations ?? metadata.annotations) && {
          annotations: { ...before?.metadata.annotations, ...metadata.annotations },
        }),
        uid: before?.metadata.uid ?? `uid-${++this.#version}`,
        resourceVersion: String(++this.#version),
        generation: (before?.metadata.generation ?? 0) + 1,
      },
      ...((before?.spec ?? object.spec) && { spec: { ...before?.spec, ...object.spec } }),
    })
    this.objects.set(id, stored)
    if (stored.kind === 'Deployment') this.#rollOut(stored)
    return stored
  }

  /** A changed Deployment, with pods of its own. */
  #roll(changed: Stored): Stored {
    const metadata = { ...changed.metadata, generation: (changed.metadata.generation ?? 0) + 1 }
    const stored = { ...changed, metadata }
    this.objects.set(`Deployment/${metadata.name}`, stored)
    this.#rollOut(stored)
    return stored
  }

  #rollOut({ metadata, spec, ...deployment }: Stored): void {
    const { name, uid = '', generation = 1, labels = {} } = metadata
    for (const pod of this.all('Pod')) {
      if (pod.metadata.name.startsWith(`${name}.`)) this.objects.delete(`Pod/${pod.metadata.name}`)
    }
    const replicas = Number(spec?.replicas ?? 1)
    const owner = { kind: 'Deployment', name, uid, controller: true }
    const set = this.put({
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      metadata: { name: `${name}-${generation}`, labels, ownerReferences: [owner] },
      spec: { template: spec?.template },
    })
    const by = { kind: 'ReplicaSet', name: set.metadata.name, uid: set.metadata.uid ?? '', controller: true }
    for (let i = 0; i < replicas; i++) {
      const pod = `${name}.${generation}.${i}`
      const about = { name: pod, labels, annotations: annotationsOf(spec), ownerReferences: [by] }
      this.put({ apiVersion: 'v1', kind: 'Pod', metadata: about, status: this.podStatus(pod) })
    }
    const status = { observedGeneration: generation, replicas, updatedReplicas: replicas }
    this.objects.set(`Deployment/${name}`, { ...deployment, metadata, ...(spec && { spec }), status })
  }

  #answer(verb: string, args: string[], input: string): Output {
    switch (verb) {
      case 'get':
        return this.#get(args)
      case 'create':
      case 'replace':
        return this.#store(verb, JSON.parse(input))
      case 'apply':
        return this.#apply(args, JSON.parse(input))
      case 'patch':
        return this.#patch(args)
      case 'annotate':
        return this.#annotate(args)
      case 'delete':
        if (args[0]?.startsWith('--raw=')) return this.#deleteRaw(args[0], JSON.parse(input))
        for (const name of args.slice(1)) this.objects.delete(`${kindOf(args[0])}/${name}`)
        return said('')
      case 'config':
        return said('test\n')
      default:
        return said('')
    }
  }

  #get(args: string[]): Output {
    const [what = ''] = args
    if (what === 'events') return said('')
    const selector = args.find((arg) => arg.startsWith('--selector='))?.slice('--selector='.length)
    if (what.includes('/')) {
      const wanted = args.filter((arg) => arg.includes('/'))
      const found = wanted.flatMap((id) => this.objects.get(this.#id(id)) ?? [])
      return said(wanted.length === 1 ? (found[0] ? JSON.stringify(found[0]) : '') : listOf(found))
    }
    if (what === 'endpointslices') return said(listOf([this.#slice(selector?.split('=')[1] ?? '')]))
    const kinds = what.split(',').map((kind) => KINDS[kind])
    const found = [...this.objects.values()].filter(
      (object) => kinds.includes(object.kind) && matches(object, selector),
    )
    if (!args.some((arg) => arg.startsWith('jsonpath='))) return said(listOf(found))
    return said(found.map(recordLine).join(''))
  }

  #id(named: string): string {
    const [kind, name] = named.split('/')
    return `${kindOf(kind)}/${name}`
  }

  /** The endpoints that kube-controller-manager would make of a Service's selector. */
  #slice(name: string): Stored & { endpoints: unknown[] } {
    const selector = Object.entries(this.objects.get(`Service/${name}`)?.spec?.selector ?? {})
    const behind = this.all('Pod').filter(
      ({ metadata }) =>
        selector.length > 0 && selector.every(([label, value]) => metadata.labels?.[label] === value),
    )
    const endpoints = behind.map(({ metadata, status }) => ({
      conditions: { ready: JSON.stringify(status).includes('"Ready","status":"True"') },
      targetRef: { kind: 'Pod', name: metadata.name, uid: metadata.uid },
    }))
    return { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata: { name }, endpoints }
  }

  #store(verb: string, object: Stored & { items?: Stored[] }): Output {
    if (object.items) {
      const reviews = object.items.map((item) => ({ ...item, metadata: {}, status: { allowed: true } }))
      return said(reviews.map((review) => JSON.stringify(review, undefined, 4)).join('\n'))
    }
    if (object.kind === 'SelfSubjectRulesReview') {
      const resourceRules = [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }]
      return said(JSON.stringify({ ...object, metadata: {}, status: { resourceRules, incomplete: false } }))
    }
    const { kind, metadata } = object
    const before = this.objects.get(`${kind}/${metadata.name}`)
    if (verb === 'create' && before)
      return refused(`Error from server (AlreadyExists): ${kind} "${metadata.name}" already exists`)
    if (verb === 'replace' && before?.metadata.resourceVersion !== metadata.resourceVersion)
      return refused(`Error from server (Conflict): the object has been modified`)
    return said(JSON.stringify(this.put(object)))
  }

  #apply(args: string[], { items }: { items: Stored[] }): Output {
    if (args.includes('--dry-run=server')) return said('')
    const stale = items.filter(({ kind, metadata: { name, resourceVersion } }) => {
      const before = this.objects.get(`${kind}/${name}`)
      return resourceVersion && before && before.metadata.resourceVersion !== resourceVersion
    })
    for (const item of items) if (!stale.includes(item)) this.put(item)
    if (stale.length > 0)
      return refused(
        `error: Operation cannot be fulfilled on ${stale[0]?.kind} "${stale[0]?.metadata.name}": the object has been modified`,
      )
    return said('')
  }

  #patch(args: string[]): Output {
    const [kind, name = ''] = args
    const id = `${kindOf(kind)}/${name}`
    const before = this.objects.get(id)
    if (!before) return refused(`Error from server (NotFound): ${kind} "${name}" not found`)
    const file = args.find((arg) => arg.startsWith('--patch-file='))?.slice('--patch-file='.length)
    const draft = structuredClone(before)
    const text = file ? readFileSync(file, 'utf8') : args[args.indexOf('-p') + 1]
    const operations = JSON.parse(text ?? '[]') as Operation[]
    if (applyPatch(draft, operations).some((error) => error !== null))
      return refused('The request is invalid: the server rejected our request due to an error in our request')
    draft.metadata.resourceVersion = String(++this.#version)
    // A workload that is changed rolls out, as the controller has it.
    if (draft.kind === 'Deployment' && !Bun.deepEquals(draft.spec, before.spec))
      return said(JSON.stringify(this.#roll(draft)))
    this.objects.set(id, draft)
    return said(JSON.stringify(draft))
  }

  #annotate(args: string[]): Output {
    const [kinds = '', ...flags] = args
    const selector = flags.find((arg) => arg.startsWith('--selector='))?.slice('--selector='.length)
    const [name = '', value = ''] = flags.find((arg) => !arg.startsWith('--'))?.split('=') ?? []
    const wanted = kinds.split(',').map((kind) => KINDS[kind])
    for (const object of this.objects.values()) {
      if (!wanted.includes(object.kind) || !matches(object, selector)) continue
      object.metadata.annotations = { ...object.metadata.annotations, [name]: value }
      object.metadata.resourceVersion = String(++this.#version)
    }
    return said('')
  }

  #deleteRaw(raw: string, { preconditions }: { preconditions: object }): Output {
    const [kind = '', name = ''] = raw.split('/').slice(-2)
    const id = `${KINDS[kind]}/${name}`
    const { uid, resourceVersion } = this.objects.get(id)?.metadata ?? {}
    if (!uid) return refused(`Error from server (NotFound): ${kind} "${name}" not found`)
    if (!Bun.deepEquals(preconditions, { uid, resourceVersion }))
      return refused(`Error from server (Conflict): Operation cannot be fulfilled on ${kind} "${name}"`)
    this.objects.delete(id)
    return said('')
  }
}

/** A pod's annotations are those of its template. */
function annotationsOf(spec: Stored['spec']): Record<string, string> {
  const { template } = (spec ?? {}) as { template?: { metadata?: Stored['metadata'] } }
  return { ...template?.metadata?.annotations }
}

const listOf = (items: readonly object[]): string => JSON.stringify({ kind: 'List', items })

const kindOf = (name = ''): string => KINDS[`${name}s`] ?? (name === 'job' ? 'Job' : name)

function matches({ metadata: { labels = {} } }: Stored, selector = ''): boolean {
  const terms = selector.match(/[^,(]+(\([^)]*\))?/g) ?? []
  return terms.every((term) => {
    const among = /^(\S+) in \((.*)\)$/.exec(term)
    if (among) return among[2]?.split(',').includes(labels[among[1] ?? ''] ?? '')
    if (term.startsWith('!')) return labels[term.slice(1)] === undefined
    const [label = '', value] = term.split('=')
    return labels[label] === value
  })
}

/** `patch service chat`, `apply Deployment/chat-green`, `create Lease chat-deploy`. */
function nameOfWrite(args: readonly string[], input = ''): string | undefined {
  const [verb = ''] = args
  if (args.includes('--dry-run=server')) return undefined
  // How often a lock is renewed depends on how long a test takes.
  if (verb === 'patch' && args.some((arg) => arg.includes('/spec/renewTime'))) return undefined
  const raw = args.find((arg) => arg.startsWith('--raw='))?.split('/')
  if (raw) return `delete ${raw.slice(-2).join(' ')}`
  const words = args.filter((arg) => !arg.startsWith('-'))
  if (verb === 'patch' || verb === 'delete' || verb === 'rollout') return words.slice(0, 3).join(' ')
  if (verb === 'annotate')
    return `fence ${args.find((arg) => arg.startsWith('--selector='))?.split('color=')[1]}`
  const { kind, metadata, items } = JSON.parse(input) as Stored & { items?: Stored[] }
  if (kind === 'SelfSubjectRulesReview') return undefined
  if (!items) return kind === 'ConfigMap' ? 'create record' : `${verb} ${kind} ${metadata.name}`
  if (verb === 'create') return undefined
  return `apply ${items.map((item) => `${item.kind}/${item.metadata.name}`).join(' ')}`
}
