import { describe, expect, test } from 'bun:test'
import { empty, keepPace, PATIENCE, retire, waitReady, waitServing } from '../../../lib/app/rollout.ts'
import { key } from '../../../lib/app/color.ts'
import { APP, autoscaler, deployment, made, ready, waiting } from '../objects.ts'
import { failure, rehearse, running, type Rehearsal } from '../world.ts'

const container = (about: object) => ({ containerStatuses: [{ name: 'app', ...about }] })
const ended = (exitCode: number, reason = 'Error') => ({ terminated: { exitCode, reason } })

test('waitReady says what is missing as it changes, and answers with what it saw', async () => {
  await using rehearsal = rehearse()
  const { cluster, world, clock, log } = rehearsal
  cluster.podStatus = () => waiting('ContainerCreating')
  running(cluster, { blue: '1.0.0' }, 'blue')
  clock.during.set(400, () => {
    cluster.podStatus = ready
    cluster.put(deployment('blue', made('1.0.0')))
  })
  expect((await waitReady(world, 'blue', 2)).colors.blue.ready).toHaveLength(2)
  expect(log.lines).toEqual(['0 of 2 pods ready'])
})

test('waitReady waits by no clock that somebody may set', async () => {
  await using rehearsal = rehearse()
  const { cluster, world, clock } = rehearsal
  cluster.podStatus = () => container({ state: { running: {} }, ready: false, restartCount: 0 })
  running(cluster, { blue: '1.0.0' }, 'blue')
  clock.during.set(400, () => clock.set(3_600_000))
  clock.during.set(400 * 1.15, () => {
    cluster.podStatus = ready
    cluster.put(deployment('blue', made('1.0.0')))
  })
  expect((await waitReady(world, 'blue', 2)).colors.blue.ready).toHaveLength(2)
})

test('waitReady fails as soon as the cluster knows', async () => {
  await using rehearsal = rehearse()
  const { cluster, world, clock } = rehearsal
  cluster.podStatus = () => waiting('InvalidImageName', "couldn't parse image")
  running(cluster, { blue: '1.0.0' }, 'blue')
  expect(await failure(waitReady(world, 'blue', 2))).toMatchObject({ code: 1 })
  expect(clock.slept).toEqual([])
})

test('scaling down is not over before the pods are gone, however late the controller is', async () => {
  await using rehearsal = rehearse({ afterSwitch: 'scale-down' })
  const { cluster, world, clock, log } = rehearsal
  running(cluster, { blue: '1.0.0' }, 'green')
  const pods = cluster.all('Pod')
  clock.during.set(400, () => {
    for (const { metadata } of pods) cluster.objects.delete(`Pod/${metadata.name}`)
  })
  cluster.intercept = (line) => {
    // The API server has taken it; no pod has been told yet.
    if (!line.startsWith('patch deployment')) return undefined
    const changed = cluster.object('Deployment', `${APP}-blue`)
    Object.assign(changed.spec ?? {}, { replicas: 0 })
    return { stdout: JSON.stringify(changed), stderr: '', exitCode: 0 }
  }
  await retire(world, (await rehearsal.observed()).colors.blue)
  expect(cluster.all('Pod')).toEqual([])
  expect(log.lines).toEqual(['2 pods of blue are finishing'])
})

test.each([
  ['serves until its containers have ended', { running: {} }, ['1 pods of blue are finishing']],
  ['is no longer waited for, however long its object stays', ended(0, 'Completed'), []],
  [
    'and whose container the kubelet has lost is not either',
    { waiting: { reason: 'ContainerCreating' } },
    [],
  ],
])('a pod that was told to end %s', async (_, state, said) => {
  await using rehearsal = rehearse({ afterSwitch: 'recycle' })
  const { cluster, world, clock, log } = rehearsal
  running(cluster, { blue: '1.0.0' }, 'green')
  const { metadata } = cluster.put({
    ...cluster.object('Pod', `${APP}-blue.1.0`),
    status: container({ state }),
    metadata: { name: 'old', labels: { app: APP, color: 'blue' }, deletionTimestamp: '2026-11-23T08:00:00Z' },
  })
  clock.during.set(400, () => void cluster.objects.delete(`Pod/${metadata.name}`))
  await retire(world, (await rehearsal.observed()).colors.blue)
  expect(log.lines).toEqual(said)
})

