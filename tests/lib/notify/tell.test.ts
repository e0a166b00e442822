/** What the procedures tell: every state once, in order, whatever becomes of a run; and that no receiver holds it up. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { openRecord } from '../../../lib/history/journal.ts'
import { newEntry } from '../../../lib/history/record.ts'
import { allTold, tell } from '../../../lib/notify/tell.ts'
import { deploy } from '../../../lib/release/blue-green.ts'
import { rollBack } from '../../../lib/release/rollback.ts'
import { repairAlone } from '../../../lib/release/switch-alone.ts'
import { chooseTarget } from '../../../lib/release/target.ts'
import { journal } from '../../../lib/history/journal.ts'
import { states, type NotifySettings } from '../../../lib/settings/notify.ts'
import { planned, request } from '../release/setting.ts'
import { APP, SITE, made } from '../objects.ts'
import { refused } from '../cluster.ts'
import { failure, gates, lastSwitch, rehearse, running, type Rehearsal, type Says } from '../world.ts'
import { json, receiver, type Receiver } from './receivers.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

const SECRET = 'NOTIFY_TEST_SECRET'
beforeAll(() => {
  process.env[SECRET] = `whsec_${Buffer.from('x'.repeat(24)).toString('base64')}`
})
afterAll(() => {
  delete process.env[SECRET]
})

const hook = (url: string): NotifySettings => ({
  hook: { kind: 'webhook', url, secret: SECRET, on: ['all'] },
})
const told = ({ got }: Receiver): string[] => got.map((one) => json(one).data.state)
const events = ({ cluster }: Rehearsal): unknown[] =>
  cluster.all('Event').map((event) => Reflect.get(event, 'reason'))

async function deployed(rehearsal: Rehearsal, says: Record<string, Says> = {}) {
  running(rehearsal.cluster, { blue: '1.0.0' }, 'blue')
  const plan = await planned(rehearsal)
  return await failure(deploy(rehearsal.world, request, plan, gates(says)))
}

const onGreen: Says = ({ color }) => (color === 'green' ? 'failed' : 'passed')
const noWayBack = ({ cluster }: Rehearsal): void => {
  let patched = 0
  cluster.intercept = (line) =>
    line.startsWith(`patch service ${APP} `) &&
    line.includes('"path":"/spec/selector","value"') &&
    ++patched > 1
      ? refused('Error from server (Forbidden): no')
      : undefined
}

describe('a deployment', () => {
  test.each<[string, Record<string, Says>, (rehearsal: Rehearsal) => void, number, string[]]>([
    ['that goes well', {}, () => {}, 0, ['started', 'verified', 'switched', 'succeeded']],
    ['that is stopped before the switch', { preview: 'failed' }, () => {}, 1, ['started', 'stopped']],
    ['that goes back', { live: onGreen }, () => {}, 3, ['started', 'verified', 'switched', 'rolled-back']],
    [
      'that cannot go back',
      { live: onGreen },
      noWayBack,
      4,
      ['started', 'verified', 'switched', 'rollback-failed'],
    ],
    [
      'that is interrupted',
      {},
      ({ clock, interrupt }) => clock.during.set(1111, interrupt),
      130,
      ['started', 'verified', 'stopped'],
    ],
    [
      'that is interrupted after its switch',
      {},
      ({ clock, interrupt }) => clock.during.set(7777, interrupt),
      4,
      ['started', 'verified', 'switched', 'needs-person'],
    ],
  ])('%s', async (_, says, spoil, code, expected) => {
    await using server = receiver()
    await using rehearsal = rehearse({ notify: hook(server.url) })
    spoil(rehearsal)
    const failed = await deployed(rehearsal, says)
    await allTold()
    expect(failed.code).toBe(code)
    expect(told(server)).toEqual(expected)
    expect(events(rehearsal).length).toBe(expected.length)
    expect(server.got.map((one) => json(one).data.record)).toEqual(expected.map(() => request.id))
  })

  test('whose lock is taken over', async () => {
    await using server = receiver()
    await using rehearsal = rehearse({ notify: hook(server.url) })
    const { cluster, clock } = rehearsal
    clock.during.set(1111, () => {
      const { spec, ...service } = cluster.object('Service', APP)
      const annotations = { ...service.metadata.annotations, 'deploy-scripts/lock': 'somebody else' }
      cluster.put({ ...service, metadata: { ...service.metadata, annotations }, ...(spec && { spec }) })
    })
    expect((await deployed(rehearsal)).code).toBe(5)
    await allTold()
    expect(told(server)).toEqual(['started', 'verified', 'lock-taken-over'])
  })
})

const back = async (rehearsal: Rehearsal) => {
  const { cluster, world, observed } = rehearsal
  running(cluster, { blue: '1.0.0', green: '1.1.0' }, 'green')
  lastSwitch(cluster)
  const seen = await observed()
  const target = chooseTarget(SITE, seen)
  if (target.kind !== 'warm') throw new Error(target.kind)
  return await failure(rollBack(world, { id: 'r-back', reason: undefined }, seen, target, gates()))
}

describe('going back', () => {
  test('is told, and nothing of it before users are moved', async () => {
    await using server = receiver()
    await using rehearsal = rehearse({ notify: hook(server.url) })
    expect((await back(rehearsal)).code).toBe(0)
    await allTold()
    expect(told(server)).toEqual(['switched', 'rolled-back-by-hand'])
    const { asked } = rehearsal.cluster
    const moved = asked.findIndex((line) => line.startsWith(`patch service ${APP} `))
    const first = asked.findIndex(
      (line) => line.includes('/data/notices') || line.includes(`service/${APP} `),
    )
    expect(moved).toBeGreaterThan(-1)
    expect(first).toBeGreaterThan(moved)
  })

  test('that moves nobody is told, too', async () => {
    await using server = receiver()
    await using rehearsal = rehearse({ notify: hook(server.url) })
    rehearsal.cluster.intercept = (line) =>
      line.startsWith(`patch service ${APP} `) ? refused('Error from server (Forbidden): no') : undefined
    expect((await back(rehearsal)).code).toBe(1)
    await allTold()
    expect(told(server)).toEqual(['rollback-failed'])
  })
})

test('what a killed run left is told when it is repaired', async () => {
  await using server = receiver()
  await using rehearsal = rehearse({ notify: hook(server.url) })
  const { world, cluster } = rehearsal
  running(cluster, { blue: '1.0.0' }, 'blue')
  const to = { color: 'green', ...made('1.1.0') } as const
  await openRecord(world, newEntry(world, { id: 'r-killed', kind: 'deploy', to }), [])
  await repairAlone(world, 'r-repair', gates())
  await allTold()
  expect(told(server)).toEqual(['stopped'])
  expect(json(server.got[0]).data.why).toContain('cleaned up by alice@laptop')
})

test('every state that there is can be told by the one call', async () => {
  await using server = receiver()
  await using rehearsal = rehearse({ notify: hook(server.url) })
  const { world, cluster } = rehearsal
  running(cluster, { blue: '1.0.0' }, 'blue')
  const to = { color: 'green', ...made('1.1.0') } as const
  const open = await openRecord(world, newEntry(world, { id: 'r-all', kind: 'deploy', to }), [])
  for (const state of states) tell({ ...world, journal: open }, state)
  for (const state of states) tell({ ...world, journal: open }, state)
  await allTold()
  expect(told(server)).toEqual([...states])
  expect(cluster.all('Event').length).toBe(states.length)
})

/** A deployment before it, which could be told to nobody. */
async function stopped({ world, cluster }: Rehearsal, id = 'r-one'): Promise<void> {
  running(cluster, { blue: '1.0.0' }, 'blue')
  const to = { color: 'green', ...made('1.1.0') } as const
  const entry = newEntry(world, { id, kind: 'deploy', to, outcome: 'failed', message: 'why' })
  await openRecord(world, entry, [])
  tell({ ...world, journal: journal(world, entry) })
  await allTold()
}

