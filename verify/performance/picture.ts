/** `performance.svg`: latency by percentile, as HdrHistogram's users draw it; the tail takes as much room as the rest. */
import type { Histogram } from 'hdr-histogram-js'
import { measure, shown } from './summary.ts'

export interface Curve {
  name: string
  color: string
  histogram: Histogram
}

const [WIDTH, HEIGHT, LEFT, TOP, FOOT] = [720, 280, 60, 20, 40]
const MARKS = [0, 50, 90, 99, 99.9]

/** Pure: each tenfold of nines is as wide as the one before. */
export function picture(curves: readonly Curve[]): string {
  const drawn = curves.filter(({ histogram }) => histogram.totalCount > 0)
  const highest = Math.max(1, ...drawn.map(({ histogram }) => measure('max', histogram)))
  const x = (percentile: number): string =>
    (LEFT + ((WIDTH - LEFT - 20) * Math.log10(100 / (100 - percentile))) / 3).toFixed(1)
  const y = (ms: number): string => (HEIGHT - FOOT - ((HEIGHT - FOOT - TOP) * ms) / highest).toFixed(1)
  const steps = Array.from({ length: 120 }, (_, i) => 100 - 100 / 10 ** (i / 40))
  const marks = MARKS.map(
    (mark) =>
      `<line x1="${x(mark)}" x2="${x(mark)}" y1="${TOP}" y2="${HEIGHT - FOOT}" stroke="#ddd"/>` +
      `<text x="${x(mark)}" y="${HEIGHT - FOOT + 16}" text-anchor="middle">${mark === 0 ? 'min' : `p${mark}`}</text>`,
  )
  const heights = [0, highest / 2, highest].map(
    (ms) => `<text x="${LEFT - 6}" y="${y(ms)}" text-anchor="end">${shown(ms)} ms</text>`,
  )
  const lines = drawn.map(({ name, color, histogram }, i) => {
    const points = steps.map((step) => `${x(step)},${y(measure({ percentile: step }, histogram))}`)
    const label = `<text x="${LEFT + 10}" y="${TOP + 14 + 16 * i}" fill="${color}">${name}</text>`
    return `<polyline fill="none" stroke="${color}" stroke-width="2" points="${points.join(' ')}"/>${label}`
  })
  const style = 'font-family="sans-serif" font-size="12"'
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" ${style}>`,
    '<title>Latency by percentile</title>',
    ...marks,
    ...heights,
    ...lines,
    '</svg>\n',
  ].join('\n')
}
