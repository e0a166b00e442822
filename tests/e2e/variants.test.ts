/** What deploy.yaml can choose: the overlap switch, what becomes of the old color, migrations, a rolling update. */
import { expect } from 'bun:test'
import { APP, type Workspace } from '../../examples/rehearsal/workspace.ts'
import { exits, rehearsal, safely, unharmed, versions } from './suite.ts'

const stage = rehearsal()

const pods = async (workspace: Workspace, color: string): Promise<string[]> =>
  (await workspace.kubectl('get', 'pods', '-l', `color=${color}`, '-o', 'jsonpath={.items[*].metadata.name}'))
    .split(' ')
    .filter(Boolean)

safely('S1: an overlap switch never costs a request', async () => {
  const settings = { switch: 'overlap', overlap: '2s' }
  const workspace = await stage().open({ settings }, '1.0.0', '2.0.0')
  await workspace.bring('1.0.0')
  const traffic = await workspace.traffic(200, 10)
  exits(await workspace.deploy('2.0.0'), 0)
  exits(await workspace.rollback(), 0)
  const samples = await traffic.stop()
  unharmed(samples)
  // Both answer for a while: the colors of new connections change more often than once.
  const fresh = samples.filter(({ kind }) => kind === 'new').map(({ color }) => color)
  expect(fresh.filter((color, i) => i > 0 && color !== fresh[i - 1]).length).toBeGreaterThan(2)
  expect((await workspace.selector()).color).toBe('blue')
})

safely('afterSwitch: keep never touches the pods that traffic has left', async () => {
  const workspace = await stage().open({ settings: { afterSwitch: 'keep' } }, '1.0.0', '2.0.0')
  await workspace.bring('1.0.0')
  const before = await pods(workspace, 'blue')
  const traffic = await workspace.traffic(40, 4)
  exits(await workspace.deploy('2.0.0'), 0)
  expect(await pods(workspace, 'blue')).toEqual(before)
  unharmed(await traffic.stop())
})

safely('afterSwitch: scale-down never drops the connections of who stayed', async () => {
  const workspace = await stage().open({ settings: { afterSwitch: 'scale-down' } }, '1.0.0', '2.0.0')
  await workspace.bring('1.0.0')
  const traffic = await workspace.traffic(100, 10)
  exits(await workspace.deploy('2.0.0'), 0)
  // The kubelet may leave a pod's object there for a minute after its containers have ended.
  const state = '{.items[*].status.containerStatuses[*].state.running}'
  expect(await workspace.kubectl('get', 'pods', '-l', 'color=blue', '-o', `jsonpath=${state}`)).toBe('')
  unharmed(await traffic.stop())
})

safely('a migration never runs after the release that needs it has started', async () => {
  const workspace = await stage().open({ migration: true }, '1.0.0', '2.0.0')
  exits(await workspace.deploy('1.0.0'), 0)
  exits(await workspace.deploy('2.0.0'), 0)
  const finished = await workspace.kubectl(
    'get',
    'job',
    `${APP}-migrate`,
    '-o',
    'jsonpath={.status.completionTime}',
  )
  const started = await workspace.kubectl(
    'get',
    'pods',
    '-l',
    'color=green',
    '-o',
    'jsonpath={.items[0].metadata.creationTimestamp}',
  )
  expect(Date.parse(started)).toBeGreaterThanOrEqual(Date.parse(finished))
})

safely('a rolling update that fails never stays: the release before comes back', async () => {
  const workspace = await stage().open({ settings: { strategy: 'rolling' } }, '1.0.0', '2.0.0')
  await workspace.bring('1.0.0')
  const traffic = await workspace.traffic(40, 4)
  exits(await workspace.deploy('2.0.0'), 0)
  await stage().images.push('3.0.0-crash', { FAULT_CRASH_AT_START: '1' })
  const failed = exits(await workspace.deploy('3.0.0-crash'), 3)
  expect(failed.stderr).toContain('FAULT_CRASH_AT_START asks this process to end')
  expect(failed.stderr).toContain('Rolled back: 2.0.0 runs again')
  expect((await workspace.history())[0]).toMatchObject({ outcome: 'rolled-back' })
  expect(exits(await workspace.deploy('3.0.0-crash'), 6).stderr).toContain('--allow-failed-digest')
  exits(await workspace.rollback(), 0)
  const samples = await traffic.stop()
  unharmed(samples)
  expect(versions(samples)).toEqual(['1.0.0', '2.0.0'])
  const { workloads } = await workspace.status()
  expect(workloads).toMatchObject([{ color: 'plain', ready: 2, release: { version: '1.0.0' } }])
})

safely('the history never grows without end, and never loses what is in use', async () => {
  const workspace = await stage().open(
    { replicas: 1, settings: { history: 5, afterSwitch: 'keep' } },
    '1.0.0',
    '2.0.0',
  )
  await workspace.bring('1.0.0')
  const first = (await workspace.history())[0]?.id
  const record = JSON.parse(
    await workspace.kubectl('get', 'configmap', `${APP}-deploy-${first}`, '-o', 'json'),
  )
  const copies = Array.from({ length: 60 }, (_, i) => {
    const id = `00000000000000000000000${String(i).padStart(3, '0')}`
    const data = { record: JSON.stringify({ ...JSON.parse(record.data.record), id, outcome: 'failed' }) }
    const labels = { ...record.metadata.labels, 'deploy-scripts/outcome': 'failed' }
    return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: `${APP}-deploy-${id}`, labels }, data }
  })
  await workspace.apply({ apiVersion: 'v1', kind: 'List', items: copies })
  expect(await workspace.history()).toHaveLength(61)
  exits(await workspace.deploy('2.0.0'), 0)
  const kept = await workspace.history()
  expect(kept.map(({ id }) => id)).toContain(first ?? '')
  expect(kept.map(({ to }) => to.version).slice(0, 2)).toEqual(['2.0.0', '1.0.0'])
  // The newest five, and the one in use, which is older than all that came after it.
  expect(kept).toHaveLength(6)
  expect(kept.at(-1)?.id).toBe(first ?? '')
})
