import { describe, expect, test } from 'bun:test'
import { key } from '../../../lib/app/color.ts'
import {
  capacity,
  drift,
  isOverlap,
  isUnused,
  liveColor,
  obstacles,
  obstaclesBack,
  strangers,
} from '../../../lib/app/live.ts'
import { arrange, type Observed } from '../../../lib/app/observe.ts'
import { watched } from '../../../lib/cluster/objects.ts'
import { Cluster } from '../cluster.ts'
import { APP, SITE, deployment, image, live, made, ready, service, waiting } from '../objects.ts'
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
    annotations: { [key.switch]: JSON.stringify(change) },
  },
})
const to = (color: string) => ({ color, ...made('1.0.0') })

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

const patchTo = (color: string): string =>
  `kubectl --context=test --namespace=chat-test patch service chat --type=json -p '[{"op":"replace","path":"/spec/selector","value":{"app":"chat","color":"${color}"}}]'`

const switchTo = (color: string) => ({ ...byHand, from: to('blue'), to: to(color) })

/** The commands that an error prints, one to a line. */
const commandsOf = (message: string): string[] =>
  message
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.startsWith('kubectl'))

describe('a selector that nobody knows: what a person is told', () => {
  const look = 'kubectl --context=test --namespace=chat-test get service chat -o yaml --show-managed-fields'
  test.each<
    [string, { spoil?: Spoil; selector: Record<string, string>; change?: object }, string | undefined]
  >([
    ['the color of the last switch, where it is ready', { selector: {}, change: switchTo('green') }, 'green'],
    [
      'the last switch before the selector',
      { selector: { ...live('blue'), tier: 'web' }, change: switchTo('green') },
      'green',
    ],
    [
      'the color that the selector names, where nothing is known of a switch',
      { selector: { ...live('green'), tier: 'web' } },
      'green',
    ],
    [
      'the other one, where that of the last switch has no ready pod',
      {
        selector: { ...live('green'), tier: 'web' },
        change: switchTo('green'),
        spoil: (cluster) => cluster.put(deployment('green', made('1.1.0'), 0)),
      },
      'blue',
    ],
    ['any that is ready, where neither is known', { selector: { app: APP, color: 'red' } }, 'blue'],
    [
      'no color, where none is ready',
      {
        selector: { app: APP },
        spoil: (cluster) => {
          for (const color of ['blue', 'green'] as const) cluster.put(deployment(color, made('1.0.0'), 0))
        },
      },
      undefined,
    ],
  ])('%s', (_, { spoil, selector, change }, expected) => {
    const cluster = blueAndGreen()
    cluster.objects.delete(`Service/${APP}`)
    cluster.put({ ...(change ? annotated(change) : service(APP)), spec: { selector } })
    spoil?.(cluster)
    const message = thrown(() => liveColor(SITE, seen(cluster)))
    expect(commandsOf(message)).toEqual(expected ? [look, patchTo(expected)] : [])
    if (!expected) expect(message).toMatch(/No color has a ready pod, so there is nowhere to send users$/)
  })

  test('pods without a color: how they get one, and no command', () => {
    const cluster = new Cluster()
    cluster.put(deployment('plain', made('0.9.0')))
    cluster.put({ ...service(APP), spec: { selector: { app: APP } } })
    const message = thrown(() => liveColor(SITE, seen(cluster)))
    expect(message).toMatch(/configuration-guide\.md, "Adopting an application", says how they get one$/)
    expect(commandsOf(message)).toEqual([])
  })
})

function thrown(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
  return ''
}

describe('drift of what is live, and not only of where users are', () => {
  const nowGreen = { ...byHand, to: { color: 'green', ...made('1.1.0') } }
  function greenIsLive(): Cluster {
    const cluster = blueAndGreen()
    cluster.put({ ...annotated(nowGreen), spec: { selector: live('green') } })
    return cluster
  }
  const other = image('f')
  test.each<[string, Spoil, string | undefined]>([
    ['as it was left', () => {}, undefined],
    [
      'another release was put there',
      (cluster) => cluster.put(deployment('green', made('1.2.0'))),
      'green runs 1.2.0, but users were sent there for 1.1.0 (01, bob, 2026-11-23T07:00:00Z): what is live was overwritten',
    ],
    [
      'another image was set by hand',
      (cluster) => setImage(cluster, 'green', other),
      `green runs ${other}, which somebody put there by hand in place of 1.1.0`,
    ],
    [
      'one beside it, by a webhook',
      (cluster) => setImage(cluster, 'green', made('1.1.0').image, other),
      undefined,
    ],
    ['an image of the idle color', (cluster) => setImage(cluster, 'blue', other), undefined],
  ])('%s', (_, spoil, expected) => {
    const cluster = greenIsLive()
    spoil(cluster)
    expect(drift(APP, seen(cluster))).toBe(expected)
  })
})

