import { describe, expect, test } from 'bun:test'
import { checkQuota, demand, shortage } from '../../../lib/app/quota.ts'
import type { Manifest } from '../../../lib/cluster/objects.ts'
import { deployment, made } from '../objects.ts'
import { failure, rehearse } from '../world.ts'

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

const selector = (operator: string, ...values: string[]) => ({
  scopeSelector: { matchExpressions: [{ scopeName: 'PriorityClass', operator, values }] },
})

describe('a quota with scopes counts where they hold for the pods', () => {
  const some = { resources: { requests: { cpu: '100m' } } }
  const REFUSED = 'There is no room for 2 more pods: quota scoped: pods 1 of 1 used'
  const UNSURE = 'quota scoped (pods 1 of 1 used) may refuse pods: its scope is not known here'

  test.each<[string, object, object, string]>([
    ['Terminating: not for what runs without end', { scopes: ['Terminating'] }, {}, ''],
    ['Terminating, with a deadline', { scopes: ['Terminating'] }, { activeDeadlineSeconds: 60 }, REFUSED],
    ['NotTerminating', { scopes: ['NotTerminating'] }, {}, REFUSED],
    ['NotTerminating, with a deadline', { scopes: ['NotTerminating'] }, { activeDeadlineSeconds: 0 }, ''],
    ['BestEffort: not for what asks for CPU', { scopes: ['BestEffort'] }, { containers: [some] }, ''],
    ['BestEffort, asking for nothing', { scopes: ['BestEffort'] }, { containers: [{}] }, REFUSED],
    [
      'BestEffort: not where an init container asks',
      { scopes: ['BestEffort'] },
      { containers: [{}], initContainers: [some] },
      '',
    ],
    ['NotBestEffort', { scopes: ['NotBestEffort'] }, { containers: [some] }, REFUSED],
    ['NotBestEffort, asking for nothing', { scopes: ['NotBestEffort'] }, { containers: [{}] }, ''],
    ['all of several must hold', { scopes: ['NotTerminating', 'BestEffort'] }, { containers: [some] }, ''],
    ['PriorityClass In', selector('In', 'high'), { priorityClassName: 'high' }, REFUSED],
    ['PriorityClass In, another', selector('In', 'high'), { priorityClassName: 'low' }, ''],
    ['PriorityClass NotIn', selector('NotIn', 'high'), { priorityClassName: 'low' }, REFUSED],
    ['PriorityClass NotIn, one of them', selector('NotIn', 'high'), { priorityClassName: 'high' }, ''],
    ['PriorityClass Exists', selector('Exists'), { priorityClassName: 'low' }, REFUSED],
    ['PriorityClass DoesNotExist', selector('DoesNotExist'), { priorityClassName: 'low' }, ''],
    ['PriorityClass as a scope', { scopes: ['PriorityClass'] }, { priorityClassName: 'low' }, REFUSED],
    ['PriorityClass, which the cluster may set', selector('In', 'high'), {}, UNSURE],
    ['of a kind that is not known here', { scopes: ['Lunar'] }, {}, UNSURE],
    ['not known, and another that does not hold', { scopes: ['Lunar', 'Terminating'] }, {}, ''],
  ])('%s', async (_, spec, pod, expected) => {
    await using rehearsal = rehearse()
    const { cluster, world } = rehearsal
    const status = { hard: { pods: '1' }, used: { pods: '1' } }
    const metadata = { name: 'scoped' }
    cluster.put({ apiVersion: 'v1', kind: 'ResourceQuota', metadata, spec: { ...spec }, status })
    const template = { spec: { containers: [some], ...pod } }
    const painted = { ...deployment('blue', made('1.0.0')), spec: { template } }
    const checked = checkQuota(world.kubectl, painted, 2, undefined)
    if (expected === REFUSED) expect((await failure(checked)).message).toBe(REFUSED)
    else expect(await checked).toEqual(expected === '' ? [] : [expected])
  })
})
