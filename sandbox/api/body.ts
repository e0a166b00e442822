/** Reading a request's body, and how strictly its fields are taken. */
import { ApiError, badRequest } from '../status.ts'
import { fromVersion } from './autoscaler.ts'
import { decode } from './decode.ts'
import { type Json, type JsonMap, isMap, stringAt } from './json.ts'
import { PATCH_TYPES } from './patch.ts'
import { PROTOBUF, decodeProtobuf } from './protobuf.ts'
import type { ApiRequest } from './request.ts'
import { groupVersion } from './resources.ts'
import { structOf } from './schema.ts'

export interface Body {
  contentType: string
  value: Json
  /** For the `Warning` headers of the answer: filled while the body is decoded. */
  warnings: string[]
}

const JSON_TYPES = [
  'application/json',
  ...Object.values(PATCH_TYPES).filter((type) => type !== PATCH_TYPES.apply),
]
const YAML_TYPES = ['application/yaml', PATCH_TYPES.apply]

/** @throws ApiError 400 for a body that cannot be parsed, 415 for another media type */
export async function readBody(request: Request): Promise<Body> {
  const bytes = await request.bytes()
  const contentType = request.headers.get('content-type')?.split(';')[0] ?? 'application/json'
  return { contentType, value: parse(contentType, bytes), warnings: [] }
}

function parse(contentType: string, bytes: Uint8Array): Json {
  if (bytes.length === 0) return {}
  if (contentType === PROTOBUF) return decodeProtobuf(bytes)
  const text = new TextDecoder().decode(bytes)
  const isYaml = YAML_TYPES.includes(contentType)
  if (!isYaml && !JSON_TYPES.includes(contentType)) {
    const known = [...JSON_TYPES, ...YAML_TYPES, PROTOBUF].join(', ')
    const message = `the body of the request was in an unknown format - accepted media types include: ${known}`
    throw new ApiError(415, 'UnsupportedMediaType', message)
  }
  try {
    return (isYaml && !text.startsWith('{') ? Bun.YAML.parse(text) : JSON.parse(text)) as Json
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw badRequest(`the object provided is unrecognized (must be of type ${contentType}): ${why}`)
  }
}

/**
 * The body as an object of the request's kind, in the stored version.
 * @throws ApiError 400 for another kind, another version, a wrong type, or (fieldValidation=Strict) an unknown field
 */
export function decodeBody(request: ApiRequest, body: Body, value: Json = body.value): JsonMap {
  const { group, version, resource } = request
  if (!isMap(value)) throw badRequest(`the object provided is not a ${resource.kind}`)
  const expected = groupVersion(group, version)
  const apiVersion = stringAt(value, 'apiVersion')
  const kind = stringAt(value, 'kind')
  if (kind && kind !== resource.kind) {
    throw badRequest(
      `${kind} in version "${version}" cannot be handled as a ${resource.kind}: converting (${kind}) to (${resource.kind}): unknown conversion`,
    )
  }
  if (apiVersion && apiVersion !== expected) {
    throw badRequest(
      `the API version in the data (${apiVersion}) does not match the expected API version (${expected})`,
    )
  }
  const typed = { ...value, apiVersion: expected, kind: resource.kind }
  const refuse = (why: string): never => {
    if (value !== body.value) throw invalidPatch(typed, why)
    throw badRequest(
      `${resource.kind} in version "${version}" cannot be handled as a ${resource.kind}: ${why}`,
    )
  }
  const { value: decoded, problems } = decode(structOf(resource.kind, version), typed, refuse)
  if (problems.length > 0) judge(request, body, problems, refuse)
  return fromVersion(version, decoded)
}

/** What a real server says of an object that a patch has spoilt. */
function invalidPatch(object: JsonMap, why: string): ApiError {
  const message = `Invalid value: ${JSON.stringify(JSON.stringify(object))}: ${why}`
  const causes = [{ reason: 'FieldValueInvalid', message, field: 'patch' }]
  return new ApiError(422, 'Invalid', ` "" is invalid: patch: ${message}`, { causes })
}

function judge(request: ApiRequest, body: Body, problems: string[], refuse: (why: string) => never): void {
  if (body.contentType === PATCH_TYPES.apply) throw untyped(request, problems)
  const validation = request.query.get('fieldValidation') || 'Warn'
  if (validation === 'Strict') refuse(`strict decoding error: ${problems.join(', ')}`)
  if (validation === 'Warn') body.warnings.push(...problems)
}

/** Server-side apply cannot own what it does not know: it refuses, whatever fieldValidation says. */
function untyped({ namespace, name, group, version, resource }: ApiRequest, problems: string[]): ApiError {
  const fields = problems.map(
    (problem) => `.${/"(.*)"/.exec(problem)?.[1] ?? ''}: field not declared in schema`,
  )
  const list =
    fields.length === 1 ? fields.join('') : `errors:\n${fields.map((field) => `  ${field}`).join('\n')}`
  const what = `${namespace ?? ''}/${name ?? ''}; ${groupVersion(group, version)}, Kind=${resource.kind}`
  return new ApiError(500, '', `failed to create typed patch object (${what}): ${list}`)
}
