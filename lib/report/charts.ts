/** The pictures of one attempt: its steps, the switch's requests, latencies, the bake's odds. Pure. */
import { seconds } from '../clock.ts'
import type { DeploymentRecord, Proof } from '../history/record.ts'
import { shownMs } from './shown.ts'
import type { Latencies } from './evidence.ts'
import { oddsToStop, type Bake } from './extras.ts'
import { html, inert, nothing, type Markup } from './markup.ts'
import { plot, ticks } from './plot.ts'
import { figure } from './told.ts'

/** Each step is a row: when it began, how long it took. */
export function stepsChart({ steps, startedAt }: DeploymentRecord): Markup {
  if (steps.length === 0) return nothing
  const begin = Date.parse(startedAt)
  const rows = steps.map(({ name, at, ms }) => ({ name, ms, from: Math.max(0, Date.parse(at) - begin) }))
  const end = Math.max(1, ...rows.map(({ from, ms = 0 }) => from + ms))
  const bar = (from: number, ms: number): Markup => {
    const [x, width] = [(from / end) * 1000, Math.max(4, (ms / end) * 1000)].map((one) => one.toFixed(1))
    return html`<svg class="bar" aria-hidden="true" viewBox="0 0 1000 10" preserveAspectRatio="none">
      <rect class="track" width="1000" height="10" />
      <rect class="fill" x="${x}" width="${width}" height="10" />
    </svg>`
  }
  return html`<ol class="steps">
    ${rows.map(
      ({ name, ms, from }) =>
        html`<li>
          <span class="name">${name}</span>${bar(from, ms ?? 0)}<span class="ms"
            >${ms === undefined ? 'not ended' : seconds(ms)}</span
          >
        </li>`,
    )}
  </ol>`
}

const BANDS = [
  ['blue', 'blue'],
  ['green', 'green'],
  ['unnamed', 'no color named'],
  ['failed', 'failed'],
] as const

/** Requests a second, by who answered; what failed stands on top. */
export function requestsChart(series: NonNullable<Proof['series']>, proof: Proof): Markup {
  const { from, every } = series
  const count = series.blue.length
  const rate = (value: number): number => (value * 1000) / every
  const present = BANDS.filter(([band]) => series[band].some((value) => value > 0))
  const totals = Array.from({ length: count }, (_, i) =>
    BANDS.reduce((sum, [band]) => sum + rate(series[band][i] ?? 0), 0),
  )
  const highest = Math.max(1, ...totals)
  const end = from + count * every
  const below = Array.from({ length: count }, () => 0)
  const draw = (x: (value: number) => number, y: (value: number) => number): Markup[] =>
    present.map(([band]) => {
      const bars = Array.from({ length: count }, (_, i) => {
        const low = below[i] ?? 0
        const high = low + rate(series[band][i] ?? 0)
        below[i] = high
        if (high === low) return ''
        const [left, right] = [x(from + i * every), x(from + (i + 1) * every)]
        return `M${left} ${y(low)}V${y(high)}H${right}V${y(low)}Z`
      })
      return html`<path class="area ${band}" d="${inert(bars.join(''))}" />`
    })
  const marks = [
    { at: 0, label: 'patch' },
    ...(proof.lastOld !== undefined && proof.lastOld > (end - from) * 0.12
      ? [{ at: proof.lastOld, label: 'last of the old' }]
      : []),
  ]
  return plot({
    title: 'Requests a second, by the color that answered',
    describes: `${figure(proof.requests)} requests since the patch, ${figure(proof.failures)} failed`,
    x: {
      min: from,
      max: end,
      ticks: ticks(from, end, 6, (ms) => (ms < 0 ? `−${seconds(-ms)}` : seconds(ms))),
    },
    y: { min: 0, max: highest * 1.15, ticks: ticks(0, highest * 1.15, 4, String) },
    legend: present.map(([kind, name]) => ({ kind, name })),
    draw,
    marks,
  })
}

const KINDS = ['new', 'old'] as const