const replicas = ({ cluster }: Rehearsal, color: 'blue' | 'green'): unknown =>
  cluster.object('Deployment', `${APP}-${color}`).spec?.replicas

/** Blue is live and has got a third pod; green has two. */
function grown({ cluster }: Rehearsal): void {
  running(cluster, { blue: '1.0.0', green: '1.1.0' }, 'blue')
  cluster.put(deployment('blue', made('1.0.0'), 3))
  cluster.put(autoscaler('green', 1, 2))
}

describe('keepPace', () => {
  const place = { color: 'green', live: 'blue', atLeast: 2 } as const

  test('the idle color gets as many pods as live has by now, and room for them', async () => {
    await using rehearsal = rehearse()
    const { cluster, world, observed, log } = rehearsal
    grown(rehearsal)
    const { colors } = await keepPace(world, place, observed)
    expect(colors.green.ready).toHaveLength(3)
    expect(cluster.writes).toEqual([
      `patch horizontalpodautoscaler ${APP}-green`,
      `patch deployment ${APP}-green`,
    ])
    expect(cluster.object('HorizontalPodAutoscaler', `${APP}-green`).spec).toMatchObject({
      minReplicas: 3,
      maxReplicas: 3,
    })
    expect(log.lines).toEqual(['blue has 3 pods by now: green gets as many', '2 of 3 pods ready'])
  })

  test('live that has grown once more is followed once more', async () => {
    await using rehearsal = rehearse()
    const { cluster, world, observed, clock } = rehearsal
    grown(rehearsal)
    let times = 0
    clock.during.set(400, () => {
      if (times++ === 0) cluster.put(deployment('blue', made('1.0.0'), 5))
    })
    await keepPace(world, place, observed)
    expect(replicas(rehearsal, 'green')).toBe(5)
  })

  test('as many as are there is no reason to write, and fewer in live are none to take any away', async () => {
    await using rehearsal = rehearse()
    const { cluster, world, observed } = rehearsal
    running(cluster, { blue: '1.0.0', green: '1.1.0' }, 'blue')
    cluster.put(deployment('blue', made('1.0.0'), 1))
    await keepPace(world, place, observed)
    expect(cluster.writes).toEqual([])
    expect(replicas(rehearsal, 'green')).toBe(2)
  })

  test('a pod that is on its way is waited for; nothing is scaled for it', async () => {
    await using rehearsal = rehearse()
    const { cluster, world, observed, clock } = rehearsal
    running(cluster, { blue: '1.0.0', green: '1.1.0' }, 'blue')
    cluster.object('Pod', `${APP}-green.1.0`).status = waiting('ContainerCreating')
    clock.during.set(400, () => (cluster.object('Pod', `${APP}-green.1.0`).status = ready()))
    await keepPace(world, place, observed)
    expect(cluster.writes).toEqual([])
    expect(clock.slept).toEqual([400])
  })

  test('a color that breaks meanwhile is explained', async () => {
    await using rehearsal = rehearse()
    const { cluster, world, observed, log } = rehearsal
    grown(rehearsal)
    cluster.object('Pod', `${APP}-green.1.0`).status = waiting('CrashLoopBackOff', 'back-off')
    cluster.intercept = (line) =>
      line.startsWith('logs') ? { stdout: 'panic: no database', stderr: '', exitCode: 0 } : undefined
    expect(await failure(keepPace(world, place, observed))).toEqual({
      code: 1,
      message: `green is broken: pod/${APP}-green.1.0: CrashLoopBackOff: back-off`,
    })
    expect(log.lines).toContain('panic: no database')
    expect(cluster.writes).toEqual([])
  })

  test('and one that never gets them is told', async () => {
    await using rehearsal = rehearse()
    const { cluster, world, observed } = rehearsal
    grown(rehearsal)
    cluster.podStatus = () => waiting('ContainerCreating')
    expect(await failure(keepPace(world, place, observed))).toMatchObject({
      code: 70,
      message: 'green was not ready within 10 m 0 s: 0 of 3 pods ready',
    })
  })
})

