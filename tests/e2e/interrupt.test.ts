/** Ctrl-C and a cancelled CI job, before and after traffic has moved. */
import { expect } from 'bun:test'
import { until } from '../../examples/rehearsal/program.ts'
import { APP, WITNESS } from '../../examples/rehearsal/workspace.ts'
import { exits, rehearsal, safely, unharmed, versions } from './suite.ts'

const stage = rehearsal()

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  safely(`S4: ${signal} before the switch never leaves a lock or moves traffic`, async () => {
    const workspace = await stage().open({ autoscaler: { min: 1, max: 4 } }, '1.0.0')
    await stage().images.push('2.0.0-slow', { FAULT_NEVER_READY: '1' })
    await workspace.bring('1.0.0')
    workspace.configure({ timeouts: { rollout: '2m', ready: '60s' } })
    const traffic = await workspace.traffic(40, 4)
    const run = workspace.start('deploy', ['--env', 'production', '--yes', '--version', '2.0.0-slow'])
    await until('2.0.0 in green', async () =>
      (await workspace.kubectl('get', 'pods', '-l', 'color=green', '-o', 'name')) ? true : undefined,
    )
    const began = performance.now()
    run.signal(signal)
    const stopped = exits(await run.ended, 130)
    expect(stopped.stderr).toContain(`Interrupted (${signal})`)
    expect(stopped.stderr).toContain('Traffic did not move: users are on 1.0.0 (blue)')
    // A cancelled CI job has 7 s from SIGINT to SIGTERM; a busy machine takes longer, but never waits for the pod (60 s).
    expect(performance.now() - began).toBeLessThan(45_000)

    const samples = await traffic.stop()
    unharmed(samples)
    expect(versions(samples)).toEqual(['1.0.0'])
    const { lock, unfinished } = await workspace.status()
    expect({ lock, unfinished }).toEqual({ lock: undefined, unfinished: [] })
    const bounds = 'jsonpath={.spec.minReplicas} {.spec.maxReplicas}'
    expect(await workspace.kubectl('get', 'hpa', `${APP}-green`, '-o', bounds)).toBe('1 4')
    expect((await workspace.history())[0]).toMatchObject({ outcome: 'interrupted' })
  })

  safely(
    `S4: ${signal} after the switch never leaves users without a color or the state unsaid`,
    async () => {
      const workspace = await stage().open({}, '1.0.0', '2.0.0')
      await workspace.bring('1.0.0')
      workspace.configure({ witness: { ...WITNESS, after: '60s' } })
      const traffic = await workspace.traffic(40, 4)
      const run = workspace.start('deploy', ['--env', 'production', '--yes', '--version', '2.0.0'])
      await until('green to be live', async () =>
        (await workspace.selector()).color === 'green' ? true : undefined,
      )
      run.signal(signal)
      const stopped = exits(await run.ended, 4)
      expect(stopped.stderr).toContain('users are on 2.0.0 (green)')
      expect(stopped.stderr).toContain('deployment-status.ts --env production --repair')

      const left = await workspace.status()
      expect(left.lock).toBeUndefined()
      expect(left.unfinished).toHaveLength(1)
      expect(left.unfinished[0]).toContain('stopped after its switch')
      workspace.configure()
      exits(await workspace.run('deployment-status', ['--repair']), 0)
      const samples = await traffic.stop()
      unharmed(samples)
      expect(await workspace.selector()).toEqual({ app: APP, color: 'green' })
      expect((await workspace.status()).unfinished).toEqual([])
      expect((await workspace.history())[0]).toMatchObject({ outcome: 'succeeded' })
    },
  )
}
