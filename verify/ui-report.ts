/** What Playwright's JSON report says, as results of checks. */
import { relative } from 'node:path'
import { z } from 'zod'
import type { CheckResult, Verdict } from '../lib/check.ts'

const error = z.object({ message: z.string().optional() })
const annotation = z.object({ type: z.string(), description: z.string().optional() })
const attempt = z.object({
  status: z.string(),
  duration: z.number().nonnegative(),
  errors: z.array(error),
  attachments: z.array(z.object({ path: z.string().optional() })),
})
const testCase = z.object({
  status: z.enum(['expected', 'unexpected', 'flaky', 'skipped']),
  projectName: z.string(),
  annotations: z.array(annotation),
  results: z.array(attempt),
})
const spec = z.object({ title: z.string(), file: z.string(), line: z.number(), tests: z.array(testCase) })
const suite = z.object({
  title: z.string(),
  specs: z.array(spec),
  get suites() {
    return z.array(suite).optional()
  },
})
const count = z.int().nonnegative()
const report = z.object({
  suites: z.array(suite),
  errors: z.array(error),
  stats: z.object({ expected: count, unexpected: count, flaky: count, skipped: count }),
})

type Suite = z.infer<typeof suite>
type Spec = z.infer<typeof spec>
type TestCase = z.infer<typeof testCase>
/** A result before the gate has put its name to it. */
export type Result = Omit<CheckResult, 'gate'>

/**
 * A result for each test. Added to them is one that is inconclusive when the report, the exit code and the
 * tests do not agree, or when nothing was tried: an exit code alone is never believed. Pure.
 * @param exitCode Playwright's: 0 when all went as expected
 * @param folder what the names of evidence files are relative to; `ui/report` in it is the HTML report
 */
export function resultsOf(text: unknown, exitCode: number, folder: string): Result[] {
  const parsed = report.safeParse(text)
  if (!parsed.success) return [unclear(`no report that can be read, and exit code ${exitCode}`)]
  const { suites, errors, stats } = parsed.data
  const results = suites.flatMap(({ title, ...file }) => ofSuite({ ...file, title: base(title) }, [], folder))
  const [first] = errors.filter(({ message = '' }) => !oneLine(message).startsWith(ENOUGH))
  if (!first && errors.length > 0) return tried(results)
  if (first) return [...results, unclear(oneLine(first.message ?? 'an error without a message'))]
  if (results.length === 0) return [unclear('there are no tests')]
  const counted = stats.expected + stats.unexpected + stats.flaky + stats.skipped
  if (counted !== results.length) {
    return [...results, unclear(`a report of ${results.length} tests that counts ${counted}`)]
  }
  if (exitCode !== 0 && stats.unexpected === 0) {
    return [...results, unclear(`exit code ${exitCode}, though no test failed`)]
  }
  if (results.every(({ verdict }) => verdict === 'skipped')) {
    return [...results, unclear('every test was skipped')]
  }
  return results
}

/** What Playwright says of `--max-failures`. */
const ENOUGH = 'Testing stopped early'
const UNTRIED = 'did not run to its end'

/** Those that were not come to are one result: why they were not stands among the others. */
function tried(results: readonly Result[]): Result[] {
  const own = results.filter(({ seen }) => seen !== UNTRIED)
  const failed = own.filter(({ verdict }) => verdict === 'failed').length
  const seen = `${results.length - own.length} were not tried, or not to their end: ${failed} had failed (ui.maxFailures)`
  return [...own, unclear(seen)]
}

/** What is said of all specs together when they came to no verdict. */
export function unclear(seen: string): Result {
  return { name: 'specs', verdict: 'inconclusive', ms: 0, expected: 'a whole report by Playwright', seen }
}

const base = (file: string): string => file.replace(/\.(spec|test)\.[cm]?[jt]sx?$/, '')

function ofSuite({ title, specs, suites = [] }: Suite, above: readonly string[], folder: string): Result[] {
  const path = [...above, title]
  return [
    ...specs.flatMap((spec) => spec.tests.map((test) => ofTest(spec, test, path, folder))),
    ...suites.flatMap((inner) => ofSuite(inner, path, folder)),
  ]
}

function ofTest(
  { title, file, line }: Spec,
  test: TestCase,
  path: readonly string[],
  folder: string,
): Result {
  const last = test.results.at(-1)
  const files = test.results.flatMap(({ attachments }) => attachments.flatMap(({ path }) => path ?? []))
  return {
    name: oneLine([...path, title, test.projectName].filter(Boolean).join(' › ')),
    ms: last?.duration ?? 0,
    expected: `each step of ${file}:${line} succeeds`,
    evidence: [...files.map((path) => relative(folder, path)), 'ui/report/index.html'],
    ...judged(test),
  }
}

/** Annotations that Playwright makes of `test.skip(condition, why)` and its like. */
const REASONS = ['skip', 'fixme', 'fail']

/**
 * A gate that has to try twice is no gate: what failed and then passed is not known. A test that is skipped, or
 * expected to fail, is a skip that was asked for only where its author says why.
 */
function judged({ status, annotations, results }: TestCase): { verdict: Verdict; seen: string } {
  const last = results.at(-1)?.status ?? 'did not run'
  const errors = results.flatMap(({ errors }) => errors.map(({ message = '' }) => beginning(message)))
  const said = oneLine(errors.join('; '))
  if (status === 'flaky')
    return { verdict: 'inconclusive', seen: oneLine(`failed, then passed when tried again: ${said}`) }
  if (status === 'unexpected') {
    const verdict = last === 'interrupted' ? 'inconclusive' : 'failed'
    return { verdict, seen: said || (results.length > 0 ? `${last} without an error` : last) }
  }
  if (status === 'expected' && last === 'passed') return { verdict: 'passed', seen: 'all steps succeed' }
  const what = status === 'skipped' ? 'skipped' : 'expected to fail'
  const asked = annotations.filter(({ type }) => REASONS.includes(type))
  // Nobody asked for it: the run ended before the test did.
  if (status === 'skipped' && asked.length === 0) return { verdict: 'inconclusive', seen: UNTRIED }
  const why = asked.find(({ description }) => description)?.description
  return why
    ? { verdict: 'skipped', seen: oneLine(`${what}: ${why}`) }
    : { verdict: 'inconclusive', seen: `${what}, and its spec does not say why` }
}

/** An error's own words: what follows is the log of calls, the code around it and the stack. */
function beginning(message: string): string {
  const plain = Bun.stripANSI(message).split(/\n+(?:Call log:|\s*>?\s*\d+ \| |\s+at )/)[0] ?? ''
  return plain.replace(/^Error: /, '')
}

/** As a person reads it in a list. */
export function oneLine(text: string): string {
  const line = Bun.stripANSI(text)
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .trim()
  return line.length > 200 ? `${line.slice(0, 199)}…` : line
}
