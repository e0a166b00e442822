/** What must be in no result and in no file: passwords, and what the application hands out as a session. */
import { parseSetCookie } from 'set-cookie-parser'
import { Secrets as Known } from '../../lib/secrets.ts'

/** Shorter values of cookies are settings, such as a language, and stand in ordinary text too. */
const SHORTEST = 8

export class Secrets extends Known {
  addCookies(lines: readonly string[]): void {
    for (const decodeValues of [true, false])
      for (const { value } of parseSetCookie(lines, { decodeValues }))
        if (value.length >= SHORTEST) this.add(value)
  }
}
