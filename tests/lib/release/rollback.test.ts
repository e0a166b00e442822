import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { key, type Color } from '../../../lib/app/color.ts'
import { chooseTarget, type Target } from '../../../lib/release/target.ts'
import { findKept, previousRolling } from '../../../lib/history/kept.ts'
import { rollBack, type RollbackRequest } from '../../../lib/release/rollback.ts'
import { newEntry, type DeploymentRecord } from '../../../lib/history/record.ts'
import { openRecord } from '../../../lib/history/journal.ts'
import { refused, UNREACHABLE } from '../cluster.ts'
import { APP, SITE, deployment, live, made, service } from '../objects.ts'
import { failure, gates, rehearse, running, type Rehearsal, type Says, lastSwitch } from '../world.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

/** 1.1.0 is live in green, 1.0.0 waits in blue. */
function afterDeployment(rehearsal: Rehearsal): void {
  running(rehearsal.cluster, { blue: '1.0.0', green: '1.1.0' }, 'green')
  lastSwitch(rehearsal.cluster, {})
}

describe('chooseTarget', () => {
  const cases: {
    name: string
    given?: (rehearsal: Rehearsal) => void
    version?: string
    target: object | RegExp
  }[] = [
    {
      name: 'the color that was live before, all pods ready',
      target: { kind: 'warm', from: 'green', to: 'blue', release: made('1.0.0'), enough: 2 },
    },
    {
      name: 'a color that was scaled down',
      given: ({ cluster }) => cluster.put(deployment('blue', made('1.0.0'), 0)),
      target: { kind: 'scale', to: 'blue', enough: 2, missing: 'no pod of blue is ready; 0 of 2 pods ready' },
    },
    {
      name: 'fewer pods than the live color has',
      given: ({ cluster }) => cluster.put(deployment('green', made('1.1.0'), 5)),
      target: { kind: 'scale', to: 'blue', enough: 5, missing: '2 of 5 pods ready' },
    },
    {
      name: 'a color in which something else was put since',
      given: ({ cluster }) => cluster.put(deployment('blue', made('1.2.0'))),
      target: { kind: 'redeploy', to: 'blue', release: made('1.0.0') },
    },
    {
      name: 'a color that was deleted since',
      given: ({ cluster }) => cluster.objects.delete(`Deployment/${APP}-blue`),
      target: { kind: 'redeploy', to: 'blue', release: made('1.0.0') },
    },
    {
      name: 'a color that was there before the scripts',
      given: (rehearsal) => {
        const unknown = { release: 'unknown', version: 'unknown', image: 'unknown' }
        delete rehearsal.cluster.object('Deployment', `${APP}-blue`).metadata.annotations
        lastSwitch(rehearsal.cluster, { from: { color: 'blue', ...unknown } })
      },
      target: { kind: 'warm', to: 'blue', release: { version: 'unknown' } },
    },
    {
      name: 'after a switch by hand, what somebody has just left',
      given: (rehearsal) => {
        rehearsal.cluster.object('Service', APP).spec = { selector: live('blue') }
      },
      target: /somebody changed the selector by hand\. To go there all the same: --to-version 1\.1\.0$/,
    },
    { name: 'a version in the idle color', version: '1.0.0', target: { kind: 'warm', to: 'blue' } },
    {
      name: 'a version that only a record may have',
      version: '0.9.0',
      target: { kind: 'search', version: '0.9.0' },
    },
    { name: 'the version that is live', version: '1.1.0', target: /^1\.1\.0 is live already, in green$/ },
    ...(['rollback', 'automatic-rollback', 'repair'] as const).map((kind) => ({
      name: `what a ${kind} came from`,
      given: (rehearsal: Rehearsal) => lastSwitch(rehearsal.cluster, { kind }),
      target: /^1\.0\.0 in blue is what was rolled back from .*--to-version 1\.0\.0$/,
    })),
    {
      name: 'what a rollback came from, asked for by name',
      given: (rehearsal) => lastSwitch(rehearsal.cluster, { kind: 'rollback' }),
      version: '1.0.0',
      target: { kind: 'warm', to: 'blue' },
    },
    {
      name: 'a first release',
      given: (rehearsal) => {
        lastSwitch(rehearsal.cluster, { from: undefined })
        rehearsal.cluster.objects.delete(`Deployment/${APP}-blue`)
      },
      target: /nothing to roll chat back to: no earlier switch is known, and blue is empty$/,
    },
    {
      name: 'another color without an id, and no switch known',
      given: ({ cluster }) => {
        delete cluster.object('Service', APP).metadata.annotations
        delete cluster.object('Deployment', `${APP}-blue`).metadata.annotations
      },
      target: /blue holds a Deployment that these scripts did not make$/,
    },
    {
      name: 'a Service that selects no color',
      given: ({ cluster }) =>
        cluster.put({ ...service(APP), spec: { selector: { app: APP, color: 'red' } } }),
      target: /selects \{"app":"chat","color":"red"\}/,
    },
  ]
  test.each(cases)('$name', async ({ given, version, target }) => {
    await using rehearsal = rehearse()
    afterDeployment(rehearsal)
    given?.(rehearsal)
    const observed = await rehearsal.observed()
    if (target instanceof RegExp) expect(() => chooseTarget(SITE, observed, { version })).toThrow(target)
    else expect(chooseTarget(SITE, observed, { version })).toMatchObject(target)
  })
})

