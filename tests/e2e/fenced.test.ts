/**
 * S3, S9: each write of a deployment that can reach a color is held back, as on a slow machine or a slow network, until a
 * rollback has ended; then it goes to the server. It never changes the color that users are on by then.
 */
import { describe, expect } from 'bun:test'
import { kubectlShim, type Shim } from '../../examples/rehearsal/kubectl-shim.ts'
import { APP, type Settings, type Workspace } from '../../examples/rehearsal/workspace.ts'
import { exits, rehearsal, safely } from './suite.ts'
import { namesNoOtherColor, nothingLeft, outside, SHORT, verdict, WAITING } from './way-back.ts'

/** What writes to a color, or moves users. Records and leases are none of it. */
const WRITES = ' (apply|scale|rollout restart|patch (service|deployment|hpa|horizontalpodautoscaler)) '

/** What happens to the color that was left. */
const RETIRING = ' (scale|rollout restart|patch deployment) '

interface Lane {
  workspace: Workspace
  shim: Shim
  /** What a deployment writes, in this order: how that of 2.0.0 went. */
  writes: string[]
  /** The version of each color that users have been on. */
  holds: { blue: string; green: string }
}

describe.skipIf(WAITING)('S3', () => {
  const stage = rehearsal()

  /** 1.0.0 in blue, 2.0.0 live in green. */
  async function twoReleases(settings: Settings, on: string): Promise<Lane> {
    const workspace = await stage().open(
      { autoscaler: { min: 1, max: 4 }, settings: { ...SHORT, ...settings } },
      '1.0.0',
      '2.0.0',
    )
    exits(await workspace.deploy('1.0.0'), 0)
    const shim = kubectlShim(workspace)
    exits(await shim.start('deploy', [...DEPLOY, '2.0.0'], { at: 0, on }).ended, 0)
    return { workspace, shim, writes: shim.matched(), holds: { blue: '1.0.0', green: '2.0.0' } }
  }

  /** One deployment, whose so manieth write goes to the server when a rollback has ended. */
  async function holdBack({ workspace, shim, holds }: Lane, at: number, on: string): Promise<void> {
    const version = await stage().images.push(`3.${at}.0`)
    const before = await live(workspace)
    const held = shim.hold('deploy', [...DEPLOY, version], { at, on })
    if ((await held.call) === undefined) {
      // It had one write less to make, such as a preview that led there already.
      exits(await held.run.ended, 0)
      holds[await live(workspace)] = version
      return
    }
    const now = await live(workspace)
    // Before its switch users go where the deployment was about to write; after it, to where they came from.
    const to = now === before ? (now === 'blue' ? 'green' : 'blue') : before
    exits(await workspace.rollback('--to-version', holds[to], '--reason', 'it is too slow'), 0)
    const untouched = await everything(workspace, to)
    await held.go()
    const stopped = exits(await held.run.ended, 5)

    expect(await everything(workspace, to)).toEqual(untouched)
    expect(await live(workspace)).toBe(to)
    expect(await outside(workspace)).toBe(holds[to])
    namesNoOtherColor(verdict(stopped), to)
    await nothingLeft(workspace)
    if (now !== before) holds[now] = version
  }

  /** Holds back every `step`-th write, from the `first` (0), in a deployment of its own each. @returns how many */
  async function walk(settings: Settings, on: string, first: number, step: number): Promise<number> {
    const wrong: string[] = []
    let lane: Lane | undefined
    let held = 0
    for (let at = first; ; at += step, held++) {
      lane ??= await twoReleases(settings, on)
      const write = lane.writes[at]
      if (write === undefined) break
      try {
        await holdBack(lane, at + 1, on)
      } catch (error) {
        const call = write.replace(/^.*--request-timeout=\S+ /, '').slice(0, 200)
        wrong.push(`write ${at + 1}, ${call}\n${String(error)}`)
        // What was left of it proves nothing about the next.
        lane = undefined
      }
    }
    expect(wrong).toEqual([])
    return held
  }

  for (const first of [0, 1]) {
    safely(
      `${first === 0 ? 'odd' : 'even'} writes of a deployment that a rollback overtook never reach the live color`,
      async () => {
        expect(await walk({}, WRITES, first, 2)).toBeGreaterThan(1)
      },
    )
  }

  safely('nor do those that scale the color which was left down', async () => {
    expect(await walk({ afterSwitch: 'scale-down' }, RETIRING, 0, 1)).toBeGreaterThan(0)
  })
})

const DEPLOY = ['--env', 'production', '--yes', '--version']

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