test('the next command says what an earlier one could not', async () => {
  let away = true
  await using server = receiver(() => (away ? new Response('', { status: 404 }) : undefined))
  await using rehearsal = rehearse({ notify: hook(server.url) })
  await stopped(rehearsal)
  server.got.length = 0
  away = false
  await deployed(rehearsal)
  await allTold()
  const got = server.got.map((one) => `${json(one).data.record} ${json(one).data.state}`)
  expect(got).toContain('r-one stopped')
  expect(got.length).toBe(5)
})

test('a receiver that takes nothing is not asked for each record that is due', async () => {
  let status = 404
  await using server = receiver(() => new Response('', { status }))
  await using rehearsal = rehearse({ notify: hook(server.url) })
  for (const id of ['r-one', 'r-two', 'r-three']) await stopped(rehearsal, id)
  server.got.length = 0
  status = 503
  await deployed(rehearsal)
  await allTold()
  const asked = new Set(server.got.map((one) => json(one).data.record))
  expect([...asked].filter((id) => id !== request.id).length).toBe(1)
  const due = ['r-one', 'r-two', 'r-three'].map(
    (id) => rehearsal.cluster.object('ConfigMap', `${APP}-deploy-${id}`).metadata.labels,
  )
  expect(due).toEqual(due.map(() => expect.objectContaining({ 'deploy-scripts/notify': 'due' })))
})

