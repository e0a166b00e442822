/**
 * Sets of field paths, as managedFields records them (`fieldsV1`). A path is its elements joined by a newline:
 * `f:spec`, `f:containers`, `k:{"name":"app"}`, `f:image`. The rules are those of structured-merge-diff.
 */
import { isMap, type Json, type JsonMap } from './json.ts'
import { isAtomic, memberShape, type Shape, struct } from './schema.ts'

export type FieldSet = Set<string>

const SEPARATOR = '\n'

export function join(path: string, element: string): string {
  return path ? path + SEPARATOR + element : element
}

/** The members of a value that fields can be owned in: element → value and shape. Undefined for a leaf. */
export function members(shape: Shape, value: Json): Map<string, [Json, Shape]> | undefined {
  if (isAtomic(shape)) return undefined
  if (Array.isArray(value)) return listMembers(shape, value)
  if (!isMap(value)) return undefined
  return new Map(Object.entries(value).map(([name, item]) => [`f:${name}`, [item, memberShape(shape, name)]]))
}

function listMembers(shape: Shape, value: Json[]): Map<string, [Json, Shape]> | undefined {
  if (shape.is === 'set') return new Map(value.map((item) => [`v:${JSON.stringify(item)}`, [item, shape.of]]))
  if (shape.is !== 'list') return undefined
  return new Map(value.map((item) => [keyOf(shape, item), [item, shape.of]]))
}

/** `k:{"containerPort":80,"protocol":"TCP"}`: an item of a list is named by its keys, in alphabetical order. */
export function keyOf(shape: Shape & { is: 'list' }, item: Json): string {
  const fields = shape.of.is === 'struct' ? struct(shape.of.name).fields : undefined
  const keys = shape.keys.toSorted().flatMap((key) => {
    const value = (isMap(item) ? item[key] : undefined) ?? fields?.get(key)?.default
    return value === undefined ? [] : [[key, value] as const]
  })
  return `k:${JSON.stringify(Object.fromEntries(keys))}`
}

/** What an applied configuration names: its leaves, and its list items. */
export function leaves(shape: Shape, value: Json, path = '', set: FieldSet = new Set()): FieldSet {
  const inside = members(shape, value)
  if (!inside || (inside.size === 0 && path)) return set.add(path)
  for (const [element, [item, itemShape]] of inside) {
    const here = join(path, element)
    if (!element.startsWith('f:')) set.add(here)
    leaves(itemShape, item, here, set)
  }
  return set
}

export interface Difference {
  /** Added or with another value. */
  changed: FieldSet
  removed: FieldSet
}

/** These are structs in Go, there even when they are empty: nobody owns their being there. */
const ALWAYS_THERE = new Set(
  [
    'metadata',
    'spec',
    'status',
    'template',
    'strategy',
    'resources',
    'containers',
    'roleRef',
    'jobTemplate',
  ].map((name) => `f:${name}`),
)

/** How two objects differ, field by field. */
export function compare(shape: Shape, before: Json | undefined, after: Json | undefined): Difference {
  const difference: Difference = { changed: new Set(), removed: new Set() }
  walk(difference, shape, before, after, '', '')
  return difference
}

function walk(
  found: Difference,
  shape: Shape,
  before: Json | undefined,
  after: Json | undefined,
  path: string,
  element: string,
): void {
  const old = before === undefined ? undefined : members(shape, before)
  const fresh = after === undefined ? undefined : members(shape, after)
  if (!old && !fresh) {
    if (after === undefined) found.removed.add(path)
    else if (!Bun.deepEquals(before, after)) found.changed.add(path)
    return
  }
  const isNode = path !== '' && (fresh?.size === 0 || !ALWAYS_THERE.has(element))
  if (isNode && before === undefined) found.changed.add(path)
  if (isNode && after === undefined) found.removed.add(path)
  for (const name of new Set([...(old?.keys() ?? []), ...(fresh?.keys() ?? [])])) {
    const [oldItem, oldShape] = old?.get(name) ?? []
    const [newItem, newShape] = fresh?.get(name) ?? []
    walk(found, newShape ?? oldShape ?? shape, oldItem, newItem, join(path, name), name)
  }
}

/** To `fieldsV1`. */
export function toFields(set: FieldSet): JsonMap {
  const root: JsonMap = {}
  for (const path of [...set].toSorted()) {
    let here = root
    for (const element of path.split(SEPARATOR)) here = child(here, element)
    here['.'] = {}
  }
  return prune(root)
}

function child(parent: JsonMap, element: string): JsonMap {
  const existing = parent[element]
  if (isMap(existing)) return existing
  const made: JsonMap = {}
  parent[element] = made
  return made
}

/** A member without members below it is written `{}`, one with some `{".": {}, …}`. */
function prune(node: JsonMap): JsonMap {
  if (Object.keys(node).length === 1 && node['.']) return {}
  return Object.fromEntries(
    Object.entries(node).map(([key, below]) => [key, key === '.' || !isMap(below) ? below : prune(below)]),
  )
}

/** From `fieldsV1`. */
export function fromFields(fields: JsonMap, path = '', set: FieldSet = new Set()): FieldSet {
  for (const [element, below] of Object.entries(fields)) {
    if (element === '.') set.add(path)
    else if (isMap(below) && Object.keys(below).length > 0) fromFields(below, join(path, element), set)
    else set.add(join(path, element))
  }
  return set
}

/** `.spec.containers[name="app"].image`, as conflicts name a field. */
export function display(path: string): string {
  return path
    .split(SEPARATOR)
    .map((element) => {
      const rest = element.slice(2)
      if (element.startsWith('f:')) return `.${rest}`
      if (element.startsWith('v:')) return `[=${rest}]`
      const keys = Object.entries(JSON.parse(rest) as JsonMap)
      return `[${keys.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(',')}]`
    })
    .join('')
}

/** The path and everything that encloses it. */
export function ancestors(path: string): string[] {
  const elements = path.split(SEPARATOR)
  return elements.slice(1).map((_, i) => elements.slice(0, i + 1).join(SEPARATOR))
}
