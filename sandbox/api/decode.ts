/** A body from the wire becomes an object of its kind: nulls dropped, unknown fields dropped and named, types checked. */
import { badRequest } from '../status.ts'
import { isMap, type Json, type JsonMap, text } from './json.ts'
import { type Field, type Scalar, type Shape, type Struct, struct } from './schema.ts'

export interface Decoded {
  value: JsonMap
  /** Such as `unknown field "spec.replica"`. */
  problems: string[]
}

/** Calls `refuse` for a value of the wrong type, with the sentence of Go's decoder. */
export function decode(
  type: Struct,
  body: JsonMap,
  refuse: (why: string) => never = (why) => {
    throw badRequest(why)
  },
): Decoded {
  const problems: string[] = []
  const { apiVersion = '', kind: named = '', ...rest } = body
  const value = fields({ problems, refuse }, type, rest, '')
  return { value: { apiVersion, kind: named, ...value }, problems }
}

interface Reader {
  problems: string[]
  refuse: (why: string) => never
}

function fields(reader: Reader, type: Struct, from: JsonMap, path: string): JsonMap {
  const made: JsonMap = {}
  for (const [name, value] of Object.entries(from)) {
    const here = path ? `${path}.${name}` : name
    const field = type.fields.get(name)
    if (!field) reader.problems.push(`unknown field "${here}"`)
    else if (value !== null) {
      const decoded = read(reader, field.shape, value, here, type.name)
      if (!isOmitted(field, decoded)) made[name] = decoded
    }
  }
  return made
}

/** Lists that the server shows even when they are empty. */
const ALWAYS_SHOWN = new Set(['containers', 'endpoints', 'managedFields', 'rules'])

/** Empty lists and maps are as good as absent: Go's `omitempty`. An empty struct is not. */
function isOmitted({ name, shape }: Field, value: Json): boolean {
  if (Array.isArray(value)) return value.length === 0 && !ALWAYS_SHOWN.has(name)
  return shape.is === 'map' && isMap(value) && Object.keys(value).length === 0
}

function read(reader: Reader, shape: Shape, value: Json, path: string, owner: string): Json {
  if (shape.is === 'scalar') return scalar(reader, shape.scalar, value, path, owner)
  if (shape.is === 'list' || shape.is === 'set') {
    if (!Array.isArray(value)) return mistyped(reader, value, path, owner, `[]${typeName(shape.of)}`)
    const of = shape.of
    return value.map((item, i) => (item === null ? item : read(reader, of, item, `${path}[${i}]`, owner)))
  }
  if (!isMap(value)) return mistyped(reader, value, path, owner, typeName(shape))
  if (shape.is === 'struct') return fields(reader, struct(shape.name), value, path)
  const of = shape.of
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      read(reader, of, item ?? emptyOf(of), `${path}.${key}`, owner),
    ]),
  )
}

/** A null in a map of strings decodes to the empty string. */
function emptyOf(shape: Shape): Json {
  return shape.is === 'scalar' && shape.scalar !== 'object' ? '' : {}
}

function scalar(reader: Reader, type: Scalar, value: Json, path: string, owner: string): Json {
  if (type === 'quantity') return quantity(reader, value)
  const right = {
    string: typeof value === 'string',
    int: Number.isInteger(value),
    long: Number.isInteger(value),
    double: typeof value === 'number',
    bool: typeof value === 'boolean',
    bytes: typeof value === 'string',
    intstr: typeof value === 'string' || Number.isInteger(value),
    time: typeof value === 'string' && !Number.isNaN(Date.parse(value)),
    microtime: typeof value === 'string' && !Number.isNaN(Date.parse(value)),
    object: true,
  }[type]
  if (right) return value
  if (typeof value === 'string' && type.endsWith('time')) {
    const layout = type === 'time' ? '2006-01-02T15:04:05Z07:00' : '2006-01-02T15:04:05.000000Z07:00'
    reader.refuse(`parsing time ${JSON.stringify(value)} as "${layout}": cannot parse`)
  }
  return mistyped(reader, value, path, owner, typeName({ is: 'scalar', scalar: type }))
}

const QUANTITY = /^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$/

function quantity(reader: Reader, value: Json): string {
  const amount = text(value)
  if (!QUANTITY.test(amount))
    reader.refuse(`quantities must match the regular expression '${QUANTITY.source}'`)
  return amount
}

function mistyped(reader: Reader, value: Json, path: string, owner: string, want: string): never {
  const got = Array.isArray(value) ? 'array' : value === null ? 'null' : typeof value
  const shown =
    got === 'boolean' ? 'bool' : got === 'number' && want === 'int32' ? `number ${text(value)}` : got
  const field = path.replace(/\[\d+\]/g, '')
  return reader.refuse(
    `json: cannot unmarshal ${shown} into Go struct field ${owner}.${field} of type ${want}`,
  )
}

const GO: Partial<Record<Scalar, string>> = {
  int: 'int32',
  long: 'int64',
  bytes: '[]uint8',
  double: 'float64',
}

function typeName(shape: Shape): string {
  if (shape.is === 'scalar') return GO[shape.scalar] ?? shape.scalar
  if (shape.is === 'struct') return `v1.${shape.name}`
  return shape.is === 'map' ? `map[string]${typeName(shape.of)}` : `[]${typeName(shape.of)}`
}
