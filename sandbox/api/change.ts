/** POST, PUT and PATCH of objects. */
import type { KubeObject, Store } from '../store.ts'
import { ApiError, badRequest, notFound } from '../status.ts'
import { applyConfiguration } from './apply.ts'
import { type Body, decodeBody } from './body.ts'
import { type JsonMap, mapAt, text, toObject } from './json.ts'
import { remember, takeable } from './last-applied.ts'
import { type Writer, managerName } from './managed-fields.ts'
import { PATCH_TYPES, patched } from './patch.ts'
import { present, stored } from './read.ts'
import { type ApiRequest, isDryRun, isTrue } from './request.ts'
import { groupVersion } from './resources.ts'
import { structOf } from './schema.ts'
import { createObject, updateObject } from './write.ts'

export interface Changed {
  created: boolean
  object: KubeObject
}

/** @throws ApiError */
export function create(store: Store, request: ApiRequest, body: Body): Changed {
  const object = located(request, decodeBody(request, body))
  const write = { dryRun: isDryRun(request), writer: writerOf(request, 'Update') }
  return { created: true, object: createObject(store, request.resource.name, object, write) }
}

/** @throws ApiError */
export function replace(store: Store, request: ApiRequest, body: Body): Changed {
  const object = located(request, decodeBody(request, body))
  return { created: false, object: save(store, request, stored(store, request), object) }
}

/** @throws ApiError */
export function patch(store: Store, request: ApiRequest, body: Body): Changed {
  if (body.contentType === PATCH_TYPES.apply) return apply(store, request, body)
  const before = stored(store, request)
  const shape = { is: 'struct', name: structOf(request.resource.kind, request.version).name } as const
  const next = patched(body.contentType, shape, present(store, request, before), body.value)
  const object = located(request, decodeBody(request, body, next))
  return { created: false, object: save(store, request, before, object) }
}

function save(store: Store, request: ApiRequest, before: KubeObject, object: KubeObject): KubeObject {
  const { subresource, resource } = request
  return updateObject(store, resource.name, before, object, {
    dryRun: isDryRun(request),
    writer: writerOf(request, 'Update'),
    ...(subresource !== undefined && { subresource }),
  })
}

/** @throws ApiError 409 Conflict where a field belongs to somebody else */
function apply(store: Store, request: ApiRequest, body: Body): Changed {
  const { resource, namespace, name = '', query, subresource } = request
  if (!query.get('fieldManager')) {
    throw new ApiError(
      400,
      'BadRequest',
      'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
    )
  }
  const configuration = located(request, decodeBody(request, body))
  if (configuration.metadata.managedFields?.length) {
    throw badRequest('metadata.managedFields must be nil')
  }
  const dryRun = isDryRun(request)
  const live = store.get(resource.name, resource.namespaced ? namespace : undefined, name)
  const writer = writerOf(request, 'Apply')
  const own = subresource === undefined ? writer : { ...writer, subresource }
  const force = isTrue(query.get('force'))
  const free = takeable(live, own.manager)
  const object = applyConfiguration(live, configuration, own, (path) => force || free.has(path))
  remember(object, configuration, own.manager)
  if (live) {
    const options = { dryRun, ...(subresource !== undefined && { subresource }) }
    return { created: false, object: updateObject(store, resource.name, live, object, options) }
  }
  if (subresource !== undefined) throw notFound(resource.name, name)
  return { created: true, object: createObject(store, resource.name, object, { dryRun }) }
}

/** Ownership is kept in the stored version's fields. */
function writerOf({ query, headers, resource }: ApiRequest, operation: Writer['operation']): Writer {
  return {
    manager: managerName(query.get('fieldManager'), headers.get('user-agent')),
    operation,
    apiVersion: groupVersion(resource.group, resource.versions[0] ?? ''),
  }
}

/** The object with the name and namespace of the URL, with which its own must agree. @throws ApiError 400 */
function located({ resource, namespace, name }: ApiRequest, map: JsonMap): KubeObject {
  const metadata: JsonMap = { ...mapAt(map, 'metadata') }
  if (name !== undefined) {
    metadata.name ??= name
    if (metadata.name !== name) {
      throw badRequest(
        `the name of the object (${text(metadata.name)}) does not match the name on the URL (${name})`,
      )
    }
  }
  if (!resource.namespaced) {
    delete metadata.namespace
  } else if (namespace !== undefined) {
    metadata.namespace ??= namespace
    if (metadata.namespace !== namespace) {
      throw badRequest(
        'the namespace of the provided object does not match the namespace sent on the request',
      )
    }
  }
  return toObject({ ...map, metadata })
}
