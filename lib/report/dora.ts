/** DORA's five figures, each with what it means and what it is made of. Pure. */
import { html, type Markup } from './markup.ts'
import { shownShare, span } from './shown.ts'
import { figure } from './told.ts'
import { interval, type Rate, type Times, type Trends } from './trends.ts'

/** The five, each with what it means and what it is made of. */
export function dora(trends: Trends): Markup {
  const { leadTime, changesPerWeek, recovery, changeFailRate, rework, deployments } = trends
  const changes = deployments.live + deployments.failed
  const frequency = changesPerWeek === undefined ? '–' : `${Number(changesPerWeek.toPrecision(2))} a week`
  const tiles = [
    five(
      'Change lead time',
      span(leadTime.median),
      'From a commit until users have it: the median.',
      timesNote(leadTime, 'commits are known', changes),
    ),
    five(
      'Deployment frequency',
      frequency,
      'Changes that reached users.',
      changesPerWeek === undefined ? 'less than a week is no rate' : `${figure(changes)} in all`,
    ),
    five(
      'Failed deployment recovery time',
      span(recovery.median),
      'From when users met a failed change until they were off it: the median.',
      timesNote(recovery, 'recovered from', recovery.count + recovery.notYet),
    ),
    five(
      'Change fail rate',
      rateOf(changeFailRate),
      'Changes that had to be rolled back, or needed a person.',
      rateNote(changeFailRate),
    ),
    five(
      'Deployment rework rate',
      rateOf(rework),
      'Changes that an incident made necessary (--because).',
      rateNote(rework),
    ),
  ]
  return html`<dl class="figures five">${tiles}</dl>`
}

const five = (name: string, value: string, means: string, note: string): Markup =>
  html`<div>
    <dt>${name}</dt>
    <dd>${value}<small>${note}</small></dd>
    <dd class="means">${means}</dd>
  </div>`

const rateOf = ({ count, of }: Rate): string => (of === 0 ? '–' : shownShare(count / of))

function rateNote(rate: Rate): string {
  const bounds = interval(rate)
  if (!bounds) return 'of no change'
  return `${figure(rate.count)} of ${figure(rate.of)}; 95 %: ${bounds.map((share) => shownShare(share)).join(' to ')}`
}

function timesNote({ count, p90 }: Times, what: string, of: number): string {
  if (of === 0) return 'of none'
  return `${figure(count)} of ${figure(of)} ${what}${p90 === undefined ? '' : `; 9 of 10 within ${span(p90)}`}`
}
