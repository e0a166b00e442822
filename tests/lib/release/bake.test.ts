import { expect, setDefaultTimeout, test } from 'bun:test'
import { repairAlone, switchAlone } from '../../../lib/release/switch-alone.ts'
import { APP, ready } from '../objects.ts'
import { failure, gates, type Rehearsal } from '../world.ts'
import { afterwards, baking, change, EVERY, failing, go, isGreen, recordOf, settings } from './baking.ts'

setDefaultTimeout(60_000)

test('a healthy release passes, both watches are steps, and each reading is in the record', async () => {
  await using rehearsal = await baking()
  const entry = await go(rehearsal)
  expect(entry).toMatchObject({
    outcome: 'succeeded',
    bake: { verdict: 'passed', limits: { probes: { share: 0.05 } } },
  })
  expect(entry.bake?.readings.length).toBeGreaterThan(6)
  expect(entry.bake?.last).toBeUndefined()
  // What nobody counts yet is bet on as soon as somebody does, and asked for by nobody.
  expect(Object.keys(entry.bake?.limits ?? {})).toEqual(
    expect.arrayContaining(['errors', 'databaseErrors', 'probes']),
  )
  expect(entry.bake?.required).toEqual(['probes'])
  const steps = rehearsal.log.steps.filter((step) => /Watch|Drain|Recycle/.test(step))
  expect(steps).toEqual([
    'Watch green beside blue for 10 s',
    'Drain blue',
    'Recycle blue: clients that kept a connection to it come over',
    'Watch green for 60 s',
  ])
})

test.each([
  ['for four readings', { every: EVERY }, 21],
  ['no less than lock', { every: 2003 }, 15],
  ['and a minute at the most', { every: 60_000 }, 60],
])('while it is watched the lock is held %s after each renewal', async (_, more, held) => {
  await using rehearsal = await baking(undefined, more)
  const durations = new Set<unknown>()
  rehearsal.clock.during.set(more.every, () => {
    durations.add(rehearsal.cluster.object('Lease', `${APP}-deploy`).spec?.['leaseDurationSeconds'])
  })
  await go(rehearsal)
  expect([...durations]).toEqual([held])
})

test('without anything to read but the live URL it is said what is not watched', async () => {
  await using rehearsal = await baking()
  await go(rehearsal)
  expect(rehearsal.log.lines.filter((line) => line.startsWith('not watched: '))).not.toEqual([])
})

test.each([1, 4])(
  'what fails from reading %d on sends users back, with the reason in the record',
  async (from) => {
    await using rehearsal = await baking((reading, { app, cluster }) => {
      if (reading === from)
        app.answer = () => (isGreen(cluster) ? failing() : Response.json({ color: 'blue' }))
    })
    const { code, message } = await failure(go(rehearsal))
    expect({ code, message }).toEqual({
      code: 3,
      message: expect.stringContaining('Rolled back: users are on 1.0.0 (blue) again'),
    })
    expect(rehearsal.cluster.selector()).toEqual({ app: APP, color: 'blue' })
    const [record] = rehearsal.cluster.records()
    expect(record).toMatchObject({
      outcome: 'rolled-back',
      bake: { verdict: 'failed', reason: expect.stringMatching(/requests to the live URL fail/) },
    })
  },
)

test('where the old color fails, too, traffic stays, and a person is told in the end', async () => {
  await using rehearsal = await baking((reading, { app, preview }) => {
    if (reading === 4) app.answer = preview.answer = failing
  })
  const { code, message } = await failure(go(rehearsal))
  expect({ code, message }).toEqual({
    code: 4,
    message: expect.stringContaining('going back would not help'),
  })
  expect(rehearsal.cluster.selector()).toEqual({ app: APP, color: 'green' })
  expect(rehearsal.cluster.records()).toMatchObject([
    { outcome: 'needs-person', bake: { verdict: 'environment' } },
  ])
})

/** The containers of the new color were restarted once, out of memory. */
function restarted({ cluster }: Rehearsal): void {
  const lastState = { terminated: { exitCode: 137, reason: 'OOMKilled' } }
  const containerStatuses = [{ name: 'app', ready: true, restartCount: 1, state: { running: {} }, lastState }]
  for (const pod of cluster.all('Pod').filter(({ metadata }) => metadata.name.includes('green')))
    cluster.objects.set(`Pod/${pod.metadata.name}`, { ...pod, status: { ...ready(), containerStatuses } })
}

