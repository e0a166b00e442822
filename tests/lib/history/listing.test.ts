import { describe, expect, test } from 'bun:test'
import { inBrief, inFull } from '../../../lib/history/listing.ts'
import type { DeploymentRecord, Proof } from '../../../lib/history/record.ts'
import { APP, made } from '../objects.ts'

const proof = (failures: number, requests: number): Proof => ({
  converged: 120,
  firstNew: 80,
  requests,
  failures,
  failuresBefore: 0,
  onNewConnections: requests,
  onKeptConnections: 0,
})

const record = (about: Partial<DeploymentRecord> = {}): DeploymentRecord => ({
  id: '01kb0000000000000000000000',
  kind: 'deploy',
  app: APP,
  environment: 'test',
  strategy: 'blue-green',
  by: 'alice@laptop',
  startedAt: '2026-11-23T08:00:00.000Z',
  finishedAt: '2026-11-23T08:01:00.000Z',
  from: { color: 'blue', ...made('1.0.0') },
  to: { color: 'green', ...made('1.1.0') },
  temporary: {},
  steps: [],
  checks: [],
  switches: [],
  outcome: 'succeeded',
  ...about,
})

describe('a record in brief', () => {
  test('that went well', () => {
    expect(inBrief(record({ switches: [proof(0, 412)], reason: 'the new menu' }))).toEqual([
      '2026-11-23 08:00  deploy    1.0.0 → 1.1.0 (green)  succeeded',
      '                  0 of 412 requests lost',
      '                  alice@laptop: the new menu (01kb0000000000000000000000)',
    ])
  })

  test('that was rolled back tells what the switch itself cost, and why', () => {
    const about = { outcome: 'rolled-back', message: '12 of 110 requests failed' } as const
    expect(inBrief(record({ ...about, switches: [proof(12, 110), proof(0, 11)] }))).toEqual([
      '2026-11-23 08:00  deploy    1.0.0 → 1.1.0 (green)  rolled-back',
      '                  12 of 110 requests lost, then 0 of 11 on the way back',
      '                  alice@laptop (01kb0000000000000000000000)',
      '                  12 of 110 requests failed',
    ])
  })

  test.each<[string, Proof[], string]>([
    ['nobody asked', [proof(0, 0)], 'alice@laptop'],
    ['only on the way back', [proof(0, 0), proof(1, 9)], '1 of 9 requests lost'],
    ['two switches that were no way back', [proof(1, 9), proof(2, 8)], '1 of 9 requests lost, then 2 of 8'],
  ])('losses: %s', (_, switches, expected) => {
    expect(inBrief(record({ switches }))[1]?.trim()).toStartWith(expected)
  })

  test('that was taken back says by whom and why', () => {
    const takenBack = { by: 'bob@desk', at: '2026-11-24T09:30:00.000Z', reason: 'loses orders', record: '02' }
    expect(inBrief(record({ outcome: 'taken-back', takenBack }))).toContain(
      '                  taken back 2026-11-24 09:30 by bob@desk: loses orders (02)',
    )
  })

  test('of which only the name and the label are known says so', () => {
    const lines = inBrief(record({ unreadable: 'kind: Invalid option' }))
    expect(lines.at(-1)).toBe('                  cannot be read (kind: Invalid option)')
  })

  test('fits a terminal, however much was said', () => {
    const long = 'Readiness probe failed: '.repeat(40)
    const lines = inBrief(record({ outcome: 'failed', message: long, reason: long }))
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80)
    expect(lines.at(-1)).toEndWith('…')
    const full = inFull(record({ outcome: 'failed', message: `first\n${long}` }))
    const others = full.filter((line) => !line.startsWith('  image'))
    expect(Math.max(...others.map((line) => line.length))).toBeLessThanOrEqual(80)
    expect(full.join(' ').match(/Readiness/g)).toHaveLength(40)
  })
})

test('a record in full has each switch with its figures', () => {
  const override = { reason: 'urgent', missing: ['it has not been live in staging'] }
  const lines = inFull(record({ switches: [proof(12, 110), proof(0, 11)], override, message: 'why' }))
  expect(lines).toEqual([
    '2026-11-23 08:00  deploy    1.0.0 → 1.1.0 (green)  succeeded',
    '                  12 of 110 requests lost, then 0 of 11',
    '                  alice@laptop (01kb0000000000000000000000)',
    '                  overriding what was missing: urgent',
    `  image    ${made('1.1.0').image}`,
    '  took     60 s',
    '  missing  it has not been live in staging',
    '  message  why',
    '  switch   converged 120 ms, first new 80 ms, last old ?; 12 of 110 requests',
    '           failed',
    '  switch   converged 120 ms, first new 80 ms, last old ?; 0 of 11 requests',
    '           failed',
  ])
})
