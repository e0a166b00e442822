/** A switch never costs capacity, and what was raised for it never stays raised. */
import { expect } from 'bun:test'
import { until } from '../../examples/rehearsal/program.ts'
import { APP, type Workspace } from '../../examples/rehearsal/workspace.ts'
import { exits, rehearsal, safely, unharmed } from './suite.ts'

const stage = rehearsal()

const bounds = async (workspace: Workspace, color: string): Promise<string> =>
  await workspace.kubectl(
    'get',
    'hpa',
    `${APP}-${color}`,
    '-o',
    'jsonpath={.spec.minReplicas} {.spec.maxReplicas}',
  )

/** As an autoscaler would have left it under load. */
async function liveAtFour(): Promise<Workspace> {
  const workspace = await stage().open({ replicas: 1, autoscaler: { min: 1, max: 3 } }, '1.0.0', '2.0.0')
  await workspace.bring('1.0.0')
  await workspace.kubectl('patch', 'hpa', `${APP}-blue`, '-p', '{"spec":{"minReplicas":4,"maxReplicas":6}}')
  await workspace.kubectl('scale', 'deployment', `${APP}-blue`, '--replicas=4')
  await workspace.kubectl('rollout', 'status', `deployment/${APP}-blue`, '--timeout=120s')
  return workspace
}

safely('S1: traffic never goes to a color with fewer pods than the live one has', async () => {
  const workspace = await liveAtFour()
  const traffic = await workspace.traffic(40, 4)
  const run = workspace.start('deploy', ['--env', 'production', '--yes', '--version', '2.0.0'])
  const raised = await until('the bounds of green to be raised', async () => {
    const found = await workspace.kubectl(
      'get',
      'hpa',
      `${APP}-green`,
      '--ignore-not-found',
      '-o',
      'jsonpath={.spec.minReplicas} {.spec.maxReplicas}',
    )
    return found === '' ? undefined : found
  })
  expect(raised).toBe('4 4')
  const readyAtSwitch = await until('the switch', async () => {
    const { color } = await workspace.selector()
    if (color !== 'green') return undefined
    return await workspace.kubectl(
      'get',
      'deployment',
      `${APP}-green`,
      '-o',
      'jsonpath={.status.readyReplicas}',
    )
  })
  expect(Number(readyAtSwitch)).toBeGreaterThanOrEqual(4)
  expect(exits(await run.ended, 0).stderr).toContain('pods     4, as many as blue has')
  expect(await bounds(workspace, 'green')).toBe('1 3')
  unharmed(await traffic.stop())
})

safely('S4: bounds that were raised never stay raised when the release fails', async () => {
  const workspace = await liveAtFour()
  await stage().images.push('2.0.0-crash', { FAULT_CRASH_AT_START: '1' })
  exits(await workspace.deploy('2.0.0-crash'), 1)
  expect(await bounds(workspace, 'green')).toBe('1 3')
  expect(await bounds(workspace, 'blue')).toBe('4 6')
})
