/**
 * What a process says of itself, in Prometheus' text format. Strict: a line that is none makes the
 * whole unreadable, since what is missing would count as zero.
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 */
import { plain } from '../text.ts'
import type { Sample } from './prometheus.ts'

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*'
const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*'
const QUOTED = String.raw`"(?:[^"\\\n]|\\.)*"`

const PAIR = new RegExp(String.raw`\s*(${LABEL})\s*=\s*(${QUOTED})\s*(?:,|$)`, 'y')
/** A value, perhaps a time, perhaps an example of what was counted, as OpenMetrics has it. */
const LINE = new RegExp(
  String.raw`^(${NAME})\s*(?:\{((?:[^"}]|${QUOTED})*)\})?\s+(\S+)(?:\s+-?[\d.eE+]+)?\s*(?:#\s.*)?$`,
)

/** More than any process says of itself. */
const MOST_LINES = 50_000
const MOST_OF_A_LINE = 10_000

/** Each with its name as `__name__`. A problem is told as it goes on from "its /metrics". */
export function parseExposition(text: string): Sample[] | { problem: string } {
  const lines = text.split(/\r?\n/)
  if (lines.length > MOST_LINES) return { problem: `has ${lines.length.toLocaleString('en')} lines` }
  const samples: Sample[] = []
  const seen = new Set<string>()
  for (const [index, line] of lines.entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const sample = line.length > MOST_OF_A_LINE ? undefined : sampleOf(line.trim())
    if (!sample) return { problem: `cannot be read: line ${index + 1} is "${plain(line, 50)}"` }
    const key = JSON.stringify(Object.entries(sample.labels).toSorted(([a], [b]) => a.localeCompare(b)))
    if (seen.has(key)) return { problem: `has one series twice: line ${index + 1} is "${plain(line, 50)}"` }
    seen.add(key)
    samples.push(sample)
  }
  return samples.length > 0 ? samples : { problem: 'is empty' }
}

function sampleOf(line: string): Sample | undefined {
  const [, name, inside = '', number = ''] = LINE.exec(line) ?? []
  const labels = pairs(inside)
  const value = valueOf(number)
  return name === undefined || labels === undefined || value === undefined
    ? undefined
    : { labels: { ...labels, __name__: name }, value }
}

function pairs(text: string): Record<string, string> | undefined {
  const labels: Record<string, string> = {}
  let at = 0
  while (text.slice(at).trim() !== '') {
    PAIR.lastIndex = at
    const [whole, name, quoted] = PAIR.exec(text) ?? []
    if (whole === undefined || name === undefined || quoted === undefined || name in labels) return undefined
    labels[name] = unquoted(quoted)
    at += whole.length
  }
  return labels
}

const ESCAPES: Record<string, string> = { n: '\n', '"': '"', '\\': '\\' }

const unquoted = (quoted: string): string =>
  quoted.slice(1, -1).replace(/\\(.)/g, (escaped, one: string) => ESCAPES[one] ?? escaped)

/** As Go reads a float. */
function valueOf(text: string): number | undefined {
  if (text === 'NaN') return Number.NaN
  if (/^[+-]?Inf$/.test(text)) return text.startsWith('-') ? -Infinity : Infinity
  return /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text) ? Number(text) : undefined
}
