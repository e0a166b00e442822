/**
 * Advisories, package names, settings and tools' output are written by strangers. `plain` is applied where they
 * come in, and each medium's own escape where they go out: `harmless` is the terminal's.
 */
import { Secrets, secretsIn } from './secrets.ts'

/**
 * Text that a terminal, and GitHub's runner, only show: without escape sequences, control characters, invisible and
 * direction-changing ones, and with what the runner takes for a command broken up. Lines and spaces stay.
 */
export function harmless(text: string): string {
  return Bun.stripANSI(text)
    .replace(/\r\n?|[\p{Zl}\p{Zp}]/gu, '\n')
    .replace(/(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}]/gu, '')
    .replaceAll('##[', '## [')
    .replace(/^(\s*)::/gm, '$1: :')
}

/**
 * One line without escape sequences, control characters, invisible and direction-changing ones. `##[`, which
 * GitHub's runner takes for a command wherever it stands in a line, is broken up.
 */
export function plain(text: string, longest = 500): string {
  const line = Bun.stripANSI(text)
    .replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .replaceAll('##[', '## [')
    .trim()
  return line.length <= longest ? line : `${line.slice(0, longest - 1).toWellFormed()}…`
}

/**
 * A code span: nothing in it is markup, a mention or a link. What would end the span, or the cell of a table
 * that it stands in, is replaced, since tables and spans disagree about how it is escaped.
 */
export function code(text: string): string {
  const line = plain(text).replaceAll('`', "'").replaceAll('|', '¦')
  return line === '' ? '–' : `\`${line}\``
}

/** Takes out the values of variables that are named like secrets, and passwords in addresses (S7). */
export function redactor(variables: Record<string, string | undefined>): (text: string) => string {
  const secrets = new Secrets(secretsIn(variables))
  return (text) => secrets.redact(text)
}
