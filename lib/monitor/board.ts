/** What `monitor-deployment` shows: health, and both colors side by side. Pure; every line fits 80 columns. */
import type { Place } from '../app/color.ts'
import type { CheckResult } from '../check.ts'
import { seconds } from '../clock.ts'
import type { PodHealth } from './health.ts'
import type { Measured } from './measured.ts'
import { metrics, type Metric } from './metrics.ts'

export interface Board {
  app: string
  environment: string
  /** As people read it: `green is live`. */
  live: string
  /** ISO */
  at: string
  /** The checks of deploy.yaml through users' address. */
  checks: CheckResult[]
  pods: PodHealth[]
  measured: Measured
  places: readonly Place[]
}

const WIDTH = 80
const TITLE = 46
const VALUE = 15

export function boardLines({ app, environment, live, at, checks, pods, measured, places }: Board): string[] {
  const { by, problems, values } = measured
  return [
    cut(`${app} in ${environment}: ${live}, ${at.slice(11, 19)} UTC`),
    '',
    'Through the live URL',
    ...checks.map(checkLine),
    '',
    'Pods',
    ...(pods.length > 0 ? pods.map(podLine) : ['? none is there']),
    '',
    row(cut(`By ${by}`, TITLE), places),
    ...Object.entries(metrics).map(([name, metric]) => {
      const own: Partial<Record<Place, number>> = {
        ...Object.entries(values).find(([key]) => key === name)?.[1],
      }
      return row(
        metric.title,
        places.map((place) => shown(own[place], metric.unit)),
      )
    }),
    ...problems.map((problem) => cut(`? ${problem}`)),
  ]
}

const MARKS = { passed: '✓', failed: '✗', inconclusive: '?', skipped: '–' } as const

const checkLine = ({ verdict, name, ms, seen }: CheckResult): string =>
  cut(`${MARKS[verdict]} ${name} ${seconds(ms)}${verdict === 'passed' ? '' : `: ${seen}`}`)

function podLine({ pod, ready, restarts, failed, asked, unknown }: PodHealth): string {
  const bad = !ready || failed.length > 0
  const mark = unknown === undefined ? (bad ? '✗' : '✓') : '?'
  const passed = asked - failed.length
  const told = [
    ready ? 'ready' : 'not ready',
    unknown ?? (asked === 0 ? 'no check to ask it' : `${passed} of ${asked} checks`),
    ...(restarts > 0 ? [`restarts: ${restarts}`] : []),
    ...(failed.length > 0 ? [`not: ${failed.join(', ')}`] : []),
  ]
  return cut(`${mark} ${pod}  ${told.join(', ')}`)
}

const row = (title: string, cells: readonly string[]): string =>
  cut(`${cut(title, TITLE).padEnd(TITLE)} ${cells.map((cell) => cell.padStart(VALUE)).join(' ')}`)

const cut = (text: string, width = WIDTH): string =>
  text.length <= width ? text : `${text.slice(0, width - 1).toWellFormed()}…`

/** What is not known is said to be so: it is no zero. */
function shown(value: number | undefined, unit: Metric['unit']): string {
  if (value === undefined) return 'unknown'
  switch (unit) {
    case 'percentunit':
      return `${rounded(value * 100)} %`
    case 'bytes':
      return binary(value)
    case 'Bps':
      return `${binary(value)}/s`
    case 'reqps':
    case 'ops':
    case 'cps':
      return `${rounded(value)}/s`
    case 's':
      return value < 1 ? `${rounded(value * 1000)} ms` : `${rounded(value)} s`
    case 'short':
    case 'none':
      break
  }
  return rounded(value)
}

const rounded = (value: number): string =>
  Number(value.toPrecision(3)).toLocaleString('en', { maximumFractionDigits: 3 })

function binary(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, value)) / 10)))
  return `${rounded(value / 1024 ** power)} ${units[power]}`
}
