/** What was changed for a time is back before a record is closed, whatever became of the change (S4). */
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { openRecord } from '../../../lib/history/journal.ts'
import { newEntry } from '../../../lib/history/record.ts'
import { deploy } from '../../../lib/release/blue-green.ts'
import { rollBack } from '../../../lib/release/rollback.ts'
import { repairAlone } from '../../../lib/release/switch-alone.ts'
import { chooseTarget } from '../../../lib/release/target.ts'
import { refused } from '../cluster.ts'
import { APP, SITE, autoscaler, deployment, live, made, waiting } from '../objects.ts'
import { failure, gates, lastSwitch, rehearse, running, type Rehearsal, type Says } from '../world.ts'
import { planned, request, stored } from './setting.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

const boundsOf = ({ cluster }: Rehearsal, color: 'blue' | 'green'): unknown =>
  cluster.object('HorizontalPodAutoscaler', `${APP}-${color}`).spec

const NO = refused('Error from server (Forbidden): no')

/** Of 1.1.0 to green, with three pods. */
async function deployed(rehearsal: Rehearsal, says: Record<string, Says> = {}) {
  running(rehearsal.cluster, { blue: '1.0.0' }, 'blue')
  const plan = await planned(rehearsal, 'blue', { replicas: 3 })
  return await failure(deploy(rehearsal.world, request, plan, gates(says)))
}

describe('a deployment', () => {
  test.each<[string, (line: string) => boolean, Record<string, Says>, number]>([
    ['whose old color cannot be recycled', (line) => line.startsWith(`patch deployment ${APP}-blue`), {}, 0],
    ['whose new color fails', () => false, { preview: 'failed' }, 1],
    ['that goes back', () => false, { live: ({ color }) => (color === 'green' ? 'failed' : 'passed') }, 3],
  ])('%s', async (_, refuses, says, code) => {
    await using rehearsal = rehearse()
    const { cluster } = rehearsal
    let raised: unknown
    cluster.intercept = (line) => {
      if (line.startsWith('get endpointslices')) raised ??= structuredClone(boundsOf(rehearsal, 'green'))
      return refuses(line) ? NO : undefined
    }
    const failed = await deployed(rehearsal, says)
    expect(raised).toMatchObject({ minReplicas: 3, maxReplicas: 4 })
    expect(failed.code).toBe(code)
    expect(boundsOf(rehearsal, 'green')).toMatchObject({ minReplicas: 1, maxReplicas: 4 })
    expect(stored(rehearsal, request.id).outcome).not.toBe('open')
  })

  test('went well, but they cannot be put back: the record stays open, and a repair does it', async () => {
    await using rehearsal = rehearse()
    const { cluster, world } = rehearsal
    cluster.intercept = (line) =>
      line.startsWith(`patch horizontalpodautoscaler ${APP}-green`) ? NO : undefined
    const failed = await deployed(rehearsal)
    expect(failed.code).toBe(4)
    expect(failed.message).toMatch(
      /^Users are on 1\.1\.0 \(green\), but what was changed for a time could not be put back: .*Forbidden.* --repair, does it$/s,
    )
    expect(stored(rehearsal, request.id).outcome).toBe('open')
    expect(cluster.object('Lease', `${APP}-deploy`).spec?.holderIdentity).toBe('')

    cluster.intercept = () => undefined
    expect(await repairAlone(world, 'r-repair', gates())).toBe(true)
    expect(boundsOf(rehearsal, 'green')).toMatchObject({ minReplicas: 1, maxReplicas: 4 })
    expect(stored(rehearsal, request.id).outcome).toBe('succeeded')
    expect(cluster.selector()).toEqual(live('green'))
  })

  test('failed, and they cannot be put back: the first reason is told, and the record stays open', async () => {
    await using rehearsal = rehearse()
    const { cluster, log } = rehearsal
    cluster.intercept = (line) =>
      line.startsWith(`patch horizontalpodautoscaler ${APP}-green`) ? NO : undefined
    const failed = await deployed(rehearsal, { preview: 'failed' })
    expect(failed.code).toBe(1)
    expect(failed.message).toMatch(/^1 of 1 checks did not pass/)
    expect(log.warnings.join('\n')).toMatch(/^Not tidied up: .*Forbidden/m)
    expect(stored(rehearsal, request.id).outcome).toBe('open')
  })
})

