/** Role-based access control, evaluated over the stored roles and bindings. */
import type { KubeObject, Store } from '../store.ts'
import { ApiError } from '../status.ts'
import { type Json, type JsonMap, listAt, stringAt } from './json.ts'
import type { ApiRequest } from './request.ts'
import type { User } from './users.ts'

export interface Access {
  verb: string
  group: string
  resource: string
  subresource: string
  name: string
  /** '' is the whole cluster. */
  namespace: string
}

/** Every rule that a user has in a namespace (or, for '', in the cluster). */
export function rulesFor(store: Store, user: User, namespace: string): JsonMap[] {
  if (user.groups.includes('system:masters')) return [ALL, ALL_URLS]
  const bindings = [
    ...store.list('clusterrolebindings'),
    ...(namespace ? store.list('rolebindings', namespace) : []),
  ]
  const bound = bindings.filter((binding) =>
    listAt(binding, 'subjects').some((subject) => isSubject(subject, user, binding)),
  )
  return [...BASIC, ...bound.flatMap((binding) => rulesOf(store, binding))]
}

const ALL: JsonMap = { verbs: ['*'], apiGroups: ['*'], resources: ['*'] }
const ALL_URLS: JsonMap = { verbs: ['*'], nonResourceURLs: ['*'] }

/** What everyone who is known may do: ask about themselves, and discover the API. */
const BASIC: JsonMap[] = [
  {
    verbs: ['create'],
    apiGroups: ['authorization.k8s.io'],
    resources: ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'],
  },
  {
    verbs: ['get'],
    nonResourceURLs: [
      '/api',
      '/api/*',
      '/apis',
      '/apis/*',
      '/healthz',
      '/livez',
      '/openapi',
      '/openapi/*',
      '/readyz',
      '/version',
      '/version/',
    ],
  },
]

function isSubject(subject: JsonMap, user: User, binding: KubeObject): boolean {
  const name = stringAt(subject, 'name')
  if (subject.kind === 'Group') return user.groups.includes(name)
  if (subject.kind === 'User') return user.name === name
  const namespace = stringAt(subject, 'namespace') || (binding.metadata.namespace ?? '')
  return user.name === `system:serviceaccount:${namespace}:${name}`
}

function rulesOf(store: Store, binding: KubeObject): JsonMap[] {
  const name = stringAt(binding, 'roleRef', 'name')
  const kind = stringAt(binding, 'roleRef', 'kind')
  const role =
    kind === 'ClusterRole'
      ? store.get('clusterroles', undefined, name)
      : store.get('roles', binding.metadata.namespace, name)
  return listAt(role, 'rules')
}

export function isAllowed(store: Store, user: User, access: Access): boolean {
  return rulesFor(store, user, access.namespace).some((rule) => allows(rule, access))
}

function allows(rule: JsonMap, { verb, group, resource, subresource, name }: Access): boolean {
  const full = subresource ? `${resource}/${subresource}` : resource
  const names = strings(rule.resourceNames)
  return (
    has(rule.verbs, verb) &&
    has(rule.apiGroups, group) &&
    (has(rule.resources, full) || (subresource !== '' && has(rule.resources, `*/${subresource}`))) &&
    (names.length === 0 || names.includes(name))
  )
}

export function isAllowedUrl(store: Store, user: User, verb: string, path: string): boolean {
  return rulesFor(store, user, '').some(
    (rule) =>
      has(rule.verbs, verb) && strings(rule.nonResourceURLs).some((pattern) => matchesUrl(pattern, path)),
  )
}

function matchesUrl(pattern: string, path: string): boolean {
  return pattern === path || (pattern.endsWith('*') && path.startsWith(pattern.slice(0, -1)))
}

function strings(list: Json | undefined): string[] {
  return Array.isArray(list) ? list.filter((item) => typeof item === 'string') : []
}

function has(list: Json | undefined, wanted: string): boolean {
  const values = strings(list)
  return values.includes('*') || values.includes(wanted)
}

/** @throws ApiError 403 with the sentence of a real server */
export function authorize(store: Store, user: User, request: ApiRequest): void {
  const { verb, group, resource, namespace = '', name = '', subresource = '' } = request
  const scope = resource.name === 'namespaces' ? name : namespace
  const access = { verb, group, resource: resource.name, subresource, name, namespace: scope }
  if (isAllowed(store, user, access)) return
  const full = subresource ? `${resource.name}/${subresource}` : resource.name
  const where = scope ? `in the namespace "${scope}"` : 'at the cluster scope'
  const subject = `${resource.name}${group && `.${group}`}${name && ` "${name}"`}`
  const why = `User "${user.name}" cannot ${verb} resource "${full}" in API group "${group}" ${where}`
  const details = { ...(name && { name }), ...(group && { group }), kind: resource.name }
  throw new ApiError(403, 'Forbidden', `${subject} is forbidden: ${why}`, details)
}

/** @throws ApiError 403 */
export function authorizeUrl(store: Store, user: User, method: string, path: string): void {
  const verb = method.toLowerCase()
  if (isAllowedUrl(store, user, verb, path)) return
  const why = `User "${user.name}" cannot ${verb} path "${path}"`
  throw new ApiError(403, 'Forbidden', `forbidden: ${why}`)
}
