/** Reading what a client sends: JSON objects of limited size, and the strings in them. */
import { badRequest, tooLarge, unsupportedType } from './errors.ts'

export const BODY_LIMIT = 64 * 1024

/** @throws HttpError 400, 413 or 415 */
export async function readJson(request: Request): Promise<Record<string, unknown>> {
  // A form of another site can send text/plain or a form without asking first, but never this type.
  if (!/^application\/json\b/i.test(request.headers.get('content-type') ?? '')) throw unsupportedType()
  const parsed = parse(await readText(request))
  if (!isObject(parsed)) throw badRequest('The body must be a JSON object.')
  return parsed
}

/** @throws HttpError 400 unless the field is text that a database can hold, not blank and not too long */
export function requireText(body: Record<string, unknown>, field: string, maxLength: number): string {
  const value = body[field]
  if (typeof value !== 'string' || value.trim() === '') throw badRequest(`"${field}" must be text.`)
  if (value.length > maxLength) throw badRequest(`"${field}" may have ${maxLength} characters at most.`)
  // PostgreSQL stores neither NUL nor half a surrogate pair.
  if (value.includes('\0') || !value.isWellFormed())
    throw badRequest(`"${field}" holds a character that is not text.`)
  return value
}

async function readText(request: Request): Promise<string> {
  if (Number(request.headers.get('content-length')) > BODY_LIMIT) throw tooLarge(BODY_LIMIT)
  if (!request.body) return ''
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of request.body) {
    size += chunk.byteLength
    if (size > BODY_LIMIT) throw tooLarge(BODY_LIMIT)
    chunks.push(chunk)
  }
  return new TextDecoder().decode(Buffer.concat(chunks))
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    throw badRequest('The body is not valid JSON.')
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
