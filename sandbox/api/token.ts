/** `kubectl create token`: a token with which one acts as a ServiceAccount. */
import type { Store } from '../store.ts'
import { type JsonMap, at, mapAt, numberAt } from './json.ts'
import { stored } from './read.ts'
import type { ApiRequest } from './request.ts'
import type { Tokens } from './users.ts'

const AN_HOUR = 3600

/** @throws ApiError 404 when there is no such account */
export function issueToken(store: Store, tokens: Tokens, request: ApiRequest, body: JsonMap): JsonMap {
  const { metadata } = stored(store, request)
  const { name, namespace = '' } = metadata
  const asked = at(body, 'spec', 'audiences')
  const audiences =
    Array.isArray(asked) && asked.length > 0 ? asked.map(String) : ['https://kubernetes.default.svc']
  const expirationSeconds = numberAt(body, 'spec', 'expirationSeconds') || AN_HOUR
  return {
    kind: 'TokenRequest',
    apiVersion: 'authentication.k8s.io/v1',
    metadata: { name, namespace },
    spec: { ...mapAt(body, 'spec'), audiences, expirationSeconds },
    status: tokens.issue(store, namespace, name, expirationSeconds, audiences),
  }
}
