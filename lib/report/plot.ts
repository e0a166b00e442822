/**
 * A chart as inline SVG that is as wide as its place: what is drawn stretches, what is written stays as large as it
 * is. Axes and legend are HTML around it. Pure.
 */
import { html, type Markup } from './markup.ts'

export interface Tick {
  at: number
  label: string
}

export interface Axis {
  min: number
  max: number
  ticks: readonly Tick[]
}

export interface Plot {
  title: string
  /** For whoever hears the page: what the picture shows. */
  describes: string
  x: Axis
  y: Axis
  legend: readonly { name: string; kind: string }[]
  /** What is drawn, from scaled coordinates: x and y both run from 0 to 1000, y downwards. */
  draw: (x: (value: number) => number, y: (value: number) => number) => readonly Markup[]
  /** Upright lines, with what they mean. */
  marks?: readonly Tick[]
}

const SIDE = 1000

/** Of a value between the ends of an axis, from 0 to 1; what is beyond stays at the end. */
const part = ({ min, max }: Axis, value: number): number =>
  max > min ? Math.min(1, Math.max(0, (value - min) / (max - min))) : 0

const percent = (value: number): string => `${(value * 100).toFixed(2)}%`

export function plot({ title, describes, x, y, legend, draw, marks = [] }: Plot): Markup {
  const across = (value: number): number => Math.round(part(x, value) * SIDE * 10) / 10
  const down = (value: number): number => Math.round((1 - part(y, value)) * SIDE * 10) / 10
  const grid = y.ticks.map(
    ({ at }) => html`<line class="grid" x1="0" x2="1000" y1="${down(at)}" y2="${down(at)}" />`,
  )
  const upright = marks.map(
    ({ at }) => html`<line class="mark" y1="0" y2="1000" x1="${across(at)}" x2="${across(at)}" />`,
  )
  return html`<figure class="chart">
    <figcaption>
      <b>${title}</b
      ><span class="legend"
        >${legend.map(({ name, kind }) => html`<span><i class="key ${kind}"></i>${name}</span>`)}</span
      >
    </figcaption>
    <div class="plot">
      <div class="ys" aria-hidden="true">
        ${y.ticks.map(({ at, label }) => html`<span style="top:${percent(1 - part(y, at))}">${label}</span>`)}
      </div>
      <div class="canvas">
        <svg role="img" aria-label="${describes}" viewBox="0 0 1000 1000" preserveAspectRatio="none">
          ${grid} ${draw(across, down)} ${upright}
        </svg>
        ${marks.map(
          ({ at, label }) =>
            html`<span class="note${part(x, at) > 0.7 ? ' left' : ''}" style="left:${percent(part(x, at))}"
              >${label}</span
            >`,
        )}
      </div>
      <div class="xs" aria-hidden="true">
        ${x.ticks.map(({ at, label }) => html`<span style="left:${percent(part(x, at))}">${label}</span>`)}
      </div>
    </div>
  </figure>`
}

/** Round steps of 1, 2 or 5 that cut a range into at most so many parts. */
export function ticks(min: number, max: number, most: number, label: (value: number) => string): Tick[] {
  const rough = (max - min) / most
  if (!(rough > 0) || !Number.isFinite(rough)) return [{ at: min, label: label(min) }]
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power
  const first = Math.ceil(min / step)
  const count = Math.floor(max / step + 1e-9) - first + 1
  return Array.from({ length: Math.max(0, count) }, (_, i) => (first + i) * step).map((at) => ({
    at,
    label: label(at),
  }))
}
