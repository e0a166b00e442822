/** `kubectl auth can-i`: the questions a user asks about itself. Nothing is stored. */
import type { Store } from '../store.ts'
import { ApiError } from '../status.ts'
import { type JsonMap, isMap, mapAt, stringAt } from './json.ts'
import { isAllowed, isAllowedUrl, rulesFor } from './rbac.ts'
import type { User } from './users.ts'

export function review(store: Store, user: User, body: JsonMap): JsonMap {
  const spec = mapAt(body, 'spec')
  const status = body.kind === 'SelfSubjectRulesReview' ? rules(store, user, spec) : access(store, user, spec)
  return { ...body, metadata: {}, status }
}

function rules(store: Store, user: User, spec: JsonMap): JsonMap {
  const namespace = stringAt(spec, 'namespace')
  if (!namespace) throw new ApiError(400, 'BadRequest', 'no namespace on request')
  const all = rulesFor(store, user, namespace)
  return {
    resourceRules: all.filter((rule) => !rule.nonResourceURLs),
    nonResourceRules: all.filter((rule) => rule.nonResourceURLs),
    incomplete: false,
  }
}

function access(store: Store, user: User, spec: JsonMap): JsonMap {
  const url = spec.nonResourceAttributes
  if (isMap(url)) return { allowed: isAllowedUrl(store, user, stringAt(url, 'verb'), stringAt(url, 'path')) }
  const asked = mapAt(spec, 'resourceAttributes')
  const allowed = isAllowed(store, user, {
    verb: stringAt(asked, 'verb'),
    group: stringAt(asked, 'group'),
    resource: stringAt(asked, 'resource'),
    subresource: stringAt(asked, 'subresource'),
    name: stringAt(asked, 'name'),
    namespace: stringAt(asked, 'namespace'),
  })
  return { allowed }
}
