/** A record that an interrupted run of newer scripts left open, or that somebody edited, is in nobody's way. */
import { expect, test } from 'bun:test'
import { readRecord, unfinished } from '../../../lib/history/store.ts'
import { repairAlone } from '../../../lib/release/switch-alone.ts'
import { APP, made } from '../objects.ts'
import { gates, lastSwitch, rehearse, running } from '../world.ts'

test.each([
  ['not JSON', '{'],
  [
    'of a kind that is not known',
    JSON.stringify({ id: '02', kind: 'canary', to: { color: 'blue', ...made('1.0.0') } }),
  ],
])('an open record, %s, is closed by whoever comes next, and stays as it was written', async (_, record) => {
  await using rehearsal = rehearse()
  const { world, cluster } = rehearsal
  running(cluster, { blue: '1.0.0', green: '1.1.0' }, 'green')
  lastSwitch(cluster)
  cluster.put({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: `${APP}-deploy-02`,
      labels: { 'deploy-scripts/record': APP, 'deploy-scripts/outcome': 'open' },
    },
    data: { record },
  })
  expect(await repairAlone(world, 'mine', gates())).toBe(true)
  expect(await unfinished(world)).toEqual([])
  expect(await readRecord(world, '02')).toMatchObject({ entry: { outcome: 'interrupted' } })
  expect(cluster.object('ConfigMap', `${APP}-deploy-02`).data).toEqual({ record })
  expect(cluster.selector()).toEqual({ app: APP, color: 'green' })
})
