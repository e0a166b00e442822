import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { deploy } from '../../../lib/release/blue-green.ts'
import { planDeployment, type Plan, type Request } from '../../../lib/release/plan.ts'
import type { Target } from '../../../lib/check.ts'
import { key, type Color } from '../../../lib/app/color.ts'
import { refused, UNREACHABLE } from '../cluster.ts'
import { APP, autoscaler, deployment, live, made, objectOf, service, waiting } from '../objects.ts'
import { failure, gates, moments, rehearse, running, type Rehearsal, type Says } from '../world.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

const next = made('1.1.0')
const request: Request = { id: next.release, image: next.image, version: next.version, reason: 'a feature' }

/** What `planDeployment` makes of a cluster in which blue is live, without its three calls of kubectl. */
async function planned({ observed }: Rehearsal, color: Color | 'nobody' = 'blue'): Promise<Plan> {
  const from = color === 'nobody' ? undefined : color
  const to = from === 'blue' ? 'green' : 'blue'
  const painted = [deployment(to, next), autoscaler(to, 1, 4)]
  const shared = [service(APP), service(`${APP}-preview`)]
  const kept = [deployment('plain', next)]
  return {
    release: next,
    from,
    to,
    replicas: 2,
    observed: await observed(),
    rendered: { painted, shared, kept, compared: [], migration: [] },
    difference: '',
    drift: undefined,
    notes: [],
  }
}

const go = async (rehearsal: Rehearsal, plan: Plan, says: Record<string, Says> = {}, more = {}) =>
  await deploy(rehearsal.world, { ...request, ...more }, plan, gates(says))

const FENCE = ['create Lease chat-deploy', `patch service ${APP}`]
const SERVICES = `apply Service/${APP} Service/${APP}-preview`
const GREEN = `apply Deployment/${APP}-green HorizontalPodAutoscaler/${APP}-green`
const BOUNDS = `patch horizontalpodautoscaler ${APP}-green`
/** Back to the color that is idle now. */
const PREVIEW = `patch service ${APP}-preview`
const RELEASE = 'patch lease chat-deploy'
const START = [...FENCE, 'create record', SERVICES, GREEN]

