import { describe, expect, test } from 'bun:test'
import { resultsOf } from '../../verify/ui-report.ts'

interface Attempt {
  status: string
  errors?: string[]
  attachments?: { path?: string }[]
}
interface Test {
  status: string
  results?: Attempt[]
  annotations?: object[]
  projectName?: string
}

const attempt = ({ status, errors = [], attachments = [] }: Attempt) => ({
  status,
  duration: 12,
  attachments,
  errors: errors.map((message) => ({ message })),
})
const testCase = ({
  status,
  results = [{ status: 'passed' }],
  annotations = [],
  projectName = '',
}: Test) => ({
  status,
  projectName,
  annotations,
  results: results.map(attempt),
})
/** A report of Playwright 1.65, as far as it is read. */
const report = (...tests: Test[]) => {
  const count = (wanted: string): number => tests.filter(({ status }) => status === wanted).length
  const specs = tests.map((test, i) => ({
    title: `flow ${i}`,
    file: 'chat.spec.ts',
    line: i + 1,
    tests: [testCase(test)],
  }))
  return {
    suites: [{ title: 'chat.spec.ts', specs: [], suites: [{ title: 'describe', specs }] }],
    errors: [] as object[],
    stats: {
      expected: count('expected'),
      unexpected: count('unexpected'),
      flaky: count('flaky'),
      skipped: count('skipped'),
    },
  }
}
const good: Test = { status: 'expected' }
const bad: Test = { status: 'unexpected', results: [{ status: 'failed', errors: ['Error: no button'] }] }
const skip = (annotations: object[]): Test => ({
  status: 'skipped',
  results: [{ status: 'skipped' }],
  annotations,
})
const because = { type: 'skip', description: 'the printer is on fire' }

const ENOUGH = { message: '\u001b[31mTesting stopped early after 1 maximum allowed failures.\u001b[39m' }

const told = (text: unknown, exitCode = 0) =>
  resultsOf(text, exitCode, '/work').map(({ verdict, seen }) => `${verdict}: ${seen}`)

describe('a test', () => {
  test('is a result of its own', () => {
    const attachments = [{ path: '/work/ui/results/a/trace.zip' }, {}]
    const results = [{ status: 'failed', errors: ['Error: no button'], attachments }]
    const text = report(good, { status: 'unexpected', results, projectName: 'phone' })
    expect(resultsOf(text, 1, '/work')).toEqual([
      {
        name: 'chat › describe › flow 0',
        verdict: 'passed',
        ms: 12,
        expected: 'each step of chat.spec.ts:1 succeeds',
        seen: 'all steps succeed',
        evidence: ['ui/report/index.html'],
      },
      {
        name: 'chat › describe › flow 1 › phone',
        verdict: 'failed',
        ms: 12,
        expected: 'each step of chat.spec.ts:2 succeeds',
        seen: 'no button',
        evidence: ['ui/results/a/trace.zip', 'ui/report/index.html'],
      },
    ])
  })

  test.each<[string, Test, string]>([
    ['passes', good, 'passed: all steps succeed'],
    ['fails', bad, 'failed: no button'],
    [
      'times out',
      {
        status: 'unexpected',
        results: [{ status: 'timedOut', errors: ['Test timeout of 30000ms exceeded.'] }],
      },
      'failed: Test timeout of 30000ms exceeded.',
    ],
    [
      'fails without a word',
      { status: 'unexpected', results: [{ status: 'failed' }] },
      'failed: failed without an error',
    ],
    [
      'passes though its author expects it to fail',
      { status: 'unexpected', results: [{ status: 'passed' }] },
      'failed: passed without an error',
    ],
    [
      'is cut off',
      { status: 'unexpected', results: [{ status: 'interrupted' }] },
      'inconclusive: interrupted without an error',
    ],
    ['was never started', { status: 'unexpected', results: [] }, 'failed: did not run'],
    [
      'fails and then passes',
      { status: 'flaky', results: [{ status: 'failed', errors: ['Error: late'] }, { status: 'passed' }] },
      'inconclusive: failed, then passed when tried again: late',
    ],
    ['is skipped for a reason', skip([because]), 'skipped: skipped: the printer is on fire'],
    ['is skipped for none', skip([{ type: 'skip' }]), 'inconclusive: skipped, and its spec does not say why'],
    ['was not come to', skip([]), 'inconclusive: did not run to its end'],
    [
      'is skipped, and another thing is said of it',
      skip([{ type: 'skip' }, { type: 'issue', description: '#42' }]),
      'inconclusive: skipped, and its spec does not say why',
    ],
    [
      'fails as its author says it would',
      {
        status: 'expected',
        results: [{ status: 'failed', errors: ['x'] }],
        annotations: [{ type: 'fail', description: 'known since May' }],
      },
      'skipped: expected to fail: known since May',
    ],
    [
      'fails as expected, for no reason that is given',
      { status: 'expected', results: [{ status: 'failed', errors: ['x'] }] },
      'inconclusive: expected to fail, and its spec does not say why',
    ],
    [
      'is expected and has no result',
      { status: 'expected', results: [] },
      'inconclusive: expected to fail, and its spec does not say why',
    ],
  ])('%s', (_, tested, seen) => {
    const exitCode = tested.status === 'unexpected' ? 1 : 0
    expect(told(report(good, tested), exitCode)).toEqual(['passed: all steps succeed', seen])
  })

  test('an error is told by its first words, on one line, without colors', () => {
    const message =
      'Error: \u001b[2mexpect(\u001b[22mlocator\u001b[31m)\u001b[39m.toBeVisible() failed\n\nLocator: x\r\n\u0007Timeout: 8000ms\n\nCall log:\n  - waiting\n\n  12 | code\n    at /a.ts:3'
    const text = report({
      status: 'unexpected',
      results: [{ status: 'failed', errors: [message, 'Error: second'] }],
    })
    expect(told(text, 1)).toEqual([
      'failed: expect(locator).toBeVisible() failed Locator: x Timeout: 8000ms; second',
    ])
  })

  test.each([
    [200, 'x'.repeat(200)],
    [201, `${'x'.repeat(199)}…`],
  ])('of an error of %d characters 200 are shown', (length, shown) => {
    const failed = { status: 'failed', errors: ['x'.repeat(length)] }
    expect(told(report({ status: 'unexpected', results: [failed] }), 1)).toEqual([`failed: ${shown}`])
  })

  test('one that was never started took no time', () => {
    expect(resultsOf(report({ status: 'unexpected', results: [] }), 1, '/work')[0]).toHaveProperty('ms', 0)
  })
})

