/** The four kinds of checks, between a release and its users. Needs a browser. */
import { expect } from 'bun:test'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { ALL_GATES, type Workspace } from '../../examples/rehearsal/workspace.ts'
import { alone, exits, REAL, rehearsal, unharmed, versions } from './suite.ts'

const stage = rehearsal()

/** 1.0.0 is live, and whatever comes next must pass everything. Pods share a database, or there is one pod. */
async function guarded(): Promise<Workspace> {
  const workspace = await stage().open(REAL ? { replicas: 1 } : { migration: true }, '1.0.0', '2.0.0')
  await workspace.bring('1.0.0')
  workspace.configure(ALL_GATES)
  return workspace
}

const kinds = ['smoke', 'performance', 'ui', 'security', 'page-quality']

alone('a release never meets users before every kind of check has passed', async () => {
  const workspace = await guarded()
  const traffic = await workspace.traffic(40, 4)
  const { stderr } = exits(await workspace.deploy('2.0.0'), 0)
  unharmed(await traffic.stop())
  expect(stderr).toContain(`gates    ${kinds.join(', ')}`)
  const [record] = await workspace.history()
  const { checks = [], id } = record ?? {}
  expect(new Set(checks.map(({ gate }) => gate))).toEqual(new Set(kinds))
  expect(checks.filter(({ verdict }) => verdict !== 'passed' && verdict !== 'skipped')).toEqual([])
  for (const file of checks.flatMap(({ evidence }) => evidence ?? []))
    expect(existsSync(join(workspace.reports, id ?? '', file))).toBe(true)
  for (const part of ['preview', 'live'])
    expect(existsSync(join(workspace.reports, id ?? '', part, 'junit.xml'))).toBe(true)
})

alone('S6: a release whose login button is broken never meets users', async () => {
  const workspace = await guarded()
  await stage().images.push('2.0.0-broken-login', { FAULT_BROKEN_LOGIN: '1' })
  const traffic = await workspace.traffic(40, 4)
  const { stderr } = exits(
    await workspace.deploy(
      '2.0.0-broken-login',
      '--skip',
      'performance,page-quality',
      '--reason',
      'not what this is about',
    ),
    1,
  )
  const samples = await traffic.stop()
  unharmed(samples)
  expect(versions(samples)).toEqual(['1.0.0'])
  expect(stderr).toContain('✗ ui: ')
  expect(stderr).toContain('– performance: 0 passed, 1 left out or not applicable')
  expect(stderr).toContain('Traffic did not move: users are on 1.0.0 (blue)')
  const [record] = await workspace.history()
  const screenshots = (record?.checks ?? [])
    .flatMap(({ evidence }) => evidence ?? [])
    .filter((file) => file.endsWith('.png'))
  expect(screenshots.length).toBeGreaterThan(0)
  for (const file of screenshots)
    expect(existsSync(join(workspace.reports, record?.id ?? '', file))).toBe(true)
})

alone('S6: a check that cannot be made never lets traffic move', async () => {
  const workspace = await guarded()
  const env = { CHROMIUM_PATH: '/nowhere/chromium', VERIFIER_PASSWORD: '' }
  const flags = ['--yes', '--version', '2.0.0', '--skip', 'performance', '--reason', 'not what this is about']
  const { stderr } = exits(await workspace.run('deploy', flags, { env }), 1)
  expect(stderr).toContain('VERIFIER_PASSWORD')
  expect(stderr).toContain('CHROMIUM_PATH names no program')
  expect((await workspace.selector()).color).toBe('blue')
})
