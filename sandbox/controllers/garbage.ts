/**
 * Deletes what has lost its owners, and empties namespaces that are being deleted. Knows every object from the
 * store's events, so it must be made before the first object is.
 */
import type { Pod } from '../kinds.ts'
import type { KubeObject, Store, WatchEvent } from '../store.ts'
import { deletePod } from './pods.ts'

interface Known {
  resource: string
  namespace: string | undefined
  name: string
  owners: string[]
}

/** Runs until the returned function is called. */
export function collectGarbage(store: Store): () => void {
  const collector = new Collector(store)
  return store.subscribe((event) => collector.notice(event))
}

class Collector {
  readonly #store: Store
  #known = new Map<string, Known>()
  #terminating = new Set<string>()
  #suspects = new Set<string>()
  #isDue = false

  constructor(store: Store) {
    this.#store = store
  }

  notice({ type, resource, object }: WatchEvent): void {
    const { uid = '', namespace, name, ownerReferences, deletionTimestamp } = object.metadata
    if (type === 'DELETED') {
      this.#known.delete(uid)
      this.#terminating.delete(resource === 'namespaces' ? name : '')
      for (const [dependent, { owners }] of this.#known) if (owners.includes(uid)) this.#suspect(dependent)
    } else {
      const owners = (ownerReferences ?? []).map((owner) => owner.uid)
      this.#known.set(uid, { resource, namespace, name, owners })
      if (owners.length) this.#suspect(uid)
      if (resource === 'namespaces' && deletionTimestamp) this.#terminating.add(name)
    }
    if (this.#terminating.size) this.#schedule()
  }

  #suspect(uid: string): void {
    this.#suspects.add(uid)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#isDue) return
    this.#isDue = true
    setImmediate(() => this.#collect())
  }

  #collect(): void {
    this.#isDue = false
    const suspects = [...this.#suspects]
    this.#suspects.clear()
    for (const uid of suspects) {
      const known = this.#known.get(uid)
      if (known?.owners.length && known.owners.every((owner) => !this.#known.has(owner))) this.#delete(known)
    }
    for (const namespace of this.#terminating) this.#empty(namespace)
  }

  /** Pods are given their grace period; the namespace goes with the last object in it. */
  #empty(namespace: string): void {
    const inside = [...this.#known.values()].filter((known) => known.namespace === namespace)
    for (const known of inside) this.#delete(known)
    if (!inside.length) this.#store.remove('namespaces', undefined, namespace)
  }

  #delete({ resource, namespace, name }: Known): void {
    const object = this.#store.get<KubeObject>(resource, namespace, name)
    if (!object) return
    if (resource === 'pods') deletePod(this.#store, object as Pod)
    else this.#store.remove(resource, namespace, name)
  }
}
