import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { repairAlone, switchAlone } from '../../../lib/release/switch-alone.ts'
import { key, type Color } from '../../../lib/app/color.ts'
import { newEntry, type DeploymentRecord } from '../../../lib/history/record.ts'
import { openRecord } from '../../../lib/history/journal.ts'
import { refused, UNREACHABLE } from '../cluster.ts'
import { APP, autoscaler, deployment, live, made, service } from '../objects.ts'
import { failure, gates, lastSwitch, rehearse, running, type Rehearsal, type Says } from '../world.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

const request = { id: 'r-switch', to: 'green', reason: 'a test' } as const

async function both(settings = {}): Promise<Rehearsal> {
  const rehearsal = rehearse(settings)
  running(rehearsal.cluster, { blue: '1.0.0', green: '1.1.0' }, 'blue')
  return await Promise.resolve(rehearsal)
}

/** The record of the release in green: `deploy --until verified` left it, or whatever is said. */
async function recordOf(
  { world, cluster }: Rehearsal,
  outcome: DeploymentRecord['outcome'] = 'verified',
): Promise<void> {
  const { release } = made('1.1.0')
  const entry = newEntry(world, {
    id: release,
    kind: 'deploy',
    to: { color: 'green', ...made('1.1.0') },
    outcome,
  })
  await openRecord(world, entry, [])
  cluster.writes.length = 0
}

/** What the test's own run has written of. */
const outcomesOf = ({ cluster }: Rehearsal): string[] =>
  cluster.records().flatMap(({ kind, outcome }) => (kind === 'switch' ? [outcome] : []))

describe('switchAlone', () => {
  test('the lock, the record, one patch', async () => {
    await using rehearsal = await both()
    const { cluster, world } = rehearsal
    await recordOf(rehearsal)
    const entry = await switchAlone(world, request, gates())
    expect(cluster.writes).toEqual([
      'create Lease chat-deploy',
      `patch service ${APP}`,
      'create record',
      `patch service ${APP}`,
      `patch deployment ${APP}-blue`,
      `patch service ${APP}-preview`,
      'patch lease chat-deploy',
    ])
    expect(entry).toMatchObject({ kind: 'switch', outcome: 'succeeded', reason: 'a test' })
    expect(entry.switches).toMatchObject([{ failures: 0 }])
  })

  const cases: {
    name: string
    spoil: (rehearsal: Rehearsal) => void
    says?: Record<string, Says>
    code: number
    message: RegExp
    users: Color
    outcomes: string[]
  }[] = [
    {
      name: 'users are there already',
      spoil: ({ cluster }) => cluster.put({ ...service(APP), spec: { selector: live('green') } }),
      code: 1,
      message: /^Users are on green already$/,
      users: 'green',
      outcomes: [],
    },
    {
      name: 'no pod of the color is ready in time',
      spoil: ({ cluster }) => {
        cluster.podStatus = () => ({ phase: 'Pending' })
        cluster.put(deployment('green', made('1.1.0')))
      },
      code: 70,
      message: /^green cannot serve .*0 of 2 pods ready/,
      users: 'blue',
      outcomes: ['failed'],
    },
    {
      name: 'the color has fewer pods than the live one',
      spoil: ({ cluster }) => cluster.put(deployment('green', made('1.1.0'), 1)),
      code: 1,
      message: /^Traffic may not go to green: 1 of 2 pods ready$/,
      users: 'blue',
      outcomes: ['failed'],
    },
    {
      name: 'a stray pod carries its labels',
      spoil: ({ cluster }) =>
        cluster.put({
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name: 'debug', labels: live('green') },
          status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
        }),
      code: 1,
      message: /^Traffic may not go to green: debug carry green's labels but do not belong/,
      users: 'blue',
      outcomes: ['failed'],
    },
    {
      name: 'it does not hold',
      spoil: () => {},
      says: { live: ({ color }) => (color === 'green' ? 'failed' : 'passed') },
      code: 3,
      message: /Rolled back: users are on 1\.0\.0 \(blue\) again$/,
      users: 'blue',
      outcomes: ['rolled-back'],
    },
    {
      name: 'the record cannot be closed',
      spoil: ({ cluster }) =>
        (cluster.intercept = (line) =>
          line.startsWith('patch configmap') && Bun.deepEquals(cluster.selector(), live('green'))
            ? UNREACHABLE
            : undefined),
      code: 4,
      message: /^Users are on 1\.1\.0 \(green\), but the record could not be closed/,
      users: 'green',
      outcomes: ['open'],
    },
    {
      name: 'an alive holder has the lock',
      spoil: ({ cluster, clock }) => {
        const lease = held('bob other')
        cluster.put(lease)
        clock.during.set(500, () => cluster.put(lease))
      },
      code: 5,
      message: /^chat in test is locked by bob since 2026-11-23T07:00:00Z\. Wait for it, or roll back/,
      users: 'blue',
      outcomes: [],
    },
  ]
  test.each(cases)('$name → $code', async ({ spoil, says, code, message, users, outcomes }) => {
    await using rehearsal = await both()
    const { cluster, world, app, clock } = rehearsal
    await recordOf(rehearsal)
    spoil(rehearsal)
    const failed = await failure(switchAlone(world, request, gates(says)))
    expect(failed.message).toMatch(message)
    expect(failed.code).toBe(code)
    expect(cluster.selector()).toMatchObject({ color: users })
    expect(outcomesOf(rehearsal)).toEqual(outcomes)
    if (code !== 5) expect(cluster.object('Lease', 'chat-deploy').spec?.holderIdentity).toBe('')
    await app.silentUnder(clock)
  })
})