const request: RollbackRequest = { id: 'r-back', reason: 'it is slow' }

async function back(rehearsal: Rehearsal, says: Record<string, Says> = {}): Promise<DeploymentRecord> {
  const observed = await rehearsal.observed()
  const target = chooseTarget(SITE, observed)
  if (target.kind !== 'warm' && target.kind !== 'scale') throw new Error(target.kind)
  return await rollBack(rehearsal.world, request, observed, target satisfies Target, gates(says))
}

const patchLive = (name: string | undefined): boolean => name === `patch service ${APP}`

const moved = ({ cluster }: Rehearsal): boolean => Bun.deepEquals(cluster.selector(), live('blue'))

describe('rollBack', () => {
  test('one read, one patch; the lock and the record come after it', async () => {
    await using rehearsal = rehearse()
    const { cluster } = rehearsal
    afterDeployment(rehearsal)
    const entry = await back(rehearsal)
    expect(cluster.asked.slice(0, 2).map((line) => line.split(' ')[0])).toEqual(['get', 'patch'])
    expect(cluster.writes[0]).toBe(`patch service ${APP}`)
    expect(cluster.writes.toSorted()).toEqual([
      'create Lease chat-deploy',
      'create record',
      'fence blue',
      `patch deployment ${APP}-green`,
      `patch deployment ${APP}-green`,
      'patch lease chat-deploy',
      `patch service ${APP}`,
      `patch service ${APP}-preview`,
    ])
    expect(cluster.writes.at(-1)).toBe('patch lease chat-deploy')
    expect(cluster.selector()).toEqual(live('blue'))
    expect(entry).toMatchObject({
      kind: 'rollback',
      outcome: 'succeeded',
      reason: 'it is slow',
      to: { version: '1.0.0' },
    })
    // Times are of one clock, from the patch on.
    const [proof] = entry.switches
    expect(proof?.emptied).toBeGreaterThanOrEqual(proof?.converged ?? 0)
    expect(proof?.emptied).toBeLessThan(600_000)
    const { annotations = {} } = cluster.object('Service', APP).metadata
    expect(annotations[key.lock]).toBe('r-back')
    expect(JSON.parse(annotations[key.switch] ?? '')).toMatchObject({
      id: 'r-back',
      kind: 'rollback',
      from: { color: 'green', ...made('1.1.0') },
    })
  })

  test('pods that are missing are started under the lock first', async () => {
    await using rehearsal = rehearse()
    const { cluster } = rehearsal
    afterDeployment(rehearsal)
    cluster.put(deployment('blue', made('1.0.0'), 0))
    await back(rehearsal)
    expect(cluster.writes).toEqual([
      'create Lease chat-deploy',
      `patch service ${APP}`,
      'create record',
      `patch horizontalpodautoscaler ${APP}-blue`,
      `patch deployment ${APP}-blue`,
      `patch service ${APP}`,
      'fence blue',
      `patch deployment ${APP}-green`,
      `patch service ${APP}-preview`,
      `patch horizontalpodautoscaler ${APP}-blue`,
      `patch deployment ${APP}-green`,
      'patch lease chat-deploy',
    ])
    expect(cluster.selector()).toEqual(live('blue'))
  })

  test('a running deployment is fenced off, and what it left is finished or undone', async () => {
    await using rehearsal = rehearse()
    const { cluster, world } = rehearsal
    afterDeployment(rehearsal)
    cluster.put({
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: `${APP}-deploy`, labels: { app: APP } },
      spec: { holderIdentity: 'bob r1.2.0', leaseDurationSeconds: 15 },
    })
    await openRecord(
      world,
      newEntry(world, { id: 'r1.2.0', kind: 'deploy', to: { color: 'blue', ...made('1.2.0') } }),
      [],
    )
    await back(rehearsal)
    expect(cluster.records()).toMatchObject([
      { id: 'r1.2.0', outcome: 'interrupted' },
      { id: 'r-back', outcome: 'succeeded' },
    ])
    expect(cluster.object('Lease', `${APP}-deploy`).spec?.holderIdentity).toBe('')
  })

  interface Failing {
    name: string
    spoil: (rehearsal: Rehearsal) => void
    says?: Record<string, Says>
    code: number
    message: RegExp
    users: Color
  }
  const failing: Failing[] = [
    {
      name: 'the patch is refused',
      spoil: ({ cluster }) =>
        (cluster.intercept = (_, name) =>
          patchLive(name) ? refused('Error from server (Forbidden): no') : undefined),
      code: 1,
      message: /Forbidden/,
      users: 'green',
    },
    {
      name: 'the selector is changed between the read and the patch',
      spoil: ({ cluster }) =>
        (cluster.intercept = (_, name) => {
          if (patchLive(name))
            cluster.put({ ...service(APP), spec: { selector: { app: APP, color: 'green', x: 'y' } } })
          return undefined
        }),
      code: 1,
      message: /^Somebody changed the live selector/,
      users: 'green',
    },
    {
      name: 'a check fails afterwards',
      spoil: () => {},
      says: { live: 'failed' },
      code: 4,
      message: /^Users are on 1\.0\.0 \(blue\), but by today's deploy\.yaml: 1 of 1 checks did not pass/,
      users: 'blue',
    },
    {
      name: 'the record cannot be created',
      spoil: ({ cluster }) =>
        (cluster.intercept = (_, name) =>
          name === 'create record' ? refused('Error from server (Forbidden): no') : undefined),
      code: 4,
      message: /^Users are on 1\.0\.0 \(blue\), but the record could not be closed.* --repair, does it$/,
      users: 'blue',
    },
    {
      name: 'the lock cannot be taken',
      spoil: ({ cluster }) =>
        (cluster.intercept = (_, name) =>
          name?.includes('ease') ? refused('Error from server (Forbidden): no') : undefined),
      code: 4,
      message:
        /^Users are on 1\.0\.0 \(blue\), unproven: The lock could not be taken.* --repair, finishes it$/,
      users: 'blue',
    },
    {
      name: 'the API server is gone after the patch',
      spoil: (rehearsal) =>
        (rehearsal.cluster.intercept = () => (moved(rehearsal) ? UNREACHABLE : undefined)),
      code: 4,
      message: /^Users are on 1\.0\.0 \(blue\), unproven: .*does not answer/,
      users: 'blue',
    },
    {
      name: 'an interrupt while the cluster follows',
      spoil: (rehearsal) =>
        (rehearsal.cluster.intercept = (line) => {
          if (line.startsWith('get endpointslices')) rehearsal.interrupt()
          return undefined
        }),
      code: 4,
      message:
        /^Stopped after the switch: users are on 1\.0\.0 \(blue\)\. .*--repair, finishes or undoes it$/,
      users: 'blue',
    },
    {
      name: 'pods that are missing never become ready',
      spoil: ({ cluster }) => {
        cluster.podStatus = () => ({ phase: 'Pending' })
        cluster.put(deployment('blue', made('1.0.0'), 0))
      },
      code: 70,
      message: /^blue cannot serve within 10 m 0 s: no pod of blue is ready/,
      users: 'green',
    },
  ]
  test.each(failing)('$name → $code', async ({ spoil, says, code, message, users }) => {
    await using rehearsal = rehearse()
    const { cluster, app, clock } = rehearsal
    afterDeployment(rehearsal)
    spoil(rehearsal)
    const failed = await failure(back(rehearsal, says))
    expect(failed.message).toMatch(message)
    expect(failed.code).toBe(code)
    expect(cluster.selector()).toMatchObject({ color: users })
    const held = cluster.objects.get(`Lease/${APP}-deploy`)?.spec?.holderIdentity
    if (cluster.intercept('', undefined, []) === undefined) expect(held ?? '').toBe('')
    await app.silentUnder(clock)
  })
})

