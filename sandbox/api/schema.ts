/** The types of schema.txt, parsed once. */
import type { Json } from './json.ts'
import source from './schema.txt' with { type: 'text' }

export type Scalar =
  | 'string'
  | 'int'
  | 'long'
  | 'double'
  | 'bool'
  | 'bytes'
  | 'intstr'
  | 'quantity'
  | 'time'
  | 'microtime'
  | 'object'

export type Shape =
  | { is: 'scalar'; scalar: Scalar }
  | { is: 'struct'; name: string }
  | { is: 'list'; of: Shape; keys: string[] }
  | { is: 'set'; of: Shape }
  | { is: 'map'; of: Shape; atomic: boolean }

export interface Field {
  name: string
  /** Its number in protobuf. */
  number: number | undefined
  shape: Shape
  default: Json | undefined
}

export interface Struct {
  name: string
  atomic: boolean
  fields: Map<string, Field>
  /** In JSON the fields of a spread type stand beside the others; in protobuf they are a message of their own. */
  spread: { number: number; name: string }[]
}

const lines = source
  .replace(/^#.*\n/gm, '')
  .replace(/\n +/g, ' ')
  .trim()
  .split('\n')
const texts = new Map(lines.map((line) => [line.slice(0, line.indexOf(' ')), line]))
const parsed = new Map<string, Struct>()

/** @throws Error for a type that the table does not have: a mistake in the table. */
export function struct(name: string): Struct {
  const known = parsed.get(name)
  if (known) return known
  const text = texts.get(name) ?? texts.get(`${name}!`)
  if (text === undefined) throw new Error(`schema.txt has no type ${name}`)
  const made = parseStruct(name, text)
  parsed.set(name, made)
  return made
}

/** The type of a kind; the same kind may have a form of its own in an older version. */
export function structOf(kind: string, version: string): Struct {
  const versioned = `${kind}.${version}`
  return struct(texts.has(versioned) ? versioned : kind)
}

function parseStruct(name: string, text: string): Struct {
  const [head = '', ...words] = text.split(' ')
  const made: Struct = { name, atomic: head.endsWith('!'), fields: new Map(), spread: [] }
  for (const word of words) {
    const field = parseField(word)
    if (field.name !== '...' || field.shape.is !== 'struct') made.fields.set(field.name, field)
    else {
      made.spread.push({ number: field.number ?? 0, name: field.shape.name })
      for (const [key, value] of struct(field.shape.name).fields) made.fields.set(key, value)
    }
  }
  return made
}

function parseField(word: string): Field {
  const [, name = '', number, type, fallback] =
    /^([^:=~]+)(?::(\d+))?(?:=([^~]+))?(?:~(.*))?$/.exec(word) ?? []
  return {
    name,
    number: number === undefined ? undefined : Number(number),
    shape: parseShape(type ?? 'string'),
    default: fallback === undefined ? undefined : parseDefault(fallback),
  }
}

function parseDefault(text: string): Json {
  return /^[-\d"{[]|^(true|false)$/.test(text) ? (JSON.parse(text) as Json) : text
}

function parseShape(type: string): Shape {
  const [, of = '', keys, map] = /^([\w.]+)(?:\[(.*)\]|\{(!?)\})?$/.exec(type) ?? []
  if (keys === '*') return { is: 'set', of: parseShape(of) }
  if (keys !== undefined) return { is: 'list', of: parseShape(of), keys: keys ? keys.split(',') : [] }
  if (map !== undefined) return { is: 'map', of: parseShape(of), atomic: map === '!' }
  return /^[A-Z]/.test(of) ? { is: 'struct', name: of } : { is: 'scalar', scalar: of as Scalar }
}

/** One owner for the whole of it, and replaced as a whole: scalars, and what the table marks so. */
export function isAtomic(shape: Shape): boolean {
  if (shape.is === 'struct') return struct(shape.name).atomic
  if (shape.is === 'list') return shape.keys.length === 0
  return shape.is === 'map' ? shape.atomic : shape.is === 'scalar' && shape.scalar !== 'object'
}

const anything: Shape = { is: 'scalar', scalar: 'object' }

/** The shape of a member of a struct or map; free-form below `object` and for unknown fields. */
export function memberShape(shape: Shape, name: string): Shape {
  if (shape.is === 'struct') return struct(shape.name).fields.get(name)?.shape ?? anything
  return shape.is === 'map' ? shape.of : anything
}