/** One that hangs, one that refuses connections, one that always fails. */
const dead = (hanging: string, broken: string): NotifySettings => ({
  hangs: { kind: 'webhook', url: hanging, secret: SECRET, on: ['all'] },
  away: { kind: 'webhook', url: 'http://127.0.0.1:1', secret: SECRET, on: ['all'] },
  broken: { kind: 'webhook', url: broken, secret: SECRET, on: ['all'] },
})

describe('three dead channels', () => {
  test.each<[string, Record<string, Says>, number, number, (rehearsal: Rehearsal) => Promise<void>]>([
    ['well', {}, 0, 2_000, async () => {}],
    ['well after one that was told to nobody', {}, 0, 2_000, stopped],
    ['back', { live: onGreen }, 3, 4_500, async () => {}],
  ])(
    'a deployment that goes %s ends as without them, and before any of them has said a word',
    async (_, says, code, within, before) => {
      const release = Promise.withResolvers<void>()
      await using hanging = receiver(async () => {
        await release.promise
        return new Response('late')
      })
      await using broken = receiver(() => new Response('', { status: 500 }))
      await using rehearsal = rehearse({ notify: dead(hanging.url, broken.url) })
      await before(rehearsal)
      const failed = await deployed(rehearsal, says)
      expect(failed).toEqual({ code, message: expect.any(String) })
      expect(rehearsal.cluster.object('Lease', `${APP}-deploy`).spec?.holderIdentity).toBe('')
      const began = performance.now()
      await allTold()
      expect(performance.now() - began).toBeLessThan(within)
      const warnings = rehearsal.log.warnings.join('\n')
      for (const name of ['hangs', 'away', 'broken'])
        expect(warnings).toContain(`${name} (webhook) was not told`)
      const { data, metadata } = rehearsal.cluster.object('ConfigMap', `${APP}-deploy-${request.id}`)
      expect(metadata.labels?.['deploy-scripts/notify']).toBe('due')
      expect(JSON.parse(data?.notices ?? '').notices.length).toBe(4)
      release.resolve()
    },
  )
})

test('nobody is told where nobody is declared; the Events are written', async () => {
  await using rehearsal = rehearse()
  expect((await deployed(rehearsal)).code).toBe(0)
  await allTold()
  expect(events(rehearsal)).toEqual([
    'DeploymentStarted',
    'DeploymentVerified',
    'TrafficSwitched',
    'DeploymentSucceeded',
  ])
  const { data, metadata } = rehearsal.cluster.object('ConfigMap', `${APP}-deploy-${request.id}`)
  expect(data?.notices).toBeUndefined()
  expect(Object.keys(metadata.labels ?? {})).not.toContain('deploy-scripts/notify')
})
