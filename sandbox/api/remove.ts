/** DELETE: at once, gracefully (pods, namespaces), or after the dependents (foreground). */
import type { PodTerminator } from '../hooks.ts'
import { type KubeObject, type Store, now } from '../store.ts'
import { conflict } from '../status.ts'
import type { Body } from './body.ts'
import { type JsonMap, at, isMap, numberAt, stringAt, toMap } from './json.ts'
import { matcher, stored } from './read.ts'
import { type ApiRequest, isDryRun } from './request.ts'
import { groupVersion, resources } from './resources.ts'

interface Options {
  gracePeriodSeconds: number | undefined
  policy: string
  dryRun: boolean
}

const FOREGROUND = 'foregroundDeletion'

/** The object where it still lingers, else a Status that says it is gone. @throws ApiError 404, 409 */
export function remove(store: Store, node: PodTerminator, request: ApiRequest, body: Body): JsonMap {
  const object = stored(store, request)
  checkPreconditions(request.resource.name, object, body)
  const left = removeObject(store, node, request.resource.name, object, optionsOf(request, body))
  return left ? toMap(left) : success(request, object)
}

/** Every object that the request selects. */
export function removeAll(store: Store, node: PodTerminator, request: ApiRequest, body: Body): JsonMap {
  const { resource, group, version, namespace } = request
  const options = optionsOf(request, body)
  const chosen = store.list(resource.name, namespace).filter(matcher(request))
  const items = chosen.map((object) =>
    toMap(removeObject(store, node, resource.name, object, options) ?? object),
  )
  const metadata = { resourceVersion: store.version }
  return { kind: `${resource.kind}List`, apiVersion: groupVersion(group, version), metadata, items }
}

function optionsOf(request: ApiRequest, { value }: Body): Options {
  const { query } = request
  const dryRun = at(value, 'dryRun')
  const grace = at(value, 'gracePeriodSeconds') ?? query.get('gracePeriodSeconds')
  return {
    gracePeriodSeconds: grace === null || grace === undefined ? undefined : Number(grace),
    policy: stringAt(value, 'propagationPolicy') || query.get('propagationPolicy') || 'Background',
    dryRun: isDryRun(request) || (Array.isArray(dryRun) && dryRun.includes('All')),
  }
}

function checkPreconditions(resource: string, { metadata }: KubeObject, { value }: Body): void {
  const wanted = at(value, 'preconditions')
  if (!isMap(wanted)) return
  for (const [key, label] of [
    ['uid', 'UID'],
    ['resourceVersion', 'ResourceVersion'],
  ] as const) {
    const [expected, actual] = [stringAt(wanted, key), metadata[key] ?? '']
    if (!expected || expected === actual) continue
    const why = `Precondition failed: ${label} in precondition: ${expected}, ${label} in object meta: ${actual}`
    throw conflict(resource, metadata.name, why)
  }
}

function success({ resource, group }: ApiRequest, { metadata }: KubeObject): JsonMap {
  const details = {
    name: metadata.name,
    ...(group && { group }),
    kind: resource.name,
    uid: metadata.uid ?? '',
  }
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details }
}

/** Returns what is left of the object, undefined when it is gone. */
function removeObject(
  store: Store,
  node: PodTerminator,
  resource: string,
  object: KubeObject,
  options: Options,
): KubeObject | undefined {
  if (options.dryRun) return undefined
  if (options.policy === 'Orphan') orphan(store, object)
  if (resource === 'pods') return removePod(store, node, object, options.gracePeriodSeconds)
  if (resource === 'namespaces') return terminateNamespace(store, object)
  if (options.policy === 'Foreground') return removeAfterDependents(store, node, resource, object)
  if (object.metadata.finalizers?.length) return markDeleted(store, resource, object)
  store.remove(resource, object.metadata.namespace, object.metadata.name)
  return undefined
}

function markDeleted(
  store: Store,
  resource: string,
  object: KubeObject,
  finalizers: string[] = [],
): KubeObject {
  const { metadata } = object
  metadata.deletionTimestamp ??= now()
  metadata.deletionGracePeriodSeconds ??= 0
  if (finalizers.length > 0)
    metadata.finalizers = [...new Set([...(metadata.finalizers ?? []), ...finalizers])]
  return store.update(resource, object)
}

