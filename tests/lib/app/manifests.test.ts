import { describe, expect, test } from 'bun:test'
import { declaredReplicas, difference, withReplicas } from '../../../lib/app/manifests.ts'
import type { Manifest } from '../../../lib/cluster/objects.ts'
import { autoscaler, deployment, made } from '../objects.ts'
import { failure, rehearse } from '../world.ts'

describe('the number of pods', () => {
  const objects = [deployment('green', made('1.0.0'), 2), autoscaler('green', 2, 4)]

  test('that the manifests say', () => {
    expect(declaredReplicas(objects)).toBe(2)
    expect(declaredReplicas([{ ...deployment('green', made('1.0.0')), spec: {} }])).toBe(1)
    expect(declaredReplicas([])).toBe(1)
  })

  test('is set in the Deployment alone, and not in place', () => {
    const before = structuredClone(objects)
    const [scaled, autoscaled] = withReplicas(objects, 9)
    expect(scaled?.spec).toMatchObject({ replicas: 9 })
    expect(autoscaled).toBe(objects[1] as Manifest)
    expect(objects).toEqual(before)
  })
})

describe('difference', () => {
  test.each([
    ['none', { stdout: '', stderr: '', exitCode: 0 }, ''],
    ['some', { stdout: '+ a', stderr: '', exitCode: 1 }, '+ a'],
    [
      'no diff on PATH',
      { stdout: '', stderr: 'error: failed to run "diff": executable file not found in $PATH', exitCode: 1 },
      /^diff is not on PATH\. Install it: apt-get install diffutils$/,
    ],
    [
      'refused',
      { stdout: '', stderr: 'Error from server (Forbidden): no', exitCode: 1 },
      /^kubectl diff: Error from server/,
    ],
    ['broken', { stdout: '', stderr: '', exitCode: 2 }, /^kubectl diff: exit code 2$/],
  ])('%s', async (_, output, expected) => {
    await using rehearsal = rehearse()
    rehearsal.cluster.intercept = () => output
    const told = difference(rehearsal.world, [autoscaler('blue')])
    if (typeof expected === 'string') expect(await told).toBe(expected)
    else expect((await failure(told)).message).toMatch(expected)
  })

  test('of nothing, nobody is asked', async () => {
    await using rehearsal = rehearse()
    expect(await difference(rehearsal.world, [])).toBe('')
    expect(rehearsal.cluster.asked).toEqual([])
  })
})