describe('what may be opened to users who have not been on it', () => {
  const refusals: [DeploymentRecord['outcome'] | 'no record', RegExp][] = [
    ['failed', /its deployment ended failed$/],
    ['rolled-back', /its deployment ended rolled-back$/],
    ['taken-back', /its deployment ended taken-back$/],
    ['interrupted', /its deployment ended interrupted$/],
    ['needs-person', /its deployment ended needs-person$/],
    ['no record', /^no record says that it has passed its gates$/],
  ]
  const recorded = async (rehearsal: Rehearsal, outcome: (typeof refusals)[number][0]) =>
    outcome === 'no record' ? undefined : await recordOf(rehearsal, outcome)

  test.each(refusals)('%s: it is refused, and nothing is written', async (outcome, why) => {
    await using rehearsal = await both()
    const { cluster, world } = rehearsal
    await recorded(rehearsal, outcome)
    const { code, message } = await failure(switchAlone(world, request, gates()))
    expect(code).toBe(6)
    const [, missing, hint] =
      /^1\.1\.0 in green may not be opened to users: (.*)\. (If .*)$/.exec(message) ?? []
    expect(missing).toMatch(why)
    expect(hint).toBe('If it must be all the same: --override "<reason>"')
    expect(cluster.selector()).toEqual(live('blue'))
    expect(outcomesOf(rehearsal)).toEqual([])
  })

  test.each(refusals)(
    '%s: overridden, it is opened and looked at, and the record says so',
    async (outcome, why) => {
      await using rehearsal = await both()
      await recorded(rehearsal, outcome)
      const told = gates()
      const entry = await switchAlone(rehearsal.world, { ...request, override: 'an outage' }, told)
      expect(entry).toMatchObject({ outcome: 'succeeded', override: { reason: 'an outage' } })
      expect(entry.override?.missing).toHaveLength(1)
      expect(entry.override?.missing[0]).toMatch(why)
      expect(told.asked).toEqual(['live green'])
      expect(rehearsal.cluster.selector()).toEqual(live('green'))
    },
  )

  test.each(['verified', 'succeeded', 'released'] as const)('%s: it is opened', async (outcome) => {
    await using rehearsal = await both()
    await recordOf(rehearsal, outcome)
    const entry = await switchAlone(rehearsal.world, { ...request, override: 'just in case' }, gates())
    expect(entry).toMatchObject({ outcome: 'succeeded' })
    expect(entry).not.toHaveProperty('override')
  })

  test('what users were on before is gone back to, whatever its record says, or none does', async () => {
    await using rehearsal = await both()
    lastSwitch(rehearsal.cluster, { to: { color: 'blue', ...made('1.0.0') }, from: green })
    const told = gates()
    const entry = await switchAlone(rehearsal.world, request, told)
    expect(entry).toMatchObject({ outcome: 'succeeded' })
    expect(told.asked).toEqual(['back green'])
  })

  test.each(['rollback', 'automatic-rollback'] as const)(
    'but not what a %s took them away from',
    async (kind) => {
      for (const override of [undefined, 'it was an exercise']) {
        await using rehearsal = await both()
        const { cluster, world } = rehearsal
        await recordOf(rehearsal, 'verified')
        lastSwitch(cluster, { kind, to: { color: 'blue', ...made('1.0.0') }, from: green })
        const failed = await failure(switchAlone(world, { ...request, override }, gates()))
        expect(cluster.selector()).toEqual(live(override ? 'green' : 'blue'))
        if (override) expect(failed.code).toBe(0)
        else
          expect(failed).toEqual({
            code: 6,
            message:
              '1.1.0 in green may not be opened to users: users were brought back from it (2026-11-23T07:00:00Z, bob). ' +
              'If it must be all the same: --override "<reason>"',
          })
      }
    },
  )
})

