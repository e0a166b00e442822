/** A watch as people read it: one line while it runs, a table at its end. Pure. */
import { percent, PROBES, weightOf, type BakeReading, type BakeRecord } from './bake.ts'

const BARS = '▁▂▃▄▅▆▇█'

/** Shares of 0 to `most`, a bar each; what is unknown is a blank. */
export function sparkline(shares: readonly (number | undefined)[], most: number): string {
  const bar = (share: number): string =>
    BARS[Math.min(BARS.length - 1, Math.floor((share / Math.max(most, 1e-9)) * BARS.length))] ?? ''
  return shares.map((share) => (share === undefined ? ' ' : bar(share))).join('')
}

type Which = 'live' | 'old'

const shareOf = ([bad, total]: readonly [number, number] = [0, 0]): number | undefined =>
  total > 0 ? bad / total : undefined

function sum(readings: readonly BakeReading[], indicator: string, which: Which): [number, number] {
  const counts = readings.flatMap(({ counts: all }) => {
    const [bad, total] = all[indicator]?.[which] ?? [0, 0]
    return { bad, total }
  })
  return [counts.reduce((all, { bad }) => all + bad, 0), counts.reduce((all, { total }) => all + total, 0)]
}

const shown = (share: number | undefined): string => (share === undefined ? '–' : percent(share))

/** `4:10` */
const clock = (ms: number): string =>
  `${Math.floor(ms / 60_000)}:${String(Math.floor(ms / 1000) % 60).padStart(2, '0')}`

/** How many readings are drawn. */
const DRAWN = 20

/** The indicator that speaks most against the release: `4:10  errors 0.2 % ▁▁▂▁ (1 : 40), old 0.1 %`. */
export function drawn({ readings, limits }: BakeRecord, watched: number, state: string): string {
  const last = readings.at(-1)
  const worst =
    Object.keys(limits).toSorted((a, b) => (last?.odds[b] ?? 0) - (last?.odds[a] ?? 0))[0] ?? PROBES
  const { share = 1 } = limits[worst] ?? {}
  const shares = readings.slice(-DRAWN).map(({ counts }) => shareOf(counts[worst]?.live))
  const old = shareOf(sum(readings, worst, 'old'))
  return [
    `${clock(watched)}  ${worst} ${shown(shareOf(sum(readings, worst, 'live')))} ${sparkline(shares, share * 2)}`,
    `(${weightOf(last?.odds[worst] ?? 1)})${old === undefined ? '' : `, old ${percent(old)}`}`,
    ...(state ? [`– ${state}`] : []),
  ].join(' ')
}

const of = (count: [number, number]): string =>
  count[1] === 0 ? '–' : `${shown(shareOf(count))} of ${count[1].toLocaleString('en')}`

/** Both colors side by side, an indicator a line. */
export function summary({ readings, limits }: BakeRecord): string[] {
  const last = readings.at(-1)
  const rows = Object.entries(limits).map(([indicator, { share }]) => {
    const [live, old] = [sum(readings, indicator, 'live'), sum(readings, indicator, 'old')]
    return [indicator, of(live), of(old), `≤ ${percent(share)}`, weightOf(last?.odds[indicator] ?? 1)]
  })
  const table = [['', 'new', 'old', 'limit', 'odds'], ...rows]
  const widths = table[0]?.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0))) ?? []
  return table.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}
