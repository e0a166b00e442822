/** Signing in as deploy.yaml declares it, and what can be made of a session that nobody handed out. */
import { createHmac, createPublicKey } from 'node:crypto'
import { parseSetCookie } from 'set-cookie-parser'
import { z } from 'zod'
import { field, parseJson } from '../../lib/json.ts'
import type { SecuritySettings } from '../../lib/settings/gates.ts'
import type { Fault } from './check.ts'
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

/**
 * Sessions that must be refused, made of one that is honoured. Pure.
 * @param names of its account, and of another
 */
export function forgeries(
  session: Session,
  names?: { own: string; other: string },
): { what: string; session: Session }[] {
  const change = (alter: (value: string) => string): Session => changed(session, alter)
  const opaque = [
    { what: 'a character in the middle changed', session: change((value) => flipped(value, 0.5)) },
    { what: 'a character near the end changed', session: change((value) => flipped(value, 0.9)) },
    { what: 'not a session at all', session: change(() => 'deploy-check') },
  ]
  const jwts = valuesOf(session).some(isJwt)
    ? Object.entries(jwtForgeries).map(([what, forge]) => ({
        what,
        session: change((value) => (isJwt(value) ? forge(value) : value)),
      }))
    : []
  const others = names && change((value) => renamed(value, names))
  const taken = JSON.stringify(others) === JSON.stringify(session) ? undefined : others
  const impersonated = taken ? [{ what: 'the name of another account in it', session: taken }] : []
  return [...opaque, ...jwts, ...impersonated]
}

const valuesOf = ({ token = '', cookies }: Session): string[] => [token, ...cookies.map(({ value }) => value)]

const changed = ({ cookies, token }: Session, alter: (value: string) => string): Session => ({
  cookies: cookies.map(({ name, value }) => ({ name, value: alter(value) })),
  ...(token !== undefined && { token: alter(token) }),
})

/** Where an application that signs JWTs by a private key publishes the other half: RFC 7517, 5. */
export const JWKS = '/.well-known/jwks.json'
const keySet = z.object({ keys: z.array(z.record(z.string(), z.unknown())) })

/** Whether a JWT of it is signed by a private key, so that everybody may know the public one. */
export const isSignedByPrivateKey = (session: Session): boolean =>
  valuesOf(session).some((value) => isJwt(value) && /^(RS|PS|ES|Ed)/.test(algorithm(value)))

/**
 * The same JWT, with the public key's text as the secret of an HMAC: whoever believes the token's own word on its
 * algorithm takes it for signed (RFC 8725, 2.1). Pure.
 * @param jwks what the application publishes as its keys
 */
export function confusions(session: Session, jwks: unknown): { what: string; session: Session }[] {
  const { data } = keySet.safeParse(jwks)
  const kids = valuesOf(session).filter(isJwt).map(keyId)
  // The one that it names first: others are there while keys change.
  const keys = (data?.keys ?? []).toSorted(
    (a, b) => Number(kids.includes(b['kid'])) - Number(kids.includes(a['kid'])),
  )
  const pems = keys.flatMap((jwk) => pemOf(jwk) ?? []).slice(0, MOST_KEYS)
  return pems
    .flatMap((pem) => [pem, pem.trimEnd()])
    .map((secret) => ({
      what: 'a JWT with HS256, signed with the public key',
      session: changed(session, (value) => (isJwt(value) ? signedWith(secret, value) : value)),
    }))
}

/** So many of its public keys are tried. */
const MOST_KEYS = 3

const keyId = (jwt: string): unknown => Reflect.get(decoded(jwt.split('.')[0]) ?? {}, 'kid')

function pemOf(jwk: Record<string, unknown>): string | undefined {
  try {
    return createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' })
  } catch {
    return undefined // no key of a kind that has two halves
  }
}

function signedWith(secret: string, jwt: string): string {
  const [header, payload] = jwt.split('.')
  const content = `${encoded({ ...decoded(header), alg: 'HS256' })}.${payload}`
  return `${content}.${createHmac('sha256', secret).update(content).digest('base64url')}`
}

/** The other's name in place of one's own, also in what is base64. */
function renamed(value: string, { own, other }: { own: string; other: string }): string {
  if (value.includes(own)) return value.replaceAll(own, other)
  const text = readable(value)
  return text?.includes(own) ? Buffer.from(text.replaceAll(own, other)).toString('base64') : value
}

/** What base64 holds, if that is text. */
function readable(value: string): string | undefined {
  const raw = value.replaceAll('%3D', '=')
  const text = /^[\w+/-]+=*$/.test(raw) ? Buffer.from(raw, 'base64').toString() : ''
  return /^[\x20-\x7e]+$/.test(text) ? text : undefined
}