/** How many requests took how long, this release beside the live color; the axis of times is logarithmic. */
export function latencyChart(latencies: readonly Latencies[]): Markup {
  const drawn = latencies.filter(({ bars }) => bars.length > 0).slice(0, KINDS.length)
  const all = drawn.flatMap(({ bars }) => bars)
  if (all.length === 0) return nothing
  const [low, high] = [Math.min(...all.map(({ from }) => from)), Math.max(...all.map(({ to }) => to))]
  const highest = Math.max(...all.map(({ share }) => share))
  const decades = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 60_000]
  const inside = decades.filter((ms) => ms >= low && ms <= high)
  const every = Math.ceil(inside.length / 7)
  return plot({
    title: 'Latency: how many requests took how long',
    describes: drawn
      .map(({ name, p50, p99 }) => `${name}: half within ${shownMs(p50)}, 99 of 100 within ${shownMs(p99)}`)
      .join('; '),
    x: {
      min: Math.log(low),
      max: Math.log(high),
      ticks: inside.filter((_, i) => i % every === 0).map((ms) => ({ at: Math.log(ms), label: shownMs(ms) })),
    },
    y: {
      min: 0,
      max: highest * 1.1,
      ticks: ticks(0, highest * 1.1, 4, (share) => `${Math.round(share * 100)} %`),
    },
    legend: drawn.map(({ name }, i) => ({ name, kind: KINDS[i] ?? 'new' })),
    draw: (x, y) =>
      drawn.map(({ bars }, i) => {
        // An outline: as high as each bar, and down to nothing where there is none.
        const path = bars.map(({ from, to, share }, at) => {
          const [left, height] = [x(Math.log(from)), y(share)]
          const [before, after] = [bars[at - 1], bars[at + 1]]
          const joins = before !== undefined && Math.abs(before.to - from) < from * 1e-6
          const goesOn = after !== undefined && Math.abs(after.from - to) < to * 1e-6
          return `${joins ? '' : `M${left} ${y(0)}`}V${height}H${x(Math.log(to))}${goesOn ? '' : `V${y(0)}`}`
        })
        return html`<path class="hist ${KINDS[i]}" d="${inert(path.join(''))}" />`
      }),
  })
}

const LINES = ['one', 'two', 'three', 'four', 'five', 'six'] as const

/** The evidence against a release while it is watched, n to 1, on a logarithmic axis; above the line it is rolled back. */
export function oddsChart(bake: Bake): Markup {
  const { readings, startedAt } = bake
  const begin = Date.parse(startedAt)
  const points = readings.flatMap((reading) => {
    const at = Date.parse(reading.at) - begin
    return Number.isFinite(at) ? [{ ...reading, at }] : []
  })
  const names = [...new Set(points.flatMap(({ odds }) => Object.keys(odds)))].slice(0, LINES.length)
  if (points.length === 0 || names.length === 0) return nothing
  const stop = oddsToStop(bake)
  const values = points
    .flatMap(({ odds }) => Object.values(odds))
    .filter((odds) => odds > 0 && Number.isFinite(odds))
  const top = Math.ceil(Math.log10(Math.max(stop * 2, ...values)))
  const bottom = Math.max(-6, Math.floor(Math.log10(Math.min(0.5, ...values))))
  const end = Math.max(1, Date.parse(bake.until) - begin || 0, ...points.map(({ at }) => at))
  const powers = Array.from({ length: top - bottom + 1 }, (_, i) => bottom + i)
  const every = Math.ceil(powers.length / 6)
  const log = (odds: number): number => Math.log10(Math.max(odds, 10 ** bottom))
  return plot({
    title: 'Evidence against the release, as odds',
    describes: `The odds of ${names.join(', ')} over ${seconds(end)}; at ${figure(stop)} to 1 it is rolled back`,
    x: {
      min: 0,
      max: end,
      ticks: ticks(0, end / 60_000, 6, (minutes) => `${minutes} min`).map(({ at, label }) => ({
        at: at * 60_000,
        label,
      })),
    },
    y: {
      min: bottom,
      max: top,
      ticks: powers
        .filter((power) => power % every === 0)
        .map((power) => ({ at: power, label: oddsName(power) })),
    },
    legend: [
      ...names.map((name, i) => ({ name, kind: LINES[i] ?? 'one' })),
      { name: `rolled back at ${figure(stop)} : 1`, kind: 'limit' },
    ],
    draw: (x, y) => [
      html`<rect class="beyond" x="0" width="1000" y="0" height="${y(log(stop))}" />`,
      html`<line class="limit" x1="0" x2="1000" y1="${y(log(stop))}" y2="${y(log(stop))}" />`,
      ...names.map((name, i) => {
        const line = points.flatMap(({ at, odds }) => {
          const value = odds[name]
          return value === undefined || Number.isNaN(value) ? [] : [`${x(at)},${y(log(value))}`]
        })
        return html`<polyline class="line ${LINES[i]}" points="${inert(line.join(' '))}" />`
      }),
    ],
  })
}

const oddsName = (power: number): string =>
  power < 0 ? `1 : ${figure(10 ** -power)}` : `${figure(10 ** power)} : 1`
