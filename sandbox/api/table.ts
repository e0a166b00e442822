/** `Accept: application/json;as=Table`: rows ready to print, with which kubectl answers `get` and `get -w`. */
import { columnsOf } from './columns.ts'
import type { JsonMap } from './json.ts'

export function wantsTable(headers: Headers): boolean {
  return /as=Table/.test(headers.get('accept') ?? '')
}

/** `include` is the query parameter includeObject: what of each object goes along with its row. */
export function toTable(
  kind: string,
  objects: JsonMap[],
  listMetadata: JsonMap,
  include: string | null,
): JsonMap {
  const columns = columnsOf(kind)
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: listMetadata,
    columnDefinitions: columns.map(({ name, wide }) => ({
      name,
      type: 'string',
      format: name === 'Name' ? 'name' : '',
      description: '',
      priority: wide ? 1 : 0,
    })),
    rows: objects.map((object) => ({
      cells: columns.map(({ cell }) => cell(object)),
      object: included(object, include),
    })),
  }
}

function included(object: JsonMap, include: string | null): JsonMap | null {
  if (include === 'None') return null
  if (include === 'Object') return object
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata ?? {} }
}
