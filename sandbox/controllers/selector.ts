/** Label selectors, and the claim of a controller on the objects that its selector matches. */
import type { JsonMap } from '../api/json.ts'
import { matchesSelector } from '../api/selector.ts'
import type { LabelSelector, Labels } from '../kinds.ts'
import type { KubeObject, OwnerReference, Store } from '../store.ts'

/** An empty selector matches everything, as in Kubernetes; callers that must not have that check for it. */
export function matches(selector: LabelSelector, labels: Labels = {}): boolean {
  return matchesSelector(selector as JsonMap, labels)
}

export function controllerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((owner) => owner.controller)
}

/** The owner reference by which a controller marks what it made. */
export function ownedBy({ apiVersion, kind, metadata }: KubeObject): OwnerReference {
  const { name, uid } = metadata
  if (!uid) throw new Error(`${kind} ${name} has no uid`)
  return { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true }
}

/**
 * The objects that an owner controls. Orphans that match are adopted and what no longer matches is
 * released, as real controllers do: a relabelled pod leaves its ReplicaSet.
 */
export function claim<T extends KubeObject>(
  store: Store,
  resource: string,
  owner: KubeObject & { spec: { selector: LabelSelector } },
): T[] {
  const { namespace, uid, deletionTimestamp } = owner.metadata
  return store.list<T>(resource, namespace).flatMap((object) => {
    const controller = controllerOf(object)
    const fits = matches(owner.spec.selector, object.metadata.labels)
    if (controller) {
      if (controller.uid !== uid) return []
      if (!fits && !deletionTimestamp) release(store, resource, object, owner)
      return fits ? [object] : []
    }
    if (!fits || deletionTimestamp || object.metadata.deletionTimestamp) return []
    return [adopt(store, resource, object, owner)]
  })
}

function adopt<T extends KubeObject>(store: Store, resource: string, object: T, owner: KubeObject): T {
  object.metadata.ownerReferences = [...(object.metadata.ownerReferences ?? []), ownedBy(owner)]
  return store.update(resource, object)
}

function release(store: Store, resource: string, object: KubeObject, owner: KubeObject): void {
  const others = object.metadata.ownerReferences?.filter(({ uid }) => uid !== owner.metadata.uid) ?? []
  if (others.length) object.metadata.ownerReferences = others
  else delete object.metadata.ownerReferences
  store.update(resource, object)
}
