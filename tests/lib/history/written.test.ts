/** What a run has written to is told to whoever makes something of it at the end. */
import { expect, test } from 'bun:test'
import { openRecord } from '../../../lib/history/journal.ts'
import { newEntry } from '../../../lib/history/record.ts'
import { markTakenBack, unmarkTakenBack } from '../../../lib/history/store.ts'
import { deploy } from '../../../lib/release/blue-green.ts'
import { made } from '../objects.ts'
import { next, planned, request, stored } from '../release/setting.ts'
import { gates, rehearse, running } from '../world.ts'

test('a deployment: its own record, as it ended, and what made it necessary', async () => {
  await using rehearsal = rehearse()
  const { world, cluster } = rehearsal
  running(cluster, { blue: '1.0.0' }, 'blue')
  const written = new Set<unknown>()
  const wanted = { ...request, because: 'incident:4711' }
  await deploy({ ...world, written }, wanted, await planned(rehearsal), gates())
  expect([...written]).toEqual([stored(rehearsal, next.release)])
  expect(stored(rehearsal, next.release)).toMatchObject({ outcome: 'succeeded', because: 'incident:4711' })
})

test('a release that was gone back from, and one that was gone to again', async () => {
  await using rehearsal = rehearse()
  const world = { ...rehearsal.world, written: new Set<unknown>() }
  const to = { color: 'green' as const, ...made('1.1.0') }
  await openRecord(world, newEntry(world, { id: to.release, kind: 'deploy', to, outcome: 'succeeded' }), [])
  const outcomes = () => [...world.written].map((entry) => Reflect.get(Object(entry), 'outcome'))
  await markTakenBack(world, to.release, { by: 'bob', at: 'now', record: 'r' })
  await unmarkTakenBack(world, to.release)
  expect(outcomes()).toEqual(['succeeded', 'taken-back', 'succeeded'])
})
