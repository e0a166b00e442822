/** One writer, and what becomes of one that was away. */
import { expect } from 'bun:test'
import { z } from 'zod'
import { until, type Started } from '../../examples/rehearsal/program.ts'
import { APP, type Workspace } from '../../examples/rehearsal/workspace.ts'
import { exits, rehearsal, safely, since, unharmed, versions } from './suite.ts'

const stage = rehearsal()

/** Waits until a run that was started holds the lock and has applied its release. */
async function untilDeploying(workspace: Workspace, color: string, version: string): Promise<void> {
  const path = `/apis/apps/v1/namespaces/${workspace.namespace}/deployments`
  await until(`${version} in ${color}`, async () => {
    const { items } = deployments.parse(await workspace.cluster.read(path))
    const found = items.find(({ metadata }) => metadata.name === `${APP}-${color}`)
    return found?.metadata.annotations['deploy-scripts/version'] === version ? true : undefined
  })
}

const metadata = z.object({ name: z.string(), annotations: z.record(z.string(), z.string()) })
const deployments = z.object({ items: z.array(z.object({ metadata })) })

safely('S3: of ten deployments at once never more than one writes', async () => {
  const versions = Array.from({ length: 10 }, (_, i) => `2.0.${i}`)
  const workspace = await stage().open({ replicas: 1 }, '1.0.0', ...versions)
  await workspace.bring('1.0.0')
  const traffic = await workspace.traffic(40, 4)
  const runs = await Promise.all(versions.map((version) => workspace.deploy(version)))

  const won = runs.filter(({ code }) => code === 0)
  expect(runs.map(({ code }) => code).toSorted((a, b) => a - b)).toEqual([
    0,
    ...Array.from({ length: 9 }, () => 5),
  ])
  for (const lost of runs.filter(({ code }) => code === 5)) {
    expect(exits(lost, 5).stderr).toMatch(
      /is locked by \S+@\S+ since \d{4}-\d\d-\d\dT.*Wait for it, or roll back/,
    )
  }
  unharmed(await traffic.stop())
  const records = await workspace.history()
  expect(records.map(({ outcome }) => outcome)).toEqual(['succeeded', 'succeeded'])
  expect(won[0]?.stderr).toContain(`${records[0]?.to.version} is live in production (green)`)
  expect((await workspace.status()).lock).toBeUndefined()
})

interface Paused {
  workspace: Workspace
  held: Started
}

/** A deployment of 2.0.0 that is stopped with SIGSTOP while it waits for its pods. */
async function pausedDeployment(): Promise<Paused> {
  const workspace = await stage().open({}, '1.0.0', '2.0.0', '3.0.0')
  await workspace.bring('1.0.0')
  const held = workspace.start('deploy', ['--env', 'production', '--yes', '--version', '2.0.0'])
  await untilDeploying(workspace, 'green', '2.0.0')
  held.signal('SIGSTOP')
  return { workspace, held }
}

safely('S3: a holder that was stopped past its expiry never switches over its successor', async () => {
  const { workspace, held } = await pausedDeployment()
  const traffic = await workspace.traffic(40, 4)
  const next = exits(await workspace.deploy('3.0.0'), 0)
  expect(next.stderr).toContain('was not renewed: it is taken over')
  expect(await workspace.selector()).toEqual({ app: APP, color: 'green' })
  const moment = Date.now()
  held.signal('SIGCONT')
  const woken = exits(await held.ended, 5)
  expect(woken.stderr).toMatch(/The lock was (taken over|not renewed)/)
  const samples = await traffic.stop(moment)
  unharmed(samples)
  expect(versions(since(samples, moment))).toEqual(['3.0.0'])
  expect(await workspace.selector()).toEqual({ app: APP, color: 'green' })
  const { unfinished, lock } = await workspace.status()
  expect({ unfinished, lock }).toEqual({ unfinished: [], lock: undefined })
})

safely('S3: a deployment that was overtaken by a rollback stops and never switches', async () => {
  const workspace = await stage().open({}, '1.0.0', '2.0.0')
  await stage().images.push('3.0.0-slow', { FAULT_NEVER_READY: '1' })
  await workspace.bring('1.0.0', '2.0.0')
  workspace.configure({ timeouts: { rollout: '2m', ready: '60s' } })
  const running = workspace.start('deploy', ['--env', 'production', '--yes', '--version', '3.0.0-slow'])
  await untilDeploying(workspace, 'blue', '3.0.0-slow')
  const traffic = await workspace.traffic(40, 4)

  // 1.0.0 was in blue, where 3.0.0 is being started: it comes from its record.
  const back = exits(await workspace.rollback('--reason', 'users complain'), 0)
  expect(back.stderr).toContain('1.0.0 is live in production (blue)')
  const stopped = exits(await running.ended, 5)
  expect(stopped.stderr).toContain('The lock was taken over')
  const samples = await traffic.stop()
  unharmed(samples)
  expect(samples.some(({ version }) => version === '3.0.0-slow')).toBe(false)
  const [newest] = await workspace.history()
  expect(newest).toMatchObject({ kind: 'rollback', outcome: 'succeeded', reason: 'users complain' })
  expect((await workspace.status()).unfinished).toEqual([])
})

safely(
  'a hold stands in the status and for whoever asks, and does not keep users on a bad release',
  async () => {
    const workspace = await stage().open({ replicas: 1 }, '1.0.0', '2.0.0')
    await workspace.bring('1.0.0', '2.0.0')
    exits(await workspace.run('lock', ['--hold', 'first', '--yes']), 0)
    const held = exits(await workspace.run('lock', ['--hold', 'the fair is on', '--until', '2h', '--yes']), 0)
    expect(held.stderr).toMatch(/is on hold by \S+@\S+ since \S+Z: the fair is on, until \S+Z\n$/)
    expect((await workspace.status()).hold).toContain('the fair is on, until ')
    exits(await workspace.rollback(), 0)
    exits(await workspace.run('lock', ['--release', '--yes']), 0)
    expect((await workspace.status()).hold).toBeUndefined()
    expect(exits(await workspace.run('lock', ['--json']), 0).stdout).toBe('null\n')
  },
)
