/**
 * Whether clients of one OpenAPI document can go on with another one: pages that the old color served call the new
 * one. Rules in the words of https://github.com/oasdiff/oasdiff; what they do not read is unknown, never passed.
 */
import { isDeepStrictEqual } from 'node:util'
import { parse } from 'yaml'
import { z } from 'zod'
import { sentence } from '../errors.ts'
import { plain } from '../text.ts'
import { passed, worst, type Finding } from './box.ts'
import { breaks, doubtful, Schemas, type Pair } from './schema-changes.ts'

const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'] as const

const mapping = z.record(z.string(), z.unknown())
const document = z.looseObject({
  openapi: z.string().regex(/^3\./),
  paths: mapping,
  security: z.array(z.unknown()).optional(),
  servers: z.array(z.unknown()).optional(),
})
const parameter = z.looseObject({
  name: z.string(),
  in: z.string(),
  required: z.boolean().default(false),
  schema: z.unknown().optional(),
})
const operation = z.looseObject({
  parameters: z.array(z.unknown()).default([]),
  requestBody: z.unknown().optional(),
  responses: mapping.default({}),
  security: z.array(z.unknown()).optional(),
})
const body = z.looseObject({ required: z.boolean().default(false), content: mapping.default({}) })
const media = z.looseObject({ schema: z.unknown().optional() })

type Document = z.infer<typeof document>
type Operation = z.infer<typeof operation>
type Parameter = z.infer<typeof parameter>

/** A document as text: YAML, of which JSON is a part. @returns why it is none, where it is none */
function read(text: string): Document | string {
  try {
    const found = document.safeParse(parse(text))
    if (found.success) return found.data
    const issue = found.error.issues[0]
    return `is no OpenAPI 3 document: ${issue?.path.join('.')}: ${issue?.message}`
  } catch (error) {
    return `is no OpenAPI 3 document: ${plain(sentence(error), 120)}`
  }
}

export function judgeApi(texts: Pair<string>): Finding {
  const [before, after] = [read(texts.before), read(texts.after)]
  if (typeof before === 'string') return doubtful(`the live one ${before}`)
  if (typeof after === 'string') return doubtful(`the new one ${after}`)
  try {
    return worst(new Comparison({ before, after }).findings(), passed('whoever uses the live one can go on'))
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error
    return doubtful(error.message)
  }
}

/** A part of a document that is not what it must be. */
class Unreadable extends Error {}

class Comparison {
  readonly #documents: Pair<Document>
  readonly #schemas: Schemas

  constructor(documents: Pair<Document>) {
    this.#documents = documents
    this.#schemas = new Schemas((side, node) => this.#resolved(side, node))
  }

  findings(): Finding[] {
    const { before, after } = this.#documents
    return [
      ...(isDeepStrictEqual(before.servers, after.servers) ? [] : [doubtful('servers are other ones')]),
      ...Object.keys(before.paths).flatMap((path) =>
        path in after.paths ? this.#path(path) : [breaks(`${path} is gone`)],
      ),
    ]
  }

