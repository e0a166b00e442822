/** Server-side apply: https://kubernetes.io/docs/reference/using-api/server-side-apply, after structured-merge-diff. */
import { type KubeObject, now } from '../store.ts'
import { ApiError } from '../status.ts'
import { type FieldSet, ancestors, compare, display, join, leaves, members } from './field-set.ts'
import { isMap, type Json, type JsonMap, toMap, toObject } from './json.ts'
import {
  type Manager,
  type Writer,
  isSameWriter,
  managersOf,
  ownable,
  setManagers,
  shapeOf,
  takeFrom,
} from './managed-fields.ts'
import { memberShape, type Shape } from './schema.ts'

/**
 * The object after an apply of a configuration, its managedFields included.
 * `mayTake` says which fields the writer may change although they are another's.
 * @throws ApiError 409 Conflict, naming each field that would change and belongs to another manager
 */
export function applyConfiguration(
  live: KubeObject | undefined,
  configuration: KubeObject,
  writer: Writer,
  mayTake: (path: string) => boolean,
): KubeObject {
  const shape = shapeOf(configuration)
  const managers = managersOf(live)
  const previous = managers.find((manager) => isSameWriter(manager, writer))
  const others = managers.filter((manager) => manager !== previous)
  const fields = leaves(shape, ownable(configuration, writer.subresource))

  const given = withoutManagedFields(configuration)
  const merged = live ? (merge(shape, toMap(live), given) as JsonMap) : given
  const owned = others.reduce((all, manager) => all.union(manager.fields), fields)
  const dropped = new Set(previous?.fields).difference(owned)
  const kept = withAncestors(owned)
  const result = toObject(remove(shape, merged, { dropped, kept }) as JsonMap)

  const { changed, removed } = compare(
    shape,
    ownable(live, writer.subresource),
    ownable(result, writer.subresource),
  )
  refuseConflicts(
    others,
    [...changed].filter((path) => !mayTake(path)),
  )
  const left = takeFrom(others, changed.union(removed))
  const isSame = previous && previous.fields.symmetricDifference(fields).size === 0
  setManagers(result, [...left, { ...writer, time: isSame ? previous.time : now(), fields }])
  return result
}

function withoutManagedFields(configuration: KubeObject): JsonMap {
  const { managedFields: _managedFields, ...metadata } = configuration.metadata
  return toMap({ ...structuredClone(configuration), metadata: structuredClone(metadata) })
}

/** The applied value wins; lists with keys and sets are merged item by item, in the live order. */
function merge(shape: Shape, live: Json, applied: Json): Json {
  if (isMap(live) && isMap(applied) && members(shape, applied)) {
    const merged: JsonMap = { ...live }
    for (const [key, value] of Object.entries(applied)) {
      const before = live[key]
      merged[key] = before === undefined ? value : merge(memberShape(shape, key), before, value)
    }
    return merged
  }
  if (!Array.isArray(live) || !Array.isArray(applied)) return applied
  return mergeList(shape, live, applied)
}

function mergeList(shape: Shape, live: Json[], applied: Json[]): Json {
  const before = members(shape, live)
  const after = members(shape, applied)
  if (!before || !after) return applied
  const merged = new Map(before)
  for (const [key, [item, itemShape]] of after) {
    const old = before.get(key)
    merged.set(key, [old ? merge(itemShape, old[0], item) : item, itemShape])
  }
  return [...merged.values()].map(([item]) => item)
}

interface Removal {
  /** What the applier used to name, and nobody names now. */
  dropped: FieldSet
  /** What somebody owns, and all that encloses it. */
  kept: FieldSet
}

function withAncestors(set: FieldSet): FieldSet {
  return new Set([...set].flatMap((path) => [path, ...ancestors(path)]))
}

function remove(shape: Shape, value: Json, removal: Removal, path = ''): Json | undefined {
  const { dropped, kept } = removal
  if (dropped.has(path) && !kept.has(path)) return undefined
  const inside = members(shape, value)
  if (!inside || inside.size === 0) return value
  const left = [...inside].flatMap(([element, [item, of]]) => {
    const rest = remove(of, item, removal, join(path, element))
    return rest === undefined ? [] : [[element.slice('f:'.length), rest] as const]
  })
  if (left.length === 0 && path && !kept.has(path)) return undefined
  return isMap(value) ? Object.fromEntries(left) : left.map(([, rest]) => rest)
}

function refuseConflicts(others: Manager[], changed: string[]): void {
  const conflicts = others.flatMap((manager) =>
    changed
      .filter((path) => manager.fields.has(path))
      .map((path) => ({ who: describe(manager), field: display(path) })),
  )
  if (conflicts.length === 0) return
  const causes = conflicts.map(({ who, field }) => ({
    reason: 'FieldManagerConflict',
    message: `conflict with ${who}`,
    field,
  }))
  const count = `${conflicts.length} conflict${conflicts.length === 1 ? '' : 's'}`
  throw new ApiError(409, 'Conflict', `Apply failed with ${count}: ${summary(conflicts)}`, { causes })
}

/** As in client messages: an applier by its name alone, another writer with the version it wrote in. */
function describe({ manager, subresource, apiVersion, operation }: Manager): string {
  const through = subresource ? ` with subresource "${subresource}"` : ''
  return `"${manager}"${through}${operation === 'Update' ? ` using ${apiVersion}` : ''}`
}

function summary(conflicts: { who: string; field: string }[]): string {
  if (conflicts.length === 1)
    return conflicts.map(({ who, field }) => `conflict with ${who}: ${field}`).join('')
  const byManager = Map.groupBy(conflicts, ({ who }) => who)
  return [...byManager]
    .map(([who, each]) => `conflicts with ${who}:\n${each.map(({ field }) => `- ${field}`).join('\n')}`)
    .join('\n')
}