describe('deploy', () => {
  test('writes in this order, and nothing else', async () => {
    await using rehearsal = rehearse()
    const { cluster, log } = rehearsal
    running(cluster, { blue: '1.0.0' }, 'blue')
    const entry = await go(rehearsal, await planned(rehearsal))
    const recycled = `patch deployment ${APP}-blue`
    expect(cluster.writes).toEqual([...START, `patch service ${APP}`, recycled, PREVIEW, BOUNDS, RELEASE])
    expect(cluster.selector()).toEqual({ app: APP, color: 'green' })
    expect(cluster.records()).toMatchObject([{ id: next.release, outcome: 'succeeded', reason: 'a feature' }])
    expect(entry.switches).toMatchObject([{ failures: 0 }])
    expect(entry.checks.map(({ name }) => name)).toEqual(['preview', 'live'])
    expect(log.steps).toEqual([
      'Take the lock',
      'Apply what is shared',
      'Start 1.1.0 in green',
      'Verify green through the preview',
      'Switch blue → green',
      'Verify through the live URL',
      'Drain blue',
      'Recycle blue: clients that kept a connection to it come over',
      'Close the record',
    ])
    expect(entry.steps.map(({ ms }) => typeof ms)).toEqual(entry.steps.map(() => 'number'))
  })

  test.each([true, false])(
    'the preview’s gates are told users’ address, and whether somebody is there: %p',
    async (served) => {
      await using rehearsal = rehearse()
      if (served) running(rehearsal.cluster, { blue: '1.0.0' }, 'blue')
      const told: unknown[] = []
      const preview: Says = ({ address, live: there }) => {
        told.push([address, there])
        return 'passed'
      }
      await go(rehearsal, await planned(rehearsal, served ? 'blue' : 'nobody'), { preview })
      const { url } = rehearsal.world.environment
      expect(told).toEqual([[url, served ? url : undefined]])
    },
  )

  test('the switch is made under the lock and carries its own entry for the history', async () => {
    await using rehearsal = rehearse()
    const { cluster } = rehearsal
    running(cluster, { blue: '1.0.0' }, 'blue')
    await go(rehearsal, await planned(rehearsal))
    const { annotations = {} } = cluster.object('Service', APP).metadata
    expect(annotations[key.lock]).toBe(next.release)
    expect(JSON.parse(annotations[key.switch] ?? '')).toMatchObject({
      id: next.release,
      kind: 'deploy',
      from: { color: 'blue', release: 'r1.0.0' },
      to: { color: 'green', ...next },
      by: 'alice@laptop',
      reason: 'a feature',
    })
    expect(cluster.object('Lease', 'chat-deploy').spec?.holderIdentity).toBe('')
  })

  test('a first release opens the Service, and has nothing to drain', async () => {
    await using rehearsal = rehearse()
    const { cluster } = rehearsal
    await go(rehearsal, await planned(rehearsal, 'nobody'))
    expect(cluster.writes).toEqual([
      'create Lease chat-deploy',
      'create record',
      SERVICES,
      `apply Deployment/${APP}-blue HorizontalPodAutoscaler/${APP}-blue`,
      `patch service ${APP}`,
      `patch service ${APP}-preview`,
      `patch service ${APP}`,
      `patch horizontalpodautoscaler ${APP}-blue`,
      RELEASE,
    ])
    expect(cluster.selector()).toEqual({ app: APP, color: 'blue' })
  })

  test('an autoscaler is raised for the switch and given its bounds back', async () => {
    await using rehearsal = rehearse()
    const { cluster } = rehearsal
    running(cluster, { blue: '1.0.0' }, 'blue')
    const plan = await planned(rehearsal)
    const raised: unknown[] = []
    const says = {
      preview: ({ pods }: Target) => (
        raised.push(pods, cluster.object('HorizontalPodAutoscaler', `${APP}-green`).spec),
        'passed' as const
      ),
    }
    await go(rehearsal, { ...plan, replicas: 6, rendered: { ...plan.rendered } }, says)
    // The gates are told how many pods they are to meet.
    expect(raised).toMatchObject([6, { minReplicas: 6, maxReplicas: 6 }])
    expect(cluster.object('HorizontalPodAutoscaler', `${APP}-green`).spec).toMatchObject({
      minReplicas: 1,
      maxReplicas: 4,
    })
  })

  test('what left the overlay goes with the release that does not have it any more', async () => {
    await using rehearsal = rehearse()
    const { cluster } = rehearsal
    running(cluster, { blue: '1.0.0' }, 'blue')
    const plan = await planned(rehearsal)
    cluster.put(objectOf('1.0.0', 'ConfigMap', 'left'))
    await go(rehearsal, plan)
    expect(cluster.writes.slice(0, 6)).toEqual([...START, 'delete configmaps left'])
    expect(cluster.all('ConfigMap').map(({ metadata }) => metadata.name)).not.toContain('left')
  })

  test('an overlap switch selects both colors for a while', async () => {
    await using rehearsal = rehearse({ switch: 'overlap' })
    const { cluster, clock } = rehearsal
    running(cluster, { blue: '1.0.0' }, 'blue')
    const during: unknown[] = []
    clock.during.set(moments.overlap, () => during.push(cluster.selector()))
    await go(rehearsal, await planned(rehearsal))
    expect(during).toEqual([{ app: APP }])
    expect(cluster.selector()).toEqual({ app: APP, color: 'green' })
  })

  test.each(['keep', 'scale-down', 'recycle'] as const)('afterSwitch: %s', async (afterSwitch) => {
    await using rehearsal = rehearse({ afterSwitch })
    const { cluster } = rehearsal
    running(cluster, { blue: '1.0.0' }, 'blue')
    await go(rehearsal, await planned(rehearsal))
    const then = {
      keep: [],
      recycle: [`patch deployment ${APP}-blue`],
      'scale-down': [`patch deployment ${APP}-blue`],
    }[afterSwitch]
    expect(cluster.writes).toEqual([...START, `patch service ${APP}`, ...then, PREVIEW, BOUNDS, RELEASE])
  })
})

interface Case {
  name: string
  /** Makes it go wrong. */
  spoil: (rehearsal: Rehearsal) => void
  says?: Record<string, Says>
  code: number
  message: RegExp
  users: Color
  outcome: string
}

