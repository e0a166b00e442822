/** One attempt as Markdown: the step's summary, a comment, a message. Strangers' words stand in code spans alone. Pure. */
import { counted, objections, verdictOf } from '../check.ts'
import { seconds } from '../clock.ts'
import { code, plain } from '../text.ts'
import { short } from './commits.ts'
import type { Report } from './gather.ts'
import { moment, shownMs } from './shown.ts'
import { figure, sideName, type Tone } from './told.ts'

const MARKS: Record<Tone, string> = { good: '✅', bad: '❌', warning: '⚠️', neutral: '▫️' }
const VERDICTS = { passed: '✅', failed: '❌', skipped: '➖' } as const

export function reportMarkdown(report: Report): string {
  const { record, told, missing, extras } = report
  const { command } = told.undo
  return [
    `## ${MARKS[told.tone]} ${told.verdict}: ${code(record.to.version)} in ${code(record.environment)}`,
    '',
    words(told.summary),
    '',
    ...(record.message === undefined ? [] : [`**Why**: ${code(record.message)}`, '']),
    ...about(report),
    `${words(told.undo.text)}${command === undefined ? '' : ` ${code(command)}`}`,
    '',
    ...table(
      'Steps',
      ['step', 'took'],
      record.steps.map(({ name, ms }) => [code(name), ms === undefined ? 'not ended' : seconds(ms)]),
    ),
    ...switches(report),
    ...checks(report),
    ...latencies(report),
    ...bake(report),
    ...commits(report),
    ...table(
      'Who was told',
      ['of', 'by', 'when', 'outcome'],
      extras.notifications.map(({ state, channel, at, outcome }) => [state, channel, at, outcome].map(code)),
    ),
    ...(missing.length > 0
      ? ['### What is not known', '', ...missing.map((line) => `- ${code(line)}`), '']
      : []),
    `Record ${code(record.id)}`,
    '',
  ].join('\n')
}

/** Sentences of ours, in which versions and names of strangers stand: nothing in them is markup. */
const words = (text: string): string =>
  plain(text, 1000)
    .replace(/[\\`*_{}[\]()<>#+!~&|@]/g, String.raw`\$&`)
    .replace(/:(?=\/\/|:)|(?<=www)\./gi, String.raw`\$&`)

const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
const timeOf = (ms: number | undefined): string => (ms === undefined ? '–' : seconds(ms))

function table(title: string, head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  if (rows.length === 0) return []
  return [`### ${title}`, '', line(head), line(head.map(() => '---')), ...rows.map(line), '']
}

function about({ record }: Report): string[] {
  const { from, to, by, reason, because, startedAt, override, takenBack } = record
  const rows = [
    ['What', `${code(sideName(from))} → ${code(sideName(to))}`],
    ['Who', code(by)],
    ['When', code(moment(startedAt))],
    ['Why', reason === undefined ? 'no reason was given' : code(reason)],
    ...(because === undefined ? [] : [['Because of', code(because)]]),
    ['Image', code(to.image)],
    ...(override ? [['Overriding', code(`${override.reason}: ${override.missing.join('; ')}`)]] : []),
    ...(takenBack
      ? [['Taken back', code(`${takenBack.at} by ${takenBack.by}: ${takenBack.reason ?? ''}`)]]
      : []),
  ]
  return ['| | |', '|---|---|', ...rows.map(([name, value]) => `| ${name} | ${value} |`), '']
}

function switches({ record }: Report): string[] {
  const rows = record.switches.map((proof) => [
    figure(proof.requests),
    figure(proof.failures),
    timeOf(proof.firstNew),
    timeOf(proof.lastOldOnNew),
    timeOf(proof.lastOldOnKept),
  ])
  return table(
    'What users met',
    [
      'requests',
      'failed',
      'first on the new',
      'last on the old, new connections',
      'last on the old, kept ones',
    ],
    rows,
  )
}

function checks({ record }: Report): string[] {
  const rows = [...Map.groupBy(record.checks, ({ gate }) => gate)].flatMap(([gate, all]) => [
    [VERDICTS[verdictOf(all)], code(gate), counted(all)],
    ...objections(all)
      .slice(0, 20)
      .map(({ name, expected, seen }) => ['', code(name), code(`expected ${expected}, saw ${seen}`)]),
  ])
  return table('Checks', ['', 'check', ''], rows)
}

function latencies({ evidence }: Report): string[] {
  const rows = evidence.latencies.map(({ name, requests, failed, p50, p90, p99 }) => [
    code(name),
    figure(requests),
    figure(failed),
    ...[p50, p90, p99].map(shownMs),
  ])
  const scores = evidence.scores.map(({ name, score }) => `${code(name)} ${Math.round(score * 100)}`)
  return [
    ...table('Under load', ['latency', 'requests', 'failed', 'p50', 'p90', 'p99'], rows),
    ...(scores.length > 0 ? [`Lighthouse: ${scores.join(', ')}`, ''] : []),
  ]
}

function bake({ extras }: Report): string[] {
  if (!extras.bake) return []
  const { verdict = 'not ended', reason, readings } = extras.bake
  const why = reason === undefined ? '' : `: ${code(reason)}`
  return ['### The bake', '', `${verdict}${why}, after ${figure(readings.length)} readings`, '']
}

function commits({ commits: found }: Report): string[] {
  if (!found.known || found.list.length === 0) return []
  const more = found.total - found.list.length
  return [
    `### ${figure(found.total)} commits${found.since === undefined ? '' : ` since ${code(found.since)}`}`,
    '',
    ...found.list.map(({ id, subject, by }) => `- ${code(short(id))} ${code(subject)} ${code(by)}`),
    ...(more > 0 ? [`- and ${figure(more)} more`] : []),
    '',
  ]
}
