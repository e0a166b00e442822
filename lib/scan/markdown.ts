/** The scan for people who read Markdown: pull requests, the step's summary. */
import { seconds } from '../clock.ts'
import { countsLine, type Judged, type ScanResult } from './result.ts'
import { advisoryUrl } from './finding.ts'
import { code } from '../text.ts'

export function scanMarkdown(result: ScanResult): string {
  const { passed, problems, failOn, skipped, findings, counts, startedAt, ms } = result
  const verdict = passed ? '✅ passed' : '❌ failed'
  return [
    `## Security scan ${verdict}`,
    '',
    `${countsLine(counts)}. Blocks from **${failOn}** on; an unknown severity always blocks. ${startedAt}, ${seconds(ms)}.`,
    '',
    ...list('Problems', problems.map(code)),
    ...list(
      'Skipped',
      skipped.map(({ scanner, reason }) => `${scanner}: ${code(reason)}`),
    ),
    ...(findings.length > 0 ? [HEAD, ...findings.map(row), ''] : []),
  ].join('\n')
}

const HEAD = [
  '| | severity | package | version | advisory | fixed in | where | found by |',
  '|---|---|---|---|---|---|---|---|',
].join('\n')

function row(found: Judged): string {
  const { severity, cvss, blocks, waiver, version, fixedIn = '', paths, sources, title } = found
  const mark = blocks ? '❌' : waiver ? '⚠️' : ''
  const accepted = waiver
    ? `<br>waived until ${waiver.expires} by ${code(waiver.owner)}: ${code(waiver.reason)}`
    : ''
  const where =
    paths.length > 1 ? `${code(paths[0] ?? '')} and ${paths.length - 1} more` : code(paths[0] ?? '')
  const cells = [
    mark,
    `${severity}${cvss === undefined ? '' : ` ${cvss}`}`,
    code(found.package),
    code(version),
    `${found.ids.map(link).join(' ')}<br>${code(title)}${accepted}`,
    code(fixedIn),
    where,
    sources.join(', '),
  ]
  return `| ${cells.join(' | ')} |`
}

function link(id: string): string {
  const url = advisoryUrl(id)
  return url === undefined ? code(id) : `[${id}](${url})`
}

function list(title: string, items: readonly string[]): string[] {
  return items.length === 0 ? [] : [`**${title}**`, '', ...items.map((item) => `- ${item}`), '']
}
