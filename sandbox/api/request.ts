/** What a URL asks for. */
import type { Resource } from './resources.ts'
import { findResource } from './resources.ts'

export interface ApiRequest {
  method: string
  query: URLSearchParams
  headers: Headers
  group: string
  version: string
  resource: Resource
  namespace: string | undefined
  /** Undefined for a whole collection. */
  name: string | undefined
  subresource: string | undefined
  /** What follows `proxy`, which is the pod's own: `/metrics`. */
  rest: string
  /** get, list, watch, create, update, patch, delete, deletecollection: the word that RBAC uses. */
  verb: string
}

const VERBS: Record<string, string> = { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' }

/** Undefined for a path that names no resource which is served. */
export function parseRequest(request: Request, url: URL): ApiRequest | undefined {
  const segments = url.pathname.split('/').filter(Boolean).map(decodeURIComponent)
  const [root, ...rest] = segments
  if (root !== 'api' && root !== 'apis') return undefined
  const group = root === 'api' ? '' : rest.shift()
  const version = rest.shift()
  if (group === undefined || version === undefined) return undefined
  // /namespaces/x is a namespace, /namespaces/x/pods are the pods in it
  const isScoped =
    rest[0] === 'namespaces' && rest[2] !== undefined && !['status', 'finalize'].includes(rest[2])
  const namespace = isScoped ? rest[1] : undefined
  const [plural = '', name, subresource, ...more] = isScoped ? rest.slice(2) : rest
  const resource = findResource(group, version, plural)
  if (
    !resource ||
    (more.length > 0 && subresource !== 'proxy') ||
    (namespace !== undefined && !resource.namespaced)
  )
    return undefined
  const query = url.searchParams
  const verb = verbOf(request.method, name, query)
  return {
    method: request.method,
    query,
    headers: request.headers,
    group,
    version,
    resource,
    namespace,
    name,
    subresource,
    rest: `/${more.join('/')}`,
    verb,
  }
}

function verbOf(method: string, name: string | undefined, query: URLSearchParams): string {
  if (method === 'DELETE' && name === undefined) return 'deletecollection'
  if (method !== 'GET') return VERBS[method] ?? method.toLowerCase()
  if (isTrue(query.get('watch'))) return 'watch'
  return name === undefined ? 'list' : 'get'
}

export function isTrue(value: string | null): boolean {
  return value === 'true' || value === '1'
}

export function isDryRun({ query }: ApiRequest): boolean {
  return query.getAll('dryRun').includes('All')
}
