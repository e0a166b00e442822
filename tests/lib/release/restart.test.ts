/** A rollback to what no color holds any more: started from its record, judged by what it went live with. */
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { restartRelease } from '../../../lib/release/restart.ts'
import { refused } from '../cluster.ts'
import { APP, live, made, waiting } from '../objects.ts'
import { failure, gates, lastSwitch, rehearse, running, type Rehearsal } from '../world.ts'
import { planned, recordOf, request, stored } from './setting.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

const old = made('1.0.0')
const smoke = [{ name: 'as it was', fingerprint: 'then' }]

/** 1.2.0 is live in green, and blue holds something else than 1.0.0. */
async function ready(settings = {}): Promise<Rehearsal> {
  const rehearsal = rehearse(settings)
  running(rehearsal.cluster, { blue: '0.9.0', green: '1.2.0' }, 'green')
  lastSwitch(rehearsal.cluster, { to: { color: 'green', ...made('1.2.0') } })
  await recordOf(rehearsal, '1.0.0', { to: { color: 'blue', ...old }, smoke })
  return rehearsal
}

async function back(rehearsal: Rehearsal, told = gates(), more = {}) {
  const plan = await planned(rehearsal, 'green', { release: old })
  const wanted = { ...request, ...old, id: 'r-start', kept: plan.rendered.kept, smoke, ...more }
  return await restartRelease(rehearsal.world, wanted, plan, told)
}

const pods = ({ cluster }: Rehearsal, color: 'blue' | 'green'): unknown =>
  cluster.object('Deployment', `${APP}-${color}`).spec?.replicas

describe('restartRelease', () => {
  test('goes back, empties what was left and gives its pods back, and keeps its checks for the next time', async () => {
    await using rehearsal = await ready()
    const told = gates()
    const entry = await back(rehearsal, told)
    expect(entry).toMatchObject({ kind: 'rollback', outcome: 'succeeded', smoke })
    expect(entry.switches).toMatchObject([{ emptied: expect.any(Number) }])
    expect(rehearsal.cluster.selector()).toEqual(live('blue'))
    expect([pods(rehearsal, 'blue'), pods(rehearsal, 'green')]).toEqual([2, 2])
    expect(told.asked).toEqual(['back blue', 'back blue'])
    expect(told.told).toEqual([smoke, smoke])
  })

  test('one of its pods is enough', async () => {
    await using rehearsal = await ready()
    const { cluster, log } = rehearsal
    cluster.podStatus = (pod) => (/blue\.\d+\.0$/.test(pod) ? waiting('CrashLoopBackOff') : fit())
    expect(await back(rehearsal)).toMatchObject({ outcome: 'succeeded' })
    expect(log.warnings).toEqual(['blue has 1 pods ready, green had 2: capacity is less than before'])
  })

  test('what it does not hold of, users never meet', async () => {
    await using rehearsal = await ready()
    const failed = await failure(back(rehearsal, gates({ back: 'failed' })))
    expect(failed.code).toBe(1)
    expect(failed.message).toMatch(
      /^1 of 1 checks did not pass.* Traffic did not move: users are on 1\.2\.0 \(green\)$/,
    )
    expect(rehearsal.cluster.selector()).toEqual(live('green'))
    expect(stored(rehearsal, 'r-start')).toMatchObject({ outcome: 'failed' })
  })

  test('a check that fails only once users are there leads nobody back', async () => {
    await using rehearsal = await ready()
    let asked = 0
    const told = gates({ back: () => (++asked === 1 ? 'passed' : 'failed') })
    const failed = await failure(back(rehearsal, told))
    expect(failed.code).toBe(4)
    expect(failed.message).toMatch(/^Users are on .*blue.*but 1 of 1 checks did not pass/)
    expect(failed.message).not.toMatch(/kubectl|--to/)
    expect(rehearsal.cluster.selector()).toEqual(live('blue'))
  })

  test('a preview that leads nowhere keeps nobody where they are', async () => {
    await using rehearsal = await ready()
    const { cluster, log } = rehearsal
    cluster.object('Service', `${APP}-preview`).spec = { selector: live('green') }
    cluster.intercept = (line) =>
      line.startsWith(`patch service ${APP}-preview `)
        ? refused('Error from server (Forbidden): no')
        : undefined
    const told = gates()
    expect(await back(rehearsal, told)).toMatchObject({ outcome: 'succeeded' })
    expect(told.asked).toEqual(['back blue'])
    expect(log.warnings.join('\n')).toMatch(
      /^The preview cannot be reached, so 1\.0\.0 is verified once users are on it/m,
    )
  })

  test('a running deployment is not waited for', async () => {
    await using rehearsal = await ready()
    const { cluster, clock } = rehearsal
    cluster.put({
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: `${APP}-deploy`, labels: { app: APP } },
      spec: { holderIdentity: 'bob r1.3.0', leaseDurationSeconds: 15 },
    })
    expect(await back(rehearsal)).toMatchObject({ outcome: 'succeeded' })
    expect(clock.slept).not.toContain(500)
    expect(cluster.object('Lease', `${APP}-deploy`).spec?.holderIdentity).toBe('')
  })

  test('where nobody is served there is nothing to go back from', async () => {
    await using rehearsal = await ready()
    const plan = { ...(await planned(rehearsal, 'green', { release: old })), from: undefined }
    expect(await failure(restartRelease(rehearsal.world, request, plan, gates()))).toEqual({
      code: 1,
      message: 'Nobody is served yet: there is nothing to go back from',
    })
  })
})

const fit = () => ({ phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] })
