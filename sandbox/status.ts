/** Errors as the API server words them; kubectl prints `message` and decides by `reason`. */
import { qualified } from './api/resources.ts'

export class ApiError extends Error {
  readonly code: number
  readonly reason: string
  readonly details: Record<string, unknown>

  constructor(code: number, reason: string, message: string, details: Record<string, unknown> = {}) {
    super(message)
    this.code = code
    this.reason = reason
    this.details = details
  }

  /** The `Status` object that goes over the wire. */
  toStatus(): Record<string, unknown> {
    const { code, reason, message, details } = this
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      reason,
      details,
      code,
    }
  }
}

export function notFound(resource: string, name: string): ApiError {
  const message = `${qualified(resource)} "${name}" not found`
  return new ApiError(404, 'NotFound', message, about(resource, name))
}

export function alreadyExists(resource: string, name: string): ApiError {
  const message = `${qualified(resource)} "${name}" already exists`
  return new ApiError(409, 'AlreadyExists', message, about(resource, name))
}

export function conflict(resource: string, name: string, why = modified): ApiError {
  const message = `Operation cannot be fulfilled on ${qualified(resource)} "${name}": ${why}`
  return new ApiError(409, 'Conflict', message, about(resource, name))
}

const modified = 'the object has been modified; please apply your changes to the latest version and try again'

export function forbidden(resource: string, name: string, why: string): ApiError {
  const subject = name ? `${qualified(resource)} "${name}"` : qualified(resource)
  return new ApiError(403, 'Forbidden', `${subject} is forbidden: ${why}`, about(resource, name))
}

export function badRequest(message: string): ApiError {
  return new ApiError(400, 'BadRequest', message)
}

/** The `details` of a Status: which object it is about. */
function about(resource: string, name: string): Record<string, unknown> {
  const [kind, ...group] = qualified(resource).split('.')
  return { name, kind, ...(group.length > 0 && { group: group.join('.') }) }
}
