/** What every part of a page stands in. Pure. */
import { html, nothing, type Markup } from './markup.ts'

/** Nothing where there is nothing to say. */
export function section(title: string, content: Markup | undefined, kind = ''): Markup {
  return content
    ? html`<section class="${kind}">
        <h2>${title}</h2>
        ${content}
      </section>`
    : nothing
}

/** A sentence each. */
export const notKnown = (missing: readonly string[]): Markup =>
  section(
    'What is not known',
    missing.length > 0
      ? html`<ul>
          ${missing.map((line) => html`<li>${line}</li>`)}
        </ul>`
      : undefined,
  )
