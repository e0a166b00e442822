/**
 * What must stand in nothing that is kept or shown: passwords, tokens, sessions (S7). One place knows how a secret may
 * be spelt, and where texts carry secrets that nobody has told us: the headers that sign in, and addresses.
 */

export const HIDDEN = '***'

/** Shorter values of cookies are settings, such as a language, and stand in ordinary text too. */
const SHORTEST = 8
/** Of base64, fewer characters than this may stand anywhere by chance. */
const SHORTEST_BASE64 = 6

/** Variables that are named like secrets are taken for such from this length on. */
const NAMED = /(TOKEN|KEY|PASSWORD|PASSWD|SECRET|CREDENTIALS?|AUTH)$/i
const LEAST = 6

const HEADERS = '(?:set-cookie|cookie|proxy-authorization|authorization|x-api-key|x-auth-token)'
/** A JSON string's inside; and that of one inside another, up to the quote that has as many backslashes. */
const STRING = String.raw`(?:[^"\\]|\\.)*`
/** Each has what comes before the value, the value, and what comes after. */
const CARRIERS = [
  // "cookie": "…", also as the first of a list
  new RegExp(String.raw`("${HEADERS}"\s*:\s*\[?\s*")(${STRING})(")`, 'gi'),
  // {"name": "cookie", "value": "…"}, as HAR has it
  new RegExp(String.raw`("name"\s*:\s*"${HEADERS}"\s*,\s*"value"\s*:\s*")(${STRING})(")`, 'gi'),
  // the same in JSON in JSON
  new RegExp(String.raw`(\\"${HEADERS}\\"\s*:\s*\[?\s*\\")(.*?)(\\")`, 'gi'),
  new RegExp(String.raw`(\\"name\\"\s*:\s*\\"${HEADERS}\\"\s*,\s*\\"value\\"\s*:\s*\\")(.*?)(\\")`, 'gi'),
  // a header's line, as curl and Playwright show it
  new RegExp(String.raw`(^[ \t]*[-<>*•]?[ \t]*${HEADERS}:[ \t]*)([^\r\n]+)()`, 'gim'),
  // https://user:password@host
  /(\/\/)([^/\s"'@<>]+)(@)/g,
]
/** Cookies as HAR and a browser's storage have them: objects in a list. */
const JARS = /("cookies"\s*:\s*\[)([^\][]*)(\])/g
const VALUES = new RegExp(String.raw`("value"\s*:\s*")(${STRING})(")`, 'g')

/** One of `a=1; b=2`; several Set-Cookie stand in lines, which JSON writes as `\\n`. */
const PAIR = /([^=;\s\\]{1,200})=((?:[^;\r\n\\]|\\[^nr])*)/g
/** Of a Set-Cookie, what is no value of it. */
const ATTRIBUTES = ['path', 'domain', 'expires', 'max-age', 'samesite', 'priority']

export class Secrets {
  readonly #spellings = new Set<string>()

  constructor(secrets: Iterable<string> = []) {
    for (const secret of secrets) this.add(secret)
  }

  /** Nothing is no secret. */
  add(secret: string): void {
    if (secret !== '') for (const spelling of spellings(secret)) this.#spellings.add(spelling)
  }

  /** Remembers what the text carries where sessions and passwords are sent: it may stand elsewhere, by itself. */
  learn(text: string): void {
    masked(text, (secret) => {
      if (secret.length >= SHORTEST) this.add(secret)
    })
  }

  /** The text without what is known, however it is spelt, and without what is carried where secrets are. */
  redact(text: string): string {
    return masked(this.#hidden(text), () => {})
  }

  /** The same for bytes, which stay as they are where nothing is secret: an image comes out as it went in. */
  redactBytes(data: Buffer): Buffer {
    const text = data.toString('latin1')
    const clean = masked(
      this.#hidden(text, (spelling) => Buffer.from(spelling).toString('latin1')),
      () => {},
    )
    return clean === text ? data : Buffer.from(clean, 'latin1')
  }

  #hidden(text: string, as = (spelling: string) => spelling): string {
    const longestFirst = [...this.#spellings].toSorted((a, b) => b.length - a.length)
    return longestFirst.reduce((rest, spelling) => rest.replaceAll(as(spelling), HIDDEN), text)
  }
}

/** The values of variables that are named like secrets. */
export function secretsIn(variables: Readonly<Record<string, string | undefined>>): string[] {
  return Object.entries(variables).flatMap(([name, value = '']) =>
    value.length >= LEAST && NAMED.test(name) ? [value] : [],
  )
}

/** Without what is carried where secrets are; `found` is told each of them. */
function masked(text: string, found: (secret: string) => void): string {
  const mask = (_: string, before: string, value: string, after: string): string =>
    before + hidden(value, found) + after
  const jars = text.replace(JARS, (_, before: string, inside: string, after: string) => {
    return before + inside.replace(VALUES, mask) + after
  })
  return CARRIERS.reduce((rest, carrier) => rest.replace(carrier, mask), jars)
}

/** Of a header or an address's user: `a=***; Path=/`, `Bearer ***`, `***`. */
function hidden(value: string, found: (secret: string) => void): string {
  const [, scheme = '', credentials = value] = /^(\w+ +)(\S+)$/.exec(value) ?? []
  if (scheme === '' && /^[^=;\s]+=/.test(value))
    return value.replace(PAIR, (pair: string, name: string, own: string) => {
      if (ATTRIBUTES.includes(name.trim().toLowerCase())) return pair
      found(own)
      return `${name}=${HIDDEN}`
    })
  const basic = /^basic/i.test(scheme) ? Buffer.from(credentials, 'base64').toString() : credentials
  found(credentials)
  found(basic.slice(basic.indexOf(':') + 1))
  return `${scheme}${HIDDEN}`
}

/** As it is written in text, JSON, JSON in JSON, addresses, forms, HTML and base64. */
function spellings(secret: string): string[] {
  const whole = secret.toWellFormed()
  const json = JSON.stringify(whole).slice(1, -1)
  const ascii = json.replace(/[^ -~]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`)
  const form = new URLSearchParams({ '': whole }).toString().slice(1)
  const urls = [encodeURIComponent(whole), encodeURI(whole), form, form.replaceAll('+', '%20')]
  const html = Bun.escapeHTML(whole)
  const all = [
    whole,
    ...[json, ascii].flatMap((text) => [text, JSON.stringify(text).slice(1, -1)]),
    ...urls.flatMap((url) => [url, url.replace(/%../g, (code) => code.toLowerCase())]),
    ...[html, html.replaceAll('&quot;', '&#34;'), html.replaceAll('&#x27;', '&#39;')],
    ...base64(whole),
  ]
  return [...new Set(all)]
}

/** Inside whatever else is encoded with it, as in `user:password`: its bytes may begin at each of three places. */
function base64(secret: string): string[] {
  return [0, 2, 3].flatMap((start, offset) => {
    const bytes = Buffer.concat([Buffer.alloc(offset), Buffer.from(secret)])
    const own = bytes.toString('base64').slice(start, Math.floor((bytes.length * 8) / 6))
    if (own.length < SHORTEST_BASE64) return []
    return [own, own.replaceAll('+', '-').replaceAll('/', '_')]
  })
}
