/**
 * S9: nobody stays behind. A Service never takes an open connection elsewhere, so whoever goes back from a release brings
 * over those who keep one to it, too: no request and no message of theirs is lost, and it is said when the last one came.
 */
import { describe, expect } from 'bun:test'
import { kubectlShim, SWITCH } from '../../examples/rehearsal/kubectl-shim.ts'
import { until, type Finished } from '../../examples/rehearsal/program.ts'
import type { Sample, Traffic } from '../../examples/rehearsal/traffic.ts'
import { APP, WITNESS, type Settings, type Workspace } from '../../examples/rehearsal/workspace.ts'
import { exits, rehearsal, safely, versions } from './suite.ts'
import { BAD, fallsIll, TOLERANT } from './way-back.ts'

/** From the patch until nobody is served by the color that was left, in ms. */
const LATEST = 15_000

/** How far the record's time may lie before the clients' last answer, in ms: two processes look at two clocks. */
const EARLIER = 500

const KINDS: readonly Sample['kind'][] = ['new', 'kept', 'websocket']

const GOOD = '1.0.0'

/** A drain that outlasts the pauses of a busy machine: a client that is not heard in that time is cut off. */
const UNHURRIED = {
  target: { kind: 'ConfigMap' },
  patch: [{ op: 'replace', path: '/data/DRAIN_SECONDS', value: '3' }],
}

describe('S9', () => {
  const stage = rehearsal()

  /** 1.0.0 is live in blue. */
  async function oneRelease(settings: Settings = {}): Promise<Workspace> {
    const patches = { painted: [UNHURRIED] }
    const workspace = await stage().open({ settings, patches }, GOOD, '2.0.0')
    await stage().images.push('2.0.0-bad', BAD)
    await workspace.bring(GOOD)
    return workspace
  }

  safely('a rollback by hand leaves nobody behind, and the color that was left is warm again', async () => {
    const workspace = await oneRelease()
    exits(await workspace.deploy('2.0.0'), 0)
    const traffic = await usersOfGreen(workspace)
    await allComeOver(workspace, traffic, workspace.rollback(), 0)
    // Nobody waits for it.
    await until('green to be warm again', async () =>
      (await pods(workspace, 'green')) === '2 2' ? true : undefined,
    )
  })

  safely(
    'a rollback leaves nobody behind where colors are scaled down after a switch: none is kept warm',
    async () => {
      const workspace = await oneRelease({ afterSwitch: 'scale-down' })
      exits(await workspace.deploy('2.0.0'), 0)
      const traffic = await usersOfGreen(workspace)
      await allComeOver(workspace, traffic, workspace.rollback(), 0)
      expect((await pods(workspace, 'green')).trim()).toBe('0')
    },
  )

  safely('an automatic rollback leaves nobody behind', async () => {
    // Long enough that users come, and stay, before the release is judged.
    const workspace = await oneRelease({ witness: { ...WITNESS, after: '8s' } })
    const run = workspace.start('deploy', ['--env', 'production', '--yes', '--version', '2.0.0-bad'])
    await until('users to be on green', async () =>
      (await workspace.selector()).color === 'green' ? true : undefined,
    )
    const traffic = await usersOfGreen(workspace)
    await allComeOver(workspace, traffic, run.ended, 3)
  })

  safely('a repair that goes back leaves nobody behind', async () => {
    const workspace = await oneRelease()
    const flags = ['--env', 'production', '--yes', '--version', '2.0.0']
    const run = kubectlShim(workspace).start('deploy', flags, { at: 1, on: SWITCH })
    expect((await run.ended).code).toBe(137)
    await fallsIll(workspace, 'green')
    const traffic = await usersOfGreen(workspace)
    await allComeOver(workspace, traffic, workspace.run('deployment-status', ['--repair']), 0)
  })

  safely(
    'a switch away from a sick color leaves nobody behind, and is not held against the other',
    async () => {
      const workspace = await oneRelease()
      workspace.configure(TOLERANT)
      exits(await workspace.deploy('2.0.0-bad'), 0)
      workspace.configure()
      await fallsIll(workspace, 'green')
      const traffic = await usersOfGreen(workspace)
      await allComeOver(workspace, traffic, workspace.run('switch-traffic', ['--to', 'blue', '--yes']), 0)
    },
  )
})

/** Users of every kind who came while green was live. */
async function usersOfGreen(workspace: Workspace): Promise<Traffic> {
  const traffic = await workspace.traffic(60, 6, 4)
  for (const kind of KINDS) {
    const of = traffic.samples().filter((sample) => sample.kind === kind)
    expect(versions(of)[0]).toStartWith('2.0.0')
  }
  return traffic
}

/** Ends with everybody on 1.0.0 in blue, who were on green when it began. */
async function allComeOver(
  workspace: Workspace,
  traffic: Traffic,
  run: Promise<Finished>,
  code: number,
): Promise<void> {
  let over = false
  void run.then(() => (over = true))
  const patched = until('users to be on blue', async () => {
    const { color } = await workspace.selector()
    return color === 'blue' || over ? Date.now() : undefined
  })
  const ended = exits(await run, code)
  const end = Date.now()
  const patchedAt = await patched
  // A while longer: who is still there would be met.
  await Bun.sleep(2000)
  const samples = await traffic.stop()

  const after = samples.filter(({ at }) => at > end)
  for (const kind of KINDS) {
    const of = after.filter((sample) => sample.kind === kind)
    expect([kind, ...versions(of)]).toEqual([kind, GOOD])
  }
  // A status 500 is the bad release's own answer; without any, somebody was cut off.
  const lost = samples.filter(({ error }) => error).map(({ kind, error }) => `${kind}: ${error}`)
  expect(lost).toEqual([])

  const last = Math.max(
    ...samples.filter(({ version }) => version !== GOOD && version).map(({ done }) => done),
  )
  expect(last - patchedAt).toBeLessThan(LATEST)
  const [record] = await workspace.history()
  const { lastOld = 0, lastOldOnKept = 0, emptied = 0 } = record?.switches.at(-1) ?? {}
  const told = Math.max(lastOld, lastOldOnKept, emptied)
  // Not before the clients' own last answer, and not after the run had ended.
  expect(told).toBeWithin(Math.max(1, last - patchedAt - EARLIER), end - patchedAt + EARLIER)
  expect(ended.stderr).toMatch(/nobody is on green any more, .* after the patch/)
}

const pods = async (workspace: Workspace, color: string): Promise<string> =>
  await workspace.kubectl(
    'get',
    'deployment',
    `${APP}-${color}`,
    '-o',
    'jsonpath={.spec.replicas} {.status.readyReplicas}',
  )