const history = async ({ world }: Rehearsal, entries: [string, Partial<DeploymentRecord>, boolean][]) => {
  for (const [id, about, kept] of entries) {
    const release = kept ? id : '01'
    const to = { color: 'blue' as const, ...made('1.0.0'), release }
    const entry = newEntry(world, { id, kind: 'deploy', to, ...about })
    await openRecord(world, entry, kept ? [deployment('plain', made('1.0.0'))] : [])
  }
}

const to = (version: string) => ({ to: { color: 'blue' as const, ...made(version) } })

describe('which record is started again', () => {
  test('the newest that made the version live', async () => {
    await using rehearsal = rehearse()
    await history(rehearsal, [
      ['01', { outcome: 'succeeded' }, true],
      ['02', { outcome: 'failed' }, true],
      ['03', { outcome: 'succeeded', kind: 'switch' }, false],
      ['04', { outcome: 'succeeded', ...to('1.1.0') }, true],
      ['05', { outcome: 'succeeded', kind: 'rollback' }, false],
    ])
    expect((await findKept(rehearsal.world, { version: '1.0.0' })).entry.id).toBe('01')
  })

  test.each([
    [{ version: '7.0.0' }, /^No record with manifests is kept of version 7\.0\.0/],
    [{ version: '1.2.0' }, /^No record with manifests is kept of version 1\.2\.0/],
    [{ release: { release: 'gone' } }, /^No record with manifests is kept of release gone/],
  ])('%j is not kept', async (wanted, message) => {
    await using rehearsal = rehearse()
    await history(rehearsal, [['01', { outcome: 'succeeded', ...to('1.2.0') }, false]])
    expect(await failure(findKept(rehearsal.world, wanted))).toMatchObject({
      code: 1,
      message: expect.stringMatching(message),
    })
  })

  test('rolling: the newest good one before the running one, with another image', async () => {
    await using rehearsal = rehearse({ strategy: 'rolling' })
    rehearsal.cluster.put(deployment('plain', { ...made('1.2.0'), release: '04' }))
    await history(rehearsal, [
      ['01', { outcome: 'succeeded', ...to('1.0.0') }, true],
      ['02', { outcome: 'succeeded', ...to('1.2.0') }, true],
      ['03', { outcome: 'failed', ...to('1.1.0') }, true],
      ['04', { outcome: 'succeeded', ...to('1.2.0') }, true],
      ['05', { outcome: 'failed', ...to('1.3.0') }, true],
    ])
    expect((await previousRolling(rehearsal.world, undefined)).entry.id).toBe('01')
    expect(await failure(previousRolling(rehearsal.world, '3.0.0'))).toMatchObject({ code: 1 })
  })
})
