/**
 * S3, S9: each write of a deployment that can reach a color is held back, as on a slow machine or a slow network, until a
 * rollback has ended; then it goes to the server. It never changes the color that users are on by then.
 */
import { describe, expect } from 'bun:test'
import { kubectlShim, type Shim } from '../../examples/rehearsal/kubectl-shim.ts'
import { APP, type Settings, type Workspace } from '../../examples/rehearsal/workspace.ts'
import { exits, rehearsal, safely, since, unharmed, versions } from './suite.ts'
import { namesNoOtherColor, nothingLeft, outside, SHORT, verdict, WAITING } from './way-back.ts'

/** What writes to a color, or moves users; records and leases are written in between. */
const WRITES =
  ' (apply|replace|scale|rollout restart|patch (service|deployment|hpa|horizontalpodautoscaler)) '

/** What happens to the color that was left. */
const RETIRING = ' (scale|rollout restart|patch (deployment|hpa|horizontalpodautoscaler)) '

/** Far more writes than a deployment makes. */
const MOST = 30

interface Lane {
  workspace: Workspace
  shim: Shim
  /** The version of each color that users have been on. */
  holds: { blue: string; green: string }
}

describe.skipIf(WAITING)('S3', () => {
  const stage = rehearsal()

  /** 1.0.0 in blue, 2.0.0 live in green. */
  async function twoReleases(settings: Settings): Promise<Lane> {
    const workspace = await stage().open(
      { autoscaler: { min: 1, max: 4 }, settings: { ...SHORT, ...settings } },
      '1.0.0',
      '2.0.0',
    )
    exits(await workspace.deploy('1.0.0'), 0)
    exits(await workspace.deploy('2.0.0'), 0)
    return { workspace, shim: kubectlShim(workspace), holds: { blue: '1.0.0', green: '2.0.0' } }
  }

  /** @returns the call that was held back; undefined when the deployment made fewer */
  async function heldBack(lane: Lane, at: number, on: string): Promise<string | undefined> {
    const { workspace, shim, holds } = lane
    const version = await stage().images.push(`3.${at}.0`)
    const before = await live(workspace)
    const flags = ['--env', 'production', '--yes', '--version', version]
    const held = shim.hold('deploy', flags, { at, on })
    const call = await held.call
    if (call === undefined) {
      exits(await held.run.ended, 0)
      return undefined
    }
    const now = await live(workspace)
    // Before its switch users go where the deployment was about to write; after it, to where they came from.
    const to = now === before ? (now === 'blue' ? 'green' : 'blue') : before
    const back = await workspace.rollback('--to-version', holds[to], '--reason', 'it is too slow')
    const ended = Date.now()
    exits(back, 0)
    const untouched = await everything(workspace, to)
    const traffic = await workspace.traffic(20, 2)
    const landed = await held.go()
    const stopped = exits(await held.run.ended, 5)
    const samples = await traffic.stop()

    expect(await everything(workspace, to)).toEqual(untouched)
    expect(await live(workspace)).toBe(to)
    namesNoOtherColor(verdict(stopped), to)
    expect(await outside(workspace)).toBe(holds[to])
    unharmed(samples)
    expect(versions(since(samples, ended))).toEqual([holds[to]])
    await nothingLeft(workspace)
    if (now !== before) holds[now] = version
    return `${call} (exit ${landed.code})`
  }

  /** Holds back every `step`-th write, from the `first`, in a deployment of its own each. */
  async function walk(settings: Settings, on: string, first: number, step: number): Promise<string[]> {
    const wrong: string[] = []
    const held: string[] = []
    let lane: Lane | undefined
    for (let at = first; at < MOST; at += step) {
      lane ??= await twoReleases(settings)
      try {
        const call = await heldBack(lane, at, on)
        if (call === undefined) break
        held.push(call)
      } catch (error) {
        const call = lane.shim.matched().at(at - 1)
        wrong.push(
          `write ${at}: ${call?.replace(/^.*--request-timeout=\S+ /, '').slice(0, 200)}\n${String(error)}`,
        )
        held.push(call ?? '')
        // What was left of it proves nothing about the next.
        lane = undefined
      }
    }
    expect(wrong).toEqual([])
    return held
  }

  for (const first of [1, 2]) {
    safely(
      `write ${first}, ${first + 2}, … of a deployment that a rollback overtook never reaches the live color`,
      async () => {
        const held = await walk({}, WRITES, first, 2)
        expect(held.length).toBeGreaterThan(1)
      },
    )
  }

  safely('nor do those which scale the color that was left down', async () => {
    const held = await walk({ afterSwitch: 'scale-down' }, RETIRING, 1, 1)
    expect(held.length).toBeGreaterThan(0)
  })
})

const live = async (workspace: Workspace): Promise<'blue' | 'green'> =>
  (await workspace.selector()).color === 'blue' ? 'blue' : 'green'

/** What a color is, but for what a controller counts. */
async function everything(workspace: Workspace, color: string): Promise<object> {
  const read = async (...what: string[]): Promise<unknown> => await workspace.kubectl('get', ...what)
  const name = `${APP}-${color}`
  const [deployment, autoscaler, config] = await Promise.all([
    read('deployment', name, '-o', 'jsonpath={.metadata.generation} {.spec}'),
    read('hpa', name, '-o', 'jsonpath={.spec}'),
    read('configmap', `${APP}-config-${color}`, '-o', 'jsonpath={.metadata.resourceVersion} {.data}'),
  ])
  return { deployment, autoscaler, config }
}
