/** Who owns which field: `metadata.managedFields`, kept for every write that comes over HTTP. */
import { type KubeObject, now } from '../store.ts'
import { type FieldSet, compare, fromFields, toFields } from './field-set.ts'
import { isMap, type JsonMap, listAt, mapAt, stringAt, toMap } from './json.ts'
import { type Shape, structOf } from './schema.ts'

export interface Writer {
  manager: string
  operation: 'Apply' | 'Update'
  apiVersion: string
  subresource?: string
}

export interface Manager extends Writer {
  time: string
  fields: FieldSet
}

/** Set by the server or part of the name: never owned. */
const UNOWNED = [
  'name namespace creationTimestamp selfLink uid generation managedFields resourceVersion',
  'deletionTimestamp deletionGracePeriodSeconds generateName',
].flatMap((line) => line.split(' '))

/** The object as far as fields of it can be owned; of the status only through its own subresource. */
export function ownable(object: KubeObject | undefined, subresource = ''): JsonMap {
  if (!object) return {}
  const { apiVersion: _apiVersion, kind: _kind, ...rest } = toMap(object)
  if (subresource !== 'status') delete rest.status
  const metadata = Object.entries(mapAt(rest, 'metadata')).filter(([key]) => !UNOWNED.includes(key))
  const { metadata: _metadata, ...others } = rest
  return metadata.length > 0 ? { ...others, metadata: Object.fromEntries(metadata) } : others
}

export function shapeOf(object: KubeObject): Shape {
  const version = object.apiVersion.slice(object.apiVersion.lastIndexOf('/') + 1)
  return { is: 'struct', name: structOf(object.kind, version).name }
}

export function managersOf(object: KubeObject | undefined): Manager[] {
  return listAt(object, 'metadata', 'managedFields').map((entry) => {
    const subresource = stringAt(entry, 'subresource')
    return {
      manager: stringAt(entry, 'manager'),
      operation: entry.operation === 'Apply' ? 'Apply' : 'Update',
      apiVersion: stringAt(entry, 'apiVersion'),
      ...(subresource && { subresource }),
      time: stringAt(entry, 'time'),
      fields: fromFields(mapAt(entry, 'fieldsV1')),
    }
  })
}

export function setManagers(object: KubeObject, managers: Manager[]): void {
  const entries = managers
    .filter(({ fields }) => fields.size > 0)
    .toSorted((a, b) => order(a).localeCompare(order(b)))
    .map(({ fields, ...entry }) => ({ ...entry, fieldsType: 'FieldsV1', fieldsV1: toFields(fields) }))
  if (entries.length > 0) object.metadata.managedFields = entries
  else delete object.metadata.managedFields
}

/** Appliers first, then by time, as a server lists them. */
function order({ operation, time, manager }: Manager): string {
  return `${operation}\t${time}\t${manager}`
}

export function isSameWriter(a: Writer, b: Writer): boolean {
  return (
    a.manager === b.manager &&
    a.operation === b.operation &&
    a.apiVersion === b.apiVersion &&
    (a.subresource ?? '') === (b.subresource ?? '')
  )
}

/** After a write that is not an apply: the writer owns what it changed, and nobody what it removed. */
export function recordUpdate(updated: KubeObject, before: KubeObject | undefined, writer: Writer): void {
  const given = updated.metadata.managedFields
  const managers = managersOf(given === undefined ? before : isReset(given) ? undefined : updated)
  const { changed, removed } = compare(
    shapeOf(updated),
    ownable(before, writer.subresource),
    ownable(updated, writer.subresource),
  )
  const others = managers.filter((manager) => !isSameWriter(manager, writer))
  const own = managers.find((manager) => isSameWriter(manager, writer))
  const fields = new Set(own?.fields).union(changed).difference(removed)
  const isSame = own && fields.symmetricDifference(own.fields).size === 0
  setManagers(updated, [
    ...takeFrom(others, changed.union(removed)),
    { ...writer, time: isSame ? own.time : now(), fields },
  ])
}

/** `[]` or `[{}]` in a write gives all ownership up. */
function isReset(given: unknown[]): boolean {
  return given.every((entry) => isMap(entry) && Object.keys(entry).length === 0)
}

export function takeFrom(managers: Manager[], paths: FieldSet): Manager[] {
  return managers.map((manager) => ({ ...manager, fields: manager.fields.difference(paths) }))
}

/** What a manager is called when it does not say: the program's name in its User-Agent. */
export function managerName(fieldManager: string | null, userAgent: string | null): string {
  return fieldManager || (userAgent ?? 'unknown').split('/')[0] || 'unknown'
}
