import { expect, setDefaultTimeout, test } from 'bun:test'
import { deploy } from '../../../lib/release/blue-green.ts'
import type { Plan, Request } from '../../../lib/release/plan.ts'
import { repairAlone, switchAlone } from '../../../lib/release/switch-alone.ts'
import { Kubectl } from '../../../lib/cluster/kubectl.ts'
import type { World } from '../../../lib/cluster/world.ts'
import { recordForm, type DeploymentRecord } from '../../../lib/history/record.ts'
import { configMapOf } from '../../../lib/history/store.ts'
import { bake } from '../../../lib/settings/bake.ts'
import { APP, autoscaler, deployment, made, ready, service } from '../objects.ts'
import { failure, gates, rehearse, running, type Rehearsal } from '../world.ts'

setDefaultTimeout(60_000)

const next = made('1.1.0')
const request: Request = { id: next.release, image: next.image, version: next.version, reason: 'a feature' }

/** Nothing else sleeps for these. */
const EVERY = 5003
const settings = bake.parse({ first: '10s', time: '60s', maxTime: '90s', every: `${EVERY}ms`, probes: 20 })

/** 1.0.0 is live in blue, and 1.1.0 is planned for green; `at` is called at the so many-th reading. */
async function baking(
  at: (reading: number, rehearsal: Rehearsal) => unknown = () => {},
  more: Partial<typeof settings> = {},
): Promise<Rehearsal & { plan: Plan }> {
  const rehearsal = rehearse({ bake: { ...settings, ...more } })
  running(rehearsal.cluster, { blue: '1.0.0' }, 'blue')
  let reading = 0
  rehearsal.clock.during.set(EVERY, async () => {
    await at(++reading, rehearsal)
    await Bun.sleep(30)
  })
  const plan: Plan = {
    release: next,
    from: 'blue',
    to: 'green',
    replicas: 2,
    observed: await rehearsal.observed(),
    rendered: {
      painted: [deployment('green', next), autoscaler('green', 1, 4)],
      shared: [service(APP), service(`${APP}-preview`)],
      kept: [deployment('plain', next)],
      compared: [],
      migration: [],
    },
    difference: '',
    drift: undefined,
    notes: [],
  }
  return { ...rehearsal, plan }
}

const go = async ({ world, plan }: Rehearsal & { plan: Plan }) => await deploy(world, request, plan, gates())
const isGreen = (cluster: Rehearsal['cluster']): boolean =>
  Bun.deepEquals(cluster.selector(), { app: APP, color: 'green' })

const recordOf = ({ cluster }: Pick<Rehearsal, 'cluster'>): DeploymentRecord =>
  recordForm.parse(cluster.records().find(({ kind }) => kind === 'deploy'))

/** As a command leaves it that dies at the worst moment. */
function change({ cluster }: Rehearsal, by: (entry: DeploymentRecord) => DeploymentRecord): void {
  const entry = by(recordOf({ cluster }))
  cluster.put(configMapOf(entry))
}

/** The next command's world: nobody has interrupted it. */
function afterwards({ world, cluster, clock }: Rehearsal): World {
  const { signal } = new AbortController()
  return { ...world, signal, kubectl: new Kubectl(world.environment, cluster, clock, signal) }
}

const failing = () => new Response('', { status: 500 })

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

test('a container that was restarted needs no odds', async () => {
  await using rehearsal = await baking((reading, { cluster }) => {
    if (reading !== 3) return
    const lastState = { terminated: { exitCode: 137, reason: 'OOMKilled' } }
    const containerStatuses = [
      { name: 'app', ready: true, restartCount: 1, state: { running: {} }, lastState },
    ]
    for (const pod of cluster.all('Pod').filter(({ metadata }) => metadata.name.includes('green')))
      cluster.objects.set(`Pod/${pod.metadata.name}`, { ...pod, status: { ...ready(), containerStatuses } })
  })
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
