/** Each check, what was expected and what was seen: what passed folded up, what did not open. Pure. */
import { basename } from 'node:path'
import { counted, objections, verdictOf, type CheckResult } from '../check.ts'
import { seconds } from '../clock.ts'
import type { Report } from './gather.ts'
import { html, nothing, type Markup } from './markup.ts'

const ICONS = {
  passed: ['✓', 'good'],
  failed: ['✗', 'bad'],
  inconclusive: ['?', 'warning'],
  skipped: ['–', 'neutral'],
} as const

export function checksSection({ record: { checks }, evidence: { here } }: Report): Markup {
  if (checks.length === 0) return nothing
  const gates = [...Map.groupBy(checks, ({ gate }) => gate)]
  return html`<section>
    <h2>Checks</h2>
    ${gates.map(([gate, all]) => gateDetails(gate, all, here))}
  </section>`
}

function gateDetails(gate: string, checks: readonly CheckResult[], here: boolean): Markup {
  const bad = objections(checks)
  const [icon, tone] = ICONS[verdictOf(checks)]
  // What is in the way of users comes first.
  const ordered = [...bad, ...checks.filter((check) => !bad.includes(check))]
  const open = html`<details open>`
  const closed = html`<details>`
  return html`${bad.length > 0 ? open : closed}<summary><span class="icon ${tone}">${icon}</span><b>${gate}</b><span class="soft">${counted(checks)}</span></summary>
<ul class="checks">${ordered.map((check) => checkItem(check, here))}</ul></details>`
}

function checkItem({ name, verdict, ms, expected, seen, evidence = [] }: CheckResult, here: boolean): Markup {
  const [icon, tone] = ICONS[verdict]
  const detail =
    verdict === 'passed'
      ? html`<p>${seen}</p>`
      : html`<p>expected ${expected}</p>
          <p class="${tone}">saw ${seen}</p>`
  const files = evidence.map((file) => fileLink(file, here))
  const named =
    files.length === 0 || verdict === 'passed' || verdict === 'skipped'
      ? nothing
      : html`<p class="files">${files}</p>`
  return html`<li>
    <span class="icon ${tone}" aria-label="${verdict}" role="img">${icon}</span><span>${name}</span
    ><span class="ms">${ms > 0 ? seconds(ms) : ''}</span>${detail}${named}
  </li>`
}

/** By its own name; from `./` on, whatever it is called leads nowhere else. */
function fileLink(file: string, here: boolean): Markup {
  const path = file.split('/').map(encodeURIComponent).join('/')
  return here ? html`<a href="./${path}">${basename(file)}</a>` : html`<span>${basename(file)}</span>`
}
