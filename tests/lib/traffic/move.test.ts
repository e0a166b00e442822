import { describe, expect, test } from 'bun:test'
import { uids } from '../../../lib/app/observe.ts'
import type { Output } from '../../../lib/command.ts'
import { endpointSlice, service as serviceForm } from '../../../lib/cluster/objects.ts'
import { byHand } from '../../../lib/app/live.ts'
import { operations, type Move } from '../../../lib/traffic/patch.ts'
import { converge, pointPreview, readyEndpoints, withoutPod } from '../../../lib/traffic/endpoints.ts'
import { APP, live, made, service, waiting } from '../objects.ts'
import { failure, rehearse, running } from '../world.ts'

function move(about: { selector?: object; annotations?: object; expected?: string }): Move {
  const { selector = live('blue'), annotations = { a: 'b' }, expected } = about
  const to = { color: 'green', ...made('1.1.0') } as const
  return {
    intent: { id: '01', kind: 'deploy', to, by: 'alice', at: '2026-11-23T08:00:00Z' },
    to,
    service: serviceForm.parse({ ...service(APP), metadata: { name: APP, annotations }, spec: { selector } }),
    token: { expected, next: 'mine' },
    atLeast: 2,
  }
}

const paths = (about: Parameters<typeof move>[0]): string[] =>
  operations(move(about), live('green')).map(({ op, path }) => `${op} ${path}`)

describe('operations: the one write that moves traffic', () => {
  const lock = '/metadata/annotations/deploy-scripts~1lock'
  const entry = '/metadata/annotations/deploy-scripts~1switch'

  test.each([
    [
      'tests the selector it leaves and the lock it is made under (S3)',
      { expected: 'mine' },
      ['test /spec/selector', `test ${lock}`, 'add /spec/selector', `add ${lock}`, `add ${entry}`],
    ],
    [
      'without a lock on the Service',
      {},
      ['test /spec/selector', 'add /spec/selector', `add ${lock}`, `add ${entry}`],
    ],
    [
      'a Service that has never selected anything',
      { selector: {}, expected: 'mine' },
      [`test ${lock}`, 'add /spec/selector', `add ${lock}`, `add ${entry}`],
    ],
    [
      'a Service without annotations',
      { annotations: {} },
      [
        'test /spec/selector',
        'add /spec/selector',
        'add /metadata/annotations',
        `add ${lock}`,
        `add ${entry}`,
      ],
    ],
  ])('%s', (_, about, expected) => expect(paths(about)).toEqual(expected))

  test('the tests come before anything is added, with the values that were read', () => {
    const [selector, token] = operations(move({ expected: 'mine' }), live('green'))
    expect(selector).toEqual({ op: 'test', path: '/spec/selector', value: live('blue') })
    expect(token).toEqual({ op: 'test', path: lock, value: 'mine' })
  })
})

const slice = (endpoints: unknown) =>
  endpointSlice.parse({ kind: 'EndpointSlice', metadata: { name: 'a' }, endpoints })

const pod = (uid: string, conditions?: object) => ({
  targetRef: { kind: 'Pod', name: uid, uid },
  ...(conditions && { conditions }),
})

describe('readyEndpoints', () => {
  test.each([
    ['no endpoints', [slice(null)], []],
    ['several slices', [slice([pod('a')]), slice([pod('b')])], ['a', 'b']],
    ['not ready', [slice([pod('a', { ready: false }), pod('b', { ready: true })])], ['b']],
    ['what does not say is ready', [slice([pod('a', {}), pod('b', { ready: null })])], ['a', 'b']],
    ['two IP families name each pod twice, and it is one', [slice([pod('a')]), slice([pod('a')])], ['a']],
  ])('%s', (_, slices, expected) => expect(readyEndpoints(slices)).toEqual(expected))

  test.each([
    ['every address is a pod', slice([pod('a')]), []],
    ['an address that is none', slice([pod('a'), { conditions: { ready: true } }]), ['a']],
    ['one that gets no traffic', slice([{ conditions: { ready: false } }]), []],
    ['a node', slice([{ targetRef: { kind: 'Node', name: 'n', uid: 'u' } }]), ['a']],
    ['a pod without a uid', slice([{ targetRef: { kind: 'Pod', name: 'n' } }]), ['a']],
  ])('withoutPod: %s', (_, one, expected) => expect(withoutPod([one])).toEqual(expected))
})

