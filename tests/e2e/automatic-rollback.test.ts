/** What only users would notice: it is noticed, undone, and not tried again by accident. */
import { expect } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { APP } from '../../examples/rehearsal/workspace.ts'
import { exits, rehearsal, safely, since, versions } from './suite.ts'

const stage = rehearsal()

safely('S5: a release that fails users alone never stays, and never comes back unasked', async () => {
  const workspace = await stage().open({ autoscaler: { min: 1, max: 5 } }, '1.0.0')
  await stage().images.push('2.0.0-bad', { FAULT_LIVE_ERROR_RATE: '0.5' })
  await workspace.bring('1.0.0')
  const traffic = await workspace.traffic(40, 4)

  const failed = exits(await workspace.deploy('2.0.0-bad'), 3)
  expect(failed.stderr).toMatch(/\d+ of \d+ requests failed \(\d+ × status 500/)
  expect(failed.stderr).toContain('Rolled back: users are on 1.0.0 (blue) again')
  expect(await workspace.selector()).toEqual({ app: APP, color: 'blue' })
  const moment = Date.now()
  const [record] = await workspace.history()
  expect(record).toMatchObject({ outcome: 'rolled-back', to: { version: '2.0.0-bad' } })
  expect(record?.switches.length).toBeGreaterThan(0)
  const report = join(workspace.reports, record?.id ?? '', 'report.html')
  expect(readFileSync(report, 'utf8')).toContain('2.0.0-bad was rolled back in production')
  const bounds = 'jsonpath={.spec.minReplicas} {.spec.maxReplicas}'
  expect(await workspace.kubectl('get', 'hpa', `${APP}-green`, '-o', bounds)).toBe('1 5')

  const refused = exits(await workspace.deploy('2.0.0-bad'), 6)
  expect(refused.stderr).toMatch(/was rolled back automatically at .* --allow-failed-digest/s)
  const samples = await traffic.stop(moment)
  const later = since(samples, moment).filter(({ kind }) => kind === 'new')
  expect(versions(later)).toEqual(['1.0.0'])

  const allowed = await workspace.deploy('2.0.0-bad', '--allow-failed-digest', 'the database was away')
  exits(allowed, 3)
  expect((await workspace.history())[0]).toMatchObject({ allowedFailedDigest: 'the database was away' })
  expect((await workspace.selector()).color).toBe('blue')
})

safely('S6: a first release whose live URL fails is never called a success', async () => {
  const workspace = await stage().open({ replicas: 1 })
  await stage().images.push('1.0.0-bad', { FAULT_LIVE_ERROR_RATE: '1' })
  const failed = exits(await workspace.deploy('1.0.0-bad'), 4)
  expect(failed.stderr).toContain('This was the first release: there is none to go back to')
  expect((await workspace.history())[0]).toMatchObject({ outcome: 'needs-person' })
})
