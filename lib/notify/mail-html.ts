/** A message as an HTML mail: one column that fits a phone, light and dark. Everything that others wrote is escaped. Pure. */
import type { Level } from '../settings/notify.ts'
import { checkText, headline, type Message } from './message.ts'

const ACCENTS: Record<Level, string> = { info: '#1a7f4b', warning: '#9a6700', critical: '#b42318' }

/** What mail programs let through: a style sheet in the head, and beside it the same inline where they take that out. */
const STYLE = `
:root { color-scheme: light dark; supported-color-schemes: light dark; }
a { color: #0b5cad; }
@media (prefers-color-scheme: dark) {
  body, .page { background: #15181c !important; }
  .card { background: #1e2329 !important; border-color: #333b45 !important; }
  .card, .card td, .card p, .card li { color: #e6e9ed !important; }
  .card .name { color: #9aa5b1 !important; }
  .why { background: #262c34 !important; }
  pre { background: #11151a !important; color: #e6e9ed !important; border-color: #333b45 !important; }
  a { color: #7ab7ff !important; }
}
@media (max-width: 480px) {
  .page { padding: 8px !important; }
  .head { padding: 14px 16px !important; }
  .body { padding: 16px !important; }
  .name { width: 84px !important; }
}`

const FONT = `font: 15px/1.5 -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif`
const MONO = `font: 13px/1.5 ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace`
/** A word of ten thousand letters breaks, and the page stays as wide as the phone. */
const BREAKS = 'overflow-wrap: anywhere; word-break: break-word'

const h = Bun.escapeHTML

export function mailHtml(message: Message): string {
  const { level, facts, why, checks, moreChecks, next, link } = message
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>${h(headline(message))}</title>
<style>${STYLE}</style>
</head>
<body style="margin: 0; background: #f2f4f7">
<div class="page" style="background: #f2f4f7; padding: 24px 12px">
<div class="card" style="max-width: 600px; margin: 0 auto; background: #ffffff; border: 1px solid #d9dee5; border-radius: 8px; overflow: hidden; color: #1b2430; ${FONT}">
<div class="head" style="background: ${ACCENTS[level]}; padding: 14px 24px; color: #ffffff; font-size: 18px; font-weight: 600; ${BREAKS}">${h(headline(message))}</div>
<div class="body" style="padding: 20px 24px">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="border-collapse: collapse; table-layout: fixed">
${facts.map(({ name, value }) => fact(name, value)).join('\n')}
</table>
${why ? `<p class="why" style="margin: 18px 0 0; padding: 10px 14px; background: #f6f7f9; border-left: 3px solid ${ACCENTS[level]}; ${BREAKS}">${h(why)}</p>` : ''}
${checks.length + moreChecks > 0 ? failing(message) : ''}
${next ? `<p style="margin: 18px 0 6px">${h(next.what)}:</p><pre style="margin: 0; padding: 10px 12px; background: #f6f7f9; border: 1px solid #d9dee5; border-radius: 6px; color: #1b2430; white-space: pre-wrap; ${BREAKS}; ${MONO}">${h(next.command)}</pre>` : ''}
${link ? `<p style="margin: 18px 0 0"><a href="${h(link)}">Report</a></p>` : ''}
</div>
</div>
</div>
</body>
</html>
`
}

function fact(name: string, value: string): string {
  const cell = 'padding: 3px 0; vertical-align: top'
  return `<tr><td class="name" style="width: 120px; color: #5b6673; ${cell}">${h(name)}</td><td style="${cell}; ${BREAKS}">${h(value)}</td></tr>`
}

function failing({ checks, moreChecks }: Message): string {
  const lines = [...checks.map(checkText), ...(moreChecks > 0 ? [`and ${moreChecks} more`] : [])]
  const items = lines.map((line) => `<li style="margin: 4px 0; ${BREAKS}">${h(line)}</li>`).join('\n')
  return `<p style="margin: 18px 0 4px; font-weight: 600">Checks that did not pass</p><ul style="margin: 0; padding-left: 20px">${items}</ul>`
}
