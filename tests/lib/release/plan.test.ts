/** What was agreed to is what is done, and what was gone back from is not done again. */
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { newEntry, type DeploymentRecord } from '../../../lib/history/record.ts'
import { markTakenBack, readRecord, unfinished } from '../../../lib/history/store.ts'
import { deploy } from '../../../lib/release/blue-green.ts'
import { refuseFailedDigest } from '../../../lib/release/plan.ts'
import { judge } from '../../../lib/release/promotion.ts'
import { rollBack } from '../../../lib/release/rollback.ts'
import { restartRelease } from '../../../lib/release/restart.ts'
import { chooseTarget } from '../../../lib/release/target.ts'
import { APP, SITE, deployment, live, made } from '../objects.ts'
import { failure, gates, lastSwitch, rehearse, running, type Rehearsal } from '../world.ts'
import { next, planned, recordOf, request, stored } from './setting.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

const HINT = 'If it is not to blame: --allow-failed-digest "<reason>"'

describe('refuseFailedDigest', () => {
  const { world } = rehearse()
  const ended = (outcome: DeploymentRecord['outcome'], about: Partial<DeploymentRecord> = {}) =>
    newEntry(world, {
      id: '01',
      kind: 'deploy',
      to: { color: 'green', ...next },
      outcome,
      finishedAt: 'yesterday',
      message: 'it was slow',
      ...about,
    })
  const takenBack = { by: 'bob@laptop', at: '2026-11-22T08:00:00Z', record: '02', reason: 'loses orders' }

  test.each<[string, DeploymentRecord[], string]>([
    [
      'rolled back by the scripts',
      [ended('rolled-back')],
      `${next.image} was rolled back automatically at yesterday (it was slow). ${HINT}`,
    ],
    [
      'gone back from by a person: who, when, and why',
      [ended('taken-back', { takenBack })],
      `${next.image} was taken back by bob@laptop at 2026-11-22T08:00:00Z (loses orders). ${HINT}`,
    ],
    [
      'gone back from, when it had been started again from its record',
      [ended('taken-back', { kind: 'rollback', takenBack })],
      `${next.image} was taken back by bob@laptop at 2026-11-22T08:00:00Z (loses orders). ${HINT}`,
    ],
    [
      'gone back from without a word',
      [ended('taken-back', { takenBack: { by: 'bob', at: 'noon', record: '02' } })],
      `${next.image} was taken back by bob at noon (no reason given). ${HINT}`,
    ],
    [
      'the newest of several says why',
      [ended('taken-back', { takenBack }), ended('rolled-back')],
      `${next.image} was taken back by bob@laptop at 2026-11-22T08:00:00Z (loses orders). ${HINT}`,
    ],
  ])('%s', async (_, past, message) => {
    expect(await failure(Promise.try(refuseFailedDigest, request, past))).toEqual({ code: 6, message })
    const allowed = { ...request, allowFailedDigest: 'the database was full' }
    expect(refuseFailedDigest(allowed, past)).toEqual(past)
    expect(refuseFailedDigest({ ...request, kept: [] }, past)).toEqual(past)
  })

  test.each<[string, DeploymentRecord]>([
    [
      'a switch to it that was rolled back: it may have been fled to',
      ended('rolled-back', { kind: 'switch' }),
    ],
    ['a rollback to it', ended('rolled-back', { kind: 'rollback' })],
    ['another image', ended('rolled-back', { to: { color: 'green', ...made('1.2.0') } })],
    ['a deployment that failed before the switch', ended('failed')],
    ['one that is under way', ended('open')],
  ])('%s is no reason', (_, entry) => expect(refuseFailedDigest(request, [entry])).toEqual([]))
})

/** 1.0.0 is live in blue. */
function idle(): Rehearsal {
  const rehearsal = rehearse()
  running(rehearsal.cluster, { blue: '1.0.0', green: '0.9.0' }, 'blue')
  return rehearsal
}
const writes = ({ cluster }: Rehearsal): string[] => cluster.writes.filter((write) => !/ease/.test(write))

describe('what has changed between the plan and the lock', () => {
  test('another release in the same color: it is not deployed over', async () => {
    await using rehearsal = idle()
    const plan = await planned(rehearsal)
    rehearsal.cluster.put(deployment('blue', made('1.2.0')))
    expect(await failure(deploy(rehearsal.world, request, plan, gates()))).toEqual({
      code: 1,
      message:
        'Users were on 1.0.0 (blue) when this was planned, and are on 1.2.0 (blue) now: look, and run it again',
    })
    expect(writes(rehearsal)).toEqual([`patch service ${APP}`])
    expect(rehearsal.cluster.records()).toEqual([])
  })

  test('the digest was rolled back: it is refused, also under the lock', async () => {
    await using rehearsal = idle()
    const plan = await planned(rehearsal)
    await recordOf(rehearsal, '1.1.0', { id: 'r-other', outcome: 'rolled-back' })
    const failed = await failure(deploy(rehearsal.world, request, plan, gates()))
    expect(failed.code).toBe(6)
    expect(failed.message).toMatch(/was rolled back automatically/)
    expect(writes(rehearsal)).toEqual([`patch service ${APP}`])
  })

  test('the same release with other pods is the same', async () => {
    await using rehearsal = idle()
    const plan = await planned(rehearsal)
    rehearsal.cluster.put(deployment('blue', made('1.0.0'), 3))
    await deploy(rehearsal.world, request, plan, gates())
    expect(rehearsal.cluster.selector()).toEqual(live('green'))
  })
})