const patchOf = (line: string, color: Color): boolean =>
  line.includes(`{"op":"add","path":"/spec/selector","value":${JSON.stringify(live(color))}}`)

/** From the switch on, the API server is gone. */
function cutOff(rehearsal: Rehearsal): void {
  once(rehearsal, moments.after, ({ cluster }) => (cluster.intercept = () => UNREACHABLE))
}

/** Does something in a moment in which the witness watches, after it has seen enough. */
function once(rehearsal: Rehearsal, moment: number, act: (rehearsal: Rehearsal) => unknown): void {
  rehearsal.clock.during.set(moment, async () => {
    await rehearsal.app.watched()
    await act(rehearsal)
  })
}

const cases: Case[] = [
  {
    name: 'a gate of the preview fails',
    spoil: () => {},
    says: { preview: 'failed' },
    code: 1,
    message: /1 of 1 checks did not pass: smoke: preview: failed/,
    users: 'blue',
    outcome: 'failed',
  },
  {
    name: 'a gate of the preview is inconclusive',
    spoil: () => {},
    says: { preview: 'inconclusive' },
    code: 1,
    message: /preview: inconclusive/,
    users: 'blue',
    outcome: 'failed',
  },
  {
    name: 'the image is not there',
    spoil: ({ cluster }) => (cluster.podStatus = () => waiting('ErrImagePull', 'manifest unknown')),
    code: 1,
    message: /^green is broken: pod\/chat-green\.1\.0: ErrImagePull: manifest unknown$/,
    users: 'blue',
    outcome: 'failed',
  },
  {
    name: 'pods are never ready',
    spoil: ({ cluster }) => (cluster.podStatus = () => waiting('ContainerCreating')),
    code: 70,
    message: /^green was not ready within 10 m 0 s: 0 of 2 pods ready$/,
    users: 'blue',
    outcome: 'failed',
  },
  {
    name: 'applying is refused',
    spoil: ({ cluster }) =>
      (cluster.intercept = (_, name) =>
        name === GREEN ? refused('Error from server (Forbidden): deployments.apps is forbidden') : undefined),
    code: 1,
    message: /is forbidden/,
    users: 'blue',
    outcome: 'failed',
  },
  {
    name: 'an interrupt before the switch',
    spoil: ({ cluster, interrupt }) =>
      (cluster.intercept = (_, name) => void (name === GREEN && interrupt())),
    code: 130,
    message: /^Interrupted \(SIGINT\)$/,
    users: 'blue',
    outcome: 'interrupted',
  },
  {
    name: 'an interrupt ends the kubectl that runs',
    spoil: ({ cluster, interrupt }) =>
      (cluster.intercept = (_, name) => {
        if (name !== GREEN) return undefined
        interrupt()
        return { stdout: '', stderr: '', exitCode: 124 }
      }),
    code: 130,
    message: /^Interrupted/,
    users: 'blue',
    outcome: 'interrupted',
  },
  {
    name: 'somebody changes the selector by hand in the last moment',
    spoil: (rehearsal) =>
      once(rehearsal, moments.before, ({ cluster }) => {
        cluster.put({
          ...cluster.object('Service', APP),
          spec: { selector: { app: APP, color: 'blue', x: 'y' } },
        })
      }),
    code: 1,
    message: /^Somebody changed the live selector from .* the cluster refused the switch$/,
    users: 'blue',
    outcome: 'failed',
  },
  {
    name: 'the lock is taken over in the last moment',
    spoil: (rehearsal) =>
      once(rehearsal, moments.before, ({ cluster }) => {
        const { annotations = {} } = cluster.object('Service', APP).metadata
        annotations[key.lock] = 'somebody else'
      }),
    code: 5,
    message: /^The lock was taken over before the switch to green, and the cluster refused it$/,
    users: 'blue',
    outcome: 'open',
  },
  {
    name: 'the live URL leads nowhere',
    spoil: ({ world, clock }) => {
      world.environment.url = 'http://127.0.0.1:9'
      clock.during.set(moments.before, () => Bun.sleep(20))
    },
    code: 1,
    message: /^http:\/\/127\.0\.0\.1:9 leads nowhere .*: check "url"$/,
    users: 'blue',
    outcome: 'failed',
  },
  {
    name: 'a gate of the live URL fails',
    spoil: () => {},
    says: { live: ({ color }) => (color === 'green' ? 'failed' : 'passed') },
    code: 3,
    message: /live: failed: failed\. Rolled back: users are on 1\.0\.0 \(blue\) again$/,
    users: 'blue',
    outcome: 'rolled-back',
  },
  {
    name: 'somebody has rolled back while the live URL is verified',
    spoil: (rehearsal) =>
      once(rehearsal, moments.after, ({ cluster }) => {
        const { annotations = {} } = cluster.object('Service', APP).metadata
        annotations[key.lock] = 'somebody else'
        cluster.put({ ...cluster.object('Service', APP), spec: { selector: live('blue') } })
      }),
    says: { live: 'failed' },
    code: 5,
    message:
      /^The lock was taken over: this run stops here\. Traffic had moved to 1\.1\.0 \(green\) before that\. Users are on 1\.0\.0 \(blue\) now$/,
    users: 'blue',
    outcome: 'open',
  },
  {
    name: 'users are refused after the switch',
    spoil: ({ app, cluster }) =>
      (app.answer = () =>
        Reflect.get(Object(cluster.selector()), 'color') === 'green'
          ? new Response('broken', { status: 503 })
          : Response.json({ color: 'blue' })),
    code: 3,
    message: /requests failed \(\d+ × status 503\)\. Rolled back: users are on 1\.0\.0 \(blue\) again$/,
    users: 'blue',
    outcome: 'rolled-back',
  },
  {
    name: 'the rollback fails too',
    spoil: ({ cluster }) =>
      (cluster.intercept = (line) =>
        patchOf(line, 'blue') ? refused('Error from server (Forbidden): services is forbidden') : undefined),
    says: { live: 'failed' },
    code: 4,
    message:
      /The rollback failed too: .*forbidden.* To send users to blue by hand:\n {2}kubectl --context=test --namespace=chat-test patch service chat --type=json -p '\[\{"op":"replace","path":"\/spec\/selector","value":\{"app":"chat","color":"blue"\}\}\]'$/s,
    users: 'green',
    outcome: 'needs-person',
  },
  {
    name: 'the API server goes away after the switch, and users are refused',
    spoil: (rehearsal) => {
      cutOff(rehearsal)
      rehearsal.app.answer = () => new Response('broken', { status: 500 })
    },
    says: { live: 'failed' },
    code: 4,
    message: /The rollback failed too: .*does not answer.*by hand, once the cluster answers:\n {2}kubectl/s,
    users: 'green',
    outcome: 'open',
  },
  {
    name: 'the API server goes away after the switch, and all is well with users',
    spoil: cutOff,
    code: 4,
    message: /^Users are on 1\.1\.0 \(green\), but .*does not answer/,
    users: 'green',
    outcome: 'open',
  },
  {
    name: 'the answer to the switch is lost, and the API server with it',
    spoil: ({ cluster }) =>
      (cluster.intercept = async (line, _, args) => {
        if (!patchOf(line, 'green')) return undefined
        cluster.intercept = () => undefined
        await cluster.read(['kubectl', ...args])
        cluster.intercept = () => UNREACHABLE
        return UNREACHABLE
      }),
    code: 4,
    message: /does not answer.*by hand, once the cluster answers:\n {2}kubectl/s,
    users: 'green',
    outcome: 'open',
  },
  {
    name: 'kubectl is ended before the switch has an answer, and it never lands',
    spoil: ({ cluster }) =>
      (cluster.intercept = (line) =>
        patchOf(line, 'green') ? { stdout: '', stderr: '', exitCode: 124 } : undefined),
    code: 1,
    message: /^kubectl patch service: it was ended before it had an answer/,
    users: 'blue',
    outcome: 'failed',
  },
  {
    name: 'an interrupt while blue is drained',
    spoil: ({ clock, interrupt }) => clock.during.set(moments.drain, interrupt),
    code: 4,
    message: /^Stopped after the switch: users are on 1\.1\.0 \(green\)\. .*--repair, finishes or undoes it$/,
    users: 'green',
    outcome: 'open',
  },
  {
    name: 'an interrupt while blue is recycled',
    spoil: ({ cluster, interrupt }) =>
      (cluster.intercept = (line) => void (line.startsWith(`patch deployment ${APP}-blue`) && interrupt())),
    code: 4,
    message: /^Stopped after the switch: users are on 1\.1\.0 \(green\)/,
    users: 'green',
    outcome: 'open',
  },
  {
    name: 'an interrupt while users are watched after the switch',
    spoil: (rehearsal) => once(rehearsal, moments.after, ({ interrupt }) => interrupt()),
    code: 4,
    message: /^Stopped after the switch: users are on 1\.1\.0 \(green\)/,
    users: 'green',
    outcome: 'open',
  },
  {
    name: 'blue cannot be recycled',
    spoil: ({ cluster }) =>
      (cluster.intercept = (line) =>
        line.startsWith(`patch deployment ${APP}-blue`)
          ? refused('Error from server (Forbidden): no')
          : undefined),
    code: 0,
    message: /^$/,
    users: 'green',
    outcome: 'succeeded',
  },
]

