/**
 * The sandbox's etcd: every object of every kind, in memory, with resource versions and watches.
 * Everything is synchronous, so a read-modify-write inside one tick cannot lose an update.
 */
import { conflict, alreadyExists, notFound } from './status.ts'

export interface OwnerReference {
  apiVersion: string
  kind: string
  name: string
  uid: string
  controller?: boolean
  blockOwnerDeletion?: boolean
}

export interface ObjectMeta {
  name: string
  namespace?: string
  uid?: string
  resourceVersion?: string
  generation?: number
  creationTimestamp?: string
  deletionTimestamp?: string
  deletionGracePeriodSeconds?: number
  labels?: Record<string, string>
  annotations?: Record<string, string>
  ownerReferences?: OwnerReference[]
  finalizers?: string[]
  managedFields?: unknown[]
}

/** An object as the API serves it. Kinds that the sandbox acts on extend this with their own spec and status. */
export interface KubeObject {
  apiVersion: string
  kind: string
  metadata: ObjectMeta
  spec?: unknown
  status?: unknown
}

export interface WatchEvent<T extends KubeObject = KubeObject> {
  type: 'ADDED' | 'MODIFIED' | 'DELETED'
  resource: string
  object: T
  /** What a MODIFIED event replaced: a watch with a selector must tell when an object leaves it. */
  previous?: KubeObject
}

export interface WriteOptions {
  /** Answer as if it were written, and write nothing. */
  dryRun?: boolean
  /** Counts the generation up even though the spec is the same. */
  newGeneration?: boolean
}

type Listener = (event: WatchEvent) => void

/** How many events stay replayable for a watch that names a resourceVersion; older ones answer 410 Gone. */
const REPLAY = 5000

export class Store {
  #version = 1
  #objects = new Map<string, Map<string, KubeObject>>() // resource → namespace/name → object
  #replay: { version: number; event: WatchEvent }[] = []
  #listeners = new Set<Listener>()