/** 1.1.0 is live in green; both have records. */
async function ready(outcome: DeploymentRecord['outcome'] = 'succeeded'): Promise<Rehearsal> {
  const rehearsal = rehearse()
  running(rehearsal.cluster, { blue: '1.0.0', green: '1.1.0' }, 'green')
  lastSwitch(rehearsal.cluster)
  await recordOf(rehearsal, '1.0.0', { to: { color: 'blue', ...made('1.0.0') } })
  await recordOf(rehearsal, '1.1.0', { outcome })
  return rehearsal
}
async function back({ world, observed }: Rehearsal, version?: string): Promise<DeploymentRecord> {
  const seen = await observed()
  const target = chooseTarget(SITE, seen, { version })
  if (target.kind !== 'warm') throw new Error(target.kind)
  return await rollBack(world, { id: 'r-back', reason: 'loses orders' }, seen, target, gates())
}

describe('a person goes back from a release', () => {
  const mark = { by: 'alice@laptop', record: 'r-back', reason: 'loses orders' }

  // Rolled back while its deployment drains; opened by switch-traffic; opened though it had failed.
  test.each(['succeeded', 'released', 'needs-person', 'open', 'verified', 'interrupted', 'failed'] as const)(
    'whose record says %s: it is marked with who and why, and refused',
    async (outcome) => {
      await using rehearsal = await ready(outcome)
      await back(rehearsal)
      expect(stored(rehearsal, 'r1.1.0')).toMatchObject({ outcome: 'taken-back', takenBack: mark })
      const plan = await planned(rehearsal, 'blue')
      const again = { ...request, id: 'r-again' }
      const failed = await failure(deploy(rehearsal.world, again, plan, gates()))
      expect(failed.code).toBe(6)
      expect(failed.message).toMatch(/was taken back by alice@laptop at .* \(loses orders\)/)
      expect(rehearsal.cluster.selector()).toEqual(live('blue'))
    },
  )

  test('one that was rolled back automatically before keeps that reason', async () => {
    await using rehearsal = await ready('rolled-back')
    await back(rehearsal)
    expect(stored(rehearsal, 'r1.1.0').outcome).toBe('rolled-back')
  })

  test('it may be deployed all the same, with a reason', async () => {
    await using rehearsal = await ready()
    await back(rehearsal)
    const plan = await planned(rehearsal, 'blue')
    const again = { ...request, id: 'r-again', allowFailedDigest: 'the database lost them' }
    expect(await deploy(rehearsal.world, again, plan, gates())).toMatchObject({
      outcome: 'succeeded',
      allowedFailedDigest: 'the database lost them',
    })
  })

  test('the next environment is told', async () => {
    await using rehearsal = await ready()
    const { world } = rehearsal
    await back(rehearsal)
    const records = await unfinished(world)
    const passed = { name: 'test', context: 'test', namespace: 'chat-test' }
    const [, digest = ''] = next.image.split('@')
    const requires = { failOn: 'high' as const, stages: [], passed }
    const proof = judge(requires, digest, { release: 'none', records }, world.clock.now())
    expect(proof).toEqual({ held: [], missing: ['its last deployment to test ended taken-back'] })
  })

  test('a release that was started again from its record takes the mark from it, and leaves one', async () => {
    await using rehearsal = await ready()
    const { world, cluster } = rehearsal
    await markTakenBack(world, 'r1.0.0', { by: 'bob', at: 'noon', record: '00' })
    cluster.put(deployment('blue', made('1.2.0')))
    const release = { ...made('1.0.0'), release: 'r-start' }
    const plan = await planned(rehearsal, 'green', { release })
    await restartRelease(world, { ...request, ...release, id: 'r-start', kept: [] }, plan, gates())
    expect(cluster.selector()).toEqual(live('blue'))
    expect(stored(rehearsal, 'r1.0.0').outcome).toBe('succeeded')
    expect(stored(rehearsal, 'r1.1.0')).toMatchObject({
      outcome: 'taken-back',
      takenBack: { by: 'alice@laptop', record: 'r-start' },
    })
  })

  test('where both have the same image, it is not to blame', async () => {
    await using rehearsal = await ready()
    const { cluster } = rehearsal
    const same = { ...made('1.0.0'), image: next.image }
    cluster.put(deployment('blue', same))
    lastSwitch(cluster, { from: { color: 'blue', ...same } })
    await back(rehearsal)
    expect(cluster.selector()).toEqual(live('blue'))
    expect(stored(rehearsal, 'r1.1.0').outcome).toBe('succeeded')
  })

  test('whoever names it has it, and it is refused no longer', async () => {
    await using rehearsal = await ready()
    await markTakenBack(rehearsal.world, 'r1.0.0', { by: 'bob', at: 'noon', record: '00' })
    lastSwitch(rehearsal.cluster, { kind: 'rollback' })
    expect(await failure(back(rehearsal))).toMatchObject({ code: 6 })
    await back(rehearsal, '1.0.0')
    expect((await readRecord(rehearsal.world, 'r1.0.0'))?.entry.outcome).toBe('succeeded')
  })
})