test.each([
  ['before the first reading', 1],
  ['between two of them', 3],
  ['before the last one', 5],
])('a container that was restarted %s needs no odds', async (_, when) => {
  const times = { first: EVERY, time: 4 * EVERY, maxTime: 4 * EVERY }
  await using rehearsal = await baking((reading, all) => {
    if (reading === when) restarted(all)
  }, times)
  const { code, message } = await failure(go(rehearsal))
  expect({ code, message }).toEqual({
    code: 3,
    message: expect.stringMatching(/green.*: OOMKilled, restarted once/),
  })
})

test.each([
  ['keep-and-alert', 0, 'green'],
  ['rollback', 3, 'blue'],
] as const)('nothing certain by maxTime: onDoubt %s', async (onDoubt, code, color) => {
  await using rehearsal = await baking(() => {}, { onDoubt, limits: { ...settings.limits, probes: 0.001 } })
  expect((await failure(go(rehearsal))).code).toBe(code)
  expect(rehearsal.cluster.selector()).toEqual({ app: APP, color })
  const verdict = code === 0 ? 'inconclusive' : 'failed'
  expect(rehearsal.cluster.records()[0]).toMatchObject({
    bake: { verdict, reason: expect.stringContaining('are too few to tell') },
  })
})

test('an interrupt leaves it to the next command, which goes on from the readings', async () => {
  await using rehearsal = await baking((reading, { interrupt }) => (reading === 4 ? interrupt() : undefined))
  const { code, message } = await failure(go(rehearsal))
  expect({ code, message }).toEqual({
    code: 4,
    message: expect.stringContaining('users are on 1.1.0 (green)'),
  })
  expect(rehearsal.cluster.records()).toMatchObject([{ outcome: 'open' }])
  const before = recordOf(rehearsal).bake?.readings ?? []
  expect(before.length).toBeGreaterThan(3)

  expect((await failure(repairAlone(afterwards(rehearsal), 'r-repair', gates()))).code).toBe(0)
  const { outcome, bake: finished } = recordOf(rehearsal)
  expect([outcome, finished?.verdict]).toEqual(['succeeded', 'passed'])
  expect(finished?.readings.slice(0, before.length)).toEqual(before)
})

test('a deployment that died before its watch began is watched by whoever finishes it', async () => {
  await using rehearsal = await baking()
  await go(rehearsal)
  change(rehearsal, (entry) => ({ ...entry, bake: undefined, finishedAt: undefined, outcome: 'open' }))
  expect((await failure(repairAlone(rehearsal.world, 'r-repair', gates()))).code).toBe(0)
  expect(recordOf(rehearsal)).toMatchObject({ outcome: 'succeeded', bake: { verdict: 'passed' } })
})

test('what was found to hurt, by a command that died before it went back, is gone back from', async () => {
  await using rehearsal = await baking()
  await go(rehearsal)
  const verdict = { verdict: 'failed', reason: '1,240 : 1 that it hurts' } as const
  change(rehearsal, ({ bake: found, ...entry }) => ({
    ...entry,
    finishedAt: undefined,
    outcome: 'open',
    ...(found && { bake: { ...found, ...verdict } }),
  }))
  expect((await failure(repairAlone(rehearsal.world, 'r-repair', gates()))).code).toBe(0)
  expect(rehearsal.cluster.selector()).toEqual({ app: APP, color: 'blue' })
  expect(recordOf(rehearsal)).toMatchObject({
    outcome: 'rolled-back',
    message: expect.stringContaining('1,240 : 1'),
  })
})

test('whoever moves users by hand does not wait for a watch that died', async () => {
  await using rehearsal = await baking()
  await go(rehearsal)
  change(rehearsal, ({ bake: found, ...entry }) => ({
    ...entry,
    finishedAt: undefined,
    outcome: 'open',
    ...(found && { bake: { ...found, verdict: undefined } }),
  }))
  const before = recordOf(rehearsal).bake?.readings.length
  const way = { id: 'r-switch', to: 'blue', reason: 'I must' } as const
  expect((await failure(switchAlone(rehearsal.world, way, gates()))).message).toBe('')
  expect(rehearsal.cluster.selector()).toEqual({ app: APP, color: 'blue' })
  const record = recordOf(rehearsal)
  expect([record.outcome, record.bake?.readings.length]).toEqual(['superseded', before])
})

test('somebody who moves users meanwhile has the last word', async () => {
  await using rehearsal = await baking((reading, { cluster }) => {
    if (reading === 4)
      cluster.put({ ...cluster.object('Service', APP), spec: { selector: { app: APP, color: 'blue' } } })
  })
  const { code, message } = await failure(go(rehearsal))
  expect({ code, message }).toEqual({ code: 4, message: expect.stringContaining('somebody else moved them') })
})
