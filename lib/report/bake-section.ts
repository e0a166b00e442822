/** What the release did to its users while it was watched, and who was told. Pure. */
import { oddsChart } from './charts.ts'
import { oddsToStop, type Bake, type Notification } from './extras.ts'
import { html, nothing, type Markup } from './markup.ts'
import { moment, shownShare } from './shown.ts'
import { figure } from './told.ts'

const VERDICTS = {
  passed: ['good', 'Passed'],
  failed: ['bad', 'Failed: it was rolled back'],
  environment: ['warning', 'Both colors suffered: not the release'],
  inconclusive: ['warning', 'Inconclusive'],
  superseded: ['neutral', 'Ended for the sake of the next release'],
} as const

export function bakeSection(bake: Bake | undefined): Markup {
  if (!bake) return nothing
  const [tone, verdict] = bake.verdict ? VERDICTS[bake.verdict] : (['neutral', 'Not ended'] as const)
  const names = [
    ...new Set([
      ...Object.keys(bake.limits),
      ...bake.readings.flatMap(({ odds, counts }) => [...Object.keys(odds), ...Object.keys(counts)]),
    ]),
  ]
  const rows = names.map((name) => {
    const [before, after] = [totalOf(bake, name, 'old'), totalOf(bake, name, 'new')]
    const most = Math.max(0, ...bake.readings.map(({ odds }) => odds[name] ?? 0).filter(Number.isFinite))
    return html`<tr>
      <td>${name}</td>
      <td class="num nowrap">${shareOf(before)}</td>
      <td class="num nowrap">${shareOf(after)}</td>
      <td class="num nowrap">${shownShare(bake.limits[name])}</td>
      <td class="num nowrap${most >= oddsToStop(bake) ? ' bad' : ''}">
        ${most === 0 ? '–' : `${figure(Number(most.toPrecision(3)))} : 1`}
      </td>
    </tr>`
  })
  return html`<section>
    <h2>The bake: watched after the switch</h2>
    <p>
      <span class="pill ${tone}">${verdict}</span>
      <span class="soft small"
        >${moment(bake.startedAt)} to ${moment(bake.until)}, ${figure(bake.readings.length)} readings</span
      >
    </p>
    ${bake.reason === undefined ? nothing : html`<p>${bake.reason}</p>`}
    ${oddsChart(bake)}${bake.notCovered.length === 0 ? nothing : html`<p class="soft small">Nobody looked at: ${bake.notCovered.join('; ')}</p>`}
    ${
      names.length === 0
        ? nothing
        : html`<div class="scroll">
            <table>
              <thead>
                <tr>
                  <th>indicator</th>
                  <th class="num">old color</th>
                  <th class="num">new color</th>
                  <th class="num">tolerated</th>
                  <th class="num">highest odds</th>
                </tr>
              </thead>
              <tbody>
                ${rows}
              </tbody>
            </table>
          </div>`
    }
  </section>`
}

function totalOf({ readings }: Bake, name: string, color: 'old' | 'new'): [bad: number, total: number] {
  return readings.reduce<[number, number]>(
    ([bad, total], { counts }) => {
      const [more = 0, of = 0] = counts[name]?.[color] ?? []
      return [bad + more, total + of]
    },
    [0, 0],
  )
}

const shareOf = ([bad, total]: [number, number]): string =>
  total === 0 ? '–' : `${shownShare(bad / total)} of ${figure(total)}`

export function notificationsSection(notifications: readonly Notification[]): Markup {
  if (notifications.length === 0) return nothing
  return html`<section>
    <h2>Who was told</h2>
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th>of</th>
            <th>by</th>
            <th>when</th>
            <th>outcome</th>
          </tr>
        </thead>
        <tbody>
          ${notifications.map(
            ({ state, channel, at, outcome }) =>
              html`<tr>
                <td>${state}</td>
                <td>${channel}</td>
                <td class="nowrap">${moment(at)}</td>
                <td>${outcome}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </section>`
}
