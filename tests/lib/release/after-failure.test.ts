/** What a run that failed leaves in the history: its whole cost, and no more records than are to be kept. */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { deploy } from '../../../lib/release/blue-green.ts'
import { failure, gates, rehearse, running } from '../world.ts'
import { planned, recordOf, request, stored } from './setting.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

test('what the switch cost is recorded beside what the way back did', async () => {
  await using rehearsal = rehearse()
  running(rehearsal.cluster, { blue: '1.0.0' }, 'blue')
  const plan = await planned(rehearsal)
  const says = gates({ live: ({ color }) => (color === 'green' ? 'failed' : 'passed') })
  expect((await failure(deploy(rehearsal.world, request, plan, says))).code).toBe(3)
  const [there, back] = stored(rehearsal, request.id).switches
  expect(there?.requests).toBeGreaterThan(0)
  expect(there).not.toHaveProperty('emptied')
  expect(back).toHaveProperty('emptied')
})

test('a deployment that fails makes room, too', async () => {
  await using rehearsal = rehearse({ history: 2 })
  const { cluster, world } = rehearsal
  running(cluster, { blue: '1.0.0' }, 'blue')
  for (const version of ['0.1.0', '0.2.0', '0.3.0']) await recordOf(rehearsal, version, { outcome: 'failed' })
  const plan = await planned(rehearsal)
  expect((await failure(deploy(world, request, plan, gates({ preview: 'failed' })))).code).toBe(1)
  expect(cluster.records().map(({ id }) => id)).toHaveLength(2)
  expect(cluster.records().map(({ id }) => id)).toContain(request.id)
})
