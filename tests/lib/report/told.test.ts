import { describe, expect, test } from 'bun:test'
import { outcomes } from '../../../lib/history/record.ts'
import { lost, tell } from '../../../lib/report/told.ts'
import { proof, record } from './records.ts'

describe('the outcome in one sentence, and where users are', () => {
  test.each<[string, Parameters<typeof record>[0], string, string]>([
    [
      'it is live',
      {},
      '1.1.0 is live in production',
      'It replaced 1.0.0 (blue). No request was lost, of 800 that',
    ],
    [
      'the first release',
      { from: undefined },
      '1.1.0 is live in production',
      'It is the first release here.',
    ],
    [
      'stopped before the switch',
      { outcome: 'failed', switches: [] },
      '1.1.0 was stopped before it reached anybody in production',
      'Users stayed on 1.0.0 (blue). It took 60 s.',
    ],
    [
      'rolled back',
      { outcome: 'rolled-back', switches: [proof({ failures: 9 }), proof({ failures: 1200 })] },
      '1.1.0 was rolled back in production',
      'Users are on 1.0.0 (blue) again. 1,209 of 1,600 watched requests were lost.',
    ],
    [
      'one request lost',
      { switches: [proof({ failures: 1 })] },
      '1.1.0 is live in production',
      '1 of 800 watched requests was lost.',
    ],
    ['gone back', { kind: 'rollback' }, 'production is back on 1.1.0', 'Users left 1.0.0 (blue).'],
    ['under way', { outcome: 'open', finishedAt: undefined }, 'has not ended', 'under way, or was stopped'],
    [
      'a first release that failed',
      { outcome: 'failed', switches: [], from: undefined },
      'was stopped before it reached anybody',
      'Nobody is served yet.',
    ],
    [
      'repaired',
      { outcome: 'interrupted', message: 'traffic did not move, or is back; cleaned up by bob' },
      '1.1.0 was interrupted in production',
      'It has been cleared up.',
    ],
    [
      'a rolling update has no color',
      { strategy: 'rolling', from: { color: 'plain', release: 'r', version: '1', image: 'i' }, switches: [] },
      '1.1.0 is live in production',
      'It replaced 1. It took 60 s.',
    ],
  ])('%s', (_, about, headline, summary) => {
    const told = tell(record(about))
    expect(told.headline).toContain(headline)
    expect(told.summary).toContain(summary)
  })

  test.each(outcomes.map((outcome) => [outcome]))(
    '%s: nothing is undefined, and only what went well looks so',
    (outcome) => {
      const told = tell(record({ outcome, switches: [] }))
      expect(JSON.stringify(told)).not.toMatch(/undefined|NaN|\[object/)
      expect(told.tone === 'good').toBe(outcome === 'succeeded' || outcome === 'verified')
    },
  )

  test('a success with a remark is not told as one without', () =>
    expect(tell(record({ message: 'nobody was proven to have left' })).tone).toBe('warning'))

  test('all requests lost count, not those of the last switch alone', () =>
    expect(lost(record({ switches: [proof({ failures: 3 }), proof({ failures: 4 })] }))).toEqual({
      failures: 7,
      requests: 1600,
    }))

  test('times that are none are not told', () => {
    expect(tell({ ...record(), startedAt: 'unknown' }).summary).not.toContain('took')
  })
})

describe('what is printed to be run', () => {
  test('of what is live: one command goes back', () =>
    expect(tell(record()).undo.command).toBe(
      'bun scripts/rollback-deployment.ts --env production --reason "…"',
    ))

  test('of what waits: how it is opened', () =>
    expect(tell(record({ outcome: 'verified' })).undo.command).toEndWith(
      '--resume 01kb0000000000000000000000',
    ))

  test.each(['open', 'needs-person'] as const)('of what is %s: the repair', (outcome) =>
    expect(tell(record({ outcome })).undo.command).toEndWith('--env production --repair'),
  )

  test.each([
    { outcome: 'rolled-back' },
    { outcome: 'taken-back' },
    { outcome: 'failed' },
    { outcome: 'interrupted' },
    { outcome: 'released' },
    { kind: 'rollback' },
    { from: undefined },
  ] as const)('S9: no command leads back to what was left: %j', (about) => {
    const { command = '' } = tell(record(about)).undo
    expect(command).toBe('bun scripts/deploy.ts --env production --version …')
  })
})
