import { describe, expect, test } from 'bun:test'
import { arrange, side, type Observed } from '../../../lib/app/observe.ts'
import { capacity, drift, isOverlap, isUnused, liveColor, obstacles } from '../../../lib/app/live.ts'
import { key, names, other } from '../../../lib/app/color.ts'
import { watched } from '../../../lib/cluster/objects.ts'
import { Cluster } from '../cluster.ts'
import { APP, SITE, autoscaler, deployment, live, made, ready, service, waiting } from '../objects.ts'
import { rehearse, running } from '../world.ts'

const seen = (cluster: Cluster): Observed =>
  arrange(
    APP,
    [...cluster.objects.values()].map((object) => watched.parse(object)),
  )

function blueAndGreen(): Cluster {
  const cluster = new Cluster()
  running(cluster, { blue: '1.0.0', green: '1.1.0' }, 'blue')
  return cluster
}

const byHand = { id: '01', kind: 'deploy', from: undefined, by: 'bob', at: '2026-11-23T07:00:00Z' }
const annotated = (change: unknown) => ({
  ...service(APP),
  metadata: {
    ...service(APP).metadata,
    annotations: { [key.switch]: typeof change === 'string' ? change : JSON.stringify(change) },
  },
})
const to = (color: string) => ({ color, ...made('1.0.0') })

describe('arrange', () => {
  test('sorts a heap of objects into what they mean', () => {
    const cluster = blueAndGreen()
    cluster.put({ ...service('other'), metadata: { name: 'other' } })
    cluster.put({
      apiVersion: 'v1',
      kind: 'Lease',
      metadata: { name: 'chat-deploy' },
      spec: { holderIdentity: 'a b' },
    })
    cluster.put({ apiVersion: 'v1', kind: 'Lease', metadata: { name: 'another' }, spec: {} })
    const { colors, service: found, preview, lease } = seen(cluster)
    expect(found?.metadata.name).toBe(APP)
    expect(preview?.metadata.name).toBe(`${APP}-preview`)
    expect(lease?.spec.holderIdentity).toBe('a b')
    expect(colors.blue.ready.map(({ metadata }) => metadata.name)).toEqual(['chat-blue.1.0', 'chat-blue.1.1'])
    expect(colors.blue.release).toEqual(made('1.0.0'))
    expect(colors.green.autoscaler?.metadata.name).toBe('chat-green')
    expect(colors.plain).toMatchObject({ color: 'plain', pods: [], own: [], ready: [] })
  })

  test.each<[string, (cluster: Cluster) => void, { pods: number; own: number; ready: number }]>([
    ['all is well', () => {}, { pods: 2, own: 2, ready: 2 }],
    [
      'a pod that is being deleted is not behind the Service',
      (cluster) =>
        (cluster.object('Pod', 'chat-blue.1.0').metadata.deletionTimestamp = '2026-11-23T08:00:00Z'),
      { pods: 1, own: 1, ready: 1 },
    ],
    [
      'nor is one that has ended',
      (cluster) => (cluster.object('Pod', 'chat-blue.1.0').status = { ...ready(), phase: 'Failed' }),
      { pods: 1, own: 1, ready: 1 },
    ],
    [
      'a pod without a status is not ready',
      (cluster) => delete cluster.object('Pod', 'chat-blue.1.0').status,
      { pods: 2, own: 2, ready: 1 },
    ],
    [
      'Ready: Unknown is not ready',
      (cluster) =>
        (cluster.object('Pod', 'chat-blue.1.0').status = {
          conditions: [{ type: 'Ready', status: 'Unknown' }],
        }),
      { pods: 2, own: 2, ready: 1 },
    ],
    [
      'a pod that nobody owns is a stray, however ready',
      (cluster) => delete cluster.object('Pod', 'chat-blue.1.0').metadata.ownerReferences,
      { pods: 2, own: 1, ready: 1 },
    ],
    [
      'a pod of another Deployment is a stray',
      (cluster) => {
        const theirs = cluster.object('Pod', 'chat-green.1.0').metadata
        theirs.labels = live('blue')
      },
      { pods: 3, own: 2, ready: 2 },
    ],
    [
      'without its Deployment every pod is a stray',
      (cluster) => cluster.objects.delete('Deployment/chat-blue'),
      { pods: 2, own: 0, ready: 0 },
    ],
  ])('%s', (_, spoil, expected) => {
    const cluster = blueAndGreen()
    spoil(cluster)
    const { pods, own, ready: fit } = seen(cluster).colors.blue
    expect({ pods: pods.length, own: own.length, ready: fit.length }).toEqual(expected)
  })

  test.each(['{}', 'not json', '{"id":1}'])(
    'an entry for the history that cannot be read is not ignored: %s',
    (text) => {
      const cluster = blueAndGreen()
      cluster.put(annotated(text))
      expect(() => seen(cluster)).toThrow(/annotation deploy-scripts\/switch of Service chat cannot be read/)
    },
  )
})

