/** One attempt as a page that stands alone. Pure. */
import { objections } from '../check.ts'
import type { DeploymentRecord } from '../history/record.ts'
import { bakeSection, notificationsSection } from './bake-section.ts'
import { latencyChart, stepsChart } from './charts.ts'
import { checksSection } from './checks-section.ts'
import { plain } from '../text.ts'
import type { Report } from './gather.ts'
import { html, inert, nothing, type Markup } from './markup.ts'
import { moment, shownMs } from './shown.ts'
import { notKnown, section } from './section.ts'
import { commits, stages } from './source-section.ts'
import { document } from './style.ts'
import { figure } from './told.ts'
import { figures, switchSection } from './users-section.ts'

export function reportPage(report: Report): string {
  const { record, told, missing, madeAt } = report
  const body = html`<main>
      <header>
        <div class="where">
          <span class="pill ${told.tone}">${told.verdict}</span><span>${record.app}</span
          ><span aria-hidden="true">·</span><span>${record.environment}</span><span aria-hidden="true">·</span
          ><time datetime="${record.startedAt}">${moment(record.startedAt)}</time>
        </div>
        <h1>${told.headline}</h1>
        <p class="lead">${told.summary}</p>
      </header>
      ${figures(record)} ${why(report)} ${about(report)}
      ${section('What was done, and how long it took', record.steps.length > 0 ? stepsChart(record) : undefined)}
      ${record.switches.map((proof, i) => switchSection(proof, i, record))} ${bakeSection(report.extras.bake)}
      ${checksSection(report)} ${measured(report)} ${screenshots(report)} ${commits(report)} ${stages(report)}
      ${notificationsSection(report.extras.notifications)} ${notKnown(missing)}
    </main>
    <footer>
      Record <code>${record.id}</code>, reported ${moment(madeAt)}. The same data:
      <a href="report.md">report.md</a>, <a href="report.json">report.json</a>.
    </footer>`
  return document(`${told.headline} · ${record.app}`, body)
}

function side(one: DeploymentRecord['from']): Markup {
  if (!one) return html`<span class="soft">nothing</span>`
  if (one.color === 'plain') return html`<span class="side">${one.version}</span>`
  return html`<span class="side"><i class="dot ${one.color}"></i>${one.version} (${one.color})</span>`
}

/** What went wrong, and what to do next. */
function why({ record, told }: Report): Markup {
  const { title, text, command } = told.undo
  const undo = html`<p>${text}</p>
    ${command === undefined ? nothing : html`<code class="command">${command}</code>`}`
  const reason = record.message === undefined ? undefined : reasonOf(record, record.message)
  const what = record.outcome === 'succeeded' ? 'What did not go as it should' : 'Why'
  return html`${section(what, reason, `callout ${told.tone === 'bad' ? 'bad' : 'warning'}`)}${section(title, undo)}`
}

/** A message that lists checks is told by their names: what they saw stands with them. */
function reasonOf({ checks }: DeploymentRecord, message: string): Markup {
  const [counts] = /^\d+ of \d+ checks did not pass/.exec(message) ?? []
  const bad = checks.length > 0 ? objections(checks) : []
  if (counts === undefined || bad.length === 0) return html`<p>${plain(message, 1500)}</p>`
  const names = bad.slice(0, 5).map(({ gate, name }) => html`<li>${gate}: ${name}</li>`)
  const more =
    bad.length > names.length
      ? html`<li>and ${bad.length - names.length} more, which stand open below</li>`
      : nothing
  return html`<p>${counts}:</p>
    <ul class="plain">
      ${names}${more}
    </ul>`
}

type Row = [name: string, value: Markup | string | undefined]

function about({ record, source, extras }: Report): Markup {
  const { from, to, by, reason, because, override, allowedFailedDigest, takenBack, drift, strategy } = record
  const rows: Row[] = [
    ['What', html`${side(from)} → ${side(to)}`],
    ['How', `${record.kind}, ${strategy}`],
    ['Who', by],
    ['Why', reason ?? 'no reason was given'],
    ['Because of', because],
    ['Image', html`<code>${to.image}</code>`],
    [
      'Commit',
      source &&
        html`<code>${source.revision}</code>${source.committedAt ? ` of ${moment(source.committedAt)}` : ''}`,
    ],
    ['Overriding', override && `${override.reason}. Missing: ${override.missing.join('; ')}`],
    ...extras.acknowledged.map(({ id, reason, by: who }): Row => [
      'Acknowledged',
      `${id}: ${reason} (${who})`,
    ]),
    ['Allowed again', allowedFailedDigest],
    [
      'Taken back',
      takenBack &&
        `${moment(takenBack.at)} by ${takenBack.by}${takenBack.reason ? `: ${takenBack.reason}` : ''}`,
    ],
    ['Drift', drift],
  ]
  return section(
    'Who, what, why',
    html`<dl class="facts">
      ${rows.flatMap(([name, value]) =>
        value === undefined
          ? []
          : [
              html`<dt>${name}</dt>
                <dd>${value}</dd>`,
            ],
      )}
    </dl>`,
  )
}

function measured({ evidence: { latencies, scores } }: Report): Markup {
  const table = html`<div class="scroll">
    <table>
      <thead>
        <tr>
          <th>latency</th>
          <th class="num">requests</th>
          <th class="num">failed</th>
          <th class="num">p50</th>
          <th class="num">p90</th>
          <th class="num">p99</th>
          <th class="num">most</th>
        </tr>
      </thead>
      <tbody>
        ${latencies.map(
          ({ name, requests, failed, p50, p90, p99, max }) =>
            html`<tr>
              <td>${name}</td>
              <td class="num">${figure(requests)}</td>
              <td class="num">${figure(failed)}</td>
              ${[p50, p90, p99, max].map((ms) => html`<td class="num nowrap">${shownMs(ms)}</td>`)}
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`
  return html`${section('Under load', latencies.length > 0 ? html`${latencyChart(latencies)}${table}` : undefined)}${section(
    'Page quality, by Lighthouse',
    scores.length > 0
      ? html`<ul class="scores">
          ${scores.map(gauge)}
        </ul>`
      : undefined,
  )}`
}

/** As Lighthouse draws it: a ring that is as full as the score is high. */
function gauge({ name, score }: { name: string; score: number }): Markup {
  const tone = score >= 0.9 ? 'good' : score >= 0.5 ? 'warning' : 'bad'
  const length = 2 * Math.PI * 45
  const dash = inert(`${(length * Math.min(1, Math.max(0, score))).toFixed(1)} ${length.toFixed(1)}`)
  return html`<li>
    <svg class="gauge" viewBox="0 0 100 100" role="img" aria-label="${Math.round(score * 100)} of 100">
      <circle cx="50" cy="50" r="45" />
      <circle
        class="of ${tone}"
        cx="50"
        cy="50"
        r="45"
        transform="rotate(-90 50 50)"
        stroke-dasharray="${dash}"
      />
      <text x="50" y="60">${Math.round(score * 100)}</text></svg
    >${name}
  </li>`
}

function screenshots({ evidence }: Report): Markup {
  if (evidence.screenshots.length === 0) return nothing
  return section(
    'What the browser saw',
    html`<div class="shots">
      ${evidence.screenshots.map(
        ({ data, check }) =>
          html`<figure>
            <img src="${inert(data)}" alt="Screenshot of the check ${check}" />
            <figcaption>${check}</figcaption>
          </figure>`,
      )}
    </div>`,
  )
}
