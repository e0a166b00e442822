import { describe, expect, test } from 'bun:test'
import { breakdown, explained, podBreakdown, withoutNode } from '../../../lib/app/breakdown.ts'
import { key } from '../../../lib/app/color.ts'
import type { ColorState } from '../../../lib/app/observe.ts'
import { deployment as deploymentForm, pod as podForm } from '../../../lib/cluster/objects.ts'
import { deployment, made, ready, waiting } from '../objects.ts'
import { rehearse } from '../world.ts'

const when = (now = 0, since = new Map<string, number>()) => ({
  since,
  now,
  ready: 60_000,
  schedule: 300_000,
})
const pod = (status: Record<string, unknown>) =>
  podForm.parse({ kind: 'Pod', metadata: { name: 'p' }, status })
const container = (about: object) => ({ containerStatuses: [{ name: 'app', ...about }] })
const ended = (exitCode: number, reason = 'Error') => ({ terminated: { exitCode, reason } })

const unschedulable = (message: string) => ({
  conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }],
})

describe('podBreakdown: what waiting will not mend', () => {
  test.each<[string, Record<string, unknown>, string | undefined]>([
    ['all is well', ready(), undefined],
    ['no status yet', {}, undefined],
    ['being created', waiting('ContainerCreating'), undefined],
    [
      'an image that is not there',
      waiting('ErrImagePull', 'manifest unknown'),
      'ErrImagePull: manifest unknown',
    ],
    [
      'a registry that denies',
      waiting('ErrImagePull', 'pull access denied'),
      'ErrImagePull: pull access denied',
    ],
    ['a registry that is slow', waiting('ErrImagePull', 'i/o timeout'), undefined],
    ...[
      'ImagePullBackOff',
      'InvalidImageName',
      'ErrImageNeverPull',
      'CreateContainerConfigError',
      'CreateContainerError',
      'RunContainerError',
      'CrashLoopBackOff',
    ].map(
      (reason) =>
        [reason, waiting(reason, 'why'), `${reason}: why`] as [string, Record<string, unknown>, string],
    ),
    [
      'a kubelet that has only just started',
      waiting('CreateContainerConfigError', 'failed to sync configmap cache: timed out waiting'),
      undefined,
    ],
    ['one exit may be chance', container({ restartCount: 0, state: ended(1) }), undefined],
    [
      'two exits, as new kubelets tell it: Error, without CrashLoopBackOff',
      container({ restartCount: 1, state: ended(3) }),
      'exited 2 times, last with code 3 (Error)',
    ],
    [
      'two exits, and it starts again',
      container({ restartCount: 2, state: { running: {} }, lastState: ended(137, 'OOMKilled') }),
      'exited 2 times, last with code 137 (OOMKilled)',
    ],
    [
      'an end that went well is no exit',
      container({ restartCount: 1, state: ended(0, 'Completed') }),
      undefined,
    ],
    [
      'exits of long ago, and it works',
      container({ restartCount: 9, ready: true, state: { running: {} }, lastState: ended(1) }),
      undefined,
    ],
    [
      'an init container',
      { initContainerStatuses: [{ name: 'wait', restartCount: 2, state: ended(1) }] },
      'exited 3 times, last with code 1 (Error)',
    ],
  ])('%s', (_, status, what) => expect(podBreakdown(pod(status), when())?.what).toBe(what))

  test.each([
    ['CrashLoopBackOff: of the run before', waiting('CrashLoopBackOff'), true],
    ['an image: of this one', waiting('ImagePullBackOff'), false],
    ['ended: of this one', container({ restartCount: 1, state: ended(1) }), false],
    [
      'started again: of the run before',
      container({ restartCount: 2, state: { running: {} }, lastState: ended(1) }),
      true,
    ],
  ])('whose logs tell more: %s', (_, status, previous) => {
    expect(podBreakdown(pod(status), when())).toMatchObject({ object: 'pod/p', container: 'app', previous })
  })

  const running = container({ state: { running: {} } })
  const noNode = '0/3 nodes are available: 3 Insufficient cpu.'
  const noMatch = "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector."
  const noClaim = 'persistentvolumeclaim "data" not found'
  const unbound = '0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims.'
  test.each<[string, Record<string, unknown>, number, string | undefined]>([
    ['no room for a while: a node may be coming', unschedulable(noNode), 299_999, undefined],
    ['no room for long', unschedulable(noNode), 300_000, `unschedulable: ${noNode}`],
    ['no node that matches for a while: its pool may be at zero', unschedulable(noMatch), 299_999, undefined],
    ['no claim for a moment', unschedulable(noClaim), 29_999, undefined],
    ['no claim, which no node makes up for', unschedulable(noClaim), 30_000, `unschedulable: ${noClaim}`],
    ['a claim without a volume', unschedulable(unbound), 30_000, `unschedulable: ${unbound}`],
    ['running for a while', running, 59_999, undefined],
    ['running for long', running, 60_000, 'runs, but was not ready within 60 s'],
  ])('%s', (_, status, later, what) => {
    const since = new Map<string, number>()
    expect(podBreakdown(pod(status), when(1000, since))).toBeUndefined()
    expect(podBreakdown(pod(status), when(1000 + later, since))?.what).toBe(what)
  })

  test('a claim is not waited for longer than a node', () => {
    const since = new Map<string, number>()
    const hasty = (now: number) => ({ ...when(now, since), schedule: 3000 })
    podBreakdown(pod(unschedulable(noClaim)), hasty(0))
    expect(podBreakdown(pod(unschedulable(noClaim)), hasty(3000))?.what).toContain(noClaim)
  })

  test('a restart gives it its time again', () => {
    const since = new Map<string, number>()
    podBreakdown(pod(running), when(0, since))
    const again = pod(container({ restartCount: 1, state: { running: {} } }))
    expect(podBreakdown(again, when(60_000, since))).toBeUndefined()
  })
})

