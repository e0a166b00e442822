/** One request from its arrival to its answer. */
import { HttpError } from './errors.ts'
import { FAULTS_PATH, VERIFICATION_HEADER, type Faults } from './faults.ts'
import { secureHeaders } from './headers.ts'
import { describe } from './log.ts'
import { createRouter, pathOf, type Handler } from './router.ts'
import { adminRoutes } from './routes/admin.ts'
import { conversationRoutes } from './routes/conversations.ts'
import { operationRoutes } from './routes/operations.ts'
import { sessionRoutes } from './routes/session.ts'
import type { Services } from './services.ts'
import { staticRoutes } from './static-files.ts'

/** Methods that a metric may name: a label must not take whatever a client makes up. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'])

export type App = (request: Request, peer: string) => Promise<Response>

export function createApp(services: Services, faults: Faults): App {
  const { config, drain, log, metrics } = services
  const route = createRouter([
    ...staticRoutes(config.faults.brokenLogin),
    ...operationRoutes(services),
    ...sessionRoutes(services),
    ...conversationRoutes(services),
    ...adminRoutes(services),
    ...(config.faults.remote ? [{ method: 'POST', path: FAULTS_PATH, handler: faults.change } as const] : []),
  ])

  return async (request, peer) => {
    const started = performance.now()
    const path = pathOf(request.url)
    const secure = config.cookieSecure || forwarded(request, 'proto')?.at(0) === 'https'
    const address = (config.trustProxy && forwarded(request, 'for')?.at(-1)) || peer
    const match = route(request.method, path)

    const response = await answer(request, path, () =>
      match.handler({ request, address, secure, params: match.params }),
    )
    if (!config.faults.noSecurityHeaders) secureHeaders(response.headers, secure)
    if (drain.draining) response.headers.set('Connection', 'close')

    const method = METHODS.has(request.method) ? request.method : 'other'
    const ms = performance.now() - started
    // A deployment's own checks are told apart, so that what users meet can be counted without them.
    const check = request.headers.has(VERIFICATION_HEADER) && { verification: 'true' }
    metrics.requests.observe({ method, route: match.path, status: response.status, ...check }, ms / 1000)
    log('debug', 'request', {
      method,
      route: match.path,
      status: response.status,
      ms: Math.round(ms * 10) / 10,
    })
    return response
  }

  async function answer(
    request: Request,
    path: string,
    handle: () => ReturnType<Handler>,
  ): Promise<Response> {
    try {
      await faults.disturb(request, path)
      return await handle()
    } catch (error) {
      if (error instanceof HttpError) return error.toResponse()
      log('error', 'request failed', {
        method: request.method,
        error: describe(error),
        stack: stackOf(error),
      })
      return new HttpError(500, 'internal', 'Something went wrong here. It has been logged.').toResponse()
    }
  }
}

/**
 * What the proxies in front say, in the order of the way here. Of `for` only the last is sure: the nearest
 * proxy added it, and the ones before are whatever the client claims.
 */
function forwarded(request: Request, what: 'for' | 'proto'): string[] | undefined {
  return request.headers.get(`x-forwarded-${what}`)?.split(/\s*,\s*/)
}

const stackOf = (error: unknown) => (error instanceof Error ? error.stack : undefined)
