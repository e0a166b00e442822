/** The last words of a run that has moved nobody say where users are, and who moved them. */
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { saying } from '../../../lib/release/before-users.ts'
import { deploy } from '../../../lib/release/blue-green.ts'
import type { Where } from '../../../lib/release/fence.ts'
import { DeployError } from '../../../lib/errors.ts'
import { UNREACHABLE } from '../cluster.ts'
import { APP, autoscaler, deployment, live, made, service, waiting } from '../objects.ts'
import { failure, gates, rehearse, running, type Rehearsal, type Says } from '../world.ts'
import { next, planned, request } from './setting.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

const on = (color: Where['color'], named: string): Where => ({ color, named, tokens: ['mine'] })

describe('saying', () => {
  test.each<[string, 'blue' | undefined, Where | undefined, string]>([
    [
      'nobody moved',
      'blue',
      on('blue', '1.0.0 (blue)'),
      'broken. Traffic did not move: users are on 1.0.0 (blue)',
    ],
    [
      'somebody else moved them',
      'blue',
      on('green', '1.1.0 (green)'),
      'broken. This run did not move traffic: users are on 1.1.0 (green)',
    ],
    [
      'to no single color',
      'blue',
      on(undefined, 'no single color'),
      'broken. This run did not move traffic: users are on no single color',
    ],
    ['nobody can tell', 'blue', undefined, 'broken'],
    [
      'there was nobody to move',
      undefined,
      on(undefined, 'no single color'),
      'broken. No traffic was opened',
    ],
  ])('%s', (_, from, now, message) => {
    const error = new DeployError('broken', 70)
    expect(saying(error, from, now)).toBe(error)
    expect([error.message, error.exitCode]).toEqual([message, 70])
  })

  test('a bug of ours is shown as it is', () => {
    const bug = new TypeError('undefined is not a function')
    expect(saying(bug, 'blue', on('blue', '1.0.0 (blue)'))).toBe(bug)
    expect(bug.message).toBe('undefined is not a function')
  })
})

describe('a deployment that fails before the switch', () => {
  const cases: [string, (rehearsal: Rehearsal) => unknown, string][] = [
    ['says where users are', () => {}, 'Traffic did not move: users are on 1.0.0 (blue)'],
    [
      'says that somebody else moved them, by hand',
      ({ cluster }) => (cluster.object('Service', APP).spec = { selector: live('green') }),
      'This run did not move traffic: users are on 1.1.0 (green)',
    ],
  ]
  test.each(cases)('%s', async (_, spoil, said) => {
    await using rehearsal = rehearse()
    running(rehearsal.cluster, { blue: '1.0.0' }, 'blue')
    const plan = await planned(rehearsal)
    const says: Record<string, Says> = {
      preview: () => {
        spoil(rehearsal)
        return 'failed'
      },
    }
    const { code, message } = await failure(deploy(rehearsal.world, request, plan, gates(says)))
    expect(code).toBe(1)
    expect(message).toBe(`1 of 1 checks did not pass: smoke: preview: failed: failed. ${said}`)
  })

  test('says nothing of them where nobody can tell', async () => {
    await using rehearsal = rehearse()
    const { cluster, world } = rehearsal
    running(cluster, { blue: '1.0.0' }, 'blue')
    const plan = await planned(rehearsal)
    const says: Record<string, Says> = {
      preview: () => {
        cluster.intercept = () => UNREACHABLE
        return 'failed'
      },
    }
    const { message } = await failure(deploy(world, request, plan, gates(says)))
    expect(message).toBe('1 of 1 checks did not pass: smoke: preview: failed: failed')
  })

  test('as a first one has opened nothing', async () => {
    await using rehearsal = rehearse()
    const { cluster, world, observed } = rehearsal
    cluster.podStatus = () => waiting('InvalidImageName', 'no')
    const painted = [deployment('blue', next), autoscaler('blue')]
    const shared = [service(APP)]
    const first = {
      ...(await planned(rehearsal)),
      from: undefined,
      to: 'blue' as const,
      observed: await observed(),
      rendered: { painted, shared, kept: painted, compared: [], migration: [] },
    }
    const { code, message } = await failure(deploy(world, { ...request, clean: true }, first, gates()))
    expect(code).toBe(1)
    expect(message).toMatch(/^blue is broken: .*\. No traffic was opened$/)
    // Nobody's token is there yet: that is no reason not to clean up, or to leave the record open.
    expect(cluster.object('Deployment', `${APP}-blue`).spec?.replicas).toBe(0)
    expect(cluster.object('HorizontalPodAutoscaler', `${APP}-blue`).spec).toMatchObject({ minReplicas: 1 })
    expect(cluster.records()).toMatchObject([{ outcome: 'failed' }])
  })
})

describe('the last look at capacity', () => {
  test('live has grown while the gates ran: green gets as many, and is opened', async () => {
    await using rehearsal = rehearse()
    const { cluster, world } = rehearsal
    running(cluster, { blue: '1.0.0' }, 'blue')
    const plan = await planned(rehearsal)
    const during: unknown[] = []
    const says: Record<string, Says> = {
      preview: () => {
        cluster.put(deployment('blue', made('1.0.0'), 3))
        return 'passed'
      },
      live: () => {
        during.push(cluster.object('HorizontalPodAutoscaler', `${APP}-green`).spec?.minReplicas)
        return 'passed'
      },
    }
    await deploy(world, request, plan, gates(says))
    expect(cluster.selector()).toEqual(live('green'))
    expect(cluster.object('Deployment', `${APP}-green`).spec?.replicas).toBe(3)
    expect(during).toEqual([3])
    expect(cluster.object('HorizontalPodAutoscaler', `${APP}-green`).spec).toMatchObject({ minReplicas: 1 })
  })

  test('a pod of green breaks while the gates run: it is told why, and nobody is moved', async () => {
    await using rehearsal = rehearse()
    const { cluster, world } = rehearsal
    running(cluster, { blue: '1.0.0' }, 'blue')
    const plan = await planned(rehearsal)
    const says: Record<string, Says> = {
      preview: () => {
        const [pod] = cluster.all('Pod').filter(({ metadata }) => metadata.name.startsWith(`${APP}-green.`))
        if (pod) pod.status = waiting('CrashLoopBackOff', 'back-off')
        return 'passed'
      },
    }
    const { code, message } = await failure(deploy(world, request, plan, gates(says)))
    expect(code).toBe(1)
    expect(message).toMatch(
      /^green is broken: pod\/chat-green\.1\.0: CrashLoopBackOff: back-off\. Traffic did not move: users are on 1\.0\.0 \(blue\)$/,
    )
    expect(cluster.selector()).toEqual(live('blue'))
  })
})