test('pods that are on their way back, since somebody has just left them, are waited for', async () => {
  await using rehearsal = await both()
  const { cluster, world, clock } = rehearsal
  await recordOf(rehearsal)
  const { podStatus } = cluster
  cluster.podStatus = () => ({ phase: 'Pending' })
  cluster.put(deployment('green', made('1.1.0')))
  clock.during.set(200, () => {
    cluster.podStatus = podStatus
    cluster.put(deployment('green', made('1.1.0')))
  })
  const entry = await switchAlone(world, request, gates())
  expect(entry).toMatchObject({ outcome: 'succeeded' })
})

const green = { color: 'green', ...made('1.1.0') }

const held = (holderIdentity: string) => ({
  apiVersion: 'coordination.k8s.io/v1',
  kind: 'Lease',
  metadata: { name: `${APP}-deploy`, labels: { app: APP } },
  spec: { holderIdentity, leaseDurationSeconds: 15, acquireTime: '2026-11-23T07:00:00.000000Z' },
})

/** A deployment of 1.1.0 that was killed, its switch made or not, its autoscaler still raised. */
async function killed({ world, cluster }: Rehearsal, moved: boolean, about: Partial<DeploymentRecord> = {}) {
  const ends = {
    from: { color: 'blue', ...made('1.0.0') },
    to: { color: 'green', ...made('1.1.0') },
  } as const
  const temporary = { autoscaler: { name: `${APP}-green`, minReplicas: 1, maxReplicas: 4 } }
  cluster.put(autoscaler('green', 6, 6))
  await openRecord(world, newEntry(world, { id: 'r1.1.0', kind: 'deploy', ...ends, temporary, ...about }), [])
  if (!moved) return
  const change = {
    id: 'r1.1.0',
    kind: about.kind ?? 'deploy',
    ...ends,
    by: 'bob',
    at: '2026-11-23T07:00:00Z',
  }
  const annotations = { [key.switch]: JSON.stringify(change) }
  cluster.put({
    ...service(APP),
    metadata: { ...service(APP).metadata, annotations },
    spec: { selector: live('green') },
  })
}

const bounds = ({ cluster }: Rehearsal): unknown =>
  cluster.object('HorizontalPodAutoscaler', `${APP}-green`).spec

