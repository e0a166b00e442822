/** Strategic merge patch: what `kubectl apply`, `patch`, `set image` and `rollout restart` send. */
import { ApiError, badRequest } from '../status.ts'
import { type Json, type JsonMap, isMap, text } from './json.ts'
import { memberShape, type Shape, struct } from './schema.ts'

/** @throws ApiError 400 for an unknown directive or an item without its key */
export function strategicMerge(shape: Shape, original: Json | undefined, patch: JsonMap): JsonMap {
  const before = isMap(original) ? original : {}
  if (patch.$patch === 'replace') return withoutDirectives(patch)
  if (patch.$patch === 'delete') return {}
  if (patch.$patch !== undefined && patch.$patch !== 'merge') {
    throw badRequest(`Unknown patch type: ${JSON.stringify(patch.$patch)}`)
  }
  const merged = retained(before, patch.$retainKeys)
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith('$deleteFromPrimitiveList/')) removeValues(merged, key, value)
    if (key.startsWith('$')) continue
    const next = mergeField(memberShape(shape, key), merged[key], value)
    if (next === undefined) delete merged[key]
    else merged[key] = next
  }
  for (const [key, order] of Object.entries(patch)) {
    if (key.startsWith('$setElementOrder/')) setOrder(merged, before, shape, key, order)
  }
  return merged
}

function mergeField(shape: Shape, before: Json | undefined, value: Json): Json | undefined {
  if (value === null) return undefined
  if (isMap(value)) {
    if (value.$patch === 'delete') return undefined
    return strategicMerge(shape, before, value)
  }
  if (!Array.isArray(value)) return value
  const old = Array.isArray(before) ? before : []
  if (shape.is === 'set') return inOrder([...new Set([...old, ...value])], value, old, (item) => item)
  const key = shape.is === 'list' ? shape.keys[0] : undefined
  return shape.is === 'list' && key ? mergeList(shape.of, key, old, value) : value
}

function mergeList(of: Shape, key: string, before: Json[], patch: Json[]): Json[] {
  const directive = patch.filter(isMap).find((item) => item.$patch === 'replace')
  if (directive) return patch.filter((item) => item !== directive)
  const merged = [...before]
  for (const item of patch) {
    if (!isMap(item) || item[key] === undefined) {
      throw new ApiError(500, '', `map: ${goMap(item)} does not contain declared merge key: ${key}`)
    }
    const found = merged.findIndex(
      (old) => isMap(old) && old[key] === item[key] && matchesRest(of, old, item),
    )
    if (item.$patch === 'delete') {
      if (found >= 0) merged.splice(found, 1)
    } else if (found >= 0) merged[found] = strategicMerge(of, merged[found], item)
    else merged.push(strategicMerge(of, {}, item))
  }
  return inOrder(merged, patch, before, byKey(key))
}

/** As Go prints it: `map[image:nginx]`. */
function goMap(item: Json): string {
  if (!isMap(item)) return text(item)
  const pairs = Object.keys(item)
    .toSorted()
    .map((key) => `${key}:${text(item[key])}`)
  return `map[${pairs.join(' ')}]`
}

type Identity = (item: Json) => Json | undefined

function byKey(key: string): Identity {
  return (item) => (isMap(item) ? item[key] : item)
}

/** Two ports may share a number under different protocols: when both sides say the protocol, it counts too. */
function matchesRest(of: Shape, old: JsonMap, item: JsonMap): boolean {
  const fields = of.is === 'struct' ? struct(of.name).fields : undefined
  if (!fields?.has('protocol') || item.protocol === undefined) return true
  return (old.protocol ?? 'TCP') === item.protocol
}

/** `$retainKeys`: of this map only these stay, such as one volume source in place of another. */
function retained(before: JsonMap, keys: Json | undefined): JsonMap {
  if (!Array.isArray(keys)) return { ...before }
  return Object.fromEntries(Object.entries(before).filter(([key]) => keys.includes(key)))
}

function removeValues(merged: JsonMap, directive: string, values: Json): void {
  const key = directive.slice(directive.indexOf('/') + 1)
  const list = merged[key]
  if (Array.isArray(list) && Array.isArray(values)) {
    merged[key] = list.filter((item) => !values.includes(item))
  }
}

function setOrder(merged: JsonMap, before: JsonMap, shape: Shape, directive: string, order: Json): void {
  const name = directive.slice(directive.indexOf('/') + 1)
  const [list, old] = [merged[name], before[name]]
  const of = memberShape(shape, name)
  if (!Array.isArray(list) || !Array.isArray(order)) return
  const key = of.is === 'list' ? of.keys[0] : undefined
  merged[name] = inOrder(list, order, Array.isArray(old) ? old : [], key ? byKey(key) : (item) => item)
}

/**
 * Items that the patch names come in the patch's order. Each other one is put in before the first of those that
 * stood behind it before the patch, else at the end.
 */
function inOrder(merged: Json[], patch: Json[], before: Json[], identity: Identity): Json[] {
  const wanted = patch.map(identity)
  const old = before.map(identity)
  const named = merged
    .filter((item) => wanted.includes(identity(item)))
    .toSorted((a, b) => wanted.indexOf(identity(a)) - wanted.indexOf(identity(b)))
  const others = merged.filter((item) => !wanted.includes(identity(item)))
  const ordered: Json[] = []
  for (const item of named) {
    const place = old.indexOf(identity(item))
    while (others[0] !== undefined && old.indexOf(identity(others[0])) < place)
      ordered.push(...others.splice(0, 1))
    ordered.push(item)
  }
  return [...ordered, ...others]
}

function withoutDirectives(patch: JsonMap): JsonMap {
  return Object.fromEntries(Object.entries(patch).filter(([key]) => !key.startsWith('$')))
}
