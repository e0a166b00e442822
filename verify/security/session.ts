/** Signing in as deploy.yaml declares it, and what can be made of a session that nobody handed out. */
import { parseSetCookie } from 'set-cookie-parser'
import { field, parseJson } from '../../lib/json.ts'
import type { SecuritySettings } from '../../lib/settings/gates.ts'
import type { Answer, Question } from './client.ts'

export type SignIn = NonNullable<SecuritySettings['signIn']>

/** What the browser would send back: cookies, or a bearer token. */
export interface Session {
  cookies: { name: string; value: string }[]
  token?: string
}

export function signInQuestion(
  { method, path, headers, body }: SignIn,
  name: string,
  password: string,
): Question {
  const form = Object.values(headers).some((value) => /x-www-form-urlencoded/i.test(value))
  const escape = (value: string): string =>
    form ? encodeURIComponent(value) : JSON.stringify(value).slice(1, -1)
  const values: Record<string, string> = { '{name}': name, '{password}': password }
  const filled = body.replace(/\{name\}|\{password\}/g, (place) => escape(values[place] ?? ''))
  return { method, path, headers, body: filled, note: `signing in as ${name}` }
}

/** The session that an answer to a sign-in hands out; undefined when it hands out none. */
export function sessionOf(answer: Answer, tokenPath: string | undefined): Session | undefined {
  if (answer.status >= 400) return undefined
  if (tokenPath !== undefined) {
    const token = field(parseJson(answer.text), tokenPath)
    return typeof token === 'string' && token ? { cookies: [], token } : undefined
  }
  const cookies = parseSetCookie(answer.cookies, { decodeValues: false }).filter(({ value }) => value !== '')
  return cookies.length > 0 ? { cookies: cookies.map(({ name, value }) => ({ name, value })) } : undefined
}

export function sessionHeaders({ cookies, token }: Session): Record<string, string> {
  if (token !== undefined) return { authorization: `Bearer ${token}` }
  return { cookie: cookies.map(({ name, value }) => `${name}=${value}`).join('; ') }
}

/** Sessions that must be refused, made of one that is honoured. Pure. */
export function forgeries(session: Session): { what: string; session: Session }[] {
  const change = (alter: (value: string) => string): Session => ({
    cookies: session.cookies.map(({ name, value }) => ({ name, value: alter(value) })),
    ...(session.token !== undefined && { token: alter(session.token) }),
  })
  const opaque = [
    { what: 'a character in the middle changed', session: change((value) => flipped(value, 0.5)) },
    { what: 'a character near the end changed', session: change((value) => flipped(value, 0.9)) },
    { what: 'not a session at all', session: change(() => 'deploy-check') },
  ]
  const values = [session.token ?? '', ...session.cookies.map(({ value }) => value)]
  const jwts = values.some(isJwt)
    ? Object.entries(jwtForgeries).map(([what, forge]) => ({
        what,
        session: change((value) => (isJwt(value) ? forge(value) : value)),
      }))
    : []
  return [...opaque, ...jwts]
}

/**
 * Another letter at about this share of it. Never one of the last two: the last letter of base64 holds bits that
 * are thrown away, so that a change there may change nothing. Never inside a `%3D`.
 */
export function flipped(value: string, share: number): string {
  const letters = [...value.matchAll(/%[\da-f]{2}|[a-z\d]/gi)].filter(([letter]) => letter.length === 1)
  const usable = letters.slice(0, Math.max(1, letters.length - 2))
  const { index, 0: letter } = usable[Math.floor((usable.length - 1) * share)] ?? { index: 0, 0: '' }
  const other = /a/i.test(letter) ? 'b' : 'a'
  return value.slice(0, index) + other + value.slice(index + letter.length)
}

const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

function decoded(part: string | undefined): object | undefined {
  const value = parseJson(Buffer.from(part ?? '', 'base64url').toString())
  return typeof value === 'object' && value !== null ? value : undefined
}

const isJwt = (value: string): boolean =>
  /^[\w-]+\.[\w-]+\.[\w-]*$/.test(value) && 'alg' in (decoded(value.split('.')[0]) ?? {})

/** Signed by nobody. See RFC 8725, 2.1 and 3.1. */
const jwtForgeries: Record<string, (jwt: string) => string> = {
  'a JWT with alg none': (jwt) => `${encoded({ alg: 'none', typ: 'JWT' })}.${jwt.split('.')[1]}.`,
  'a JWT without its signature': (jwt) => `${jwt.split('.').slice(0, 2).join('.')}.`,
  'a JWT with another payload': (jwt) => {
    const [header, payload, signature] = jwt.split('.')
    return [header, encoded({ ...decoded(payload), admin: true }), signature].join('.')
  },
}