describe('liveColor', () => {
  const half = { ...byHand, from: to('blue'), to: to('green'), overlap: true }
  test.each<[string, Record<string, string>, object | undefined, string | RegExp]>([
    ['blue', live('blue'), undefined, 'blue'],
    ['green', live('green'), undefined, 'green'],
    ['both, in an overlap switch', { app: APP }, half, 'blue'],
    ['both, and nobody said so', { app: APP }, undefined, /selects \{"app":"chat"\}, not/],
    ['both, after a switch that was none', { app: APP }, { ...half, overlap: undefined }, /selects/],
    ['a third color', { app: APP, color: 'red' }, undefined, /selects \{"app":"chat","color":"red"\}/],
    ['an empty color', { app: APP, color: '' }, undefined, /selects/],
    ['another app', { app: 'other', color: 'blue' }, undefined, /selects/],
    ['no app', { color: 'blue' }, undefined, /selects/],
    [
      'one label more',
      { ...live('blue'), tier: 'web' },
      undefined,
      /selects [^]*kubectl --context=test --namespace=chat-test patch service chat --type=json/,
    ],
    ['nothing yet', {}, undefined, /No release of chat has been opened to users here yet/],
    ['nothing any more', {}, { ...half, overlap: undefined }, /selects \{\}/],
  ])('%s', (_, selector, change, expected) => {
    const cluster = blueAndGreen()
    cluster.objects.delete(`Service/${APP}`)
    cluster.put({ ...(change ? annotated(change) : service(APP)), spec: { selector } })
    const read = () => liveColor(SITE, seen(cluster))
    if (expected instanceof RegExp) expect(read).toThrow(expected)
    else expect(read()).toBe(expected as 'blue')
  })

  test('no Service', () => expect(() => liveColor(SITE, seen(new Cluster()))).toThrow(/deploy a first one$/))
})