/** To blue, which has one pod where six serve now. */
async function wentBack(rehearsal: Rehearsal) {
  const { cluster, world, observed } = rehearsal
  running(cluster, { blue: '1.0.0', green: '1.1.0' }, 'green')
  lastSwitch(cluster)
  cluster.put(deployment('green', made('1.1.0'), 6))
  cluster.put(deployment('blue', made('1.0.0'), 1))
  const seen = await observed()
  const target = chooseTarget(SITE, seen)
  if (target.kind !== 'scale') throw new Error(target.kind)
  return await failure(rollBack(world, { id: 'r-back', reason: undefined }, seen, target, gates()))
}

describe('a rollback that has to start pods first', () => {
  test('raises the bounds for them, and gives them back with room for what serves now', async () => {
    await using rehearsal = rehearse()
    expect(await wentBack(rehearsal)).toEqual({ code: 0, message: '' })
    expect(rehearsal.cluster.asked.join('\n')).toContain(
      '{"op":"add","path":"/spec/minReplicas","value":6},{"op":"add","path":"/spec/maxReplicas","value":6}',
    )
    expect(boundsOf(rehearsal, 'blue')).toMatchObject({ minReplicas: 1, maxReplicas: 6 })
    expect(rehearsal.cluster.object('Deployment', `${APP}-blue`).spec).toMatchObject({ replicas: 6 })
  })

  test.each<[string, (rehearsal: Rehearsal) => void, number]>([
    ['cannot start them', ({ cluster }) => (cluster.podStatus = () => waiting('CrashLoopBackOff')), 1],
    ['does not see them start', ({ cluster }) => (cluster.podStatus = () => waiting('Pending')), 70],
    [
      'is stopped meanwhile',
      ({ cluster, interrupt }) => {
        cluster.podStatus = () => {
          interrupt()
          return waiting('Pending')
        }
      },
      130,
    ],
    [
      'is refused its patch',
      ({ cluster }) =>
        (cluster.intercept = (line) =>
          line.startsWith(`patch service ${APP} `) && line.includes('"path":"/spec/selector","value"')
            ? NO
            : undefined),
      1,
    ],
  ])('%s: replicas and bounds are as they were', async (_, spoil, code) => {
    await using rehearsal = rehearse()
    const { cluster } = rehearsal
    // Only once it has begun: what runs already is well.
    const before = cluster.intercept
    cluster.intercept = (line, ...more) => {
      if (line.startsWith(`patch horizontalpodautoscaler ${APP}-blue`)) {
        cluster.intercept = before
        spoil(rehearsal)
      }
      return before(line, ...more)
    }
    const failed = await wentBack(rehearsal)
    expect(failed.code).toBe(code)
    expect(cluster.selector()).toEqual(live('green'))
    expect(boundsOf(rehearsal, 'blue')).toMatchObject({ minReplicas: 1, maxReplicas: 4 })
    expect(cluster.object('Deployment', `${APP}-blue`).spec).toMatchObject({ replicas: 1 })
    expect(stored(rehearsal, 'r-back').outcome).toBe(code === 130 ? 'interrupted' : 'failed')
    expect(cluster.object('Lease', `${APP}-deploy`).spec?.holderIdentity).toBe('')
  })
})

describe('what a killed run left: the number of pods', () => {
  const temporary = { replicas: [{ color: 'green', release: 'r1.1.0', replicas: 3 }] }
  const emptied = async (rehearsal: Rehearsal, selected: 'blue' | 'green', version: string) => {
    const { world, cluster } = rehearsal
    running(cluster, { blue: '1.0.0', green: version }, selected)
    cluster.put(deployment('green', made(version), 1))
    cluster.put(autoscaler('green', 1, 4))
    const to = { color: 'green', ...made('1.1.0') } as const
    await openRecord(world, newEntry(world, { id: 'r1.1.0', kind: 'deploy', to, temporary }), [])
    await repairAlone(world, 'r-repair', gates())
    return cluster.object('Deployment', `${APP}-green`).spec?.replicas
  }

  test.each<[string, 'blue' | 'green', string, number]>([
    ['of a color that nobody is served by comes back', 'blue', '1.1.0', 3],
    ['of the live one is left as it is', 'green', '1.1.0', 1],
    ['of a color with another release by now is, too', 'blue', '1.2.0', 1],
  ])('%s', async (_, selected, version, pods) => {
    await using rehearsal = rehearse()
    expect(await emptied(rehearsal, selected, version)).toBe(pods)
    expect(stored(rehearsal, 'r1.1.0').outcome).toBe('interrupted')
  })
})
