/**
 * From client-side to server-side apply: `kubectl apply --server-side` may take over what `kubectl apply` wrote
 * before it, and keeps the annotation in which that is remembered. Only under kubectl's own manager name, as in
 * kubernetes/pkg `lastappliedmanager` and `lastappliedupdater`.
 */
import type { KubeObject } from '../store.ts'
import { type FieldSet, compare, leaves } from './field-set.ts'
import { type Json, isMap, toMap, toObject } from './json.ts'
import { ownable, shapeOf } from './managed-fields.ts'

const ANNOTATION = 'kubectl.kubernetes.io/last-applied-configuration'
const MANAGER = 'kubectl'

/** The fields that were applied client-side and have not changed since. */
export function takeable(live: KubeObject | undefined, manager: string): FieldSet {
  const applied = live?.metadata.annotations?.[ANNOTATION]
  const before: unknown = applied === undefined || manager !== MANAGER ? undefined : JSON.parse(applied)
  if (!live || !isMap(before)) return new Set()
  const shape = shapeOf(live)
  const { changed } = compare(shape, ownable(toObject(before)), ownable(live))
  return leaves(shape, ownable(toObject(before))).difference(changed)
}

/** Writes down what was applied now, where something was written down before. */
export function remember(object: KubeObject, configuration: KubeObject, manager: string): void {
  const { annotations } = object.metadata
  if (manager !== MANAGER || annotations?.[ANNOTATION] === undefined) return
  annotations[ANNOTATION] = `${JSON.stringify(sorted(toMap(configuration)))}\n`
}

function sorted(value: Json): Json {
  if (Array.isArray(value)) return value.map(sorted)
  if (!isMap(value)) return value
  const pairs = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries<Json>(pairs.map(([key, item]) => [key, sorted(item)]))
}
