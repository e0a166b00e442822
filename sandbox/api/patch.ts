/** The three patches that are computed from the stored object alone. Apply is in apply.ts. */
import { type Operation, Pointer, applyPatch } from 'rfc6902'
import { ApiError, badRequest } from '../status.ts'
import { isMap, type Json, type JsonMap } from './json.ts'
import type { Shape } from './schema.ts'
import { strategicMerge } from './strategic-merge.ts'

export const PATCH_TYPES = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
}

/** @throws ApiError 400 for a body of the wrong form, 415 for another type, 422 for an operation that fails */
export function patched(type: string, shape: Shape, stored: JsonMap, patch: Json): JsonMap {
  if (type === PATCH_TYPES.json) return jsonPatch(stored, patch)
  if (!isMap(patch))
    throw badRequest('json: cannot unmarshal array into Go value of type map[string]interface {}')
  if (type === PATCH_TYPES.strategic) return strategicMerge(shape, stored, patch)
  if (type === PATCH_TYPES.merge) return mergePatch(stored, patch)
  const known = Object.values(PATCH_TYPES).join(', ')
  const message = `the body of the request was in an unknown format - accepted media types include: ${known}`
  throw new ApiError(415, 'UnsupportedMediaType', message)
}

/** RFC 6902. All or nothing: a `test` that fails refuses the whole patch, which is what makes a switch safe. */
function jsonPatch(stored: JsonMap, patch: Json): JsonMap {
  if (!Array.isArray(patch)) {
    throw badRequest('json: cannot unmarshal object into Go value of type jsonpatch.Patch')
  }
  const draft = structuredClone(stored)
  for (const operation of patch) {
    const [error] = applyPatch(draft, [lenient(draft, operation) as unknown as Operation])
    if (error) throw rejected()
  }
  return draft
}

/** Where Kubernetes' library departs from the RFC: `replace` may add a key, and a key that is not there equals null. */
function lenient(draft: JsonMap, operation: Json): Json {
  if (!isMap(operation) || typeof operation.path !== 'string') throw rejected()
  const isMissing = Pointer.fromJSON(operation.path).get(draft) === undefined
  if (!isMissing) return operation
  const parent: unknown = Pointer.fromJSON(operation.path.replace(/\/[^/]*$/, '')).get(draft)
  if (operation.op === 'replace' && isMap(parent)) return { ...operation, op: 'add' }
  return operation.op === 'test' && operation.value === null && isMap(parent)
    ? { op: 'test', path: '', value: draft }
    : operation
}

/** A real server says no more than this of a patch operation that fails. */
function rejected(): ApiError {
  return new ApiError(422, 'Invalid', 'the server rejected our request due to an error in our request')
}

/** RFC 7386. */
function mergePatch(original: Json | undefined, patch: Json): JsonMap {
  const merged: JsonMap = isMap(original) ? { ...original } : {}
  for (const [key, value] of Object.entries(isMap(patch) ? patch : {})) {
    if (value === null) delete merged[key]
    else merged[key] = isMap(value) ? mergePatch(merged[key], value) : value
  }
  return merged
}
