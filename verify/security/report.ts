/** The evidence of a run: for people, and for programs. Secrets are taken out of both. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { CheckResult } from '../../lib/check.ts'
import type { Severity } from '../../lib/settings/gates.ts'
import { shortened } from './check.ts'
import type { Logged } from './client.ts'
import type { Finding } from './findings.ts'
import type { Secrets } from './secrets.ts'

export interface Report {
  url: string
  verification: string
  failOn: Severity
  checks: CheckResult[]
  findings: Finding[]
  requests: readonly Logged[]
}

/** @returns the files, from the folder */
export async function writeReport(
  folder: string,
  name: string,
  report: Report,
  secrets: Secrets,
): Promise<string[]> {
  await mkdir(folder, { recursive: true })
  const texts = { [`${name}.md`]: markdown(report), [`${name}.json`]: JSON.stringify(report, null, 2) }
  await Promise.all(
    Object.entries(texts).map(([file, text]) => writeFile(join(folder, file), `${secrets.redact(text)}\n`)),
  )
  return Object.keys(texts)
}

function markdown({ url, failOn, checks, findings, requests }: Report): string {
  const rows = checks.map(({ name, verdict, seen }) => `| ${name} | ${verdict} | ${cell(seen)} |`)
  return [
    `# Security checks of ${url}`,
    `${findings.length} findings; from ${failOn} on they stop a deployment. ${requests.length} requests were made.`,
    ...findings.map(section),
    '## All checks',
    ['| check | verdict | seen |', '|---|---|---|', ...rows].join('\n'),
    '## Requests',
    requests
      .map(({ method, path, note, answer }) => `    ${method} ${path}${note && ` (${note})`} → ${answer}`)
      .join('\n'),
  ].join('\n\n')
}

function section({
  id,
  severity,
  method,
  path,
  problem,
  sent,
  back,
  fix,
  reference,
  waived,
}: Finding): string {
  return [
    `## ${severity}: ${id}`,
    [
      `- **${code(`${method} ${shortened(path)}`)}** ${cell(problem)}`,
      `- sent: ${code(sent)}`,
      `- came back: ${code(back)}`,
      `- fix: ${fix}`,
      `- see ${reference}`,
      ...(waived ? [`- waived until ${waived.expires}: ${waived.reason}`] : []),
    ].join('\n'),
  ].join('\n\n')
}

/** What a server says must not become markup of the report. */
const cell = (text: string): string => text.replace(/\s+/g, ' ').replace(/[|<>`\\]/g, (mark) => `\\${mark}`)
const code = (text: string): string => `\`${text.replace(/\s+/g, ' ').replaceAll('`', "'")}\``
