/** An answer that is not the wanted one: thrown anywhere in a request, shown to the client as JSON. */
export class HttpError extends Error {
  override name = 'HttpError'
  readonly status: number
  readonly code: string
  readonly headers: Record<string, string>

  constructor(status: number, code: string, message: string, headers: Record<string, string> = {}) {
    super(message)
    this.status = status
    this.code = code
    this.headers = headers
  }

  toResponse(): Response {
    return Response.json(
      { error: this.code, message: this.message },
      { status: this.status, headers: this.headers },
    )
  }
}

export const badRequest = (message: string) => new HttpError(400, 'bad_request', message)

/** The scheme is our own: it names the session cookie, and a browser opens no password box for it. */
export const unauthorized = (message: string) =>
  new HttpError(401, 'unauthorized', message, { 'WWW-Authenticate': 'Cookie realm="chatbot"' })

export const forbidden = () => new HttpError(403, 'forbidden', 'Your role does not allow this.')

/** Also for what exists and belongs to somebody else, so that nobody learns which ids exist. */
export const notFound = () => new HttpError(404, 'not_found', 'There is nothing here.')

export const methodNotAllowed = (allowed: readonly string[]) =>
  new HttpError(405, 'method_not_allowed', `Allowed here: ${allowed.join(', ')}.`, {
    Allow: allowed.join(', '),
  })

/** The rest of the body is not read, so the connection cannot be used again. */
export const tooLarge = (limit: number) =>
  new HttpError(413, 'too_large', `A request may hold ${limit} bytes at most.`, { Connection: 'close' })

export const unsupportedType = () =>
  new HttpError(415, 'unsupported_type', 'Send JSON with Content-Type: application/json.')

export const upgradeRequired = () =>
  new HttpError(426, 'upgrade_required', 'This speaks WebSocket.', {
    Upgrade: 'websocket',
    Connection: 'Upgrade',
  })

export const tooManyAttempts = (seconds: number) =>
  new HttpError(429, 'too_many_attempts', `Too many failed sign-ins. Try again in ${seconds} s.`, {
    'Retry-After': String(seconds),
  })
