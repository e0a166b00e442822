/**
 * What a test run or a linter says it did, read from its report: an exit code without one proves nothing.
 * JUnit XML is read for its elements, whatever runner wrote it; ESLint's JSON as ESLint documents it.
 */
import { XMLValidator } from 'fast-xml-parser'
import { z } from 'zod'
import { parseJson } from '../json.ts'

export interface TestCounts {
  tests: number
  failed: number
  skipped: number
}

/** Comments and literal text, which may hold anything, then a tag with its attributes. */
const MARKUP =
  /<!--[^]*?-->|<!\[CDATA\[[^]*?\]\]>|<(?<end>\/?)(?<name>[\w:.-]+)(?<attributes>(?:[^<>"']|"[^"]*"|'[^']*')*?)(?<empty>\/?)>/g

/**
 * Counts the test cases. Undefined when it is not JUnit XML, not all of it, or says itself that there are more of
 * them, or more that failed.
 */
export function readJUnit(xml: string): TestCounts | undefined {
  if (XMLValidator.validate(xml) !== true) return undefined
  const counts: TestCounts = { tests: 0, failed: 0, skipped: 0 }
  const open: string[] = []
  const suites: (TestCounts & { attributes: string })[] = []
  const seen = new Set<string>()
  let root: string | undefined
  for (const { groups = {} } of xml.matchAll(MARKUP)) {
    const { name, end, empty, attributes = '' } = groups
    if (name === undefined) continue
    const isSuite = name === 'testsuites' || name === 'testsuite'
    if (isSuite && !end) suites.push({ ...counts, attributes })
    if (end) {
      if (open.pop() !== name) return undefined
    } else {
      root ??= name
      if (name === 'testcase') seen.clear()
      if (open.at(-1) === 'testcase') seen.add(name)
      if (!empty) open.push(name)
    }
    // A test case ends with its end tag, or is empty.
    if (name === 'testcase' && (end || empty)) count(counts, seen)
    const suite = isSuite && (end || empty) ? suites.pop() : undefined
    if (suite && declaresMore(suite, counts)) return undefined
  }
  const complete = open.length === 0 && (root === 'testsuites' || root === 'testsuite')
  return complete ? counts : undefined
}

/** @param suite its attributes, and what had been counted before it */
function declaresMore(suite: TestCounts & { attributes: string }, now: TestCounts): boolean {
  const declared = (name: string): number =>
    Number(new RegExp(`\\s${name}\\s*=\\s*["'](\\d+)["']`).exec(suite.attributes)?.[1] ?? 0)
  const failed = declared('failures') + declared('errors')
  // One test may fail and break as well; then it is among those that failed, once.
  return declared('tests') > now.tests - suite.tests || (failed > 0 && now.failed === suite.failed)
}

function count(counts: TestCounts, seen: ReadonlySet<string>): void {
  counts.tests++
  if (seen.has('failure') || seen.has('error')) counts.failed++
  else if (seen.has('skipped')) counts.skipped++
}

const eslintReport = z.array(
  z.object({ filePath: z.string(), errorCount: z.number(), warningCount: z.number() }),
)

export interface LintCounts {
  files: number
  errors: number
  warnings: number
}

/** Undefined when it is not ESLint's JSON. */
export function readEslint(json: string): LintCounts | undefined {
  const { data } = eslintReport.safeParse(parseJson(json))
  return (
    data && {
      files: data.length,
      errors: data.reduce((sum, { errorCount }) => sum + errorCount, 0),
      warnings: data.reduce((sum, { warningCount }) => sum + warningCount, 0),
    }
  )
}
