/** Figures as a report shows them. Pure. */

/** `0.84 ms`, `12 ms`, `1.2 s` */
export function shownMs(ms: number): string {
  if (!Number.isFinite(ms)) return '–'
  if (ms >= 1000) return `${Number((ms / 1000).toPrecision(3))} s`
  return `${ms >= 100 ? Math.round(ms) : Number(ms.toPrecision(2))} ms`
}

/** `2.5 %`; undefined shares of nothing are a dash. */
export function shownShare(share: number | undefined): string {
  if (share === undefined || !Number.isFinite(share)) return '–'
  return `${Number((share * 100).toPrecision(share < 0.1 ? 2 : 3))} %`
}

/** `2026-11-23 08:00:12 UTC` */
export const moment = (time: string): string => `${time.slice(0, 19).replace('T', ' ')} UTC`

/** From ms, as people speak of work: `45 min`, `6.5 h`, `3.2 days`. */
export function span(ms: number | undefined): string {
  if (ms === undefined || !Number.isFinite(ms)) return '–'
  const minutes = ms / 60_000
  if (minutes < 1) return `${Math.round(ms / 1000)} s`
  if (minutes < 90) return `${Math.round(minutes)} min`
  const hours = minutes / 60
  return hours < 48 ? `${Number(hours.toPrecision(2))} h` : `${Number((hours / 24).toPrecision(2))} days`
}
