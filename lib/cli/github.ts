/**
 * What a step tells GitHub Actions: lines on the run's page, outputs for later steps, a summary for people.
 * Elsewhere, nothing. https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
 */
import { randomUUID } from 'node:crypto'
import { appendFileSync, statSync } from 'node:fs'

type Variables = Readonly<Record<string, string | undefined>>

/** A line on the run's page. It goes to standard error, which the runner reads as well: standard output is for data. */
export function annotate(level: 'error' | 'warning' | 'notice', title: string, message: string): void {
  if (process.env.GITHUB_ACTIONS !== 'true') return
  const property = escape(title).replaceAll(':', '%3A').replaceAll(',', '%2C')
  process.stderr.write(`::${level}${title && ` title=${property}`}::${escape(message)}\n`)
}

/** A command ends at a line break. */
function escape(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')
}

/** Appends `name<<delimiter` blocks to the file that GITHUB_OUTPUT names. */
export function writeOutputs(outputs: Readonly<Record<string, string>>, variables: Variables): void {
  const { GITHUB_OUTPUT } = variables
  if (!GITHUB_OUTPUT) return
  const blocks = Object.entries(outputs).map(([name, value]) => outputBlock(name, value))
  appendFileSync(GITHUB_OUTPUT, blocks.join(''))
}

/** The delimiter is made up anew, so that no value can end its own block. */
export function outputBlock(name: string, value: string, delimiter = `end-${randomUUID()}`): string {
  return `${name}<<${delimiter}\n${value}\n${delimiter}\n`
}

/** A step's summary of more than 1 MiB is not shown at all; what others wrote before counts as well. */
const SUMMARY = 900_000

/** Appends Markdown to the step's summary, as much of it as is shown. */
export function writeSummary(markdown: string, variables: Variables): void {
  const { GITHUB_STEP_SUMMARY: file } = variables
  if (!file) return
  const room = SUMMARY - (statSync(file, { throwIfNoEntry: false })?.size ?? 0)
  appendFileSync(file, cut(`${markdown}\n`, room))
}

const CUT = '\n_Cut here; the whole report is among the artifacts._\n'

/** Cut between lines; nothing at all where not even the note has room. */
export function cut(markdown: string, bytes: number): string {
  if (Buffer.byteLength(markdown) <= bytes) return markdown
  const room = bytes - Buffer.byteLength(CUT)
  if (room < 0) return ''
  const head = Buffer.from(markdown).subarray(0, room)
  return head.subarray(0, head.lastIndexOf('\n') + 1).toString() + CUT
}
