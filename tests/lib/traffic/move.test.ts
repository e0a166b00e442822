import { describe, expect, test } from 'bun:test'
import type { Color } from '../../../lib/app/color.ts'
import { endpointSlice, service as serviceForm } from '../../../lib/cluster/objects.ts'
import { byHand } from '../../../lib/app/live.ts'
import { operations, type Move } from '../../../lib/traffic/patch.ts'
import { converge, pointPreview, readyEndpoints } from '../../../lib/traffic/endpoints.ts'
import { losses, proofOf } from '../../../lib/traffic/proof.ts'
import type { Sample } from '../../../lib/traffic/witness.ts'
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

const sample = (
  done: number,
  color?: Color,
  failure?: string,
  connection: Sample['connection'] = 'new',
): Sample => ({
  due: done,
  done,
  connection,
  ...(color && { color }),
  ...(failure && { failure }),
})

describe('losses', () => {
  const moved = { patchedAt: 1000, converged: 100 }
  const good = [sample(900, 'blue'), sample(1050, 'blue'), sample(1200, 'green')]
  test.each<[string, Sample[], number, string | undefined]>([
    ['nobody lost', good, 0, undefined],
    ['no samples at all prove nothing', [], 0, 'the witness got no answer at all, so nothing is proven'],
    [
      'nor do samples from before',
      [sample(900, 'blue')],
      0,
      'the witness got no answer at all, so nothing is proven',
    ],
    [
      'one lost',
      [...good, sample(1300, undefined, 'status 502')],
      0,
      '1 of 3 requests failed (1 × status 502)',
    ],
    ['one lost, one allowed', [...good, sample(1300, undefined, 'status 502')], 1, undefined],
    [
      'old failures are not held against the new color, so long as it answers alone',
      [sample(900, undefined, 'status 500'), sample(1050, undefined, 'status 500'), sample(1200, 'green')],
      0,
      undefined,
    ],
    [
      'but its own are',
      [sample(900, undefined, 'status 500'), sample(1200, undefined, 'status 500')],
      0,
      '1 of 1 requests failed (1 × status 500)',
    ],
  ])('%s', (_, samples, allowed, expected) => expect(losses(moved, samples, 'green', allowed)).toBe(expected))

  test('what a record keeps of it', () => {
    expect(proofOf(moved, [...good, sample(1100, 'blue', undefined, 'kept')], 'green')).toEqual({
      converged: 100,
      requests: 3,
      failures: 0,
      failuresBefore: 0,
      onNewConnections: 2,
      onKeptConnections: 1,
      firstNew: 200,
      lastOld: 100,
      lastOldOnNew: 50,
    })
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
    ['an address that is no pod is nobody we know', [slice([{ conditions: { ready: true } }])], ['unknown']],
  ])('%s', (_, slices, expected) => expect(readyEndpoints(slices)).toEqual(expected))
})

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

test('what a person runs can be pasted', async () => {
  await using rehearsal = rehearse()
  const line = byHand(rehearsal.world.environment, 'blue')
  const words =
    await Bun.$`sh -c ${`for word in ${line.slice('kubectl '.length)}; do echo "$word"; done`}`.text()
  expect(words.trim().split('\n').at(-1)).toBe(
    '[{"op":"replace","path":"/spec/selector","value":{"app":"chat","color":"blue"}}]',
  )
})