describe('what goes wrong', () => {
  test.each(cases)('$name → $code', async ({ spoil, says, code, message, users, outcome }) => {
    await using rehearsal = rehearse()
    const { cluster, app, clock } = rehearsal
    running(cluster, { blue: '1.0.0' }, 'blue')
    const plan = await planned(rehearsal)
    spoil(rehearsal)
    const failed = await failure(go(rehearsal, plan, says))
    const stayed = '. Traffic did not move: users are on 1.0.0 (blue)'
    if ([1, 70, 130].includes(code)) expect(failed.message).toEndWith(stayed)
    expect(failed.message.replace(stayed, '')).toMatch(message)
    expect(failed.code).toBe(code)
    expect(cluster.selector()).toMatchObject({ color: users })
    expect(cluster.records().map((record) => record.outcome)).toEqual([outcome])
    expect(cluster.asked.findLast((line) => line.startsWith('patch lease'))).toContain(
      '"/spec/holderIdentity","value":""',
    )
    await app.silentUnder(clock)
  })

  test('a step that did not do what it says does not end with a tick', async () => {
    await using rehearsal = rehearse()
    const { cluster, log } = rehearsal
    running(cluster, { blue: '1.0.0' }, 'blue')
    const plan = await planned(rehearsal)
    cluster.intercept = (line) =>
      line.startsWith(`patch deployment ${APP}-blue`)
        ? refused('Error from server (Forbidden): no')
        : undefined
    await go(rehearsal, plan)
    expect(log.lines).toContain('✗ Recycle blue: clients that kept a connection to it come over')
    expect(log.warnings).toEqual([expect.stringMatching(/^blue was not settled: .*Forbidden/)])
  })

  test('a color that failed before the switch is scaled down with --clean, and left without', async () => {
    for (const clean of [true, false]) {
      await using rehearsal = rehearse()
      const { cluster } = rehearsal
      running(cluster, { blue: '1.0.0' }, 'blue')
      const plan = await planned(rehearsal)
      await failure(go(rehearsal, plan, { preview: 'failed' }, { clean }))
      expect(cluster.object('Deployment', `${APP}-green`).spec?.replicas).toBe(clean ? 0 : 2)
    }
  })

  test('a deployment that is slower than another one stops before it writes', async () => {
    await using rehearsal = rehearse()
    const { cluster } = rehearsal
    running(cluster, { blue: '1.0.0', green: '1.2.0' }, 'blue')
    const plan = await planned(rehearsal)
    cluster.put({ ...service(APP), spec: { selector: { app: APP, color: 'green' } } })
    expect(await failure(go(rehearsal, plan))).toMatchObject({
      code: 1,
      message: expect.stringMatching(
        /^Users were on 1\.0\.0 \(blue\) when this was planned, and are on 1\.2\.0 \(green\) now/,
      ),
    })
    expect(cluster.writes).toEqual([...FENCE, RELEASE])
  })
})

