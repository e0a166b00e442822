/**
 * HTML that no stranger's word can break out of: everything that is put into a template is escaped, unless it is
 * markup that came out of one. There is no way to make markup of a text but to write it here as a template.
 */
import { plain } from '../text.ts'

export class Markup {
  readonly text: string

  constructor(parts: readonly string[], values: readonly Value[]) {
    this.text = parts.map((part, i) => part + (i < values.length ? shown(values[i]) : '')).join('')
  }
}

type Value = string | number | undefined | Markup | readonly Markup[]

/** A text is never longer on a page than this: what is longer is in the evidence. */
const LONGEST = 4000

export const html = (parts: TemplateStringsArray, ...values: readonly Value[]): Markup =>
  new Markup(parts, values)

export const nothing = html``

/** Coordinates and base64, however long: of characters that end nothing and begin nothing. @throws Error for any other */
export function inert(text: string): Markup {
  if (!/^[\w:;,+/=. -]*$/.test(text)) throw new Error('this text is not inert')
  return new Markup([text], [])
}

/** On one line; what stood between it and its neighbours goes on to. */
function words(text: string): string {
  const [before, after] = [/^\s/.test(text) ? ' ' : '', /\s$/.test(text) ? ' ' : '']
  return before + Bun.escapeHTML(plain(text, LONGEST)) + after
}

function shown(value: Value): string {
  if (value === undefined) return ''
  if (value instanceof Markup) return value.text
  if (typeof value === 'number') return String(value)
  if (typeof value === 'string') return words(value)
  return value.map(({ text }) => text).join('\n')
}
