/** Records as people read them. Pure. */
import { checkLines } from '../check.ts'
import { seconds } from '../clock.ts'
import { plain } from '../text.ts'
import type { DeploymentRecord, Proof } from './record.ts'

/** Columns of a terminal. */
const WIDTH = 80

/** Where the second and later lines of a record begin, and those of a field of it. */
const INDENT = ' '.repeat(18)
const FIELD = ' '.repeat(11)

/**
 * ```
 * 2026-11-23 08:00  deploy    1.0.0 → 1.1.0 (green)  rolled-back
 *                   12 of 110 requests lost, then 0 of 11 on the way back
 *                   alice@laptop: why (01kb…)
 *                   what went wrong
 * ```
 */
export function inBrief(record: DeploymentRecord): string[] {
  const { message } = record
  return [...heading(record), ...(message ? folded(message, INDENT, 2) : [])]
}

function heading(record: DeploymentRecord): string[] {
  const { startedAt, kind, from, to, outcome, by, reason, override, id, takenBack, unreadable } = record
  const { acknowledged = [] } = record
  const what = `${from?.version ?? 'nothing'} → ${to.version} (${to.color})`
  const lost = losses(record)
  return [
    `${minute(startedAt)}  ${kind.padEnd(8)}  ${what}  ${outcome}`,
    ...(lost ? folded(lost, INDENT) : []),
    ...folded(`${by}${reason ? `: ${reason}` : ''} (${id})`, INDENT),
    ...(override ? folded(`overriding what was missing: ${override.reason}`, INDENT) : []),
    ...acknowledged.flatMap((box) => folded(`acknowledged ${box.id}: ${box.reason}`, INDENT)),
    ...(takenBack ? folded(left(takenBack), INDENT) : []),
    ...(unreadable === undefined ? [] : folded(`cannot be read (${unreadable})`, INDENT)),
  ]
}

/** All requests that users lost by a record: at the switch itself, and on the way back, if there was one. */
function losses({ switches, outcome }: DeploymentRecord): string | undefined {
  const seen = switches.filter(({ requests }) => requests > 0)
  if (seen.length === 0) return undefined
  const wentBack = switches.length > 1 && outcome === 'rolled-back'
  return seen
    .map((proof, i) => {
      const what = `${proof.failures} of ${proof.requests}`
      if (i === 0) return `${what} requests lost`
      return `then ${what}${wentBack && proof === switches.at(-1) ? ' on the way back' : ''}`
    })
    .join(', ')
}

const left = ({ by, at, reason, record }: NonNullable<DeploymentRecord['takenBack']>): string =>
  `taken back ${minute(at)} by ${by}${reason ? `: ${reason}` : ''} (${record})`

/** `2026-11-23 08:00` */
const minute = (time: string): string => time.slice(0, 16).replace('T', ' ')

export function inFull(record: DeploymentRecord): string[] {
  const { steps, checks, switches, drift, override, message, to, finishedAt, startedAt } = record
  return [
    ...heading(record),
    `  image    ${to.image}`,
    ...(finishedAt ? [`  took     ${seconds(Date.parse(finishedAt) - Date.parse(startedAt))}`] : []),
    ...(drift ? field('drift', drift) : []),
    ...(override?.missing ?? []).flatMap((what) => field('missing', what)),
    ...(record.acknowledged ?? []).flatMap(({ id, was = '' }) => field('box', `${id} was ${was}`)),
    ...(message ? field('message', message) : []),
    ...steps.map(({ name, ms }) => `  step     ${name}${ms === undefined ? '' : ` (${seconds(ms)})`}`),
    ...checkLines(checks, true).map((line) => `  check    ${line}`),
    ...switches.flatMap((proof) => field('switch', switchLine(proof))),
  ]
}

function switchLine({ share, converged, firstNew, lastOld, requests, failures }: Proof): string {
  if (share !== undefined)
    return `${Math.round(share * 100)} % of pods shared for a while; ${failures} of ${requests} requests failed`
  const [first, last] = [firstNew, lastOld].map((ms) => (ms === undefined ? '?' : seconds(ms)))
  return `converged ${seconds(converged)}, first new ${first}, last old ${last}; ${failures} of ${requests} requests failed`
}

const field = (name: string, text: string): string[] => {
  const [first = '', ...rest] = folded(text, FIELD)
  return [`  ${name.padEnd(FIELD.length - 2)}${first.trimStart()}`, ...rest]
}

/** In lines that fit, cut at blanks; a word that is longer stays whole. No more lines than `most`. */
function folded(text: string, indent: string, most = Number.POSITIVE_INFINITY): string[] {
  const room = WIDTH - indent.length
  const lines: string[] = []
  for (const word of plain(text, 2000).split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= room)
      lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  const shown = lines.slice(0, most)
  return shown.map((line, i) => indent + (i === most - 1 && lines.length > most ? cut(line, room) : line))
}

const cut = (line: string, room: number): string => `${line.slice(0, room - 1)}…`