describe('repairAlone', () => {
  const seen = gates()

  test('nothing was left: nothing is written but the lock', async () => {
    await using rehearsal = await both()
    expect(await repairAlone(rehearsal.world, 'r-repair', seen)).toBe(false)
    expect(rehearsal.cluster.writes).toEqual([
      'create Lease chat-deploy',
      `patch service ${APP}`,
      'patch lease chat-deploy',
    ])
  })

  test('before the switch: undone', async () => {
    await using rehearsal = await both()
    await killed(rehearsal, false)
    expect(await repairAlone(rehearsal.world, 'r-repair', seen)).toBe(true)
    expect(rehearsal.cluster.selector()).toEqual(live('blue'))
    expect(rehearsal.cluster.records()).toMatchObject([{ outcome: 'interrupted' }])
    expect(bounds(rehearsal)).toMatchObject({ minReplicas: 1, maxReplicas: 4 })
  })

  test('after the switch, and it holds: finished', async () => {
    await using rehearsal = await both()
    await killed(rehearsal, true)
    await repairAlone(rehearsal.world, 'r-repair', gates())
    expect(rehearsal.cluster.selector()).toEqual(live('green'))
    expect(rehearsal.cluster.records()).toMatchObject([{ outcome: 'succeeded' }])
    expect(rehearsal.cluster.writes).toContain(`patch deployment ${APP}-blue`)
    expect(bounds(rehearsal)).toMatchObject({ minReplicas: 1, maxReplicas: 4 })
  })

  test('after the switch, and it does not hold: users are brought back', async () => {
    await using rehearsal = await both()
    await killed(rehearsal, true)
    const says = gates({ live: ({ color }) => (color === 'green' ? 'failed' : 'passed') })
    await repairAlone(rehearsal.world, 'r-repair', says)
    expect(rehearsal.cluster.selector()).toEqual(live('blue'))
    expect(rehearsal.cluster.records()).toMatchObject([{ outcome: 'rolled-back' }])
    expect(bounds(rehearsal)).toMatchObject({ minReplicas: 1, maxReplicas: 4 })
    await rehearsal.app.silentUnder(rehearsal.clock)
  })

  test('pods that restarted long ago and work are no reason to move users', async () => {
    await using rehearsal = await both()
    await killed(rehearsal, true)
    for (const pod of rehearsal.cluster.all('Pod')) {
      const once = { name: 'app', ready: true, restartCount: 3, state: { running: {} } }
      const lastState = { terminated: { exitCode: 137, reason: 'OOMKilled' } }
      Object.assign(pod.status ?? {}, { containerStatuses: [{ ...once, lastState }] })
    }
    await repairAlone(rehearsal.world, 'r-repair', gates())
    expect(rehearsal.cluster.selector()).toEqual(live('green'))
  })

  test('in the middle of an overlap: narrowed to the color that was left', async () => {
    await using rehearsal = await both({ switch: 'overlap' })
    const { cluster, world } = rehearsal
    await killed(rehearsal, true)
    const before = cluster.object('Service', APP)
    const change = JSON.parse(before.metadata.annotations?.[key.switch] ?? '')
    const annotations = { [key.switch]: JSON.stringify({ ...change, overlap: true }) }
    cluster.objects.set(`Service/${APP}`, {
      ...before,
      metadata: { ...before.metadata, annotations },
      spec: { selector: { app: APP } },
    })
    await repairAlone(world, 'r-repair', gates())
    expect(cluster.selector()).toEqual(live('blue'))
    expect(cluster.records()).toMatchObject([{ outcome: 'interrupted' }])
  })

  test('a rollback that was killed between its patch and its record gets one', async () => {
    await using rehearsal = await both()
    const { cluster, world } = rehearsal
    await killed(rehearsal, true, { kind: 'rollback' })
    cluster.objects.delete('ConfigMap/chat-deploy-r1.1.0')
    await repairAlone(world, 'r-repair', gates())
    expect(cluster.records()).toMatchObject([
      { id: 'r1.1.0', kind: 'rollback', outcome: 'succeeded', by: 'bob' },
    ])
  })

  test('a holder that stopped renewing is waited out', async () => {
    await using rehearsal = await both()
    rehearsal.cluster.put(held('bob other'))
    await repairAlone(rehearsal.world, 'r-repair', gates())
    expect(rehearsal.clock.slept.reduce((sum, ms) => sum + ms, 0)).toBeGreaterThanOrEqual(15_000)
    expect(rehearsal.log.warnings).toEqual([
      'The lock of bob since 2026-11-23T07:00:00Z was not renewed: it is taken over',
    ])
  })

  test('two who take over an expired lock at once: one wins', async () => {
    await using rehearsal = await both()
    const { cluster, world } = rehearsal
    cluster.put(held(''))
    cluster.intercept = (_, name) => {
      if (name === 'replace Lease chat-deploy') cluster.put(held('carol faster'))
      return undefined
    }
    expect(await failure(repairAlone(world, 'r-repair', gates()))).toMatchObject({
      code: 5,
      message: expect.stringMatching(/locked by carol/),
    })
    expect(cluster.object('Lease', 'chat-deploy').spec?.holderIdentity).toBe('carol faster')
  })

  test('what breaks while it is repaired stays open, and the lock is let go', async () => {
    await using rehearsal = await both()
    await killed(rehearsal, false)
    rehearsal.cluster.intercept = (_, name) =>
      name?.startsWith('patch horizontalpodautoscaler')
        ? refused('Error from server (Forbidden): no')
        : undefined
    expect(await failure(repairAlone(rehearsal.world, 'r-repair', gates()))).toMatchObject({ code: 1 })
    expect(rehearsal.cluster.records()).toMatchObject([{ outcome: 'open' }])
    expect(rehearsal.cluster.object('Lease', 'chat-deploy').spec?.holderIdentity).toBe('')
  })
})
