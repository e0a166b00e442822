/** What is stored of who was told, when a run is killed at each point, and what the next command makes of it. */
import { afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { key } from '../../../lib/app/color.ts'
import { openRecord } from '../../../lib/history/journal.ts'
import type { DeploymentRecord } from '../../../lib/history/record.ts'
import { courierOf } from '../../../lib/notify/courier.ts'
import { sendDue, untoldOf } from '../../../lib/notify/due.ts'
import { adopt } from '../../../lib/notify/ledger.ts'
import { isDue, type Notices } from '../../../lib/notify/notices.ts'
import type { Subject } from '../../../lib/notify/states.ts'
import type { NotifySettings } from '../../../lib/settings/notify.ts'
import { APP } from '../objects.ts'
import { refused, UNREACHABLE } from '../cluster.ts'
import { rehearse, running, type Rehearsal } from '../world.ts'
import { json, receiver, type Receiver } from './receivers.ts'
import { rolledBack, subjects } from './subjects.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

const stack: AsyncDisposable[] = []
afterEach(async () => {
  for (const one of stack.splice(0)) await one[Symbol.asyncDispose]()
})

const at = '2026-11-23T07:59:00Z'
const subject: DeploymentRecord = { ...rolledBack, app: APP, environment: 'test', finishedAt: at }

/** A closed record that nobody was told of yet, and receivers on two channels. */
async function closed(answers?: Parameters<typeof receiver>[0]) {
  const server = receiver(answers)
  const notify: NotifySettings = {
    team: { kind: 'slack', webhook: 'SLACK', api: 'https://unused.example', on: ['all'] },
    mute: { kind: 'teams', webhook: 'TEAMS', on: ['started'] },
  }
  const rehearsal = rehearse({ notify })
  stack.push(server, rehearsal)
  running(rehearsal.cluster, { blue: '1.0.0' }, 'blue')
  await openRecord(rehearsal.world, subject, [])
  const variables = { SLACK: `${server.url}/T/B/secret-address`, TEAMS: server.url }
  return { ...rehearsal, server, variables }
}

type Closed = Awaited<ReturnType<typeof closed>>

const tell = async ({ world, variables }: Closed): Promise<void> =>
  await courierOf(world, subject.id, { variables }).tell(subject, { state: 'rolled-back', at }, true)

const due = async ({ world, variables }: Closed, more: object = {}) =>
  await sendDue(world, { within: 20_000, variables, ...more })

const configMap = ({ cluster }: Pick<Rehearsal, 'cluster'>) =>
  cluster.object('ConfigMap', `${APP}-deploy-${subject.id}`)
const stored = (rehearsal: Pick<Rehearsal, 'cluster'>): Notices =>
  JSON.parse(configMap(rehearsal).data?.notices ?? '{"refs":{},"notices":[]}')
const label = (rehearsal: Pick<Rehearsal, 'cluster'>) => configMap(rehearsal).metadata.labels?.[key.notify]
const repeats = ({ got }: Receiver) => got.map((one) => json(one).text.includes('(repeated'))

test('what is told is stored beside the record, which stays as it is, and nothing is due any more', async () => {
  const all = await closed()
  const before = configMap(all).data?.record
  expect(label(all)).toBe('due')
  await tell(all)
  expect(stored(all)).toEqual({
    refs: {},
    notices: [{ state: 'rolled-back', at, to: { team: { at: expect.any(String), sent: '200 ok' } } }],
  })
  expect(label(all)).toBeUndefined()
  expect(configMap(all).data?.record).toBe(before)
  expect(JSON.stringify(configMap(all))).not.toContain('secret-address')
  expect(await due(all)).toEqual([])
  expect(all.server.got.length).toBe(1)
})

test('a state is told once, however often the run comes to it', async () => {
  const all = await closed()
  await tell(all)
  await tell(all)
  expect(all.server.got.length).toBe(1)
  expect(all.cluster.all('Event').length).toBe(1)
})

/** From the n-th change of what was told on nothing comes back; it was made, or not. */
const killAt = (all: Closed, nth: number, made: boolean): Promise<void> =>
  new Promise((killed) => {
    const { cluster } = all
    let seen = 0
    cluster.intercept = async (line, _, args) => {
      if (!line.startsWith('patch configmap') || !line.includes('/data/notices') || ++seen < nth)
        return undefined
      cluster.intercept = () => undefined
      if (made) await cluster.read(['kubectl', ...args])
      killed()
      return await new Promise<never>(() => {})
    }
  })

describe('killed', () => {
  test.each<[string, number, boolean, boolean[]]>([
    ['before the intent: it is told by the next command', 1, false, [false]],
    ['between intent and sending: told once, as one that may be a repeat', 1, true, [true]],
    ['between sending and receipt: told once more, as one that may be a repeat', 2, false, [false, true]],
    ['after the receipt: not told again', 2, true, [false]],
  ])('%s', async (_, nth, made, expected) => {
    const all = await closed()
    const killed = killAt(all, nth, made)
    void tell(all)
    await killed
    all.clock.set(20_000)
    await due(all)
    await due(all)
    expect(repeats(all.server)).toEqual(expected)
    expect(stored(all).notices[0]?.to.team?.sent).toBe('200 ok')
    expect(label(all)).toBeUndefined()
  })

  test('a moment ago: what may be under way in another process is left to it', async () => {
    const all = await closed()
    const killed = killAt(all, 1, true)
    void tell(all)
    await killed
    await due(all)
    expect(all.server.got).toEqual([])
    expect(label(all)).toBe('due')
  })
})

describe('what could not be sent', () => {
  test('is shown, stored, and sent by the next command', async () => {
    let away = true
    const all = await closed(() => (away ? new Response('no', { status: 503 }) : undefined))
    await tell(all)
    expect(all.log.warnings).toEqual([
      'team (slack) was not told "chat: 1.4.2 was rolled back in test": 503 no. The next command sends it, or bun scripts/notify.ts --env test',
    ])
    expect(stored(all).notices[0]?.to.team).toMatchObject({ failure: '503 no' })
    expect(label(all)).toBe('due')
    away = false
    expect(await due(all)).toEqual([
      { record: 'r1', state: 'rolled-back', channel: 'team', sent: '200 ok', failure: undefined },
    ])
    expect(repeats(all.server).every((repeated) => !repeated)).toBe(true)
    expect(label(all)).toBeUndefined()
  })

  test('since a variable is not set: it is named, and it stays due', async () => {
    const all = await closed()
    const variables = { SLACK: '', TEAMS: '' }
    await tell({ ...all, variables })
    expect(all.log.warnings[0]).toContain('the environment variable SLACK is not set')
    expect(label(all)).toBe('due')
    await due(all)
    expect(all.server.got.length).toBe(1)
  })

  test('for a day is no news any more', async () => {
    const all = await closed()
    await tell({ ...all, variables: { SLACK: '', TEAMS: '' } })
    all.clock.set(25 * 3_600_000)
    const [outcome] = await due(all)
    expect(outcome).toMatchObject({ sent: undefined, failure: 'it was no news any more' })
    expect([all.server.got, label(all)]).toEqual([[], undefined])
  })

  test('to a channel that nobody declares any more is no news after a day, either', async () => {
    const all = await closed()
    await tell({ ...all, variables: { SLACK: '', TEAMS: '' } })
    const world = { ...all.world, environment: { ...all.world.environment, notify: {} } }
    expect(await due({ ...all, world })).toMatchObject([{ failure: 'no channel of that name is declared' }])
    expect(label(all)).toBe('due')
    all.clock.set(25 * 3_600_000)
    await due({ ...all, world })
    expect(label(all)).toBeUndefined()
  })

  test('is sent for the record and to the channel that is named', async () => {
    const all = await closed()
    expect(await due(all, { record: 'other' })).toEqual([])
    expect(await due(all, { except: subject.id })).toEqual([])
    expect(all.server.got).toEqual([])
  })

  test('by two processes at once: one sends it', async () => {
    const all = await closed(async () => {
      await Bun.sleep(50)
      return undefined as never
    })
    await tell({ ...all, variables: { SLACK: '', TEAMS: '' } })
    await Promise.all([due(all), due(all), due(all)])
    expect(all.server.got.length).toBe(1)
    expect(label(all)).toBeUndefined()
  })
})

describe('the cluster', () => {
  test('is away: who must know is told all the same, and it is said that it is not stored', async () => {
    const all = await closed()
    all.cluster.intercept = () => UNREACHABLE
    await tell(all)
    expect(all.server.got.length).toBe(1)
    expect(all.log.warnings.join('\n')).toContain('Who was told of r1 could not be written down')
  })

  test('allows no Events: that is a warning, and says what it takes', async () => {
    const all = await closed()
    all.cluster.intercept = (_, write) =>
      write?.startsWith('create Event')
        ? refused('Error from server (Forbidden): events is forbidden')
        : undefined
    await tell(all)
    await Bun.sleep(10)
    expect(all.log.warnings.join('\n')).toMatch(/^No Event says .*Forbidden.*k8s\/rbac/)
    expect(all.server.got.length).toBe(1)
  })
})

test('an Event is of the live Service, so that describe finds it, and not longer than the server takes', async () => {
  const all = await closed()
  await tell(all)
  await Bun.sleep(10)
  const [event] = all.cluster.all('Event')
  const { uid } = all.cluster.object('Service', APP).metadata
  expect(event).toMatchObject({
    metadata: { name: `${APP}.r1.rolled-back`, namespace: 'chat-test' },
    involvedObject: { kind: 'Service', name: APP, namespace: 'chat-test', uid },
    type: 'Warning',
    reason: 'DeploymentRolledBack',
  })
})

describe('a run that was killed', () => {
  const told: Notices = { refs: {}, notices: [{ state: 'rolled-back', at, to: {} }] }
  const none: Notices = { refs: {}, notices: [] }
  const now = Date.parse(at) + 120_000
  const open: Subject = { ...subjects.started, startedAt: at }
  const holder = (renewTime: string, holderIdentity = 'alice r1') => ({
    holder: { kind: 'Lease' as const, metadata: metadata, spec: { ...spec, holderIdentity, renewTime } },
  })
  const metadata = {
    name: 'x',
    uid: '',
    resourceVersion: '',
    generation: 0,
    labels: {},
    annotations: {},
    ownerReferences: [],
  }
  const spec = { leaseDurationSeconds: 15, acquireTime: at, leaseTransitions: 0 }
  test.each<[string, unknown, unknown]>([
    ['before it could say how it ended', untoldOf(subject, none, now), { state: 'rolled-back' }],
    ['after that', untoldOf(subject, told, now), undefined],
    ['or is just about to say it', untoldOf(subject, none, Date.parse(at) + 5000), undefined],
    ['in the middle, and nobody asked for such', untoldOf(open, none, now), undefined],
    [
      'in the middle, and nobody holds the lock',
      untoldOf(open, none, now, { holder: undefined })?.state,
      'needs-person',
    ],
    [
      'in the middle, and its lock is let go',
      untoldOf(open, none, now, holder(at, ''))?.state,
      'needs-person',
    ],
    ['in the middle, and its lock has run out', untoldOf(open, none, now, holder(at))?.state, 'needs-person'],
    [
      'in the middle? its lock is renewed',
      untoldOf(open, none, now, holder(new Date(now).toISOString())),
      undefined,
    ],
  ])('%s', (_, untold, expected) => expect(untold).toEqual(expected))
})

test('what another process knows more of counts, and what it is at is left to it', () => {
  const now = Date.parse(at)
  const own: Notices = {
    refs: {},
    notices: [{ state: 'stopped', at, to: { a: { open: 'own', at }, b: { sent: 'x' }, c: {} } }],
  }
  const later = new Date(now - 1000).toISOString()
  adopt(
    own,
    {
      refs: { a: '1.0' },
      notices: [
        { state: 'started', at, to: {} },
        {
          state: 'stopped',
          at,
          to: { a: { sent: 'theirs' }, b: {}, c: { open: 'theirs', at: later }, d: {} },
        },
      ],
    },
    now,
  )
  expect(own.refs).toEqual({ a: '1.0' })
  expect(own.notices.map(({ state }) => state)).toEqual(['stopped', 'started'])
  const [{ to } = { to: {} }] = own.notices
  expect(to).toEqual({
    a: { at, sent: 'theirs' },
    b: { sent: 'x' },
    c: { open: 'theirs', at: later },
    d: {},
  })
  expect(isDue({ open: 'x', at: later }, now)).toBe(false)
  expect(isDue({ open: 'x', at: later }, now + 20_000)).toBe(true)
})
