/**
 * What must stand in nothing that is kept or shown: passwords, tokens, sessions (S7). One place knows how a secret may
 * be spelt, and where texts carry secrets that nobody has told us: the headers that sign in, and addresses.
 */

export const HIDDEN = '***'

/** Shorter values of cookies are settings, such as a language, and stand in ordinary text too. */
const SHORTEST = 8
/** Of base64, fewer characters than this may stand anywhere by chance. */
const SHORTEST_BASE64 = 6

const NAMED = /(TOKEN|KEY|PASSWORD|PASSWD|SECRET|CREDENTIALS?|AUTH)$/i
const LEAST = 6
/** Of a secret that was cut, fewer characters say nothing of it. */
const LEAST_LEFT = 3

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
  readonly #others: Secrets | undefined

  /** @param others are told of what is learnt here */
  constructor(secrets: Iterable<string> = [], others?: Secrets) {
    this.#others = others
    for (const secret of secrets) this.add(secret)
  }

  /** Nothing is no secret. */
  add(secret: string): void {
    if (secret === '') return
    for (const spelling of spellings(secret)) this.#spellings.add(spelling)
    this.#others?.add(secret)
  }

  /** Remembers what the text carries where sessions and passwords are sent: it may stand elsewhere, by itself. */
  learn(text: string): void {
    masked(text, (secret) => {
      if (secret.length >= SHORTEST) this.add(secret)
    })
  }

  /** The text without what is known, however it is spelt, and without what is carried where secrets are. */
  redact(text: string): string {
    return masked(this.#uncut(this.#hidden(text)), () => {})
  }

  /** Without what is left of a secret where somebody has cut the text before it came here: `…p4ssw…`. */
  #uncut(text: string): string {
    if (!text.includes('…')) return text
    const parts = text.split('…')
    return parts
      .map((part, i) => {
        const left =
          i === parts.length - 1 ? 0 : Math.max(0, ...[...this.#spellings].map((one) => overlap(part, one)))
        return left >= LEAST_LEFT ? `${part.slice(0, -left)}${HIDDEN}` : part
      })
      .join('…')
  }

  /** The same for bytes, which stay as they are where nothing is secret: an image comes out as it went in. */
  redactBytes(data: Buffer): Buffer {
    const text = data.toString('latin1')
    const known = this.#hidden(text, (spelling) => Buffer.from(spelling).toString('latin1'))
    const clean = isText(data) ? masked(known, () => {}) : known
    return clean === text ? data : Buffer.from(clean, 'latin1')
  }

  #hidden(text: string, as = (spelling: string) => spelling): string {
    const longestFirst = [...this.#spellings].toSorted((a, b) => b.length - a.length)
    return longestFirst.reduce((rest, spelling) => rest.replaceAll(as(spelling), HIDDEN), text)
  }
}

/** How many characters at the end of the text are the beginning of the secret. */
function overlap(text: string, secret: string): number {
  let length = Math.min(text.length, secret.length - 1)
  while (length > 0 && !text.endsWith(secret.slice(0, length))) length--
  return length
}

/** What has a zero byte is none, and looks like anything somewhere. */
export const isText = (data: Buffer): boolean => !data.includes(0)

/** A variable that is named like a secret. What is too short stands in ordinary text too. */
export const isSecret = (name: string, value: string): boolean => value.length >= LEAST && NAMED.test(name)

export function secretsIn(variables: Readonly<Record<string, string | undefined>>): string[] {
  return Object.entries(variables).flatMap(([name, value = '']) => (isSecret(name, value) ? [value] : []))
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
  const jsons = [json, ascii].flatMap((text) => [text, JSON.stringify(text).slice(1, -1)])
  const htmls = [whole, ...jsons].map((text) => Bun.escapeHTML(text))
  const all = [
    whole,
    ...jsons,
    ...urls.flatMap((url) => [url, url.replace(/%../g, (code) => code.toLowerCase())]),
    ...htmls.flatMap((html) => [html, html.replaceAll('&quot;', '&#34;').replaceAll('&#x27;', '&#39;')]),
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
