/** What a release was made of: its commits, and what was asked of them before. Pure. */
import { short } from './commits.ts'
import type { Report } from './gather.ts'
import { html, nothing, type Markup } from './markup.ts'
import { section } from './section.ts'
import { moment } from './shown.ts'
import { figure } from './told.ts'

/** The commits since the release before. */
export function commits({ commits: found }: Report): Markup {
  if (!found.known) return nothing
  const since = found.since === undefined ? '' : ` since ${found.since}`
  if (found.total === 0) return section('Commits', html`<p>None${since}: it is the same commit.</p>`)
  const list = html`<ul class="commits">
    ${found.list.map(
      ({ id, by, subject }) =>
        html`<li><code>${short(id)}</code><span>${subject}</span><span class="soft small">${by}</span></li>`,
    )}
  </ul>`
  const more = found.total - found.list.length
  return section(
    `${figure(found.total)} commit${found.total === 1 ? '' : 's'}${since}`,
    html`${list}${more > 0 ? html`<p class="soft">and ${figure(more)} more</p>` : nothing}`,
  )
}

/** What was asked of the commit before it was an image. */
export function stages({ stages: all }: Report): Markup {
  if (!all) return nothing
  const rows = Object.entries(all).map(([name, { passed, startedAt, counts, without = [] }]) => {
    const found = counts
      ? Object.entries(counts)
          .filter(([, count]) => count > 0)
          .map(([severity, count]) => `${count} ${severity}`)
          .join(', ') || 'nothing found'
      : ''
    const left = without.length > 0 ? `without ${without.join(', ')}` : ''
    return html`<tr>
      <td>${name}</td>
      <td class="${passed ? 'good' : 'bad'}">${passed ? '✓ passed' : '✗ failed'}</td>
      <td>${[found, left].filter(Boolean).join('; ')}</td>
      <td class="nowrap soft">${moment(startedAt)}</td>
    </tr>`
  })
  return section(
    'Before it was an image',
    html`<div class="scroll">
      <table>
        <thead>
          <tr>
            <th>stage</th>
            <th>result</th>
            <th>found</th>
            <th>when</th>
          </tr>
        </thead>
        <tbody>
          ${rows}
        </tbody>
      </table>
    </div>`,
  )
}
