/** The arithmetic of rolling updates, against numbers from Kubernetes' own documentation and tests. */
import { describe, expect, test } from 'bun:test'
import { limitsOf, newSetSize, proportional, shrinkOld } from '../../../sandbox/controllers/rolling-update.ts'
import type { Deployment, IntOrPercent, ReplicaSet } from '../../../sandbox/kinds.ts'

function deployment(replicas: number, maxSurge: IntOrPercent, maxUnavailable: IntOrPercent): Deployment {
  const template = { spec: { containers: [] } }
  const strategy = { type: 'RollingUpdate', rollingUpdate: { maxSurge, maxUnavailable } }
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web' },
    spec: { replicas, strategy, selector: {}, template },
  }
}

function set(name: string, replicas: number, available = replicas, max?: number): ReplicaSet {
  const annotations = max === undefined ? {} : { 'deployment.kubernetes.io/max-replicas': String(max) }
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: { name, annotations },
    spec: { replicas, selector: {}, template: { spec: { containers: [] } } },
    status: { replicas, availableReplicas: available },
  }
}

describe('limits: surge rounds up, unavailable rounds down, never both 0', () => {
  const table: [number, IntOrPercent, IntOrPercent, number, number][] = [
    [4, '25%', '25%', 1, 1],
    [3, '25%', '25%', 1, 0],
    [10, '25%', '25%', 3, 2],
    [1, '25%', '25%', 1, 0],
    [10, 0, 0, 0, 1],
    [10, '0%', '5%', 0, 1],
    [2, 1, 0, 1, 0],
    [2, '100%', 0, 2, 0],
    [2, 0, 5, 0, 2],
  ]
  for (const [replicas, maxSurge, maxUnavailable, surge, unavailable] of table) {
    test(`${replicas} replicas, ${maxSurge} and ${maxUnavailable}`, () => {
      expect(limitsOf(deployment(replicas, maxSurge, maxUnavailable))).toEqual({ surge, unavailable })
    })
  }

  test('what is neither a number nor a percentage is an error', () => {
    expect(() => limitsOf(deployment(2, 'half', 0))).toThrow('"half" is neither a number nor a percentage')
  })
})

describe('the size of the new set', () => {
  const table: [string, Deployment, number, number, number][] = [
    ['grows by the surge', deployment(3, 1, 0), 0, 3, 1],
    ['waits while there is no room', deployment(3, 1, 0), 1, 3, 1],
    ['goes on as the old shrinks', deployment(3, 1, 0), 1, 2, 2],
    ['never exceeds what is wanted', deployment(3, '100%', 0), 3, 1, 3],
    ['shrinks to what is wanted', deployment(2, 1, 0), 5, 0, 2],
  ]
  for (const [name, wanted, present, old, expected] of table) {
    test(name, () => {
      const newSet = set('new', present)
      expect(newSetSize(wanted, newSet, [newSet, set('old', old)])).toBe(expected)
    })
  }
})

describe('how the old sets shrink', () => {
  const table: [string, Deployment, ReplicaSet, ReplicaSet[], Record<string, number>][] = [
    ['not while the new pods are unavailable', deployment(3, 1, 0), set('new', 1, 0), [set('old', 3)], {}],
    ['by one new available pod', deployment(3, 1, 0), set('new', 1, 1), [set('old', 3)], { old: 2 }],
    ['at once by what may be unavailable', deployment(10, 0, 2), set('new', 0), [set('old', 10)], { old: 8 }],
    [
      'unhealthy pods first',
      deployment(4, 1, 0),
      set('new', 1, 1),
      [set('a', 2, 2), set('b', 2, 1)],
      { b: 1 },
    ],
    // cleanupUnhealthyReplicas may take no more than what all pods are above those that must be available.
    [
      'crashing pods stay until new ones are available',
      deployment(2, 1, 0),
      set('new', 1, 0),
      [set('old', 2, 0)],
      {},
    ],
    [
      'crashing pods go for each new one that is available',
      deployment(2, 1, 0),
      set('new', 1, 1),
      [set('old', 2, 0)],
      { old: 1 },
    ],
    [
      'crashing pods go at once where that many may be unavailable',
      deployment(2, 1, 1),
      set('new', 1, 0),
      [set('old', 2, 0)],
      { old: 1 },
    ],
    [
      'an unhealthy pod does not pay for a healthy one',
      deployment(3, 1, 0),
      set('new', 1, 0),
      [set('old', 3, 2)],
      {},
    ],
  ]
  for (const [name, wanted, newSet, old, expected] of table) {
    test(name, () => {
      const changed = shrinkOld(wanted, newSet, old).map((one) => [one.set.metadata.name, one.replicas])
      expect(Object.fromEntries(changed)).toEqual(expected)
    })
  }
})

test('scaling in the middle of a rollout keeps the proportions', () => {
  // The example of the Kubernetes documentation: 8 + 5 pods of 10 (maxSurge 3) become 11 + 7 of 15.
  const scaled = proportional(deployment(15, 3, 2), [set('old', 8, 8, 13), set('new', 5, 0, 13)])
  expect(scaled.map((one) => [one.set.metadata.name, one.replicas])).toEqual([
    ['old', 11],
    ['new', 7],
  ])
})