describe('a lock that is lost (S3)', () => {
  const lost = { ...request, clean: true }

  test('after the lock is lost, nothing but the record and the lease is written', async () => {
    await using rehearsal = rehearse({ lock: 300 })
    const { cluster } = rehearsal
    running(cluster, { blue: '1.0.0' }, 'blue')
    const plan = await planned(rehearsal)
    const noticed = Promise.withResolvers<void>()
    cluster.intercept = async (_, name) => {
      if (name !== GREEN) return undefined
      cluster.object('Lease', 'chat-deploy').spec = {
        holderIdentity: 'bob other',
        acquireTime: '2026-11-23T09:00:00.000000Z',
      }
      cluster.intercept = (line) => void (line.startsWith('get lease') && noticed.resolve())
      await noticed.promise
      await Bun.sleep(0)
      return undefined
    }
    const failed = await failure(go(rehearsal, plan, {}, lost))
    expect(failed).toMatchObject({
      code: 5,
      message: expect.stringMatching(
        /^The lock was taken over by bob since .*: this run stops here\. Traffic did not move: users are on 1\.0\.0 \(blue\)$/,
      ),
    })
    const after = cluster.writes.slice(cluster.writes.indexOf(GREEN) + 1)
    expect(after.filter((write) => write !== RELEASE)).toEqual([])
    expect(cluster.object('Lease', 'chat-deploy').spec?.holderIdentity).toBe('bob other')
  })

  test('a run that was paused until its lock may have expired touches nothing, not even with --clean', async () => {
    await using rehearsal = rehearse({ lock: 400 })
    const { cluster } = rehearsal
    running(cluster, { blue: '1.0.0' }, 'blue')
    const plan = await planned(rehearsal)
    cluster.intercept = (line, name) => {
      // As SIGSTOP does it: no timer gets its chance while it lasts.
      if (name === GREEN) Bun.sleepSync(500)
      return line.startsWith('patch lease') && !line.includes('"value":""') ? UNREACHABLE : undefined
    }
    const failed = await failure(go(rehearsal, plan, {}, lost))
    expect(failed).toMatchObject({ code: 5, message: expect.stringMatching(/was not renewed/) })
    const after = cluster.writes.slice(cluster.writes.indexOf(GREEN) + 1)
    expect(after.filter((write) => write !== RELEASE)).toEqual([])
  })
})

