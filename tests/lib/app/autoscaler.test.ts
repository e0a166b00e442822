import { describe, expect, test } from 'bun:test'
import { atCapacity, declaredBounds, restoreBounds } from '../../../lib/app/autoscaler.ts'
import type { Manifest } from '../../../lib/cluster/objects.ts'
import { APP, autoscaler, deployment, made } from '../objects.ts'
import { rehearse, running } from '../world.ts'

const specs = (painted: Manifest[]) => painted.map(({ spec }) => spec)

describe('capacity', () => {
  const objects = [deployment('green', made('1.0.0'), 2), autoscaler('green', 2, 4)]

  test.each([
    [1, { replicas: 1 }, { minReplicas: 2, maxReplicas: 4 }],
    [3, { replicas: 3 }, { minReplicas: 3, maxReplicas: 4 }],
    [9, { replicas: 9 }, { minReplicas: 9, maxReplicas: 9 }],
  ])('of %p', (replicas, declared, bounds) => {
    expect(specs(atCapacity(objects, replicas))).toMatchObject([declared, bounds])
  })

  test('nothing is changed in place', () => {
    const before = structuredClone(objects)
    atCapacity(objects, 9)
    expect(objects).toEqual(before)
  })

  test('what the manifests say', () => {
    expect(declaredBounds(objects)).toEqual({ name: 'chat-green', minReplicas: 2, maxReplicas: 4 })
    expect(declaredBounds([])).toBeUndefined()
    const open = { ...autoscaler('green'), spec: { maxReplicas: 3 } }
    expect(declaredBounds([open])).toEqual({ name: 'chat-green', minReplicas: 1, maxReplicas: 3 })
  })
})

test("an autoscaler's bounds are written only where they differ", async () => {
  await using rehearsal = rehearse()
  const { cluster, world, observed } = rehearsal
  const declared = { name: `${APP}-blue`, minReplicas: 1, maxReplicas: 4 }
  await restoreBounds(world, await observed(), declared)
  running(cluster, { blue: '1.0.0' }, 'blue')
  await restoreBounds(world, await observed(), undefined)
  await restoreBounds(world, await observed(), declared)
  expect(cluster.writes).toEqual([])
  cluster.put(autoscaler('blue', 3, 9))
  await restoreBounds(world, await observed(), declared)
  expect(cluster.object('HorizontalPodAutoscaler', `${APP}-blue`).spec).toMatchObject({
    minReplicas: 1,
    maxReplicas: 4,
  })
})
