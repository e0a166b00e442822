/** Lines of logs: which of them tell of errors, and which are the same but for their numbers. Pure. */
import { field, parseJson } from '../json.ts'
import type { LogLine } from './seen.ts'

/** Older lines are another trouble's, in ms. */
const RECENT = 10 * 60_000

/** `[pod/NAME/CONTAINER] 2026-11-28T18:00:00.123456789Z TEXT`, as `kubectl logs --prefix --timestamps` has it. */
const PREFIXED = /^\[pod\/([^/\]]+)\/[^\]]*\] (?:(\d{4}-\d\d-\d\dT[\d:.]+Z) ?)?(.*)$/

export function readLines(text: string): LogLine[] {
  return text.split('\n').flatMap((line) => {
    const [, pod, at = '', rest = ''] = PREFIXED.exec(line) ?? []
    return pod === undefined || rest.trim() === '' ? [] : [{ pod, at, text: rest }]
  })
}

/** The same of one container, whose lines have no prefix. */
export const readOwn = (pod: string, text: string): LogLine[] =>
  readLines(text.replace(/^(?=.)/gm, `[pod/${pod}/] `))

/** A line without a time counts: there is no telling that it is old. */
export const recent = (lines: readonly LogLine[], now: number): LogLine[] =>
  lines.filter(({ at }) => at === '' || !(now - Date.parse(at) > RECENT))

const LEVELS = ['level', 'severity', 'levelname', 'lvl', 'log.level']
const ERROR_LEVEL = /^(error|err|fatal|crit(ical)?|alert|emerg(ency)?|panic|[56]0)$/i
const ERROR_WORD =
  /^[\w.]*(Error|Exception): |\b(error|fatal|panic|exception|traceback|unhandled|uncaught|segmentation fault)\b|\[(error|crit|alert|emerg)\]/i
/** An access log's line: the status behind the request. */
const SERVER_ERROR = /" 5\d\d( |$)/

/** Structured lines say their level; of others the words are asked. */
export function isError(text: string): boolean {
  const parsed = parseJson(text)
  const level = LEVELS.map((name) => field(parsed, name)).find((value) => value !== undefined)
  if (typeof level === 'string' || typeof level === 'number') return ERROR_LEVEL.test(`${level}`)
  return ERROR_WORD.test(text) || SERVER_ERROR.test(text)
}

/** A client that went away is no error of the application, whatever its library makes of it. */
const CLIENT_GONE =
  /BrokenPipe|broken pipe|EPIPE|ECONNRESET|ConnectionResetError|connection reset by peer|client (disconnected|prematurely closed|closed connection)|request aborted/i
const TRACEBACK = /^Traceback \(most recent call last\)/

export const errorLines = (lines: readonly LogLine[], now: number): LogLine[] =>
  [...Map.groupBy(recent(lines, now), ({ pod }) => pod).values()]
    .flatMap(whole)
    .filter(({ text }) => isError(text) && !CLIENT_GONE.test(text))

/**
 * One line for each error of a pod: what is indented goes on with the line before, and what a Python traceback is about
 * stands in its last line. A heading right before a traceback is of it.
 */
function whole(lines: readonly LogLine[]): LogLine[] {
  const flush = lines.filter(({ text }) => !/^\s/.test(text))
  return flush.filter((_, i) => !TRACEBACK.test(flush[i]?.text ?? '') && !isHeading(flush, i))
}

const isHeading = (lines: readonly LogLine[], i: number): boolean => {
  const next = lines[i + 1]?.text ?? ''
  return (
    TRACEBACK.test(next) &&
    /exception|error/i.test(lines[i]?.text ?? '') &&
    parseJson(lines[i]?.text ?? '') === undefined
  )
}

const MESSAGES = ['message', 'msg', 'event']
const REASONS = ['error', 'err', 'exception', 'reason', 'err.message', 'error.message']

/** What a person reads of a line: of a structured one its message and its error. */
export function told(text: string): string {
  const parsed = parseJson(text)
  const texts = [MESSAGES, REASONS].flatMap(
    (fields) => fields.map((name) => field(parsed, name)).find((value) => typeof value === 'string') ?? [],
  )
  return texts.length > 0 ? texts.join(': ') : text
}

/** What differs between two lines that tell of the same: taken out, the longest forms first. */
const VARYING: readonly [RegExp, string][] = [
  [/\d{4}[-/]\d\d[-/]\d\d[T ][\d:.,]+(Z|[+-]\d\d:?\d\d)?/g, '<time>'],
  [/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/gi, '<id>'],
  [/\b[0-9A-HJKMNP-TV-Z]{26}\b/gi, '<id>'],
  [/\b\d{1,3}(\.\d{1,3}){3}\b/g, '<ip>'],
  [/\b(?=[0-9a-f]*\d)(?=\d*[a-f])[0-9a-f]{7,}\b/gi, '<id>'],
  [/\d+(\.\d+)?/g, '<n>'],
]

/** A line's shape: without times, ids and numbers. */
export const shape = (text: string): string =>
  VARYING.reduce((rest, [pattern, name]) => rest.replace(pattern, name), told(text)).trim()

export interface Group {
  shape: string
  count: number
  pods: string[]
  /** ISO, the first and the last of what was read */
  since: string
}

/** Lines of the same shape together, the most frequent first. */
export function grouped(lines: readonly LogLine[]): Group[] {
  return [...Map.groupBy(lines, ({ text }) => shape(text))]
    .map(([name, same]) => ({
      shape: name,
      count: same.length,
      pods: [...new Set(same.map(({ pod }) => pod))],
      since:
        same
          .map(({ at }) => at)
          .filter(Boolean)
          .toSorted()[0] ?? '',
    }))
    .toSorted((a, b) => b.count - a.count)
}

/** `12 × request failed: fault in 2 pods since 18:03:11`. */
export const groupLine = ({ shape: text, count, pods, since }: Group): string =>
  `${count} × ${text} (${pods.length} ${pods.length === 1 ? 'pod' : 'pods'}${since && `, since ${since.slice(11, 19)} UTC`})`