const crashing = waiting('CrashLoopBackOff')

/** A pod of a release, or of none. */
const podOf = (release: string | undefined, status = crashing) =>
  podForm.parse({
    kind: 'Pod',
    metadata: { name: `of-${release}`, annotations: release === undefined ? {} : { [key.release]: release } },
    status,
  })

/** Green, to which 1.0.0 was applied. */
const state = (about: Partial<ColorState> = {}, status: object = {}, metadata: object = {}): ColorState => {
  const applied = deployment('green', made('1.0.0'))
  const at = { ...applied, metadata: { ...applied.metadata, generation: 2, ...metadata } }
  const seen = deploymentForm.parse({ ...at, status: { observedGeneration: 2, ...status } })
  return { color: 'green', pods: [], own: [], ready: [], deployment: seen, ...about }
}

const exceeded = {
  conditions: [
    { type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded', message: 'timed out' },
  ],
}

describe('breakdown of a Deployment: what an earlier release left behind is not held against this one', () => {
  test.each<[string, ColorState, string | undefined]>([
    ['its own pod', state({ own: [podOf('r1.0.0')] }), 'pod/of-r1.0.0'],
    ['a pod of the release before, which failed', state({ own: [podOf('r0.9.0')] }), undefined],
    ['both', state({ own: [podOf('r0.9.0'), podOf('r1.0.0')] }), 'pod/of-r1.0.0'],
    ['a pod of no release', state({ own: [podOf(undefined)] }), undefined],
    [
      'any pod, where the Deployment is not of these scripts',
      state({ own: [podOf(undefined)] }, {}, { annotations: {} }),
      'pod/of-undefined',
    ],
    ['a rollout that stalled', state({}, exceeded), 'deployment/chat-green'],
    [
      'a rollout that stalled, before the controller has seen the new one',
      state({}, { ...exceeded, observedGeneration: 1 }),
      undefined,
    ],
    ['pods that are refused', state({ refused: 'exceeded quota: small' }), 'deployment/chat-green'],
  ])('%s', (_, seen, object) => expect(breakdown(seen, when())?.object).toBe(object))

  test('why pods are refused is said', () => {
    const what = 'pods cannot be created: exceeded quota: small'
    expect(breakdown(state({ refused: 'exceeded quota: small' }), when())?.what).toBe(what)
  })

  test('who waits for a node is told while it may still come', () => {
    const waits = unschedulable('0/1 nodes are available')
    const own = [podOf('r0.9.0', waits), podOf('r1.0.0', waits), podOf('r1.0.0', waits), podOf('r1.0.0')]
    expect(withoutNode(state({ own }))).toBe('2 pods without a node: 0/1 nodes are available')
    expect(withoutNode(state({ own: own.slice(3) }))).toBeUndefined()
    expect(withoutNode({ color: 'blue', pods: own, own, ready: [] })).toBeUndefined()
  })

  test('without a Deployment there is nothing to break', () => {
    expect(breakdown({ color: 'blue', pods: [], own: [], ready: [] }, when())).toBeUndefined()
  })
})

test("the guilty object's events and last log lines are shown", async () => {
  await using rehearsal = rehearse()
  const { cluster, world, log } = rehearsal
  cluster.intercept = (line) => ({
    stdout: line.startsWith('logs') ? 'panic: no database\n' : 'BackOff\n',
    stderr: '',
    exitCode: 0,
  })
  const broken = { object: 'pod/p', what: 'exited 2 times', container: 'app', previous: true }
  expect((await explained(world, 'green', broken)).message).toBe('green is broken: pod/p: exited 2 times')
  expect(log.lines).toEqual([
    'events of pod/p',
    'BackOff\n',
    'last log lines of pod/p, container app',
    'panic: no database',
  ])
  expect(cluster.asked.at(-1)).toBe('logs p -c app --tail=250 --previous')
})

test.each([true, false])('logs are looked for in the other run too (previous: %s)', async (previous) => {
  await using rehearsal = rehearse()
  const { cluster, world, log } = rehearsal
  cluster.intercept = (line) =>
    line.startsWith('logs') && line.endsWith('--previous') === previous
      ? { stdout: '', stderr: 'previous terminated container "app" in pod "p" not found', exitCode: 1 }
      : { stdout: 'panic: no database\n', stderr: '', exitCode: 0 }
  await explained(world, 'green', { object: 'pod/p', what: 'exited 2 times', container: 'app', previous })
  expect(log.lines.at(-1)).toBe('panic: no database')
})
