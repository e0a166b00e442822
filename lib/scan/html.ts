/** The scan as a page that stands alone: no script, nothing fetched, every word escaped. */
import { seconds } from '../clock.ts'
import { countsLine, type Judged, type ScanResult } from './result.ts'
import { advisoryUrl } from './finding.ts'

const CSP = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

const STYLE = `:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
body { margin: 2rem auto; max-width: 80rem; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { border-bottom: 1px solid #8884; padding: .4rem .6rem; text-align: left; vertical-align: top }
td { overflow-wrap: anywhere }
.critical, .high, .unknown { color: #c62828 } .medium { color: #b26a00 }
.blocks { font-weight: 600 } small { opacity: .8 }`

export function scanHtml(result: ScanResult): string {
  const { passed, problems, failOn, skipped, findings, counts, startedAt, ms, commit } = result
  const title = `Security scan ${passed ? 'passed' : 'failed'}`
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${CSP}">
<meta name="viewport" content="width=device-width">
<title>${title}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${passed ? '✓' : '✗'} ${title}</h1>
<p>${countsLine(counts)}. Blocks from ${failOn} on; an unknown severity always blocks.<br>
<small>${escape(commit)}, ${escape(startedAt)}, ${seconds(ms)}</small></p>
${list('Problems', problems)}
${list(
  'Skipped',
  skipped.map(({ scanner, reason }) => `${scanner}: ${reason}`),
)}
${findings.length > 0 ? table(findings) : ''}
</body>
</html>
`
}

const escape = (text: string): string => Bun.escapeHTML(text)

function list(title: string, items: readonly string[]): string {
  if (items.length === 0) return ''
  return `<h2>${title}</h2>\n<ul>${items.map((item) => `<li>${escape(item)}</li>`).join('\n')}</ul>`
}

const columns = ['severity', 'package', 'version', 'advisory', 'fixed in', 'where', 'found by']

function table(findings: readonly Judged[]): string {
  const head = columns.map((name) => `<th>${name}</th>`).join('')
  return `<table>\n<tr>${head}</tr>\n${findings.map(row).join('\n')}\n</table>`
}

function row({
  severity,
  cvss,
  blocks,
  waiver,
  version,
  ids,
  title,
  fixedIn = '',
  ...found
}: Judged): string {
  const accepted = waiver
    ? `<br><small>waived until ${escape(waiver.expires)} by ${escape(waiver.owner)}: ${escape(waiver.reason)}</small>`
    : ''
  const cells = [
    `<span class="${severity}">${severity}${cvss === undefined ? '' : ` ${cvss}`}</span>`,
    escape(found.package),
    escape(version),
    `${ids.map(link).join(' ')}<br>${escape(title)}${accepted}`,
    escape(fixedIn),
    found.paths.map(escape).join('<br>'),
    escape(found.sources.join(', ')),
  ]
  return `<tr${blocks ? ' class="blocks"' : ''}>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`
}

function link(id: string): string {
  const url = advisoryUrl(id)
  return url === undefined ? escape(id) : `<a href="${url}" rel="noreferrer">${id}</a>`
}