/** As `kubectl set image` does it: the annotations stay. */
function setImage(cluster: Cluster, color: 'blue' | 'green', ...images: string[]): void {
  const { spec } = cluster.object('Deployment', `${APP}-${color}`)
  const containers = images.map((name) => ({ name, image: name }))
  Object.assign(spec ?? {}, { template: { metadata: {}, spec: { containers } } })
}

describe('obstaclesBack (S9): whoever goes back asks only for less harm', () => {
  test.each<[string, Spoil, string[]]>([
    ['all is well', () => {}, []],
    [
      'one pod is enough',
      (cluster) => (cluster.object('Pod', 'chat-blue.1.0').status = waiting('CrashLoopBackOff')),
      [],
    ],
    ['a rollout under way is no reason', status({ updatedReplicas: 1, observedGeneration: 0 }), []],
    [
      'an autoscaler that has taken pods away',
      (cluster) => cluster.put(deployment('blue', made('1.0.0'), 1)),
      [],
    ],
    [
      'no pod at all',
      (cluster) => cluster.put(deployment('blue', made('1.0.0'), 0)),
      ['no pod of blue is ready'],
    ],
    [
      'no Deployment',
      (cluster) => cluster.objects.delete('Deployment/chat-blue'),
      ['blue has no Deployment'],
    ],
    [
      'strangers behind its labels',
      (cluster) => delete cluster.object('Pod', 'chat-blue.1.0').metadata.ownerReferences,
      ["chat-blue.1.0 carry blue's labels but do not belong to Deployment chat-blue"],
    ],
    [
      'another image than users were on',
      (cluster) => setImage(cluster, 'blue', image('f')),
      [`Deployment chat-blue runs ${image('f')}, which somebody put there by hand`],
    ],
  ])('%s', (_, spoil, expected) => {
    const cluster = blueAndGreen()
    spoil(cluster)
    expect(obstaclesBack(seen(cluster).colors.blue)).toEqual(expected)
  })
})

test('small words', () => {
  expect(isOverlap(APP, { app: APP })).toBe(true)
  expect(isOverlap(APP, live('blue'))).toBe(false)
  expect(isUnused(seen(new Cluster()))).toBe(true)
})

const pod = (labels: Record<string, string>, more: object = {}, status: object = ready()) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'debug', labels: { app: APP, ...labels }, ...more },
  status: { ...status },
})

describe('strangers: whom an overlap, which selects every pod of the app, would send users to', () => {
  test('the pods of both colors are none', async () => {
    await using rehearsal = rehearse()
    running(rehearsal.cluster, { blue: '1.0.0', green: '1.1.0' }, 'blue')
    expect(strangers(await rehearsal.observed())).toEqual([])
  })

  test.each([
    ['a debug copy without a color', pod({}), ['debug']],
    ['one with a color, that its Deployment does not own', pod(live('green')), ['debug']],
    ['one that is not ready yet, as it may be in a moment', pod({}, {}, { phase: 'Pending' }), ['debug']],
    ['one that has ended', pod({}, {}, { phase: 'Succeeded' }), []],
    ['one that is being deleted', pod({}, { deletionTimestamp: '2026-11-23T08:00:00Z' }), []],
  ])('%s', async (_, stray, expected) => {
    await using rehearsal = rehearse()
    running(rehearsal.cluster, { blue: '1.0.0', green: '1.1.0' }, 'blue')
    rehearsal.cluster.put(stray)
    expect(strangers(await rehearsal.observed())).toEqual(expected)
  })

  test('what ran before there were colors', async () => {
    await using rehearsal = rehearse()
    running(rehearsal.cluster, { blue: '1.0.0', green: '1.1.0' }, 'blue')
    rehearsal.cluster.put(deployment('plain', made('0.9.0'), 1))
    expect(strangers(await rehearsal.observed())).toEqual([`${APP}.1.0`])
  })
})