describe('drift', () => {
  test.each<[string, Record<string, string>, object | undefined, RegExp | undefined]>([
    ['the scripts were never here', live('blue'), undefined, undefined],
    ['as they left it', live('green'), { ...byHand, to: to('green') }, undefined],
    ['an overlap under way', { app: APP }, { ...byHand, to: to('green') }, undefined],
    [
      'moved by hand',
      live('blue'),
      { ...byHand, to: to('green') },
      /^traffic is on blue, but .* went to green \(01, bob, 2026/,
    ],
    ['emptied by hand', {}, { ...byHand, to: to('green') }, /^traffic is on no color/],
  ])('%s', (_, selector, change, expected) => {
    const cluster = new Cluster()
    cluster.put({ ...(change ? annotated(change) : service(APP)), spec: { selector } })
    const found = drift(APP, seen(cluster))
    if (expected) expect(found).toMatch(expected)
    else expect(found).toBeUndefined()
  })
})

type Spoil = (cluster: Cluster) => void

const status =
  (change: object): Spoil =>
  (cluster) => {
    const found = cluster.object('Deployment', 'chat-blue')
    found.status = { ...found.status, ...change }
  }

describe('obstacles (S1)', () => {
  test.each<[string, Spoil, number, string[]]>([
    ['all is well', () => {}, 2, []],
    ['fewer than wanted', () => {}, 3, ['2 of 3 pods ready']],
    [
      'no Deployment',
      (cluster) => cluster.objects.delete('Deployment/chat-blue'),
      2,
      ['blue has no Deployment'],
    ],
    [
      'as many as wanted, but not all',
      (cluster) => (cluster.object('Pod', 'chat-blue.1.0').status = waiting('ContainerCreating')),
      1,
      ['1 of 2 pods ready'],
    ],
    [
      'a stray',
      (cluster) => delete cluster.object('Pod', 'chat-blue.1.0').metadata.ownerReferences,
      1,
      ["chat-blue.1.0 carry blue's labels but do not belong to Deployment chat-blue"],
    ],
    [
      'a controller that has not looked yet',
      status({ observedGeneration: 0 }),
      2,
      ['its rollout has not begun'],
    ],
    [
      'an empty status',
      (cluster) => (cluster.object('Deployment', 'chat-blue').status = {}),
      2,
      ['its rollout has not begun'],
    ],
    [
      'old pods that are still to be replaced',
      status({ updatedReplicas: 1 }),
      2,
      ['its rollout is under way (1 of 2 pods updated)'],
    ],
    [
      'old pods that are still there',
      status({ replicas: 3 }),
      2,
      ['its rollout is under way (2 of 2 pods updated)'],
    ],
  ])('%s', (_, spoil, atLeast, expected) => {
    const cluster = blueAndGreen()
    spoil(cluster)
    expect(obstacles(seen(cluster).colors.blue, atLeast)).toEqual(expected)
  })

  test('a color of no pods is never enough', () => {
    const cluster = blueAndGreen()
    cluster.put(deployment('blue', made('1.0.0'), 0))
    const { blue } = seen(cluster).colors
    expect(capacity(blue)).toBe(1)
    expect(obstacles(blue, capacity(blue))).toEqual(['0 of 1 pods ready'])
  })
})

test('capacity is what is ready, not what is declared', () => {
  const cluster = blueAndGreen()
  cluster.object('Pod', 'chat-blue.1.0').status = waiting('ContainerCreating')
  expect(capacity(seen(cluster).colors.blue)).toBe(1)
})

test('small words', () => {
  expect([other('blue'), other('green')]).toEqual(['green', 'blue'])
  expect(names(APP).deployment('plain')).toBe('chat')
  expect(names(APP).deployment('green')).toBe('chat-green')
  expect(isOverlap(APP, { app: APP })).toBe(true)
  expect(isOverlap(APP, live('blue'))).toBe(false)
  expect(isUnused(seen(new Cluster()))).toBe(true)
  expect(side({ color: 'blue', pods: [], own: [], ready: [] })).toEqual({
    color: 'blue',
    release: 'unknown',
    version: 'unknown',
    image: 'unknown',
  })
})

describe('observe', () => {
  test('asks once; a Service without the label is found by its name', async () => {
    await using rehearsal = rehearse()
    const { cluster, observed } = rehearsal
    running(cluster, { blue: '1.0.0' }, 'blue')
    await observed()
    expect(cluster.asked).toHaveLength(1)
    for (const { metadata } of cluster.all('Service')) delete metadata.labels
    expect((await observed()).service?.spec.selector).toEqual(live('blue'))
  })

  test('an answer in an unknown form is an error, not an empty cluster', async () => {
    await using rehearsal = rehearse()
    rehearsal.cluster.put({ ...autoscaler('blue'), spec: { scaleTargetRef: {} } })
    expect(rehearsal.observed()).rejects.toThrow(/kubectl get .* answered in an unknown form/)
  })
})
