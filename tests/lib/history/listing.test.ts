import { describe, expect, test } from 'bun:test'
import { inFull, inTable } from '../../../lib/history/listing.ts'
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

describe('records as a table', () => {
  test('one that went well', () => {
    expect(inTable([record({ switches: [proof(0, 412)], reason: 'the new menu' })])).toEqual([
      'WHEN (UTC)        KIND      WHAT                   OUTCOME    LOST',
      '2026-11-23 08:00  deploy    1.0.0 → 1.1.0 (green)  succeeded  0 of 412',
      '                  alice@laptop: the new menu (01kb0000000000000000000000)',
    ])
  })

  test('one that was rolled back tells all that it cost, on the way there and back, and why', () => {
    const about = { outcome: 'rolled-back', message: '12 of 110 requests failed' } as const
    const lines = inTable([record({ ...about, switches: [proof(12, 110), proof(3, 11)] })])
    expect(lines.slice(1)).toEqual([
      '2026-11-23 08:00  deploy    1.0.0 → 1.1.0 (green)  rolled-back  15 of 121',
      '                  alice@laptop (01kb0000000000000000000000)',
      '                  12 of 110 requests failed',
    ])
  })

  test.each<[string, Proof[], string]>([
    ['users were not moved', [], '–'],
    ['nobody asked', [proof(0, 0)], '–'],
    ['only on the way back', [proof(0, 0), proof(1, 9)], '1 of 9'],
  ])('losses: %s', (_, switches, expected) => {
    expect(inTable([record({ switches })])[1]).toEndWith(`succeeded  ${expected}`)
  })

  test('columns stand under each other, whatever stands in them', () => {
    const many = [
      record(),
      record({ outcome: 'needs-person', from: undefined }),
      record({ kind: 'rollback' }),
    ]
    const rows = inTable(many).filter((line) => !line.startsWith(' '))
    const places = rows.map((line) => line.search(/OUTCOME|succeeded|needs-person/))
    expect(rows).toHaveLength(4)
    expect(new Set(places).size).toBe(1)
  })

  test('one that was taken back says by whom and why', () => {
    const takenBack = { by: 'bob@desk', at: '2026-11-24T09:30:00.000Z', reason: 'loses orders', record: '02' }
    expect(inTable([record({ outcome: 'taken-back', takenBack })])).toContain(
      '                  taken back 2026-11-24 09:30 by bob@desk: loses orders (02)',
    )
  })

  test('rework says what made it necessary', () => {
    expect(inTable([record({ because: 'incident:4711' })])[2]).toContain('because of incident:4711')
  })

  test('of which only the name and the label are known says so', () => {
    const lines = inTable([record({ unreadable: 'kind: Invalid option' })])
    expect(lines.at(-1)).toBe('                  cannot be read (kind: Invalid option)')
  })

  test.each([60, 80, 133, 200])('fits a terminal of %d columns, however much was said', (columns) => {
    const long = 'Readiness probe failed: '.repeat(40)
    const to = { color: 'green', ...made('1.1.0'), version: `1.1.0-${'x'.repeat(300)}` } as const
    const lines = inTable([record({ outcome: 'needs-person', message: long, reason: long, to })], columns)
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(columns)
    expect(lines.at(-1)).toEndWith('…')
    expect(lines[1]).toContain('…  needs-person')
  })

  test('nothing steers a terminal', () => {
    const to = { color: 'green', ...made('1.1.0'), version: '\u001B[31m1\n2\u202E' } as const
    const lines = inTable([record({ to, reason: 'a\r\n::error::x' })])
    // oxlint-disable-next-line no-control-regex
    expect(lines.join('')).not.toMatch(/[\u0000-\u001F\u202E]/)
  })

  test('none are no table', () => expect(inTable([])).toEqual([]))

  test('one in full fits 80 columns', () => {
    const long = 'Readiness probe failed: '.repeat(40)
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
