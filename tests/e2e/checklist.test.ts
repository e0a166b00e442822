/** The checklist before a deployment, and the drill that ticks its last box. */
import { expect } from 'bun:test'
import { until } from '../../examples/rehearsal/program.ts'
import { APP } from '../../examples/rehearsal/workspace.ts'
import { boxIds } from '../../lib/settings/preflight.ts'
import { exits, rehearsal, safely, unharmed, versions } from './suite.ts'

const stage = rehearsal()

/** What a workspace can tick: it has no commits, no proofs and no checks. */
const asked = ['docs', 'room', 'probes', 'shutdown', 'image', 'access', 'clock', 'strays', 'drill']
const off = boxIds.filter((id) => !asked.includes(id))

safely('a box that is not ticked never lets traffic move, and a drill harms nobody', async () => {
  const workspace = await stage().open(
    { replicas: 1, environment: { preflight: { off } } },
    '71.0.0',
    '72.0.0',
  )
  exits(await workspace.deploy('71.0.0', '--ack', 'docs,drill', 'the first release'), 0)
  const before = await workspace.resourceVersions()

  const refused = exits(await workspace.deploy('72.0.0'), 6)
  expect(refused.stderr).toMatch(
    /2 boxes are not ticked before production .*\n +docs: .*\n[^]*\n +drill: no rollback is on record/,
  )
  expect(await workspace.resourceVersions()).toBe(before)

  const why = 'nothing that users see; $(nothing) is run'
  exits(
    await workspace.deploy('72.0.0', '--ack', 'docs', why, '--ack', 'drill: nothing to go back to yet'),
    0,
  )
  const [record] = await workspace.history()
  expect(record).toMatchObject({
    outcome: 'succeeded',
    acknowledged: [{ id: 'docs', reason: why }, { id: 'drill' }],
  })
  const told = exits(await workspace.run('deployment-history', ['--id', record?.id ?? '']), 0)
  expect(told.stderr).toContain('acknowledged docs: nothing that users see')

  const traffic = await workspace.traffic(40, 4)
  const drill = exits(await workspace.run('rollback-drill', ['--yes']), 0)
  expect(drill.stderr).toContain('The way back works in production.')
  const samples = await traffic.stop()
  unharmed(samples)
  expect(versions(samples)).toEqual(['72.0.0', '71.0.0'])
  expect(await workspace.selector()).toEqual({ app: APP, color: 'green' })
  // Nothing is refused that was not before.
  await until('what was left to have its pods again', async () => {
    const { rollback } = await workspace.status()
    return rollback.startsWith('is one patch, to 71.0.0 in blue') || undefined
  })

  const planned = exits(await workspace.deploy('71.0.0', '--dry-run', '--ack', 'docs', why), 0)
  expect(planned.stderr).toMatch(/ticked {3}room, probes, shutdown, image, access, clock, strays, drill/)
})
