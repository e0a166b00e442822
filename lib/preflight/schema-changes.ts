/**
 * Whether a schema of the new version takes what an old client sends, and answers what it expects. References are
 * followed where they are met, so that a schema may hold itself.
 */
import { z } from 'zod'
import { isDeepStrictEqual } from 'node:util'
import { failed, unknown, type Finding } from './box.ts'

export interface Pair<T> {
  before: T
  after: T
}

export type Direction = 'request' | 'response'

/** Something that may be a reference, of either document. */
export type Resolve = (side: keyof Pair<unknown>, node: unknown) => unknown

const NEXT =
  'add beside it and remove in a later release, when no client uses it any more; ' +
  'if none does: --ack api "<reason>"'

export const breaks = (why: string): Finding => failed(why, NEXT)
export const doubtful = (why: string): Finding =>
  unknown(why, 'look at what clients of the version before do with it, then --ack api "<reason>"')

const list = z.array(z.string())
const schema = z
  .looseObject({
    type: z.union([z.string().transform((one) => [one]), list]).optional(),
    nullable: z.boolean().optional(),
    enum: z.array(z.unknown()).optional(),
    required: list.default([]),
    properties: z.record(z.string(), z.unknown()).default({}),
    items: z.unknown().optional(),
    additionalProperties: z.unknown().optional(),
  })
  .or(z.boolean().transform(() => undefined))

type Schema = Exclude<z.infer<typeof schema>, undefined>

/** Compared only as a whole: what a change of them means is not read out of them. */
const WHOLE = [
  'oneOf',
  'anyOf',
  'allOf',
  'not',
  'discriminator',
  'pattern',
  'format',
  'const',
  'multipleOf',
] as const

/** Which way each may go when an old client still sends what it sent. */
const LIMITS = [
  ['maximum', -1],
  ['exclusiveMaximum', -1],
  ['maxLength', -1],
  ['maxItems', -1],
  ['maxProperties', -1],
  ['minimum', 1],
  ['exclusiveMinimum', 1],
  ['minLength', 1],
  ['minItems', 1],
  ['minProperties', 1],
] as const

export class Schemas {
  readonly #resolve: Resolve
  /** Pairs that are compared already, or are being compared. */
  readonly #seen: { pair: Pair<unknown>; direction: Direction }[] = []

  constructor(resolve: Resolve) {
    this.#resolve = resolve
  }

  /** @param at where it stands, as a person finds it */
  compare(at: string, given: Pair<unknown>, direction: Direction): Finding[] {
    const pair = { before: this.#resolve('before', given.before), after: this.#resolve('after', given.after) }
    if (this.#known(pair, direction)) return []
    if (pair.before === undefined && pair.after === undefined) return []
    const [before, after] = [schema.safeParse(pair.before ?? {}), schema.safeParse(pair.after ?? {})]
    if (!before.success || !after.success) return [doubtful(`${at} is no schema`)]
    if (!before.data || !after.data)
      return pair.before === pair.after ? [] : [doubtful(`${at} takes all or nothing now`)]
    return this.#schemas(at, { before: before.data, after: after.data }, direction)
  }

  #known(pair: Pair<unknown>, direction: Direction): boolean {
    const known = this.#seen.some(
      (seen) =>
        seen.direction === direction && seen.pair.before === pair.before && seen.pair.after === pair.after,
    )
    if (!known) this.#seen.push({ pair, direction })
    return known
  }

  #schemas(at: string, pair: Pair<Schema>, direction: Direction): Finding[] {
    const { before, after } = pair
    return [
      ...WHOLE.filter((key) => !isDeepStrictEqual(before[key], after[key])).map((key) =>
        doubtful(`${at}: ${key} is another one`),
      ),
      ...types(at, pair, direction),
      ...values(at, pair, direction),
      ...(direction === 'request' ? limits(at, pair) : []),
      ...(direction === 'request' ? taken(at, pair) : given(at, pair)),
      ...Object.keys(before.properties)
        .filter((name) => name in after.properties)
        .flatMap((name) =>
          this.compare(
            `${at}.${name}`,
            { before: before.properties[name], after: after.properties[name] },
            direction,
          ),
        ),
      ...(before.items !== undefined || after.items !== undefined
        ? this.compare(`${at}[]`, { before: before.items, after: after.items }, direction)
        : []),
    ]
  }
}

const NUMBERS = ['integer', 'number']

/** Each type that one side may have, the other must take. */
function types(at: string, { before, after }: Pair<Schema>, direction: Direction): Finding[] {
  const [sent, taken] = direction === 'request' ? [before, after] : [after, before]
  const known = typesOf(taken)
  if (known.length === 0) return []
  const sending = typesOf(sent)
  if (sending.length === 0) return [breaks(`${at} had any type, and is ${known.join(' or ')} now`)]
  const wrong = sending.filter(
    (type) => !known.includes(type) && !(type === NUMBERS[0] && known.includes('number')),
  )
  if (wrong.length === 0) return []
  const was = typesOf(before).join(' or ')
  return [breaks(`${at} changes its type from ${was || 'any'} to ${typesOf(after).join(' or ') || 'any'}`)]
}

const typesOf = ({ type = [], nullable }: Schema): string[] =>
  nullable && type.length > 0 && !type.includes('null') ? [...type, 'null'] : type

const shown = (all: readonly unknown[]): string => all.map((value) => JSON.stringify(value)).join(', ')

const missing = (from: readonly unknown[], of: readonly unknown[]): unknown[] =>
  from.filter((value) => !of.some((other) => isDeepStrictEqual(value, other)))

function values(at: string, { before, after }: Pair<Schema>, direction: Direction): Finding[] {
  if (direction === 'request') {
    if (!after.enum) return []
    if (!before.enum) return [breaks(`${at} takes only ${shown(after.enum)} now`)]
    const gone = missing(before.enum, after.enum)
    return gone.length > 0 ? [breaks(`${at} does not take ${shown(gone)} any more`)] : []
  }
  if (!before.enum) return []
  if (!after.enum) return [doubtful(`${at} may be anything now`)]
  const added = missing(after.enum, before.enum)
  return added.length > 0 ? [doubtful(`${at} may be ${shown(added)}, which an old client may not know`)] : []
}

function limits(at: string, { before, after }: Pair<Schema>): Finding[] {
  return LIMITS.flatMap(([key, narrower]) => {
    const [was, is] = [before[key], after[key]]
    if (is === undefined || is === was) return []
    if (typeof is !== 'number' || (was !== undefined && typeof was !== 'number'))
      return [doubtful(`${at}: ${key} is another one`)]
    const narrowed = was === undefined || (is - was) * narrower > 0
    return narrowed ? [breaks(`${at}: ${key} is ${is}, and was ${was ?? 'none'}`)] : []
  })
}

/** What must be sent now, and what may not be sent any more. */
function taken(at: string, { before, after }: Pair<Schema>): Finding[] {
  const more = after.required.filter((name) => !before.required.includes(name))
  const closed = after.additionalProperties === false && before.additionalProperties !== false
  const removed = Object.keys(before.properties).filter((name) => !(name in after.properties))
  return [
    ...more.map((name) => breaks(`${at}.${name} is required now`)),
    ...(closed ? [breaks(`${at} takes no additional properties any more`)] : []),
    ...removed.map((name) => doubtful(`${at}.${name} is not read any more`)),
  ]
}

/** What an old client may count on. */
function given(at: string, { before, after }: Pair<Schema>): Finding[] {
  return before.required
    .filter((name) => !after.required.includes(name))
    .map((name) => breaks(`${at}.${name} ${name in after.properties ? 'may be missing' : 'is gone'}`))
}
