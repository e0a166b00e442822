/**
 * kill -9 after every call that changes something, and so after every step of the journal: users are served
 * throughout, and the next command, whichever it is, leaves nothing for a person to clean up.
 */
import { expect } from 'bun:test'
import { kubectlShim, type Kill, type Shim } from '../../examples/rehearsal/kubectl-shim.ts'
import { until, type Finished } from '../../examples/rehearsal/program.ts'
import { APP, type Workspace } from '../../examples/rehearsal/workspace.ts'
import { exits, FEW, rehearsal, safely, unharmed } from './suite.ts'

const stage = rehearsal()

const KILLED = 137

/** Far more calls than a deployment makes: one that never ends would be a test that never ends. */
const MOST = 60

/** What a rollback of an earlier round took back is deployed again. */
const AGAIN = ['--allow-failed-digest', 'a rehearsal']

/** The commands that a person might type next. A rollback follows a deployment, which gives it somewhere to go. */
const next: readonly ((workspace: Workspace, version: string) => Promise<Finished>)[] = [
  (workspace, version) => workspace.deploy(version, ...AGAIN),
  (workspace) => workspace.rollback(),
  (workspace) => workspace.run('deployment-status', ['--repair']),
]

const BOUNDS = { min: 1, max: 3 }

async function killable(
  settings: Record<string, unknown> = {},
): Promise<{ workspace: Workspace; shim: Shim }> {
  const workspace = await stage().open(
    {
      replicas: 1,
      autoscaler: BOUNDS,
      settings,
    },
    '1.0.0',
    '2.0.0',
  )
  await workspace.bring('1.0.0', '2.0.0')
  return { workspace, shim: kubectlShim(workspace) }
}

async function nothingLeft(workspace: Workspace): Promise<void> {
  const { unfinished, lock, problem } = await workspace.status()
  expect({ unfinished, lock, problem }).toEqual({ unfinished: [], lock: undefined, problem: undefined })
  const { color, ...rest } = await workspace.selector()
  expect(['blue', 'green']).toContain(color ?? '')
  expect(rest).toEqual({ app: APP })
  const bounds = 'jsonpath={range .items[*]}{.spec.minReplicas}-{.spec.maxReplicas} {end}'
  const found = (await workspace.kubectl('get', 'hpa', '-o', bounds)).trim().split(' ')
  expect([...new Set(found)]).toEqual([`${BOUNDS.min}-${BOUNDS.max}`])
}

/** @returns whether the deployment lived long enough to be killed */
async function killAndGoOn(
  { workspace, shim }: { workspace: Workspace; shim: Shim },
  kill: Kill,
): Promise<boolean> {
  const version = kill.at % 2 === 0 ? '1.0.0' : '2.0.0'
  const flags = ['--env', 'production', '--yes', '--version', version, ...AGAIN]
  const run = await shim.start('deploy', flags, kill).ended
  if (run.code !== KILLED) {
    exits(run, 0)
    return false
  }
  const where = `killed after call ${kill.at}: ${shim.calls().at(-1)?.slice(0, 300)}`
  try {
    const command = next[(kill.at - 1) % next.length]
    if (command) exits(await command(workspace, version), 0)
    await nothingLeft(workspace)
  } catch (error) {
    throw new Error(`${where}\n${run.stderr}`, { cause: error })
  }
  return true
}

// What takes longest begins first: at the end nothing is waited for alone.
safely('S4: kill -9 of a rollback never harms users or leaves work', async () => {
  const lane = await killable({ afterSwitch: 'keep' })
  const { workspace, shim } = lane
  const traffic = await workspace.traffic(20, 4)
  const versions = ['1.0.0', '2.0.0']
  let at = 1
  for (; at < MOST; at += FEW ? 3 : 1) {
    // Pods that are on their way are not what this is about; a color without any is started by the rollback.
    const live = await until('all pods to be ready', async () => {
      const status = await workspace.status()
      return status.workloads.every(({ ready, wanted }) => ready >= wanted) ? status : undefined
    })
    const running = live.workloads.find(({ color }) => color === live.live)?.release?.version
    const to = versions.find((version) => version !== running) ?? ''
    const flags = ['--env', 'production', '--yes', '--to-version', to]
    const run = await shim.start('rollback-deployment', flags, { at }).ended
    if (run.code === 0) break
    exits(run, KILLED)
    exits(await workspace.run('deployment-status', ['--repair']), 0)
    await nothingLeft(workspace)
  }
  expect(at).toBeGreaterThan(2)
  unharmed(await traffic.stop())
})

/**
 * Two lanes, so that the waiting of one is the other's time; together they kill after every call. Of few, after two of
 * eight, since what each leaves is the same on any cluster: still odd and even, and followed by each of the commands.
 */
const STEP = FEW ? 8 : 2
const LANES = FEW ? [1, 6] : [1, 2]

for (const first of LANES) {
  safely(
    `S4: kill -9 after call ${first}, ${first + STEP}, … of a deployment never harms users or leaves work`,
    async () => {
      const lane = await killable()
      const traffic = await lane.workspace.traffic(20, 4)
      let at = first
      while (at < MOST && (await killAndGoOn(lane, { at }))) at += STEP
      expect(at).toBeGreaterThan(10)
      expect(at).toBeLessThan(MOST)
      await nothingLeft(lane.workspace)
      unharmed(await traffic.stop())
    },
  )
}

safely('S4: kill -9 in the middle of an overlap switch never leaves both colors selected', async () => {
  const lane = await killable({ switch: 'overlap', overlap: '300ms' })
  const traffic = await lane.workspace.traffic(20, 4)
  const on = ` patch service ${APP} `
  let at = 1
  while (at < 10 && (await killAndGoOn(lane, { at, on }))) at++
  // The lock's mark, both colors, the new color alone.
  expect(at).toBe(4)
  unharmed(await traffic.stop())
})