/** The cluster's answer to who asks for endpoints. */
const slices = (line: string, items: object[]): Output | undefined =>
  line.startsWith('get endpointslices')
    ? { stdout: JSON.stringify({ kind: 'List', items }), stderr: '', exitCode: 0 }
    : undefined

describe('converge', () => {
  test("until only the color's own ready pods are left", async () => {
    await using rehearsal = rehearse()
    const { cluster, world, log } = rehearsal
    running(cluster, { blue: '1.0.0', green: '1.1.0' }, 'blue')
    const waited = failure(converge(world, APP, 'green', 2))
    expect(await waited).toEqual({
      code: 70,
      message:
        "Service chat did not lead to green within 30 s: 2 endpoints of Service chat are not green's yet",
    })
    cluster.put({ ...service(APP), spec: { selector: live('green') } })
    cluster.object('Pod', 'chat-green.1.0').status = waiting('ContainerCreating')
    expect((await failure(converge(world, APP, 'green', 2))).message).toMatch(
      /: 1 of 2 endpoints of Service chat$/,
    )
    await converge(world, APP, 'green', 1)
    expect(log.lines.length).toBeGreaterThan(1)
  })

  test('with two IP families half of the pods are not enough', async () => {
    await using rehearsal = rehearse()
    const { cluster, world, observed } = rehearsal
    running(cluster, { green: '1.1.0' }, 'green')
    const [one = ''] = uids((await observed()).colors.green)
    const family = (name: string) => ({ kind: 'EndpointSlice', metadata: { name }, endpoints: [pod(one)] })
    cluster.intercept = (line) => slices(line, [family('v4'), family('v6')])
    expect((await failure(converge(world, APP, 'green', 2))).message).toMatch(
      /: 1 of 2 endpoints of Service chat$/,
    )
  })

  test('an address that is no pod: which slice it is in, and what to do', async () => {
    await using rehearsal = rehearse()
    const { cluster, world } = rehearsal
    running(cluster, { green: '1.1.0' }, 'green')
    const mirrored = {
      kind: 'EndpointSlice',
      metadata: { name: 'chat-x' },
      endpoints: [{ addresses: ['10.0.0.9'] }],
    }
    cluster.intercept = (line) => slices(line, [mirrored])
    expect((await failure(converge(world, APP, 'green', 2))).message).toMatch(
      /leads to addresses that are no pods: delete EndpointSlice chat-x, or whatever makes it$/,
    )
  })

  test('a stray pod behind the Service is never agreed to', async () => {
    await using rehearsal = rehearse()
    const { cluster, world } = rehearsal
    running(cluster, { blue: '1.0.0' }, 'blue')
    const stray = {
      ...cluster.object('Pod', 'chat-blue.1.0'),
      metadata: { name: 'stray', labels: live('blue') },
    }
    cluster.put(stray)
    expect((await failure(converge(world, APP, 'blue', 2))).message).toMatch(
      /1 endpoints of Service chat are not blue's yet/,
    )
  })
})

test('the preview is patched once, and only where it leads elsewhere', async () => {
  await using rehearsal = rehearse()
  const { cluster, world, observed } = rehearsal
  running(cluster, { blue: '1.0.0', green: '1.1.0' }, 'blue')
  await pointPreview(world, await observed(), 'green', 2)
  expect(cluster.writes).toEqual([])
  await pointPreview(world, await observed(), 'blue', 2)
  expect(cluster.writes).toEqual([`patch service ${APP}-preview`])
})

test('a preview that leads elsewhere is said, with what to do', async () => {
  await using rehearsal = rehearse()
  const { cluster, world, app, observed } = rehearsal
  running(cluster, { blue: '1.0.0', green: '1.1.0' }, 'blue')
  const environment = { ...world.environment, previewUrl: app.url }
  expect(await failure(pointPreview({ ...world, environment }, await observed(), 'green', 2))).toEqual({
    code: 70,
    message:
      `${app.url} does not lead to green, 60 s after Service chat-preview does (blue): check "previewUrl", ` +
      'or give its load balancer more time ("timeouts.reach")',
  })
})

test('what a person runs can be pasted', async () => {
  await using rehearsal = rehearse()
  const line = byHand(rehearsal.world.environment, 'blue')
  const words =
    await Bun.$`sh -c ${`for word in ${line.slice('kubectl '.length)}; do echo "$word"; done`}`.text()
  expect(words.trim().split('\n').at(-1)).toBe(
    '[{"op":"replace","path":"/spec/selector","value":{"app":"chat","color":"blue"}}]',
  )
})
