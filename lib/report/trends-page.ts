/** `index.html`: the trends of each environment, and each release as a row that leads to its report. Pure. */
import { seconds } from '../clock.ts'
import type { DeploymentRecord } from '../history/record.ts'
import { dora } from './dora.ts'
import { html, inert, nothing, type Markup } from './markup.ts'
import { plot, ticks } from './plot.ts'
import { notKnown, section } from './section.ts'
import { moment, shownShare } from './shown.ts'
import { document } from './style.ts'
import { figure, lost, sideName, tell, tookOf } from './told.ts'
import type { Fate, Trends } from './trends.ts'

export interface Site {
  app: string
  environments: { trends: Trends; records: readonly DeploymentRecord[] }[]
  /** Ids of records whose report is beside the page. */
  reported: ReadonlySet<string>
  /** What could not be had, a sentence each. */
  missing: readonly string[]
  madeAt: string
}

/** More releases are counted, and not listed. */
const ROWS = 200

export function trendsPage({ app, environments, reported, missing, madeAt }: Site): string {
  const names = environments.map(({ trends }) => trends.environment)
  const body = html`<main>
      <header>
        <div class="where">
          <span>${app}</span><span aria-hidden="true">·</span><span>${names.join(', ')}</span>
        </div>
        <h1>Deployments of ${app}</h1>
        <p class="lead">
          How often, how fast and how safely it is changed, by the records of its deployments.
        </p>
      </header>
      ${environments.map(({ trends, records }) => environmentPart(trends, records, reported))}
      ${notKnown(missing)}
    </main>
    <footer>
      Made ${moment(madeAt)}. The five figures are
      <a href="https://dora.dev/guides/dora-metrics/" rel="noreferrer">DORA's</a>.
    </footer>`
  return document(`Deployments of ${app}`, body)
}

const day = (time: string): string => time.slice(0, 10)

function environmentPart(
  trends: Trends,
  records: readonly DeploymentRecord[],
  reported: ReadonlySet<string>,
): Markup {
  const title = html`<h2 class="environment">${trends.environment}</h2>`
  if (records.length === 0)
    return html`${title}
      <section><p>Nothing has been deployed to ${trends.environment} yet.</p></section>`
  return html`${title}
    <p class="soft">${day(trends.from)} to ${day(trends.to)}: ${deployed(trends)}</p>
    ${dora(trends)} ${weeks(trends)} ${worst(trends)} ${releases(records, reported)}`
}

function deployed({ deployments: { live, failed, prevented }, success }: Trends): string {
  const all = live + failed + prevented
  if (all === 0) return 'no deployment has ended.'
  return `${figure(all)} deployment${all === 1 ? '' : 's'}, of which ${figure(live)} went well (${shownShare(success.count / success.of)}), ${figure(failed)} failed with users on them, and ${figure(prevented)} ${prevented === 1 ? 'was' : 'were'} stopped before anybody met them.`
}

const FATES: readonly { fate: Fate; kind: string; name: string }[] = [
  { fate: 'live', kind: 'live', name: 'live' },
  { fate: 'failed', kind: 'failed', name: 'failed' },
  { fate: 'prevented', kind: 'prevented', name: 'prevented' },
]

function weeks({ weeks: all }: Trends): Markup {
  if (all.length < 2) return nothing
  const highest = Math.max(1, ...all.map(({ live, failed, prevented }) => live + failed + prevented))
  const most = Math.ceil(all.length / 6)
  const chart = plot({
    title: 'Deployments a week',
    describes: `${all.length} weeks, at most ${highest} deployments in one`,
    x: {
      min: 0,
      max: all.length,
      ticks: all.flatMap(({ from }, i) =>
        i % most === 0 ? [{ at: i + 0.5, label: from.slice(5, 10) }] : [],
      ),
    },
    y: {
      min: 0,
      max: highest * 1.1,
      ticks: ticks(0, highest * 1.1, 4, String).filter(({ at }) => Number.isInteger(at)),
    },
    legend: FATES,
    draw: (x, y) =>
      FATES.map(({ fate, kind }, band) => {
        const bars = all.map((week, i) => {
          const low = FATES.slice(0, band).reduce((sum, below) => sum + week[below.fate], 0)
          const high = low + week[fate]
          return high === low ? '' : `M${x(i + 0.12)} ${y(low)}V${y(high)}H${x(i + 0.88)}V${y(low)}Z`
        })
        return html`<path class="area ${kind}" d="${inert(bars.join(''))}" />`
      }),
  })
  return html`<section>${chart}</section>`
}

