/** GET: one object or a list of them, as JSON or as a table. */
import type { KubeObject, Store } from '../store.ts'
import { ApiError, badRequest, notFound } from '../status.ts'
import { toVersion } from './autoscaler.ts'
import { type JsonMap, toMap } from './json.ts'
import { quotaStatus } from './quota.ts'
import type { ApiRequest } from './request.ts'
import { groupVersion } from './resources.ts'
import { type Matcher, fieldMatcher, labelMatcher } from './selector.ts'
import { toTable, wantsTable } from './table.ts'

/** @throws ApiError 404 */
export function stored(store: Store, { resource, namespace, name = '' }: ApiRequest): KubeObject {
  const found = store.get(resource.name, resource.namespaced ? namespace : undefined, name)
  if (!found) throw notFound(resource.name, name)
  return found
}

/** An object as this request's version shows it. */
export function present(store: Store, { version, resource }: ApiRequest, object: KubeObject): JsonMap {
  if (resource.name === 'resourcequotas') return { ...toMap(object), status: quotaStatus(store, object) }
  return toVersion(version, toMap(object))
}

export function get(store: Store, request: ApiRequest): JsonMap {
  const object = stored(store, request)
  return answer(request, present(store, request, object))
}

/** A single object, as a table when one was asked for. */
export function answer({ headers, query, resource }: ApiRequest, object: JsonMap): JsonMap {
  return wantsTable(headers) ? toTable(resource.kind, [object], {}, query.get('includeObject')) : object
}

/** The objects that a request selects. @throws ApiError 400 for a selector that cannot be read */
export function matcher({ resource, namespace, name, query }: ApiRequest): Matcher {
  const labels = labelMatcher(query.get('labelSelector') ?? '')
  const fields = fieldMatcher(resource.name, query.get('fieldSelector') ?? '')
  return (object) => {
    const { metadata } = object
    const isHere = namespace === undefined || metadata.namespace === namespace
    return isHere && (name === undefined || metadata.name === name) && labels(object) && fields(object)
  }
}

export function list(store: Store, request: ApiRequest): JsonMap {
  const { resource, group, version, query, headers } = request
  const matches = matcher(request)
  const all = store
    .list(resource.name, request.namespace)
    .filter(matches)
    .toSorted(byName)
    .map((object) => present(store, request, object))
  const { items, metadata } = page(all, query, store.version)
  if (wantsTable(headers)) return toTable(resource.kind, items, metadata, query.get('includeObject'))
  // What a list is of stands on the list alone; kubectl writes it on each of them.
  const bare = items.map(({ kind: _kind, apiVersion: _version, ...item }) => item)
  return { kind: `${resource.kind}List`, apiVersion: groupVersion(group, version), metadata, items: bare }
}

/** In the order of etcd's keys. */
function byName({ metadata: a }: KubeObject, { metadata: b }: KubeObject): number {
  const [x, y] = [`${a.namespace ?? ''}/${a.name}`, `${b.namespace ?? ''}/${b.name}`]
  return x < y ? -1 : x > y ? 1 : 0
}

interface Page {
  items: JsonMap[]
  metadata: JsonMap
}

/** `limit` and `continue`; the token is where the next page starts. */
function page(all: JsonMap[], query: URLSearchParams, resourceVersion: string): Page {
  const limit = Number(query.get('limit') ?? 0)
  const token = query.get('continue')
  const from = token ? Number(Buffer.from(token, 'base64url').toString()) : 0
  if (!Number.isInteger(limit) || limit < 0) throw badRequest('invalid limit')
  if (!Number.isInteger(from))
    throw new ApiError(410, 'Expired', 'The provided continue parameter is too old')
  const to = limit > 0 ? from + limit : all.length
  const rest = all.length - to
  const next = Buffer.from(String(to)).toString('base64url')
  const more = rest > 0 ? { continue: next, remainingItemCount: rest } : {}
  return { items: all.slice(from, to), metadata: { resourceVersion, ...more } }
}