/** Blue's pods, one by one, while users are on green. */
function blueHas({ cluster }: Rehearsal, ...statuses: Record<string, unknown>[]): void {
  running(cluster, { blue: '1.0.0', green: '1.1.0' }, 'green')
  cluster.podStatus = (pod) => statuses[Number(pod.split('.').at(-1))] ?? ready()
  cluster.put(deployment('blue', made('1.0.0'), statuses.length))
}

describe('waitServing (S9)', () => {
  test('ready pods of the release before are none of those that users are to go back to', async () => {
    await using rehearsal = rehearse()
    const { cluster, clock, world, log } = rehearsal
    running(cluster, { blue: '1.0.0' }, 'green')
    for (const pod of cluster.all('Pod')) pod.metadata.annotations = { [key.release]: 'r2.0.0' }
    clock.during.set(200, () => void cluster.put(deployment('blue', made('1.0.0'))))
    await waitServing(world, 'blue', 1)
    expect(log.lines).toEqual([expect.stringMatching(/^2 ready pods of blue are of another release/)])
  })

  const broken = waiting('CrashLoopBackOff', 'back-off')
  const coming = waiting('ContainerCreating')

  test.each<[string, Record<string, unknown>[], number, number]>([
    ['enough are ready: at once', [ready(), ready()], 2, 0],
    ['one is ready, and one will never be: at once', [ready(), broken], 2, 0],
    ['one is ready, and one is on its way: after a while', [ready(), coming], 2, PATIENCE],
    ['more than there will be: after a while', [ready()], 9, PATIENCE],
  ])('%s', async (_, statuses, enough, waited) => {
    await using rehearsal = rehearse()
    blueHas(rehearsal, ...statuses)
    const { colors } = await waitServing(rehearsal.world, 'blue', enough)
    expect(colors.blue.ready.length).toBeGreaterThan(0)
    const slept = rehearsal.clock.slept.reduce((sum, ms) => sum + ms, 0)
    expect(slept).toBeGreaterThanOrEqual(waited)
    expect(slept).toBeLessThanOrEqual(waited * 1.1)
  })

  test.each<[string, Record<string, unknown>[], number, RegExp]>([
    [
      'none is ready, and one will never be',
      [broken, coming],
      1,
      /^blue is broken: pod\/chat-blue.*back-off$/,
    ],
    [
      'none is ready in time',
      [coming],
      70,
      /^blue cannot serve within 10 m 0 s: no pod of blue is ready; 0 of 2/,
    ],
  ])('%s', async (_, statuses, code, message) => {
    await using rehearsal = rehearse()
    blueHas(rehearsal, ...statuses)
    const failed = await failure(waitServing(rehearsal.world, 'blue', 2))
    expect(failed.message).toMatch(message)
    expect(failed.code).toBe(code)
  })
})

describe('empty', () => {
  test('all pods go at once, and it is over when they have ended', async () => {
    await using rehearsal = rehearse()
    const { cluster, world, clock, observed, log } = rehearsal
    running(cluster, { blue: '1.0.0', green: '1.1.0' }, 'blue')
    const state = (await observed()).colors.green
    const { metadata } = cluster.put({
      ...cluster.object('Pod', `${APP}-green.1.0`),
      metadata: {
        name: 'old',
        labels: { app: APP, color: 'green' },
        deletionTimestamp: '2026-11-23T08:00:00Z',
      },
      status: container({ state: { running: {} } }),
    })
    clock.during.set(400, () => void cluster.objects.delete(`Pod/${metadata.name}`))
    await empty(world, state)
    expect(replicas(rehearsal, 'green')).toBe(0)
    expect(cluster.writes).toEqual([`patch deployment ${APP}-green`])
    expect(log.lines).toEqual(['1 pods of green are finishing'])
  })

  test('a color without pods is not written to', async () => {
    await using rehearsal = rehearse()
    const { cluster, world, observed } = rehearsal
    running(cluster, { blue: '1.0.0', green: '1.1.0' }, 'blue')
    cluster.put(deployment('green', made('1.1.0'), 0))
    await empty(world, (await observed()).colors.green)
    expect(cluster.writes).toEqual([])
  })
})
