/** What users met: the figures that are asked for first, and each switch with its proof. Pure. */
import { counted, verdictOf } from '../check.ts'
import { seconds } from '../clock.ts'
import type { DeploymentRecord, Proof } from '../history/record.ts'
import { field } from '../json.ts'
import { requestsChart } from './charts.ts'
import { html, nothing, type Markup } from './markup.ts'
import { section } from './section.ts'
import { figure, lost, tookOf } from './told.ts'

const timeOf = (ms: number | undefined): string => (ms === undefined ? '–' : seconds(ms))

/** The figures that are asked for first. */
export function figures(record: DeploymentRecord): Markup {
  const { failures, requests } = lost(record)
  const { checks, steps } = record
  const passed = checks.filter(({ verdict }) => verdict === 'passed').length
  const others = counted(checks).split(', ').slice(1).join(', ')
  const took = tookOf(record)
  const tiles = [
    tile('Took', took === undefined ? '–' : seconds(took), `${steps.length} steps`),
    requests === 0
      ? tile('Requests lost', '–', 'users were not moved')
      : tile('Requests lost', figure(failures), `of ${figure(requests)} that were watched`, failures > 0),
    ...momentsOf(record),
    checks.length === 0
      ? tile('Checks', '–', 'none was made')
      : tile('Checks', `${passed} passed`, others || 'all of them', verdictOf(checks) === 'failed'),
  ]
  return html`<dl class="figures">${tiles}</dl>`
}

/** When users met the new color, and left the old. */
function momentsOf({ switches: [first] }: DeploymentRecord): Markup[] {
  if (!first) return []
  return [
    tile('First on the new', timeOf(first.firstNew), 'after the patch'),
    tile('Last on the old', timeOf(first.lastOld), 'after the patch'),
  ]
}

const tile = (name: string, value: string, note: string, bad = false): Markup =>
  html`<div>
    <dt>${name}</dt>
    <dd class="${bad ? 'bad' : ''}">${value}<small>${note}</small></dd>
  </div>`

/** Of one of several, which it was: while both colors served, the switch itself, the way back. */
function titleOf(proof: Proof, i: number, { switches, outcome }: DeploymentRecord): string {
  const share = field(proof, 'share')
  if (typeof share === 'number') return `What users met with ${Math.round(share * 100)} % of pods new`
  const last = i > 0 && i === switches.length - 1
  if (last && (outcome === 'rolled-back' || outcome === 'needs-person'))
    return 'What users met on the way back'
  return switches.length > 1 ? 'What users met: the switch' : 'What users met'
}

type Row = readonly [name: string, value: string]
const row = (...cells: Row): Row => cells

/** One change of traffic, as the witness met it. */
export function switchSection(proof: Proof, i: number, record: DeploymentRecord): Markup {
  const rows: Row[] = [
    [
      'Requests',
      `${figure(proof.requests)} since the patch: ${figure(proof.onNewConnections)} on new connections, ${figure(proof.onKeptConnections)} on kept ones`,
    ],
    [
      'Failed',
      `${figure(proof.failures)}${proof.failuresBefore > 0 ? `; before the patch ${figure(proof.failuresBefore)}, the old color's` : ''}`,
    ],
    ['Cluster followed', `${timeOf(proof.converged)} after the patch`],
    ['First answer of the new', timeOf(proof.firstNew)],
    [
      'Last answer of the old',
      `${timeOf(proof.lastOldOnNew)} on new connections, ${timeOf(proof.lastOldOnKept)} on kept ones`,
    ],
    ...(proof.emptied === undefined
      ? []
      : [row('Old color empty', `${timeOf(proof.emptied)} after the patch`)]),
    ...(proof.skipped ? [row('Not asked', `${figure(proof.skipped)} requests, for want of time`)] : []),
  ]
  const chart = proof.series ? requestsChart(proof.series, proof) : nothing
  const facts = html`<dl class="facts">
    ${rows.map(
      ([name, value]) =>
        html`<dt>${name}</dt>
          <dd>${value}</dd>`,
    )}
  </dl>`
  const title = titleOf(proof, i, record)
  return section(title, html`${chart}${facts}`)
}
