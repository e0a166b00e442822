import { describe, expect, test } from 'bun:test'
import { checkQuota, demand, quantity, shortage } from '../../../lib/app/quota.ts'
import type { Manifest } from '../../../lib/cluster/objects.ts'
import { deployment, made } from '../objects.ts'
import { failure, rehearse } from '../world.ts'

describe('quantity', () => {
  test.each<[string, number]>([
    ['0', 0],
    ['3', 3],
    ['250m', 0.25],
    ['1.5Gi', 1.5 * 2 ** 30],
    ['.5', 0.5],
    ['1k', 1000],
    ['1Ki', 1024],
    ['2M', 2e6],
    ['1e3', 1000],
    ['1E', 1e18],
    ['1Ei', 2 ** 60],
    ['100n', 1e-7],
    ['-1', -1],
  ])('%s', (text, expected) => expect(quantity(text)).toBeCloseTo(expected, 12))

  test.each(['', 'x', '1K', '1mi', '1 Gi', '1GB', 'Mi', '1..2', 'NaN', 'Infinity', '1i'])(
    '"%s" is none',
    (text) => {
      expect(() => quantity(text)).toThrow(`"${text}" is not a Kubernetes quantity`)
    },
  )
})

const withResources = (...containers: object[]): Manifest => ({
  ...deployment('blue', made('1.0.0')),
  spec: { template: { spec: { containers } } },
})

test('demand: what so many pods ask of a quota', () => {
  const one = { resources: { requests: { cpu: '100m', memory: '64Mi' }, limits: { memory: '128Mi' } } }
  expect(demand(withResources(one, { resources: { requests: { cpu: 1 } } }, {}), 3)).toEqual({
    pods: 3,
    'count/pods': 3,
    cpu: expect.closeTo(3.3),
    'requests.cpu': expect.closeTo(3.3),
    memory: 3 * 64 * 2 ** 20,
    'requests.memory': 3 * 64 * 2 ** 20,
    'limits.memory': 3 * 128 * 2 ** 20,
  })
})

describe('shortage', () => {
  test.each<[string, Record<string, string>, Record<string, string>, Record<string, number>, string[]]>([
    ['room enough', { pods: '10' }, { pods: '5' }, { pods: 5 }, []],
    ['one too many', { pods: '10' }, { pods: '5' }, { pods: 6 }, ['pods 5 of 10 used']],
    ['nothing wanted, however full', { pods: '5' }, { pods: '9' }, { pods: 0 }, []],
    ['of something else', { services: '1' }, { services: '1' }, { pods: 6 }, []],
    [
      'nothing used yet',
      { 'limits.memory': '1Gi' },
      {},
      { 'limits.memory': 2 ** 31 },
      ['limits.memory 0 of 1Gi used'],
    ],
    ['exactly as much: 100m and 200m are 300m', { cpu: '300m' }, { cpu: '100m' }, { cpu: 0.2 }, []],
    ['a little too much', { cpu: '300m' }, { cpu: '100m' }, { cpu: 0.201 }, ['cpu 100m of 300m used']],
    ['a quota of nothing', { pods: '0' }, {}, { pods: 1 }, ['pods 0 of 0 used']],
  ])('%s', (_, hard, used, wanted, expected) => expect(shortage({ hard, used }, wanted)).toEqual(expected))
})

test('a color that does not fit is refused before it is applied', async () => {
  await using rehearsal = rehearse()
  const { cluster, world, observed } = rehearsal
  const painted = deployment('blue', made('1.0.0'))
  cluster.put({
    apiVersion: 'v1',
    kind: 'ResourceQuota',
    metadata: { name: 'small' },
    status: { hard: { pods: '3' }, used: { pods: '2' } },
  })
  cluster.put(painted)
  const { blue } = (await observed()).colors
  expect(await failure(checkQuota(world.kubectl, painted, 4, undefined))).toEqual({
    code: 1,
    message: 'There is no room for 4 more pods: quota small: pods 2 of 3 used',
  })
  expect(await failure(checkQuota(world.kubectl, painted, 3, blue))).toMatchObject({ code: 0 })
})
