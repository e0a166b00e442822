/** What must be in no result and in no file: passwords, and what the application hands out as a session. */
import { parseSetCookie } from 'set-cookie-parser'

/** Shorter values of cookies are settings, such as a language, and stand in ordinary text too. */
const SHORTEST = 8

export class Secrets {
  readonly #known = new Set<string>()

  /** Also as JSON, as part of an address and as a form write it. */
  add(secret: string): void {
    const forms = [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)]
    for (const form of [...forms, Buffer.from(secret).toString('base64')]) if (form) this.#known.add(form)
  }

  addCookies(lines: readonly string[]): void {
    for (const decodeValues of [true, false])
      for (const { value } of parseSetCookie(lines, { decodeValues }))
        if (value.length >= SHORTEST) this.add(value)
  }

  redact(text: string): string {
    const longestFirst = [...this.#known].toSorted((a, b) => b.length - a.length)
    return longestFirst.reduce((result, secret) => result.replaceAll(secret, '<redacted>'), text)
  }
}
