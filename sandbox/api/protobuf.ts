/**
 * kubectl's `create` commands and `auth can-i` send protobuf and nothing else. The field numbers are in schema.txt;
 * answers are JSON, which every client accepts.
 */
import { badRequest } from '../status.ts'
import type { Json, JsonMap } from './json.ts'
import { type Field, type Scalar, type Shape, type Struct, struct, structOf } from './schema.ts'

export const PROTOBUF = 'application/vnd.kubernetes.protobuf'

const MAGIC = 'k8s\0'
const VARINT = 0
const FIXED64 = 1
const BYTES = 2
const FIXED32 = 5

/** Go cannot tell an unset number from 0 in most fields, and leaves 0 out of JSON; in these 0 is a value. */
const ZERO_COUNTS = new Set(['replicas', 'backoffLimit', 'minReplicas', 'parallelism', 'completions'])

/** The object inside the envelope, as JSON. @throws ApiError 400 */
export function decodeProtobuf(body: Uint8Array): JsonMap {
  if (Buffer.from(body.subarray(0, 4)).toString('latin1') !== MAGIC) {
    throw badRequest('provided data does not appear to be a protobuf message')
  }
  const envelope = entries(body.subarray(4))
  const type = entries(bytesIn(envelope, 1))
  const [apiVersion, kind] = [text(bytesIn(type, 1)), text(bytesIn(type, 2))]
  const version = apiVersion.slice(apiVersion.lastIndexOf('/') + 1)
  return { apiVersion, kind, ...message(structOf(kind, version), bytesIn(envelope, 2)) }
}

interface Entry {
  number: number
  value: Uint8Array | bigint
}

function bytesIn(from: Entry[], number: number): Uint8Array {
  const found = from.find((entry) => entry.number === number)?.value
  return found instanceof Uint8Array ? found : new Uint8Array()
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}

/** The wire format: https://protobuf.dev/programming-guides/encoding */
function entries(bytes: Uint8Array): Entry[] {
  const found: Entry[] = []
  const cursor = { at: 0 }
  while (cursor.at < bytes.length) {
    const tag = Number(varint(bytes, cursor))
    found.push({ number: tag >> 3, value: payload(bytes, cursor, tag & 7) })
  }
  return found
}

function payload(bytes: Uint8Array, cursor: { at: number }, type: number): Uint8Array | bigint {
  if (type === VARINT) return varint(bytes, cursor)
  const fixed = { [FIXED64]: 8, [FIXED32]: 4 }[type]
  if (fixed === undefined && type !== BYTES) throw badRequest(`protobuf: wire type ${type} is not known`)
  const length = fixed ?? Number(varint(bytes, cursor))
  const from = cursor.at
  cursor.at += length
  if (cursor.at > bytes.length) throw badRequest('unexpected EOF')
  return bytes.subarray(from, cursor.at)
}

function varint(bytes: Uint8Array, cursor: { at: number }): bigint {
  let value = 0n
  for (let shift = 0n; ; shift += 7n) {
    const byte = bytes[cursor.at++]
    if (byte === undefined) throw badRequest('unexpected EOF')
    value |= BigInt(byte & 0x7f) << shift
    if (byte < 0x80) return BigInt.asIntN(64, value)
  }
}

function message(type: Struct, bytes: Uint8Array): JsonMap {
  const made: JsonMap = {}
  for (const { number, value } of entries(bytes)) {
    const spread = type.spread.find((each) => each.number === number)
    if (spread && value instanceof Uint8Array) Object.assign(made, message(struct(spread.name), value))
    const field = [...type.fields.values()].find((each) => each.number === number && !isSpread(type, each))
    if (field && !spread) put(made, field, value)
  }
  return made
}

/** Numbers of spread fields belong to their own message. */
function isSpread(type: Struct, field: Field): boolean {
  return type.spread.some(({ name }) => struct(name).fields.get(field.name) === field)
}

function put(made: JsonMap, { name, shape }: Field, value: Uint8Array | bigint): void {
  if (shape.is === 'list' || shape.is === 'set') {
    const list = Array.isArray(made[name]) ? made[name] : []
    made[name] = [...list, single(shape.of, value)]
  } else if (shape.is === 'map' && value instanceof Uint8Array) {
    const pair = entries(value)
    const item = pair.find((entry) => entry.number === 2)?.value ?? new Uint8Array()
    made[name] = { ...(made[name] as JsonMap | undefined), [text(bytesIn(pair, 1))]: single(shape.of, item) }
  } else {
    const decoded = single(shape, value)
    const isUnset = decoded === '' || decoded === false || decoded === null || decoded === 0
    if (!isUnset || (decoded === 0 && ZERO_COUNTS.has(name))) made[name] = decoded
  }
}

function single(shape: Shape, value: Uint8Array | bigint): Json {
  if (typeof value === 'bigint') {
    return shape.is === 'scalar' && shape.scalar === 'bool' ? value !== 0n : Number(value)
  }
  if (shape.is === 'struct') return message(struct(shape.name), value)
  return shape.is === 'scalar' ? scalar(shape.scalar, value) : {}
}

function scalar(type: Scalar, bytes: Uint8Array): Json {
  if (type === 'bytes') return Buffer.from(bytes).toString('base64')
  if (type === 'quantity') return text(bytesIn(entries(bytes), 1))
  if (type === 'time' || type === 'microtime') return time(entries(bytes), type)
  if (type === 'intstr') return intOrString(entries(bytes))
  return type === 'object' ? null : text(bytes)
}

function numberIn(from: Entry[], number: number): number {
  const found = from.find((entry) => entry.number === number)?.value
  return typeof found === 'bigint' ? Number(found) : 0
}

function time(from: Entry[], type: 'time' | 'microtime'): Json {
  if (from.length === 0) return null
  const iso = new Date(numberIn(from, 1) * 1000 + numberIn(from, 2) / 1e6).toISOString()
  return type === 'time' ? iso.replace(/\.\d+Z$/, 'Z') : iso.replace('Z', '000Z')
}

function intOrString(from: Entry[]): Json {
  return numberIn(from, 1) === 0 ? numberIn(from, 2) : text(bytesIn(from, 3))
}
