/** Who asks: nobody in particular is the administrator; a token or an impersonation header makes it somebody. */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Store } from '../store.ts'
import { ApiError } from '../status.ts'
import { type JsonMap, isMap, numberAt, stringAt } from './json.ts'

export interface User {
  name: string
  groups: string[]
}

const ADMIN: User = { name: 'kubernetes-admin', groups: ['system:masters', 'system:authenticated'] }

/** Tokens of one server: signed with a key that dies with it. */
export class Tokens {
  #key = randomBytes(32)

  issue(store: Store, namespace: string, account: string, seconds: number, audiences: string[]): JsonMap {
    const expires = Math.floor(Date.now() / 1000) + seconds
    const uid = store.get('serviceaccounts', namespace, account)?.metadata.uid ?? ''
    const claims = {
      iss: 'https://kubernetes.default.svc',
      sub: `system:serviceaccount:${namespace}:${account}`,
      aud: audiences,
      exp: expires,
      'kubernetes.io': { namespace, serviceaccount: { name: account, uid } },
    }
    const body = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`
    const token = `${body}.${this.#sign(body)}`
    return { token, expirationTimestamp: new Date(expires * 1000).toISOString().replace(/\.\d+Z$/, 'Z') }
  }

  /** @throws ApiError 401 for a token that is forged, expired, or of an account that is gone */
  verify(store: Store, token: string): User {
    const [head = '', body = '', signature = ''] = token.split('.')
    const expected = Buffer.from(this.#sign(`${head}.${body}`))
    const given = Buffer.from(signature)
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw unauthorized()
    const claims: unknown = JSON.parse(Buffer.from(body, 'base64url').toString())
    const own = isMap(claims) ? claims['kubernetes.io'] : undefined
    const [namespace, account] = [stringAt(own, 'namespace'), stringAt(own, 'serviceaccount', 'name')]
    const stored = store.get('serviceaccounts', namespace, account)
    const isSame = stored !== undefined && stored.metadata.uid === stringAt(own, 'serviceaccount', 'uid')
    if (!isSame || numberAt(claims, 'exp') * 1000 < Date.now()) throw unauthorized()
    return serviceAccount(namespace, account)
  }

  #sign(text: string): string {
    return createHmac('sha256', this.#key).update(text).digest('base64url')
  }
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function unauthorized(): ApiError {
  return new ApiError(401, 'Unauthorized', 'Unauthorized')
}

function serviceAccount(namespace: string, name: string): User {
  return {
    name: `system:serviceaccount:${namespace}:${name}`,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
  }
}

/** @throws ApiError 401, or 403 when somebody who may not impersonates */
export function authenticate(store: Store, tokens: Tokens, headers: Headers): User {
  const authorization = headers.get('authorization')
  const token = authorization?.startsWith('Bearer ') ? authorization.slice('Bearer '.length) : undefined
  const user = token === undefined ? ADMIN : tokens.verify(store, token)
  const name = headers.get('impersonate-user')
  if (!name) return user
  if (!user.groups.includes('system:masters')) {
    const why = `User "${user.name}" cannot impersonate resource "users" in API group "" at the cluster scope`
    throw new ApiError(403, 'Forbidden', `users "${name}" is forbidden: ${why}`, { name, kind: 'users' })
  }
  const groups =
    headers
      .get('impersonate-group')
      ?.split(',')
      .map((group) => group.trim()) ?? []
  const [, namespace, account] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(name) ?? []
  if (namespace !== undefined && account !== undefined && groups.length === 0)
    return serviceAccount(namespace, account)
  return { name, groups: [...groups, 'system:authenticated'] }
}
