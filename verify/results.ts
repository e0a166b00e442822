/** Results for programs: JSON, JUnit XML for CI systems, annotations and a summary for GitHub Actions. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { annotate, writeSummary } from '../lib/cli/github.ts'
import type { Secrets } from '../lib/secrets.ts'
import { counted, objections, verdictOf, type CheckResult } from '../lib/check.ts'

/** The result without secrets, in whatever of its words they stand. Pure. */
export function redactResult(result: CheckResult, secrets: Secrets): CheckResult {
  const hide = (text: string): string => secrets.redact(text)
  return {
    ...result,
    name: hide(result.name),
    expected: hide(result.expected),
    seen: hide(result.seen),
    ...(result.evidence && { evidence: result.evidence.map(hide) }),
  }
}

/** Writes `checks.json` and `junit.xml` beside the evidence; under GitHub Actions tells the run as well. */
export async function keepResults(folder: string, results: readonly CheckResult[]): Promise<void> {
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'checks.json'), `${JSON.stringify(results, undefined, 2)}\n`)
  await writeFile(join(folder, 'junit.xml'), junit(results))
  for (const { gate, name, expected, seen } of objections(results).slice(0, 10)) {
    annotate('error', `${gate}: ${name}`, `expected ${expected}, saw ${seen}`)
  }
  writeSummary(summary(results), process.env)
}

/**
 * A test suite for each kind; inconclusive is an error, which CI systems show apart from a failure. Pure.
 * https://github.com/testmoapp/junitxml
 */
export function junit(results: readonly CheckResult[]): string {
  const suites = [...Map.groupBy(results, ({ gate }) => gate)].map(([gate, checks]) => {
    const cases = checks.map(
      (check) =>
        `    <testcase classname="${xml(gate)}" name="${xml(check.name)}" time="${seconds(check.ms)}">${outcome(check)}</testcase>`,
    )
    const skipped = checks.filter(({ verdict }) => verdict === 'skipped').length
    return `  <testsuite name="${xml(gate)}" skipped="${skipped}" ${counts(checks)}>\n${cases.join('\n')}\n  </testsuite>`
  })
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites ${counts(results)}>\n${suites.join('\n')}\n</testsuites>\n`
}

/** A decimal with three places, as JUnit's schemas have it: `0.0000004` would be written with an exponent. */
const seconds = (ms: number): string => (ms / 1000).toFixed(3)

/** What both a suite and all of them say; only a suite may say how many were skipped. */
function counts(checks: readonly CheckResult[]): string {
  const of = (wanted: CheckResult['verdict']) => checks.filter(({ verdict }) => verdict === wanted).length
  const time = seconds(checks.reduce((sum, { ms }) => sum + ms, 0))
  return `tests="${checks.length}" failures="${of('failed')}" errors="${of('inconclusive')}" time="${time}"`
}

function outcome({ verdict, expected, seen }: CheckResult): string {
  const message = `message="${xml(`expected ${expected}, saw ${seen}`)}"`
  if (verdict === 'failed') return `<failure ${message}/>`
  if (verdict === 'inconclusive') return `<error ${message}/>`
  return verdict === 'skipped' ? `<skipped ${message}/>` : ''
}

/** For an attribute of XML 1.0, which has no place for most control characters. */
function xml(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return Bun.escapeHTML(text.replace(/[\u0000-\u0008\u000B\u000C\u000E-\u001F\uFFFE\uFFFF]/g, '\uFFFD'))
}

const marks = { passed: '✅', failed: '❌', inconclusive: '❓', skipped: '➖' } as const

/** A table of what did not pass, and how many of each kind did. Pure. */
export function summary(results: readonly CheckResult[]): string {
  const rows = [...Map.groupBy(results, ({ gate }) => gate)].flatMap(([gate, checks]) => {
    const bad = objections(checks)
    const head = `| ${marks[verdictOf(checks)]} ${gate} | ${counted(checks)} | |`
    return [
      head,
      ...bad.map(
        (check) =>
          `| ${marks[check.verdict]} | ${cell(check.name)} | ${cell(`expected ${check.expected}, saw ${check.seen}`)} |`,
      ),
    ]
  })
  return ['### Checks', '', '| kind | | |', '|---|---|---|', ...rows, '', ''].join('\n')
}

/** What an application answered must not become markup of ours. */
const cell = (text: string): string =>
  `<code>${Bun.escapeHTML(text.replace(/\s+/g, ' ').slice(0, 500)).replaceAll('|', '&#124;')}</code>`
