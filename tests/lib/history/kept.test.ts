import { describe, expect, test } from 'bun:test'
import { openRecord } from '../../../lib/history/journal.ts'
import { findKept, previousRolling } from '../../../lib/history/kept.ts'
import { newEntry, type DeploymentRecord } from '../../../lib/history/record.ts'
import { deployment, made } from '../objects.ts'
import { failure, rehearse, type Rehearsal } from '../world.ts'

const plain = (version: string, release = `r${version}`) => ({
  color: 'plain' as const,
  ...made(version),
  release,
})

/** Rolling: each record keeps its manifests; the last one given is what runs. */
async function rolled(
  { world, cluster }: Rehearsal,
  running: string,
  entries: [string, Partial<DeploymentRecord> & Pick<DeploymentRecord, 'to'>][],
): Promise<void> {
  for (const [id, about] of entries) {
    const entry = newEntry(world, { id, kind: 'deploy', outcome: 'succeeded', ...about })
    await openRecord(world, entry, [deployment('plain', about.to)])
    if (id === running) cluster.put(deployment('plain', { ...about.to, release: id }))
  }
}

const back = (version: string, from: string): Partial<DeploymentRecord> & Pick<DeploymentRecord, 'to'> => ({
  kind: 'rollback',
  from: plain(from),
  to: plain(version),
})

const target = async ({ world }: Rehearsal, version?: string) =>
  (await previousRolling(world, version)).entry.id

describe('rolling: where a rollback leads', () => {
  test.each(['succeeded', 'taken-back'] as const)(
    'twice does not go forward to the bad release (which is %s), unless it is named',
    async (outcome) => {
      await using rehearsal = rehearse({ strategy: 'rolling' })
      await rolled(rehearsal, '03', [
        ['00', { to: plain('0.9.0', '00') }],
        ['01', { to: plain('1.0.0', '01') }],
        ['02', { to: plain('1.1.0', '02'), outcome }],
        ['03', back('1.0.0', '1.1.0')],
      ])
      expect(await failure(target(rehearsal))).toEqual({
        code: 6,
        message: expect.stringMatching(
          /^1\.1\.0 is what was rolled back from \(2026-11-23T08:00:00\.000Z, alice@laptop\)\. .*--to-version 1\.1\.0$/,
        ),
      })
      expect(await target(rehearsal, '1.1.0')).toBe('02')
    },
  )

  test('also after a fix that failed and went back by itself', async () => {
    await using rehearsal = rehearse({ strategy: 'rolling' })
    await rolled(rehearsal, '03', [
      ['01', { to: plain('1.0.0', '01') }],
      ['02', { to: plain('1.1.0', '02') }],
      ['03', back('1.0.0', '1.1.0')],
      ['04', { to: plain('1.2.0', '04'), outcome: 'rolled-back' }],
    ])
    expect(await failure(target(rehearsal))).toMatchObject({ code: 6 })
  })

  test('what was taken back is passed over, and the release before it is not', async () => {
    await using rehearsal = rehearse({ strategy: 'rolling' })
    await rolled(rehearsal, '04', [
      ['01', { to: plain('1.0.0', '01') }],
      ['02', { to: plain('1.1.0', '02'), outcome: 'taken-back' }],
      ['04', { to: plain('1.2.0', '04') }],
    ])
    expect(await target(rehearsal)).toBe('01')
  })

  test('a fix that went well can be rolled back from: to what runs before it', async () => {
    await using rehearsal = rehearse({ strategy: 'rolling' })
    await rolled(rehearsal, '04', [
      ['01', { to: plain('1.0.0', '01') }],
      ['02', { to: plain('1.1.0', '02') }],
      ['03', back('1.0.0', '1.1.0')],
      ['04', { to: plain('1.2.0', '04') }],
    ])
    expect(await target(rehearsal)).toBe('03')
  })
})

test('blue/green: a version that was taken back may be named', async () => {
  await using rehearsal = rehearse()
  await rolled(rehearsal, '', [['01', { to: plain('1.1.0', '01'), outcome: 'taken-back' }]])
  expect((await findKept(rehearsal.world, { version: '1.1.0' })).entry.id).toBe('01')
})