const real = ({ cluster }: Rehearsal): void => {
  cluster.intercept = (line) => (line.startsWith('kustomize') ? cluster.kustomize(line) : undefined)
}

describe('planDeployment', () => {
  test('renders with the real kustomize, changes nothing, and asks for what the live color has', async () => {
    await using rehearsal = rehearse()
    const { cluster, world } = rehearsal
    world.environment.manifests = `${import.meta.dir}/../manifests`
    running(cluster, { blue: '1.0.0' }, 'blue')
    cluster.put(deployment('blue', made('1.0.0'), 5))
    real(rehearsal)
    const plan = await planDeployment(world, request)
    expect(cluster.writes).toEqual([])
    expect(plan).toMatchObject({ from: 'blue', to: 'green', replicas: 5, drift: undefined })
    expect(plan.rendered.painted.map(({ kind, metadata }) => `${kind}/${metadata.name}`)).toEqual([
      'Deployment/chat-green',
      'HorizontalPodAutoscaler/chat-green',
    ])
    expect(cluster.asked.some((line) => line.includes('--dry-run=server'))).toBe(true)
    expect(cluster.asked.some((line) => line.startsWith('diff '))).toBe(true)
  })

  test.each([
    ['no Service', {}, undefined],
    ['a Service that has never selected anything', { selector: {} }, undefined],
  ])('%s: a first release', async (_, spec, from) => {
    await using rehearsal = rehearse()
    rehearsal.world.environment.manifests = `${import.meta.dir}/../manifests`
    if ('selector' in spec) rehearsal.cluster.put({ ...service(APP), spec })
    real(rehearsal)
    expect(await planDeployment(rehearsal.world, request)).toMatchObject({ from, to: 'blue', replicas: 2 })
  })

  test('a Service that selects anything but one color is not guessed about', async () => {
    await using rehearsal = rehearse()
    rehearsal.cluster.put({ ...service(APP), spec: { selector: { app: APP } } })
    expect(await failure(planDeployment(rehearsal.world, request))).toMatchObject({
      code: 1,
      message: expect.stringMatching(/selects \{"app":"chat"\}/),
    })
  })
})