const timeOf = (ms: number | undefined): string => (ms === undefined ? '–' : seconds(ms))

/** A table whose first column is words, and the others figures. */
function list(title: string, head: readonly string[], rows: readonly (readonly string[])[]): Markup {
  if (rows.length === 0) return nothing
  const names = head.map((name, i) => html`<th class="${i > 0 ? 'num' : ''}">${name}</th>`)
  const lines = rows.map((cells) => {
    const each = cells.map((cell, i) => html`<td class="${i > 0 ? 'num nowrap' : 'wide'}">${cell}</td>`)
    return html`<tr>
      ${each}
    </tr>`
  })
  return section(
    title,
    html`<div class="scroll">
      <table>
        <thead>
          <tr>
            ${names}
          </tr>
        </thead>
        <tbody>
          ${lines}
        </tbody>
      </table>
    </div>`,
  )
}

function worst({ rollbacks, steps, checks }: Trends): Markup {
  return html`${list(
    'Rollbacks, by reason',
    ['reason', 'times'],
    rollbacks.map(({ reason, count }) => [reason, figure(count)]),
  )}
  ${list(
    'Slowest steps',
    ['step', 'median', '9 of 10', 'most', 'times'],
    steps.map(({ name, median, p90, most, count }) => [
      name,
      ...[median, p90, most].map(timeOf),
      figure(count),
    ]),
  )}
  ${list(
    'Checks that fail most often',
    ['check', 'failed', 'made', 'share'],
    checks.map(({ name, count, of }) => [name, figure(count), figure(of), shownShare(count / of)]),
  )}`
}

function releases(records: readonly DeploymentRecord[], reported: ReadonlySet<string>): Markup {
  const newest = records.toSorted((a, b) => Date.parse(b.startedAt) - Date.parse(a.startedAt))
  const rows = newest.slice(0, ROWS).map((record) => {
    const { id, startedAt, from, to, by, reason } = record
    const { tone, verdict } = tell(record)
    const { failures, requests } = lost(record)
    const took = tookOf(record)
    const what = html`${sideName(from)} → ${sideName(to)}`
    const link = reported.has(id) ? html`<a href="./${encodeURIComponent(id)}/report.html">${what}</a>` : what
    return html`<tr>
      <td class="nowrap soft">${startedAt.slice(0, 16).replace('T', ' ')}</td>
      <td class="what">${link}</td>
      <td class="nowrap"><span class="${tone}">${verdict}</span></td>
      <td class="num nowrap">${requests === 0 ? '–' : `${figure(failures)} of ${figure(requests)}`}</td>
      <td class="num nowrap">${took === undefined ? '–' : seconds(took)}</td>
      <td class="wide">${by}${reason === undefined ? '' : `: ${reason}`}</td>
    </tr>`
  })
  const more = newest.length - rows.length
  return section(
    'Every one of them',
    html`<div class="scroll">
        <table>
          <thead>
            <tr>
              <th>when (UTC)</th>
              <th>what</th>
              <th>outcome</th>
              <th class="num">requests lost</th>
              <th class="num">took</th>
              <th>by whom, why</th>
            </tr>
          </thead>
          <tbody>
            ${rows}
          </tbody>
        </table>
      </div>
      ${more > 0 ? html`<p class="soft">and ${figure(more)} older ones</p>` : nothing}`,
  )
}