  /** What a node stands for: `$ref` within its document is followed. */
  #resolved(side: keyof Pair<unknown>, node: unknown, depth = 0): unknown {
    const reference = z.looseObject({ $ref: z.string() }).safeParse(node).data?.$ref
    if (reference === undefined) return node
    if (!reference.startsWith('#/') || depth > 20)
      throw new Unreadable(`the $ref ${reference} is not followed: bundle the document into one file`)
    let found: unknown = this.#documents[side]
    for (const part of reference.slice(2).split('/')) {
      const name = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~')
      found = mapping.safeParse(found).data?.[name]
    }
    if (found === undefined) throw new Unreadable(`the $ref ${reference} leads nowhere`)
    return this.#resolved(side, found, depth + 1)
  }

  #as<T>(form: z.ZodType<T>, side: keyof Pair<unknown>, node: unknown, at: string): T {
    const { data } = form.safeParse(this.#resolved(side, node) ?? {})
    if (data !== undefined) return data
    throw new Unreadable(`${at} is not as OpenAPI has it`)
  }

  #path(path: string): Finding[] {
    const { before, after } = this.#documents
    const [old, now] = [
      this.#as(mapping, 'before', before.paths[path], path),
      this.#as(mapping, 'after', after.paths[path], path),
    ]
    return METHODS.filter((method) => method in old).flatMap((method) => {
      const at = `${method.toUpperCase()} ${path}`
      if (!(method in now)) return [breaks(`${at} is gone`)]
      const pair = {
        before: this.#as(operation, 'before', old[method], at),
        after: this.#as(operation, 'after', now[method], at),
      }
      return [
        ...this.#parameters(at, {
          before: this.#all('before', old.parameters, pair.before, at),
          after: this.#all('after', now.parameters, pair.after, at),
        }),
        ...this.#body(at, pair),
        ...this.#answers(at, pair),
        ...this.#security(at, pair),
      ]
    })
  }

  /** An operation's own parameters, and those of its path that it does not say anew. */
  #all(side: keyof Pair<unknown>, ofPath: unknown, { parameters }: Operation, at: string): Parameter[] {
    const shared = z.array(z.unknown()).default([]).safeParse(ofPath).data ?? []
    const found = [...shared, ...parameters].map((node) => this.#as(parameter, side, node, at))
    return [...new Map(found.map((one) => [keyOf(one), one])).values()]
  }

  #parameters(at: string, { before, after }: Pair<Parameter[]>): Finding[] {
    const gone = before.filter((one) => !after.some((other) => keyOf(other) === keyOf(one)))
    return [
      ...gone.map(({ name }) => breaks(`${at}: the parameter ${name} is gone`)),
      ...after.flatMap((now) => {
        const old = before.find((one) => keyOf(one) === keyOf(now))
        const what = `${at}: the parameter ${now.name}`
        if (now.required && !old?.required) return [breaks(`${what} is required now`)]
        if (!old) return []
        return this.#schemas.compare(what, { before: old.schema, after: now.schema }, 'request')
      }),
    ]
  }

  #body(at: string, { before, after }: Pair<Operation>): Finding[] {
    const what = `${at}: its body`
    const old = this.#as(body, 'before', before.requestBody, what)
    const now = this.#as(body, 'after', after.requestBody, what)
    return [
      ...(now.required && !old.required ? [breaks(`${what} is required now`)] : []),
      ...this.#content(what, { before: old.content, after: now.content }, 'request'),
    ]
  }

  /** What went well. Failures are the client's to expect. */
  #answers(at: string, { before, after }: Pair<Operation>): Finding[] {
    return Object.keys(before.responses)
      .filter((status) => /^(2|3|default)/.test(status))
      .flatMap((status) => {
        const what = `${at}: its answer ${status}`
        if (!(status in after.responses)) return [breaks(`${what} is gone`)]
        const pair = {
          before: this.#as(body, 'before', before.responses[status], what).content,
          after: this.#as(body, 'after', after.responses[status], what).content,
        }
        return this.#content(what, pair, 'response')
      })
  }

  #content(
    at: string,
    { before, after }: Pair<Record<string, unknown>>,
    direction: 'request' | 'response',
  ): Finding[] {
    return Object.keys(before).flatMap((type) => {
      if (!(type in after)) return [breaks(`${at} as ${type} is gone`)]
      const pair = {
        before: this.#as(media, 'before', before[type], at).schema,
        after: this.#as(media, 'after', after[type], at).schema,
      }
      return this.#schemas.compare(at, pair, direction)
    })
  }

  #security(at: string, { before, after }: Pair<Operation>): Finding[] {
    const old = before.security ?? this.#documents.before.security ?? []
    const now = after.security ?? this.#documents.after.security ?? []
    const open = now.length === 0 || now.some((one) => isDeepStrictEqual(one, {}))
    if (open || isDeepStrictEqual(old, now)) return []
    if (old.length === 0) return [breaks(`${at} asks for security, and did not before`)]
    return [doubtful(`${at}: its security is another one`)]
  }
}

const keyOf = ({ in: place, name }: Parameter): string =>
  `${place} ${place === 'header' ? name.toLowerCase() : name}`
