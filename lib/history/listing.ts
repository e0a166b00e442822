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
 * A row for each record, under a heading, as wide as the terminal is; beneath it who, why, and what went wrong.
 * ```
 * WHEN (UTC)        KIND      WHAT                     OUTCOME      LOST
 * 2026-11-23 08:00  deploy    1.0.0 → 1.1.0 (green)    rolled-back  12 of 121
 *                   alice@laptop: why (01kb…)
 *                   what went wrong
 * ```
 */
export function inTable(records: readonly DeploymentRecord[], columns = WIDTH): string[] {
  if (records.length === 0) return []
  const width = Math.max(LEAST, columns)
  const rows = [HEAD, ...records.map(cellsOf)]
  const [outcome, lost] = [3, 4].map((i) => Math.max(...rows.map((cells) => Bun.stringWidth(cells[i] ?? ''))))
  const others = INDENT.length + 10 + 2 + (outcome ?? 0) + 2 + (lost ?? 0)
  const widest = Math.max(...rows.map((cells) => Bun.stringWidth(cells[2])))
  const what = Math.max(8, Math.min(widest, width - others))
  const line = ([when, kind, change, ended, losses]: Cells): string =>
    [when.padEnd(16), kind.padEnd(8), fitted(change, what), ended.padEnd(outcome ?? 0), losses]
      .join('  ')
      .trimEnd()
  return [line(HEAD), ...records.flatMap((record) => [line(cellsOf(record)), ...beneath(record, width)])]
}

type Cells = readonly [when: string, kind: string, what: string, outcome: string, lost: string]

const HEAD: Cells = ['WHEN (UTC)', 'KIND', 'WHAT', 'OUTCOME', 'LOST']
/** Columns below which a table is no table any more. */
const LEAST = 60

/** All requests that users lost, at whichever of its switches. */
function cellsOf({ startedAt, kind, from, to, outcome, switches }: DeploymentRecord): Cells {
  const sum = (of: 'failures' | 'requests'): number => switches.reduce((all, proof) => all + proof[of], 0)
  const color = to.color === 'plain' ? '' : ` (${to.color})`
  const what = plain(`${from?.version ?? 'nothing'} → ${to.version}${color}`)
  const lost = sum('requests') === 0 ? '–' : `${sum('failures')} of ${sum('requests')}`
  return [minute(startedAt), kind, what, outcome, lost]
}

const fitted = (text: string, width: number): string => {
  const short = Bun.stringWidth(text) <= width ? text : `${Bun.sliceAnsi(text, 0, width - 1)}…`
  return short + ' '.repeat(Math.max(0, width - Bun.stringWidth(short)))
}

function beneath(record: DeploymentRecord, width: number): string[] {
  const { by, reason, because, override, id, takenBack, unreadable, message } = record
  const why = [reason, because && `because of ${because}`].filter(Boolean).join('; ')
  return [
    ...folded(`${by}${why ? `: ${why}` : ''} (${id})`, INDENT, Infinity, width),
    ...(override ? folded(`overriding what was missing: ${override.reason}`, INDENT, Infinity, width) : []),
    ...(takenBack ? folded(left(takenBack), INDENT, Infinity, width) : []),
    ...(unreadable === undefined ? [] : folded(`cannot be read (${unreadable})`, INDENT, Infinity, width)),
    ...(message ? folded(message, INDENT, 2, width) : []),
  ]
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
function folded(text: string, indent: string, most = Number.POSITIVE_INFINITY, width = WIDTH): string[] {
  const room = width - indent.length
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
