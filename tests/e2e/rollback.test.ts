/** The way back: warm, cold, gone, by name, and refused. */
import { expect } from 'bun:test'
import { kubectlShim } from '../../examples/rehearsal/kubectl-shim.ts'
import { APP, type Workspace } from '../../examples/rehearsal/workspace.ts'
import { exits, rehearsal, safely, since, unharmed, versions } from './suite.ts'

const stage = rehearsal()

/** 1.0.0 in blue, 2.0.0 live in green. */
async function twoReleases(): Promise<Workspace> {
  const workspace = await stage().open({}, '1.0.0', '2.0.0', '3.0.0')
  await workspace.bring('1.0.0', '2.0.0')
  return workspace
}

const GREEN = { app: APP, color: 'green' }

safely(
  'S5: a warm rollback is never more than one read and one patch away, and never recorded without its reason',
  async () => {
    const workspace = await twoReleases()
    expect((await workspace.status()).rollback).toBe('is one patch, to 1.0.0 in blue: 2 pods are ready')
    const traffic = await workspace.traffic(40, 4)
    const shim = kubectlShim(workspace)
    const flags = ['--env', 'production', '--yes', '--reason', 'login is broken']
    const run = exits(await shim.start('rollback-deployment', flags).ended, 0)
    expect(run.stderr).toMatch(
      /1\.0\.0 is live in production \(blue\), \S+ m?s after the patch; nobody is on green since \S+ m?s after it/,
    )
    const samples = await traffic.stop()
    unharmed(samples)
    expect(versions(samples)).toEqual(['2.0.0', '1.0.0'])

    const calls = shim
      .calls()
      .filter(
        (call) =>
          !/^config |^--context=\S+ --namespace=\S+ --request-timeout=\S+ get endpointslices/.test(call),
      )
    const patch = calls.findIndex((call) => call.includes(` patch service ${APP} `))
    expect(calls.slice(0, patch).filter((call) => call.includes(' get '))).toHaveLength(1)
    // What is written after it concerns the color that was left, and the history.
    expect(calls.slice(0, patch).filter((call) => / patch | apply | create | annotate /.test(call))).toEqual(
      [],
    )
    const [record] = await workspace.history()
    expect(record).toMatchObject({ kind: 'rollback', outcome: 'succeeded', reason: 'login is broken' })
    expect(record?.from).toMatchObject({ version: '2.0.0', color: 'green' })
    expect(record?.to).toMatchObject({ version: '1.0.0', color: 'blue' })

    // Again, without a target: what users were just brought away from.
    const again = exits(await workspace.rollback(), 6)
    expect(again.stderr).toMatch(/2\.0\.0 in green is what was rolled back from .* --to-version 2\.0\.0/s)
    expect((await workspace.selector()).color).toBe('blue')
    exits(await workspace.rollback('--to-version', '2.0.0'), 0)
    expect(await workspace.selector()).toEqual(GREEN)
  },
)

safely('S1: a rollback to a release that is gone never moves traffic', async () => {
  const workspace = await twoReleases()
  const traffic = await workspace.traffic(40, 4)
  await workspace.kubectl('delete', 'deployment', `${APP}-blue`, '--wait=true')
  const oldest = (await workspace.history()).at(-1)
  await workspace.kubectl('delete', 'configmap', `${APP}-deploy-${oldest?.id}`)
  const gone = exits(await workspace.rollback(), 1)
  expect(gone.stderr).toMatch(
    /No record with manifests is kept of release \w+, so it cannot be started again/,
  )
  const unknown = exits(await workspace.rollback('--to-version', '0.9.0'), 1)
  expect(unknown.stderr).toContain('No record with manifests is kept of version 0.9.0')
  const same = exits(await workspace.rollback('--to-version', '2.0.0'), 1)
  expect(same.stderr).toContain('2.0.0 is live already, in green')
  expect(await workspace.selector()).toEqual(GREEN)
  const samples = await traffic.stop()
  unharmed(samples)
  expect(versions(samples)).toEqual(['2.0.0'])
})

safely('S1: a rollback to a release that crashes never moves traffic', async () => {
  const workspace = await twoReleases()
  const crash = [{ name: 'app', env: [{ name: 'FAULT_CRASH_AT_START', value: '1' }] }]
  const spec = {
    strategy: { rollingUpdate: { maxUnavailable: '100%' } },
    template: { spec: { containers: crash } },
  }
  await workspace.kubectl('patch', 'deployment', `${APP}-blue`, '-p', JSON.stringify({ spec }))
  const traffic = await workspace.traffic(40, 4)
  const refused = exits(await workspace.rollback(), 1)
  expect(refused.stderr).toMatch(
    /blue is broken: pod\/chatbot-platform-blue-\S+: (exited \d+ times|CrashLoopBackOff)/,
  )
  expect(refused.stderr).toContain('FAULT_CRASH_AT_START asks this process to end')
  expect(await workspace.selector()).toEqual(GREEN)
  const samples = await traffic.stop()
  unharmed(samples)
  expect(versions(samples)).toEqual(['2.0.0'])
  expect((await workspace.status()).lock).toBeUndefined()
})

safely('S1: a rollback to a color without pods never moves traffic before they are ready', async () => {
  const workspace = await twoReleases()
  await workspace.kubectl('scale', 'deployment', `${APP}-blue`, '--replicas=0')
  await workspace.kubectl('wait', '--for=delete', 'pods', '-l', 'color=blue', '--timeout=300s')
  expect((await workspace.status()).rollback).toMatch(
    /to 1\.0\.0 in blue must start pods first: no pod of blue is ready; 0 of 2 pods ready/,
  )
  const traffic = await workspace.traffic(40, 4)
  const back = exits(await workspace.rollback(), 0)
  expect(back.stderr).toMatch(/pods are started in blue: no pod of blue is ready; 0 of 2 pods ready/)
  unharmed(await traffic.stop())
  expect((await workspace.selector()).color).toBe('blue')
  const { workloads } = await workspace.status()
  expect(workloads.find(({ color }) => color === 'blue')).toMatchObject({ ready: 2, wanted: 2 })
})

safely('an older release that is kept is never out of reach: it is painted from its record', async () => {
  const workspace = await twoReleases()
  workspace.overlay({
    patches: {
      painted: [
        { target: { kind: 'ConfigMap' }, patch: [{ op: 'add', path: '/data/REPLY_WORD_MS', value: '7' }] },
      ],
    },
  })
  exits(await workspace.deploy('3.0.0'), 0)
  const traffic = await workspace.traffic(40, 4)
  const moment = Date.now()
  const back = exits(await workspace.rollback('--to-version', '1.0.0'), 0)
  expect(back.stderr).toContain('1.0.0 must be started again from its record')
  const samples = await traffic.stop(moment)
  unharmed(samples)
  expect(versions(since(samples, moment))).toEqual(['3.0.0', '1.0.0'])
  const { color } = await workspace.selector()
  const { data } = JSON.parse(
    await workspace.kubectl('get', 'configmap', `${APP}-config-${color}`, '-o', 'json'),
  )
  expect(data.REPLY_WORD_MS).toBeUndefined()
  expect((await workspace.history())[0]).toMatchObject({ kind: 'rollback', outcome: 'succeeded' })
})