function removePod(
  store: Store,
  node: PodTerminator,
  pod: KubeObject,
  asked: number | undefined,
): KubeObject | undefined {
  const { metadata } = pod
  const phase = stringAt(pod, 'status', 'phase')
  // Nothing runs (any more) that would need time to stop.
  const isIdle = !at(pod, 'spec', 'nodeName') || phase === 'Succeeded' || phase === 'Failed'
  const grace = isIdle ? 0 : (asked ?? numberAt(pod, 'spec', 'terminationGracePeriodSeconds'))
  const { namespace = '', name } = metadata
  const before = metadata.deletionGracePeriodSeconds
  if (metadata.deletionTimestamp && before !== undefined && grace >= before && grace > 0) return pod
  if (grace === 0 && !metadata.finalizers?.length) {
    store.remove('pods', namespace, name)
    node.terminate(namespace, name, 0)
    return undefined
  }
  metadata.deletionTimestamp = new Date(Date.now() + grace * 1000).toISOString().replace(/\.\d+Z$/, 'Z')
  metadata.deletionGracePeriodSeconds = grace
  const marked = store.update('pods', pod)
  node.terminate(namespace, name, grace)
  return marked
}

/** The namespace controller empties it, and then it goes. */
function terminateNamespace(store: Store, namespace: KubeObject): KubeObject {
  namespace.metadata.deletionTimestamp ??= now()
  namespace.status = { phase: 'Terminating' }
  return store.update('namespaces', namespace)
}

function dependents(store: Store, uid: string | undefined): { resource: string; object: KubeObject }[] {
  return resources.flatMap(({ name: resource }) =>
    store
      .list(resource)
      .filter(({ metadata }) => metadata.ownerReferences?.some((owner) => owner.uid === uid))
      .map((object) => ({ resource, object })),
  )
}

/** The dependents stay and have no owner any more. */
function orphan(store: Store, { metadata: { uid } }: KubeObject): void {
  for (const { resource, object } of dependents(store, uid)) {
    const owners = object.metadata.ownerReferences?.filter((owner) => owner.uid !== uid) ?? []
    if (owners.length > 0) object.metadata.ownerReferences = owners
    else delete object.metadata.ownerReferences
    store.update(resource, object)
  }
}

function removeAfterDependents(
  store: Store,
  node: PodTerminator,
  resource: string,
  object: KubeObject,
): KubeObject | undefined {
  const options = { policy: 'Foreground', gracePeriodSeconds: undefined, dryRun: false }
  const { namespace, name, uid } = object.metadata
  const marked = markDeleted(store, resource, object, [FOREGROUND])
  for (const each of dependents(store, uid)) removeObject(store, node, each.resource, each.object, options)
  finishForeground(store, resource, namespace, name)
  return store.get(resource, namespace, name) && marked
}

/** Lets an owner go whose last dependent has gone, of those that hold it back: controllers' pods and sets do. */
function finishForeground(store: Store, resource: string, namespace: string | undefined, name: string): void {
  const owner = store.get(resource, namespace, name)
  if (!owner?.metadata.finalizers?.includes(FOREGROUND)) return
  const { uid } = owner.metadata
  const isBlocking = ({ object }: { object: KubeObject }) =>
    object.metadata.ownerReferences?.some(
      (reference) => reference.uid === uid && reference.blockOwnerDeletion,
    )
  if (dependents(store, uid).some(isBlocking)) return
  owner.metadata.finalizers = owner.metadata.finalizers.filter((finalizer) => finalizer !== FOREGROUND)
  store.update(resource, owner)
}

/** Keeps foreground deletions going as dependents disappear. Returns the function that ends it. */
export function collectForeground(store: Store): () => void {
  const byKind = new Map(resources.map(({ kind, name }) => [kind, name]))
  return store.subscribe(({ type, object }) => {
    if (type !== 'DELETED') return
    for (const { kind, name } of object.metadata.ownerReferences ?? []) {
      const resource = byKind.get(kind)
      if (resource) finishForeground(store, resource, object.metadata.namespace, name)
    }
  })
}
