/**
 * The API server of the sandbox: HTTP in front of the store, on 127.0.0.1. It speaks enough of the Kubernetes API
 * for kubectl, and answers everything else with a Status that says so.
 */
import { type Body, readBody } from './api/body.ts'
import { bootstrap } from './api/bootstrap.ts'
import { type Changed, create, patch, replace } from './api/change.ts'
import { discover } from './api/discovery.ts'
import { type JsonMap, isMap } from './api/json.ts'
import { logs } from './api/logs.ts'
import { openapi } from './api/openapi.ts'
import { OPENAPI_V2 } from './api/openapi-v2.ts'
import { authorize, authorizeUrl } from './api/rbac.ts'
import { proxy } from './api/proxy.ts'
import { answer, get, list, present, stored } from './api/read.ts'
import { collectForeground, remove, removeAll } from './api/remove.ts'
import { type ApiRequest, parseRequest } from './api/request.ts'
import { isReview, verbsOf } from './api/resources.ts'
import { review } from './api/reviews.ts'
import { scaleOf, setScale } from './api/scale.ts'
import { issueToken } from './api/token.ts'
import { Tokens, type User, authenticate } from './api/users.ts'
import { watch } from './api/watch.ts'
import type { LogSource, PodTerminator } from './hooks.ts'
import { ApiError } from './status.ts'
import type { Store } from './store.ts'

export interface ServerOptions {
  /** 0 or none: a free one. */
  port?: number
  logs: LogSource
  pods: PodTerminator
}

export interface ApiServer {
  url: string
  stop(): void
}

/** Serves a store until it is stopped. Gives an empty store its namespaces and cluster roles. */
export function serveApi(store: Store, { port = 0, ...node }: ServerOptions): ApiServer {
  bootstrap(store)
  const stopping = new AbortController()
  const api: Api = { store, node, tokens: new Tokens(), stopping: stopping.signal }
  const stopCollecting = collectForeground(store)
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port,
    idleTimeout: 0, // a watch may be silent for long
    fetch: (request) => respond(api, request),
  })
  return {
    url: `http://127.0.0.1:${server.port}`,
    stop: () => {
      stopping.abort()
      stopCollecting()
      void server.stop(true)
    },
  }
}

interface Api {
  store: Store
  node: { logs: LogSource; pods: PodTerminator }
  tokens: Tokens
  stopping: AbortSignal
}

async function respond(api: Api, request: Request): Promise<Response> {
  try {
    return await route(api, request)
  } catch (error) {
    const known = error instanceof ApiError ? error : internal(error)
    return Response.json(known.toStatus(), { status: known.code })
  }
}

function internal(error: unknown): ApiError {
  console.error(error)
  const why = error instanceof Error ? error.message : String(error)
  return new ApiError(500, 'InternalError', `Internal error occurred: ${why}`)
}

async function route(api: Api, request: Request): Promise<Response> {
  const url = new URL(request.url)
  const user = authenticate(api.store, api.tokens, request.headers)
  const asked = parseRequest(request, url)
  if (!asked) return general(api, user, request.method, url.pathname.replace(/(.)\/$/, '$1'))
  const body = request.method === 'GET' ? undefined : await readBody(request)
  authorize(api.store, user, asked)
  const reply = body ? change(api, user, asked, body) : await read(api, asked, request.signal)
  for (const warning of body?.warnings ?? [])
    reply.headers.append('warning', `299 - ${JSON.stringify(warning)}`)
  return reply
}

/** Everything that is not about objects: health, discovery, schemas. */
function general({ store }: Api, user: User, method: string, path: string): Response {
  authorizeUrl(store, user, method, path)
  if (['/healthz', '/livez', '/readyz'].includes(path)) return new Response('ok')
  if (path === '/openapi/v2') return new Response(OPENAPI_V2)
  const found = method === 'GET' ? (discover(path) ?? openapi(path)) : undefined
  if (!found) throw new ApiError(404, 'NotFound', 'the server could not find the requested resource')
  return Response.json(found)
}

function read(api: Api, request: ApiRequest, gone: AbortSignal): Response | Promise<Response> {
  const { resource, name, subresource, verb } = request
  if (resource.name === 'pods' && subresource === 'proxy') return proxy(api.store, request, gone)
  if (subresource !== undefined) return readSubresource(api, request, subresource)
  if (isReview(resource)) throw notAllowed()
  if (verb === 'watch') {
    const events = watch(api.store, request, AbortSignal.any([gone, api.stopping]))
    return new Response(events, { headers: { 'content-type': 'application/json' } })
  }
  return Response.json(name === undefined ? list(api.store, request) : get(api.store, request))
}

function readSubresource({ store, node }: Api, request: ApiRequest, subresource: string): Response {
  checkSubresource(request, subresource)
  if (subresource === 'log') return logs(store, node.logs, request)
  if (subresource === 'scale') return Response.json(scaleOf(stored(store, request)))
  if (subresource === 'status') return Response.json(get(store, request))
  throw notAllowed()
}

function change(api: Api, user: User, request: ApiRequest, body: Body): Response {
  const { resource, method, name, subresource } = request
  const { store, tokens } = api
  if (subresource !== undefined) checkSubresource(request, subresource)
  if (isReview(resource) && method === 'POST') return created(review(store, user, asMap(body)))
  if (subresource === 'token' && method === 'POST')
    return created(issueToken(store, tokens, request, asMap(body)))
  if (subresource === 'scale' && method !== 'POST') return Response.json(setScale(store, request, body))
  if (subresource !== undefined && subresource !== 'status') throw notAllowed()
  if (!verbsOf(resource).includes(request.verb)) throw notAllowed()
  if (method === 'DELETE' && subresource === undefined) return removed(api, request, body)
  if (method === 'POST' && name === undefined) return changed(api, request, create(store, request, body))
  if (method === 'PUT' && name !== undefined) return changed(api, request, replace(store, request, body))
  if (method === 'PATCH' && name !== undefined) return changed(api, request, patch(store, request, body))
  throw notAllowed()
}

function removed({ store, node }: Api, request: ApiRequest, body: Body): Response {
  const all = request.name === undefined
  return Response.json((all ? removeAll : remove)(store, node.pods, request, body))
}

function changed({ store }: Api, request: ApiRequest, { created: isNew, object }: Changed): Response {
  return Response.json(answer(request, present(store, request, object)), { status: isNew ? 201 : 200 })
}

function created(object: JsonMap): Response {
  return Response.json(object, { status: 201 })
}

function asMap({ value }: Body): JsonMap {
  return isMap(value) ? value : {}
}

/** @throws ApiError 404 for a subresource that the kind has not, 501 for one that needs a tunnel into a container */
function checkSubresource({ resource }: ApiRequest, subresource: string): void {
  if (resource.subresources.includes(subresource)) return
  if (resource.name === 'pods' && ['attach', 'exec', 'portforward'].includes(subresource)) {
    throw new ApiError(501, 'NotImplemented', `the sandbox does not implement pods/${subresource}`)
  }
  throw new ApiError(404, 'NotFound', 'the server could not find the requested resource')
}

function notAllowed(): ApiError {
  return new ApiError(
    405,
    'MethodNotAllowed',
    'the server does not allow this method on the requested resource',
  )
}