/** In characters: 64 bits written as hex, the least that OWASP takes for a session id. */
const SHORTEST_ID = 16
/** Ids this near each other are counted, or are times. */
const NEAR = 1000n
/** Bits that two ids of 64 bits differ in all but always: in one of 10,000 pairs they begin or end alike for longer. */
const LEAST_BITS = 48

/** Whether one may be guessed who was handed the other: two ids of one account. Those that are the same say nothing. Pure. */
export function guessable(one: string, other: string): Fault {
  const [a, b] = [readable(one) ?? one, readable(other) ?? other]
  const apart = a === b ? undefined : distance(a, b)
  if (apart !== undefined && apart <= NEAR)
    return { problem: `hands out session ids that are ${apart} apart`, severity: 'critical' }
  if (one.length < SHORTEST_ID) return `hands out session ids of ${one.length} characters`
  if (a !== b && bits(a, b) < LEAST_BITS) return 'hands out session ids that differ in few characters'
  return undefined
}

/** Of two that are the same but for one number, in decimals or hex. */
function distance(a: string, b: string): bigint | undefined {
  const same = a.slice(0, begin(a, b))
  for (const [digits, prefix] of [
    ['\\d', ''],
    ['[\\da-f]', '0x'],
  ] as const) {
    const start = same.replace(new RegExp(`${digits}+$`, 'i'), '').length
    const [left, right] = [a, b].map((id) => new RegExp(`^(${digits}+)(.*)$`, 'is').exec(id.slice(start)))
    if (!left?.[1] || !right?.[1] || left[2] !== right[2]) continue
    const apart = BigInt(prefix + left[1]) - BigInt(prefix + right[1])
    return apart < 0n ? -apart : apart
  }
  return undefined
}

/** How many characters two begin with alike. */
function begin(a: string, b: string): number {
  let at = 0
  while (at < a.length && a[at] === b[at]) at++
  return at
}

/** What the part in which two differ could hold, by its length and the characters in it. */
function bits(a: string, b: string): number {
  const from = begin(a, b)
  let end = 0
  while (end < Math.min(a.length, b.length) - from && a.at(-1 - end) === b.at(-1 - end)) end++
  const parts = [a, b].map((id) => id.slice(from, id.length - end))
  const alphabet = alphabets.find(({ only }) => only.test(parts.join('')))
  return Math.max(...parts.map((part) => part.length)) * Math.log2(alphabet?.letters ?? 64)
}

const alphabets = [
  { only: /^\d*$/, letters: 10 },
  { only: /^[\da-f]*$/i, letters: 16 },
  { only: /^([\da-z]*|[\dA-Z]*)$/, letters: 36 },
]

/**
 * Another letter, or another digit, at about this share of it. Never one of the last two: the last letter of base64
 * holds bits that are thrown away, so that a change there may change nothing. Never inside a `%3D`.
 */
export function flipped(value: string, share: number): string {
  const letters = [...value.matchAll(/%[\da-f]{2}|[a-z\d]/gi)].filter(([letter]) => letter.length === 1)
  const usable = letters.slice(0, Math.max(1, letters.length - 2))
  const { index, 0: letter } = usable[Math.floor((usable.length - 1) * share)] ?? { index: 0, 0: '' }
  const other = /\d/.test(letter) ? String((Number(letter) + 1) % 10) : /a/i.test(letter) ? 'b' : 'a'
  return value.slice(0, index) + other + value.slice(index + letter.length)
}

const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

function decoded(part: string | undefined): object | undefined {
  const value = parseJson(Buffer.from(part ?? '', 'base64url').toString())
  return typeof value === 'object' && value !== null ? value : undefined
}

const algorithm = (jwt: string): string => {
  const alg: unknown = Reflect.get(decoded(jwt.split('.')[0]) ?? {}, 'alg')
  return typeof alg === 'string' ? alg : ''
}

const isJwt = (value: string): boolean => /^[\w-]+\.[\w-]+\.[\w-]*$/.test(value) && algorithm(value) !== ''

/** Signed by nobody. See RFC 8725, 2.1 and 3.1. */
const jwtForgeries: Record<string, (jwt: string) => string> = {
  'a JWT with alg none': (jwt) => `${encoded({ alg: 'none', typ: 'JWT' })}.${jwt.split('.')[1]}.`,
  'a JWT without its signature': (jwt) => `${jwt.split('.').slice(0, 2).join('.')}.`,
  'a JWT with another payload': (jwt) => {
    const [header, payload, signature] = jwt.split('.')
    return [header, encoded({ ...decoded(payload), admin: true }), signature].join('.')
  },
}
