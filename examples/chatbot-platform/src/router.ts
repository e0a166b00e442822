/** Which handler answers a method on a path. */
import { methodNotAllowed, notFound } from './errors.ts'

export interface Call {
  request: Request
  /** The client's address, for limits. */
  address: string
  /** True if the client came over https, here or at the proxy in front. */
  secure: boolean
  params: Readonly<Record<string, string>>
}

export type Handler = (call: Call) => Response | Promise<Response>

export interface Route {
  method: 'GET' | 'POST' | 'DELETE'
  /** A fixed path, or one with `:id` segments, which match a UUID. */
  path: string
  handler: Handler
}

export interface Match {
  /** The path of the route, without the ids: a label for metrics. */
  path: string
  params: Record<string, string>
  /** @throws HttpError 405 when the path has no such method */
  handler: Handler
}

export function createRouter(routes: readonly Route[]): (method: string, path: string) => Match {
  const table = [...Map.groupBy(routes, (route) => route.path)].map(([path, methods]) => ({
    path,
    methods,
    pattern: new RegExp(`^${path.replace(/[.]/g, '\\.').replace(/:(\w+)/g, '(?<$1>[0-9a-f-]{36})')}$`),
  }))

  return (method, path) => {
    for (const entry of table) {
      const found = entry.pattern.exec(path)
      if (!found) continue
      const handler = pick(method, entry.methods) ?? refuse(() => methodNotAllowed(allowed(entry.methods)))
      return { path: entry.path, params: found.groups ?? {}, handler }
    }
    return { path: 'unmatched', params: {}, handler: refuse(notFound) }
  }
}

function pick(method: string, routes: readonly Route[]): Handler | undefined {
  const wanted = method === 'HEAD' ? 'GET' : method
  return routes.find((route) => route.method === wanted)?.handler
}

function allowed(routes: readonly Route[]): string[] {
  return routes.flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method]))
}

function refuse(error: () => Error): Handler {
  return () => {
    throw error()
  }
}

/**
 * The path alone. Not `new URL()`: that throws for a Host header which no URL can hold, and folds `..` away.
 */
export function pathOf(url: string): string {
  return /^(?:\w+:\/\/[^/?#]*)?([^?#]*)/.exec(url)?.[1] ?? ''
}
