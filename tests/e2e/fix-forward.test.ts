/** After a release that could not run: what it left behind in the idle color must stand in nobody's way. */
import { expect } from 'bun:test'
import { exits, rehearsal, safely, unharmed, versions } from './suite.ts'

const stage = rehearsal()

const CRASH = { FAULT_CRASH_AT_START: '1' }

safely('a fixed release is deployed over one that crashes', async () => {
  const workspace = await stage().open({}, '1.0.0', '2.0.1')
  const crashing = await stage().images.push('2.0.0-crash', CRASH)
  exits(await workspace.deploy('1.0.0'), 0)
  exits(await workspace.deploy(crashing), 1)
  exits(await workspace.deploy('2.0.1'), 0)
  expect(await workspace.selector()).toEqual({ app: 'chatbot-platform', color: 'green' })
})

safely('a fixed release is deployed over one whose pods were refused', async () => {
  const workspace = await stage().open({}, '1.0.0', '2.0.0')
  await workspace.bring('1.0.0')
  const path = '/spec/template/spec/serviceAccountName'
  const patch = [{ op: 'replace', path, value: 'nobody' }]
  workspace.overlay({ patches: { painted: [{ target: { kind: 'Deployment' }, patch }] } })
  exits(await workspace.deploy('2.0.0'), 1)
  workspace.overlay()
  exits(await workspace.deploy('2.0.0'), 0)
  expect(await workspace.selector()).toEqual({ app: 'chatbot-platform', color: 'green' })
})

safely('S4: the release before comes back while the idle color holds one that crashes', async () => {
  const workspace = await stage().open({ settings: { afterSwitch: 'scale-down' } }, '1.0.0', '2.0.0')
  const crashing = await stage().images.push('3.0.0-crash', CRASH)
  await workspace.bring('1.0.0')
  exits(await workspace.deploy('2.0.0'), 0)
  exits(await workspace.deploy(crashing), 1)
  const traffic = await workspace.traffic(40, 4)
  exits(await workspace.rollback('--reason', '2.0.0 loses orders'), 0)
  const samples = await traffic.stop()
  unharmed(samples, 20)
  expect(versions(samples)).toEqual(['2.0.0', '1.0.0'])
})
