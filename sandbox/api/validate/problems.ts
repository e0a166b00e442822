/** What is wrong with an object, as the API server lists it (`field.ErrorList`). */
import { ApiError } from '../../status.ts'
import { resourceNamed } from '../resources.ts'

export interface Problem {
  reason:
    | 'FieldValueRequired'
    | 'FieldValueInvalid'
    | 'FieldValueForbidden'
    | 'FieldValueNotSupported'
    | 'FieldValueDuplicate'
  field: string
  message: string
}

export function required(field: string, detail = ''): Problem {
  return { reason: 'FieldValueRequired', field, message: `Required value${detail && `: ${detail}`}` }
}

export function invalid(field: string, value: unknown, detail: string): Problem {
  return { reason: 'FieldValueInvalid', field, message: `Invalid value: ${JSON.stringify(value)}: ${detail}` }
}

export function forbiddenField(field: string, detail: string): Problem {
  return { reason: 'FieldValueForbidden', field, message: `Forbidden: ${detail}` }
}

export function unsupported(field: string, value: unknown, supported: string[]): Problem {
  const list = supported
    .toSorted()
    .map((each) => JSON.stringify(each))
    .join(', ')
  const message = `Unsupported value: ${JSON.stringify(value)}: supported values: ${list}`
  return { reason: 'FieldValueNotSupported', field, message }
}

function duplicate(field: string, value: unknown): Problem {
  return { reason: 'FieldValueDuplicate', field, message: `Duplicate value: ${JSON.stringify(value)}` }
}

/** A problem for each value that occurs a second time. */
export function duplicates(values: { field: string; value: unknown }[]): Problem[] {
  const seen = new Set<string>()
  return values.flatMap(({ field, value }) => {
    const key = JSON.stringify(value)
    if (seen.has(key)) return [duplicate(field, value)]
    seen.add(key)
    return []
  })
}

/** @throws ApiError 422 when there is any problem */
export function refuseProblems(resource: string, name: string, problems: Problem[]): void {
  if (problems.length === 0) return
  const { kind, group } = resourceNamed(resource)
  const sentences = [...new Set(problems.map(({ field, message }) => `${field}: ${message}`))]
  const list = sentences.length === 1 ? sentences.join('') : `[${sentences.join(', ')}]`
  const subject = group ? `${kind}.${group}` : kind
  throw new ApiError(422, 'Invalid', `${subject} "${name}" is invalid: ${list}`, {
    name,
    kind,
    ...(group && { group }),
    causes: problems,
  })
}