describe('no verdict without a whole report', () => {
  const whole = report(good)
  test.each<[string, unknown, number, string[]]>([
    ['nothing', undefined, 0, ['inconclusive: no report that can be read, and exit code 0']],
    ['an empty object', {}, 0, ['inconclusive: no report that can be read, and exit code 0']],
    ['a list', [], 1, ['inconclusive: no report that can be read, and exit code 1']],
    [
      'a report without its tests',
      { ...whole, suites: [{ title: 'a' }] },
      0,
      ['inconclusive: no report that can be read, and exit code 0'],
    ],
    ['no tests', report(), 0, ['inconclusive: there are no tests']],
    [
      'only tests that are skipped',
      report(skip([because])),
      0,
      ['skipped: skipped: the printer is on fire', 'inconclusive: every test was skipped'],
    ],
    [
      'another exit code',
      whole,
      1,
      ['passed: all steps succeed', 'inconclusive: exit code 1, though no test failed'],
    ],
    [
      'errors beside the tests',
      {
        ...whole,
        errors: [{ message: '\u001b[31mTimed out waiting 2s for the test suite to run\u001b[39m' }],
      },
      0,
      ['passed: all steps succeed', 'inconclusive: Timed out waiting 2s for the test suite to run'],
    ],
    [
      'enough failures: what was not come to is told once',
      { ...report(good, bad, skip([]), skip([])), errors: [ENOUGH] },
      1,
      [
        'passed: all steps succeed',
        'failed: no button',
        'inconclusive: 2 were not tried, or not to their end: 1 had failed (ui.maxFailures)',
      ],
    ],
    [
      'enough failures, and an error',
      { ...report(bad, skip([])), errors: [ENOUGH, { message: 'Error: teardown' }] },
      1,
      ['failed: no button', 'inconclusive: did not run to its end', 'inconclusive: Error: teardown'],
    ],
    [
      'fewer tests than it counts',
      { ...whole, stats: { ...whole.stats, expected: 2 } },
      0,
      ['passed: all steps succeed', 'inconclusive: a report of 1 tests that counts 2'],
    ],
    [
      'a count that is none',
      { ...whole, stats: { ...whole.stats, unexpected: Number.NaN } },
      0,
      ['inconclusive: no report that can be read, and exit code 0'],
    ],
    ['a failure, and exit code 0', report(good, bad), 0, ['passed: all steps succeed', 'failed: no button']],
  ])('%s', (_, text, exitCode, seen) => {
    expect(told(text, exitCode)).toEqual(seen)
  })
})