  /** The latest resource version, as lists and bookmarks carry it. */
  get version(): string {
    return String(this.#version)
  }

  /** Resources are named by their plural, as in a URL: `pods`, `deployments`. A copy is returned: change it freely. */
  get<T extends KubeObject>(resource: string, namespace: string | undefined, name: string): T | undefined {
    const found = this.#of(resource).get(key(namespace, name))
    return found && (structuredClone(found) as T)
  }

  list<T extends KubeObject>(resource: string, namespace?: string): T[] {
    const all = [...this.#of(resource).values()]
    const chosen =
      namespace === undefined ? all : all.filter((object) => object.metadata.namespace === namespace)
    return chosen.map((object) => structuredClone(object) as T)
  }

  /** A `metadata.uid` in the object is kept: some defaults are made of it. @throws ApiError 409 AlreadyExists */
  create<T extends KubeObject>(resource: string, object: T, { dryRun }: WriteOptions = {}): T {
    const { name, namespace } = object.metadata
    if (this.#of(resource).has(key(namespace, name))) throw alreadyExists(resource, name)
    const created = structuredClone(object)
    created.metadata.uid ??= crypto.randomUUID()
    created.metadata.creationTimestamp = now()
    if (hasGeneration(resource)) created.metadata.generation = 1
    return dryRun ? created : this.#write('ADDED', resource, created)
  }

  /**
   * Replaces an object. A `metadata.resourceVersion` in it must be the stored one. Writing what is already
   * there changes nothing, not even the version, as in Kubernetes. When it takes the last finalizer from an
   * object that is being deleted, the object goes.
   * @throws ApiError 404 NotFound, 409 Conflict
   */
  update<T extends KubeObject>(resource: string, object: T, { dryRun, newGeneration }: WriteOptions = {}): T {
    const { name, namespace, resourceVersion } = object.metadata
    const stored = this.#of(resource).get(key(namespace, name))
    if (!stored) throw notFound(resource, name)
    if (resourceVersion && resourceVersion !== stored.metadata.resourceVersion) throw conflict(resource, name)
    const updated = structuredClone(object)
    for (const fixed of ['uid', 'creationTimestamp', 'resourceVersion', 'generation'] as const) {
      delete updated.metadata[fixed]
      if (stored.metadata[fixed] !== undefined)
        Object.assign(updated.metadata, { [fixed]: stored.metadata[fixed] })
    }
    if (Bun.deepEquals(updated, stored)) return structuredClone(stored) as T
    if (hasGeneration(resource) && (newGeneration || !Bun.deepEquals(updated.spec, stored.spec))) {
      updated.metadata.generation = (stored.metadata.generation ?? 0) + 1
    }
    if (dryRun) return updated
    if (!losesLastFinalizer(stored, updated)) return this.#write('MODIFIED', resource, updated, stored)
    this.remove(resource, namespace, name)
    return updated
  }

  /** Read, change, write: for controllers. Undefined where the object is gone. */
  modify<T extends KubeObject>(
    resource: string,
    namespace: string | undefined,
    name: string,
    change: (draft: T) => void,
  ): T | undefined {
    const draft = this.get<T>(resource, namespace, name)
    if (!draft) return undefined
    change(draft)
    return this.update(resource, draft)
  }

  /** Takes the object out at once; graceful deletion is the caller's affair (see node.ts for pods). */
  remove(resource: string, namespace: string | undefined, name: string): KubeObject | undefined {
    const stored = this.#of(resource).get(key(namespace, name))
    if (!stored) return undefined
    this.#of(resource).delete(key(namespace, name))
    const gone = structuredClone(stored)
    gone.metadata.resourceVersion = String(++this.#version)
    this.#emit({ type: 'DELETED', resource, object: gone })
    return gone
  }

  /** Calls back synchronously for every later write of any kind. Returns the function that ends it. */
  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** The events after a resource version, or undefined when they are no longer all known (410 Gone). */
  since(version: number): WatchEvent[] | undefined {
    const oldest = this.#replay[0]?.version ?? this.#version + 1
    if (version + 1 < oldest && version < this.#version) return undefined
    return this.#replay.filter((entry) => entry.version > version).map((entry) => entry.event)
  }

  #of(resource: string): Map<string, KubeObject> {
    const existing = this.#objects.get(resource)
    if (existing) return existing
    const created = new Map<string, KubeObject>()
    this.#objects.set(resource, created)
    return created
  }

  #write<T extends KubeObject>(
    type: 'ADDED' | 'MODIFIED',
    resource: string,
    object: T,
    previous?: KubeObject,
  ): T {
    object.metadata.resourceVersion = String(++this.#version)
    this.#of(resource).set(key(object.metadata.namespace, object.metadata.name), object)
    this.#emit({ type, resource, object: structuredClone(object), ...(previous && { previous }) })
    return structuredClone(object)
  }

  #emit(event: WatchEvent): void {
    this.#replay.push({ version: this.#version, event })
    if (this.#replay.length > REPLAY) this.#replay.shift()
    for (const listener of this.#listeners) listener(event)
  }
}

function key(namespace: string | undefined, name: string): string {
  return `${namespace ?? ''}/${name}`
}

function losesLastFinalizer({ metadata: before }: KubeObject, { metadata: after }: KubeObject): boolean {
  const held = before.deletionTimestamp !== undefined && (before.finalizers?.length ?? 0) > 0
  return held && !after.finalizers?.length && !before.deletionGracePeriodSeconds
}

const GENERATIONS = new Set([
  'cronjobs',
  'deployments',
  'ingresses',
  'jobs',
  'networkpolicies',
  'poddisruptionbudgets',
  'pods',
  'replicasets',
])

function hasGeneration(resource: string): boolean {
  return GENERATIONS.has(resource)
}

/** Kubernetes' timestamps have whole seconds. */
export function now(): string {
  return new Date().toISOString().replace(/\.\d+Z$/, 'Z')
}
