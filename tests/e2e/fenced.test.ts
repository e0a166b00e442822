/**
 * S3, S9: each write of a deployment that can reach a color is held back, as on a slow machine or a slow network, until a
 * rollback has ended; then it goes to the server. It never changes the color that users are on by then.
 */
import { describe, expect } from 'bun:test'
import { kubectlShim, type Shim } from '../../examples/rehearsal/kubectl-shim.ts'
import { APP, type Settings, type Workspace } from '../../examples/rehearsal/workspace.ts'
import { exits, rehearsal, safely } from './suite.ts'
import { namesNoOtherColor, nothingLeft, outside, verdict } from './way-back.ts'

/** What writes to a color, or moves users. Records and leases are none of it. */
const WRITES = ' (apply|scale|rollout restart|patch (service|deployment|hpa|horizontalpodautoscaler)) '

/** What happens to the color that was left. */
const RETIRING = ' (scale|rollout restart|patch deployment) '

/** One write of a deployment: the so manieth (from 1) of its kind. How many there are of others differs from run to run. */
interface Write {
  at: number
  on: string
}

interface Lane {
  workspace: Workspace
  shim: Shim
  /** What a deployment writes, in this order: how that of 2.0.0 went. */
  writes: Write[]
  /** The version of each color that users have been on. */
  holds: { blue: string; green: string }
}

describe('S3', () => {
  const stage = rehearsal()

  /** 1.0.0 in blue, 2.0.0 live in green. */
  async function twoReleases(settings: Settings, on: string): Promise<Lane> {
    const workspace = await stage().open({ autoscaler: { min: 1, max: 4 }, settings }, '1.0.0', '2.0.0')
    await workspace.bring('1.0.0')
    const shim = kubectlShim(workspace)
    exits(await shim.start('deploy', [...DEPLOY, '2.0.0'], { at: 0, on }).ended, 0)
    return { workspace, shim, writes: shim.matched().map(asWrite), holds: { blue: '1.0.0', green: '2.0.0' } }
  }

  /** One deployment, of which a write goes to the server when a rollback has ended. @returns whether it made it */
  async function holdBack({ workspace, shim, holds }: Lane, write: Write, step: number): Promise<boolean> {
    const version = await stage().images.push(`3.${step}.0`)
    const before = await live(workspace)
    const held = shim.hold('deploy', [...DEPLOY, version], write)
    const made = (await held.call) !== undefined
    const now = await live(workspace)
    if (!made) {
      exits(await held.run.ended, 0)
      holds[now] = version
      return false
    }
    // Before its switch users go where the deployment was about to write; after it, to where they came from.
    const to = now === before ? (now === 'blue' ? 'green' : 'blue') : before
    exits(await workspace.rollback('--to-version', holds[to], '--reason', 'it is too slow'), 0)
    const untouched = await everything(workspace, to)
    await held.go()
    const stopped = await held.run.ended

    expect(await everything(workspace, to)).toEqual(untouched)
    expect(await live(workspace)).toBe(to)
    expect(await outside(workspace)).toBe(holds[to])
    exits(stopped, 5)
    namesNoOtherColor(verdict(stopped), to)
    await nothingLeft(workspace)
    if (now !== before) holds[now] = version
    return true
  }

  /** Holds back every `step`-th write, from the `first` (0), in a deployment of its own each. @returns how many */
  async function walk(settings: Settings, on: string, first: number, step: number): Promise<number> {
    const wrong: string[] = []
    let lane: Lane | undefined
    let held = 0
    for (let index = first; ; index += step) {
      lane ??= await twoReleases(settings, on)
      const write = lane.writes[index]
      if (!write) break
      try {
        if (await holdBack(lane, write, index)) held++
      } catch (error) {
        wrong.push(`${write.at} ×${write.on}\n${String(error)}`)
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

/** As another deployment will make it, to whichever color. */
function asWrite(call: string, index: number, all: readonly string[]): Write {
  const on = kindOf(call)
  return { on, at: all.slice(0, index + 1).filter((other) => kindOf(other) === on).length }
}

/** A call's verb and object, as a regular expression. */
const kindOf = (call: string): string =>
  call
    .replace(/^.*--request-timeout=\S+/, '')
    .replace(/ --.*$/, ' ')
    .replace(/-(blue|green) /, '-(blue|green) ')

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
