/**
 * Whether a deployment may begin now. Times are local to the zone that the team named. Where a clock is set forward
 * or back, the narrower reading of a window holds, and the wider one of a freeze.
 */
import { days, type Windows } from '../settings/preflight.ts'
import { failed, passed, type Finding } from './box.ts'

type Open = Windows['open'][number]
type Freeze = Windows['freezes'][number]

const NEXT = 'wait, or --ack windows "<reason>"'

/** Pure; `now` in ms since 1970. */
export function judgeWindows(windows: Windows | undefined, now: number): Finding {
  if (!windows) return passed('no windows are set: a deployment may begin at any time')
  const { zone, open, freezes } = windows
  const at = Temporal.Instant.fromEpochMilliseconds(now)
  const frozen = freezes.find((freeze) => isFrozen(freeze, at, zone))
  const local = told(at.toZonedDateTimeISO(zone))
  if (frozen) return failed(`${local}: frozen until ${ended(frozen, zone)} (${frozen.reason})`, NEXT)
  if (open.length === 0) return passed(`${local} is in no freeze`)
  if (open.some((window) => opened(window, at, zone))) return passed(`${local} is in a window`)
  const next = nextOpening(windows, at)
  return failed(`${local} is in no window${next ? `; the next opens ${told(next)}` : ''}`, NEXT)
}

/** `Sat 2026-11-28 10:00 Europe/Berlin` */
function told(at: Temporal.ZonedDateTime): string {
  const day = days[at.dayOfWeek - 1] ?? ''
  return `${day[0]?.toUpperCase()}${day.slice(1)} ${minutes(at)} ${at.timeZoneId}`
}

const minutes = (at: Temporal.ZonedDateTime): string =>
  at.toPlainDateTime().toString({ smallestUnit: 'minute' }).replace('T', ' ')

function isFrozen({ from, to }: Freeze, at: Temporal.Instant, zone: string): boolean {
  return isBetween(at, wall(from, zone, 'earlier'), endOf(to, zone))
}

/** A day's end is the beginning of the next. */
const endOf = (to: string, zone: string): Temporal.ZonedDateTime =>
  to.includes('T')
    ? wall(to, zone, 'later')
    : Temporal.PlainDate.from(to).add({ days: 1 }).toZonedDateTime({ timeZone: zone })

const ended = ({ to }: Freeze, zone: string): string => told(endOf(to, zone))

/** A time on the wall. One that is there twice, or not at all, is read as it is told to. */
const wall = (text: string, zone: string, disambiguation: 'earlier' | 'later'): Temporal.ZonedDateTime =>
  Temporal.PlainDateTime.from(text).toZonedDateTime(zone, { disambiguation })

/** One that began yesterday may still be open. */
function opened(window: Open, at: Temporal.Instant, zone: string): boolean {
  const today = at.toZonedDateTimeISO(zone).toPlainDate()
  return [today.subtract({ days: 1 }), today].some((day) => {
    const [from, to] = bounds(window, day, zone)
    return window.days.some((name) => name === days[day.dayOfWeek - 1]) && isBetween(at, from, to)
  })
}

function bounds({ from, to }: Open, day: Temporal.PlainDate, zone: string) {
  const last = to > from ? day : day.add({ days: 1 })
  return [
    wall(`${day.toString()}T${from}`, zone, 'later'),
    wall(`${last.toString()}T${to}`, zone, 'earlier'),
  ] as const
}

function isBetween(at: Temporal.Instant, from: Temporal.ZonedDateTime, to: Temporal.ZonedDateTime): boolean {
  const ms = at.epochMilliseconds
  return ms >= from.epochMilliseconds && ms < to.epochMilliseconds
}

/** How far ahead the next window is looked for: a freeze may be long. In days. */
const AHEAD = 60

function nextOpening(
  { zone, open, freezes }: Windows,
  at: Temporal.Instant,
): Temporal.ZonedDateTime | undefined {
  const today = at.toZonedDateTimeISO(zone).toPlainDate()
  for (let ahead = 0; ahead <= AHEAD; ahead++) {
    const day = today.add({ days: ahead })
    const starts = open
      .filter((window) => window.days.some((name) => name === days[day.dayOfWeek - 1]))
      .map((window) => bounds(window, day, zone)[0])
      .filter((start) => start.epochMilliseconds > at.epochMilliseconds)
      .filter((start) => !freezes.some((freeze) => isFrozen(freeze, start.toInstant(), zone)))
      .toSorted((a, b) => a.epochMilliseconds - b.epochMilliseconds)
    if (starts[0]) return starts[0]
  }
  return undefined
}
