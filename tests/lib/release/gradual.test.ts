import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { key } from '../../../lib/app/color.ts'
import { observe } from '../../../lib/app/observe.ts'
import { Kubectl } from '../../../lib/cluster/kubectl.ts'
import { newEntry, type DeploymentRecord } from '../../../lib/history/record.ts'
import { recorded } from '../../../lib/release/attempt.ts'
import { deploy } from '../../../lib/release/blue-green.ts'
import { openGradually } from '../../../lib/release/gradual.ts'
import { rollBack } from '../../../lib/release/rollback.ts'
import type { Watch } from '../../../lib/release/share.ts'
import { repairAlone } from '../../../lib/release/switch-alone.ts'
import { chooseTarget } from '../../../lib/release/target.ts'
import { underLock } from '../../../lib/release/under-lock.ts'
import { DeployError } from '../../../lib/errors.ts'
import { UNREACHABLE } from '../cluster.ts'
import { APP, autoscaler, deployment, live, made, waiting } from '../objects.ts'
import { failure, gates, rehearse, running, type Rehearsal, type Says } from '../world.ts'
import { planned, request } from './setting.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

/** Times that nothing else sleeps for. */
const HOLD = { first: 444, full: 555 } as const
type Step = keyof typeof HOLD
const steps = ['first', 'full'] as const

const PODS = 3
const BOTH = { app: APP }
const LOCK = 'r1.1.0'

/** 1.0.0 is live in blue with three pods, 1.1.0 is verified in green with as many, and every pod is met alike. */
function verified(settings = {}): Rehearsal {
  const gradual = { first: 1, hold: HOLD.first, full: HOLD.full }
  const rehearsal = rehearse({ switch: 'gradual', gradual, ...settings })
  const { cluster, app } = rehearsal
  running(cluster, { blue: '1.0.0', green: '1.1.0' }, 'blue')
  for (const color of ['blue', 'green'] as const) {
    cluster.put(deployment(color, made(color === 'blue' ? '1.0.0' : '1.1.0'), PODS))
    cluster.put(autoscaler(color, PODS, PODS))
  }
  let turn = 0
  app.answer = () => Response.json({ color: users(rehearsal).color ?? (turn++ % 2 ? 'green' : 'blue') })
  return rehearsal
}

const users = ({ cluster }: Rehearsal): { app?: string; color?: string } => Object(cluster.selector())

/** Answers an error in the new color's place, for every second request while both serve. */
function failsUsers(rehearsal: Rehearsal): void {
  let turn = 0
  rehearsal.app.answer = () => {
    const color = users(rehearsal).color ?? (turn++ % 2 ? 'green' : 'blue')
    return color === 'green' ? new Response('broken', { status: 500 }) : Response.json({ color })
  }
}

const TEMPORARY: DeploymentRecord['temporary'] = {
  autoscaler: { name: `${APP}-green`, minReplicas: 1, maxReplicas: 4 },
  replicas: [{ color: 'green', release: LOCK, replicas: PODS }],
}

const nothing = () => Promise.resolve(false)

async function open(
  { world, observed }: Rehearsal,
  { watch, says = {}, about = {} }: { watch?: Watch; says?: Record<string, Says>; about?: object } = {},
): Promise<DeploymentRecord> {
  const seen = await observed()
  return await underLock(world, seen, { id: LOCK }, gates(says), nothing, async (held) => {
    const ends = {
      from: { color: 'blue', ...made('1.0.0') },
      to: { color: 'green', ...made('1.1.0') },
    } as const
    const entry = newEntry(held, { id: LOCK, kind: 'deploy', ...ends, temporary: TEMPORARY, ...about })
    return await recorded(held, entry, [], async (attempt) => {
      const kind = entry.kind === 'switch' ? 'switch' : 'deploy'
      const change = { kind, from: 'blue', to: 'green', atLeast: PODS } as const
      const underway = await openGradually(attempt, change, watch)
      await underway.settle()
      return { outcome: 'succeeded' }
    })
  })
}

const pods = ({ cluster }: Rehearsal, color: string): unknown =>
  cluster.object('Deployment', `${APP}-${color}`).spec?.replicas
const bounds = ({ cluster }: Rehearsal): unknown => {
  const { minReplicas, maxReplicas } = cluster.object('HorizontalPodAutoscaler', `${APP}-green`).spec ?? {}
  return [minReplicas, maxReplicas]
}
const lastSwitch = ({ cluster }: Rehearsal): { kind?: string; gradual?: string; overlap?: boolean } =>
  JSON.parse(cluster.object('Service', APP).metadata.annotations?.[key.switch] ?? '{}')
const stored = ({ cluster }: Rehearsal): unknown => cluster.records().find(({ id }) => id === LOCK)?.outcome

/** Ready pods behind the live Service, at every command. */
function capacities({ cluster }: Rehearsal): number[] {
  const found: number[] = []
  cluster.intercept = () => {
    const selector = Object.entries(Object(cluster.selector()))
    const behind = cluster
      .all('Pod')
      .filter(({ metadata }) => selector.every(([name, value]) => metadata.labels?.[name] === value))
    found.push(
      behind.filter(({ status }) => JSON.stringify(status).includes('"Ready","status":"True"')).length,
    )
    return undefined
  }
  return found
}

describe('openGradually', () => {
  test('few pods beside the live ones, then all, then alone: in this order, and nothing else', async () => {
    await using rehearsal = verified()
    const { cluster, clock, log } = rehearsal
    const found = capacities(rehearsal)
    const seen: unknown[] = []
    const look = () =>
      seen.push([
        users(rehearsal),
        pods(rehearsal, 'green'),
        lastSwitch(rehearsal).gradual,
        bounds(rehearsal),
      ])
    for (const step of steps) clock.during.set(HOLD[step], look)
    const entry = await open(rehearsal)
    expect(seen).toEqual([
      [BOTH, 1, 'first', [1, 1]],
      [BOTH, PODS, 'full', [PODS, 4]],
    ])
    const [service, green, scaling] = [
      `patch service ${APP}`,
      `patch deployment ${APP}-green`,
      `patch horizontalpodautoscaler ${APP}-green`,
    ]
    expect(cluster.writes).toEqual([
      'create Lease chat-deploy',
      service,
      'create record',
      scaling,
      green,
      service,
      service,
      scaling,
      green,
      service,
      scaling,
      'patch lease chat-deploy',
    ])
    expect(users(rehearsal)).toEqual(live('green'))
    expect(lastSwitch(rehearsal)).not.toHaveProperty('overlap')
    expect(bounds(rehearsal)).toEqual([1, 4])
    expect(pods(rehearsal, 'blue')).toBe(PODS)
    expect(entry.switches).toMatchObject([
      { share: 0.25, failures: 0 },
      { share: 0.5, failures: 0 },
      { failures: 0 },
    ])
    expect(entry.switches[2]).not.toHaveProperty('share')
    expect(log.steps).toEqual([
      'Take the lock',
      'Scale green down to 1 before anybody is sent there',
      'Some of green beside all of blue',
      'All of green beside all of blue',
      'Switch blue → green',
      'Verify through the live URL',
      'Close the record',
    ])
    expect(entry.steps.map(({ name }) => name)).toEqual(log.steps.slice(1))
    // S1: never fewer ready pods than the live color has.
    expect(Math.min(...found)).toBe(PODS)
  })

  test('a judge is told the share, and how long he looks', async () => {
    await using rehearsal = verified({ gradual: { first: 2, hold: 1000, full: 2000 } })
    const told: unknown[] = []
    await open(rehearsal, {
      watch: ({ journal }, { lost, ...stage }) => {
        told.push([journal.entry.id, stage, lost()])
        return Promise.resolve()
      },
    })
    const [from, to] = ['blue', 'green']
    expect(told).toEqual([
      [LOCK, { from, to, share: 0.4, for: 1000 }, undefined],
      [LOCK, { from, to, share: 0.5, for: 2000 }, undefined],
    ])
  })

  test('where all pods are few, both colors are shared once, and nothing is scaled', async () => {
    await using rehearsal = verified({ gradual: { first: 9, hold: HOLD.first, full: HOLD.full } })
    const { cluster, clock } = rehearsal
    const entry = await open(rehearsal)
    expect(entry.switches).toMatchObject([{ share: 0.5 }, {}])
    expect(clock.slept).not.toContain(HOLD.first)
    expect(cluster.writes).not.toContain(`patch deployment ${APP}-green`)
  })

  test('a deployment goes that way', async () => {
    await using rehearsal = verified()
    const { cluster, clock, world } = rehearsal
    const seen: unknown[] = []
    for (const step of steps) clock.during.set(HOLD[step], () => seen.push(users(rehearsal)))
    await deploy(world, request, await planned(rehearsal, 'blue', { replicas: PODS }), gates())
    expect(seen).toEqual([BOTH, BOTH])
    expect(cluster.selector()).toEqual(live('green'))
    expect(pods(rehearsal, 'green')).toBe(PODS)
    expect(stored(rehearsal)).toBe('succeeded')
  })

  test('a switch alone enters into its record what it changes for a time, before it does (S4)', async () => {
    await using rehearsal = verified()
    const { cluster } = rehearsal
    cluster.put(autoscaler('green', 2, 7))
    const known: unknown[] = []
    cluster.intercept = (_, write) => {
      if (write?.startsWith('patch horizontal')) known.push(Object(cluster.records()[0]).temporary)
      return undefined
    }
    await open(rehearsal, { about: { kind: 'switch', temporary: {} } })
    const back = { autoscaler: { name: `${APP}-green`, minReplicas: 2, maxReplicas: 7 } }
    expect(known).toEqual([back, back, back])
    expect(bounds(rehearsal)).toEqual([2, 7])
  })
})

interface Case {
  name: string
  spoil: (rehearsal: Rehearsal) => void
  says?: Record<string, Says>
  code: number
  message: RegExp
  users: object
  outcome: string
  /** Of green, in the end. */
  pods?: number
}

const BACK = 'Rolled back: users are on 1\\.0\\.0 \\(blue\\) again$'

/** Does something while a step is watched. */
const during =
  (step: Step, act: (rehearsal: Rehearsal) => unknown): Case['spoil'] =>
  (rehearsal) =>
    void rehearsal.clock.during.set(HOLD[step], () => act(rehearsal))

const takenOver = ({ cluster }: Rehearsal): void => {
  const { annotations = {} } = cluster.object('Service', APP).metadata
  annotations[key.lock] = 'somebody else'
}
const select =
  (selector: object) =>
  ({ cluster }: Rehearsal): void =>
    void (cluster.object('Service', APP).spec = { selector })

const cases: Case[] = [
  ...steps.flatMap((step): Case[] => [
    {
      name: `an interrupt while ${step} is watched`,
      spoil: during(step, ({ interrupt }) => interrupt()),
      code: 4,
      message:
        /^Users are on 1\.0\.0 \(blue\) and in part on 1\.1\.0 \(green\): Interrupted .*--repair, sends them back to blue$/,
      users: BOTH,
      outcome: 'open',
      pods: step === 'first' ? 1 : PODS,
    },
    {
      name: `somebody takes the lock while ${step} is watched`,
      spoil: during(step, takenOver),
      code: 5,
      message: /taken over/,
      users: BOTH,
      outcome: 'open',
      pods: step === 'first' ? 1 : PODS,
    },
    {
      name: `somebody rolls back while ${step} is watched`,
      spoil: during(step, (rehearsal) => (takenOver(rehearsal), select(live('blue'))(rehearsal))),
      code: 5,
      message: /taken over.* Users are on 1\.0\.0 \(blue\) now$/,
      users: live('blue'),
      outcome: 'open',
      pods: step === 'first' ? 1 : PODS,
    },
    {
      name: `somebody sends users forward by hand while ${step} is watched`,
      spoil: during(step, select(live('green'))),
      code: 4,
      message: /Users are left where somebody has sent them: \{"app":"chat","color":"green"\}$/,
      users: live('green'),
      outcome: 'needs-person',
      pods: step === 'first' ? 1 : PODS,
    },
    {
      name: `somebody sends users back by hand while ${step} is watched`,
      spoil: during(step, select(live('blue'))),
      code: 3,
      message: new RegExp(`Somebody changed the live selector .*${BACK}`),
      users: live('blue'),
      outcome: 'rolled-back',
    },
    {
      name: `it fails users from ${step} on`,
      spoil: (rehearsal) => {
        if (step === 'first') failsUsers(rehearsal)
        else rehearsal.clock.during.set(HOLD.first, () => failsUsers(rehearsal))
      },
      code: 3,
      message: new RegExp(`requests failed \\(\\d+ × status 500\\)\\. ${BACK}`),
      users: live('blue'),
      outcome: 'rolled-back',
    },
  ]),
  {
    name: 'pods of the new color never go',
    spoil: ({ cluster }) => {
      const status = { phase: 'Running', containerStatuses: [{ name: 'app', state: { running: {} } }] }
      const metadata = { name: 'old', labels: live('green'), deletionTimestamp: '2026-11-23T07:00:00Z' }
      cluster.put({ apiVersion: 'v1', kind: 'Pod', metadata, status })
    },
    code: 70,
    message: /^green did not come down to 1 within 10 m 0 s: pods of green still to go: 1$/,
    users: live('blue'),
    outcome: 'failed',
  },
  {
    name: 'its last pod is not ready once the others are gone',
    spoil: ({ cluster }) => (cluster.podStatus = () => waiting('ContainerCreating')),
    code: 70,
    message: /^green did not come down to 1 .*0 of 1 pods ready$/,
    users: live('blue'),
    outcome: 'failed',
  },
  {
    name: 'it has too few pods to begin with',
    spoil: ({ cluster }) => cluster.put(deployment('green', made('1.1.0'), 2)),
    code: 1,
    message: /^Traffic may not go to green: 2 of 3 pods ready$/,
    users: live('blue'),
    outcome: 'failed',
  },
  {
    name: 'a pod of no color would be met',
    spoil: ({ cluster }) => {
      const status = { phase: 'Running', conditions: [] }
      cluster.put({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'debug', labels: BOTH }, status })
    },
    code: 1,
    message: /an overlap would send users to debug, which are no color's$/,
    users: live('blue'),
    outcome: 'failed',
  },
  {
    name: 'nobody meets it, so that nothing is proven',
    spoil: (rehearsal) =>
      (rehearsal.app.answer = () => Response.json({ color: users(rehearsal).color ?? 'blue' })),
    code: 3,
    message: new RegExp(`^No request of the witness met green within 60 s .*${BACK}`),
    users: live('blue'),
    outcome: 'rolled-back',
  },
  {
    name: 'the pods that are missing cannot start',
    spoil: during('first', ({ cluster }) => {
      cluster.podStatus = (pod) => (pod.includes('green') ? waiting('ErrImagePull', 'not found') : ready)
    }),
    code: 3,
    message: new RegExp(`ErrImagePull: not found\\. ${BACK}`),
    users: live('blue'),
    outcome: 'rolled-back',
  },
  {
    name: 'the live URL does not hold in the end',
    spoil: () => {},
    says: { live: ({ color }) => (color === 'green' ? 'failed' : 'passed') },
    code: 3,
    message: new RegExp(`live: failed: failed\\. ${BACK}`),
    users: live('blue'),
    outcome: 'rolled-back',
  },
  {
    name: 'the API server goes away while it is watched',
    spoil: during('first', ({ cluster }) => (cluster.intercept = () => UNREACHABLE)),
    code: 4,
    message: /The rollback failed too: .*by hand, once the cluster answers:\n {2}kubectl/s,
    users: BOTH,
    outcome: 'open',
    pods: 1,
  },
]

const ready = {
  phase: 'Running',
  conditions: [{ type: 'Ready', status: 'True' }],
  containerStatuses: [{ name: 'app', ready: true, restartCount: 0, state: { running: {} } }],
}

describe('what goes wrong ends on one color, and the exit code says which', () => {
  test.each(cases)('$name → $code', async (given) => {
    await using rehearsal = verified()
    const { app, clock } = rehearsal
    given.spoil(rehearsal)
    const failed = await failure(open(rehearsal, given.says ? { says: given.says } : {}))
    expect(failed.message).toMatch(given.message)
    expect(failed.code).toBe(given.code)
    expect(users(rehearsal)).toEqual(given.users)
    expect(stored(rehearsal)).toBe(given.outcome)
    expect(pods(rehearsal, 'green')).toBe(given.pods ?? PODS)
    if (given.outcome !== 'open') expect(bounds(rehearsal)).toEqual([1, 4])
    await app.silentUnder(clock)
  })

  test.each(steps)('a judge speaks in %s: users go back, whatever he throws', async (step) => {
    await using rehearsal = verified()
    const found = capacities(rehearsal)
    const watch: Watch = (_, { share }) =>
      share < 0.5 === (step === 'first')
        ? Promise.reject(new DeployError('1,240 : 1 that it fails', 70))
        : Promise.resolve()
    const { code, message } = await failure(open(rehearsal, { watch }))
    expect({ code, message }).toEqual({
      code: 3,
      message: '1,240 : 1 that it fails. Rolled back: users are on 1.0.0 (blue) again',
    })
    expect(users(rehearsal)).toEqual(live('blue'))
    expect(lastSwitch(rehearsal).kind).toBe('automatic-rollback')
    const [record] = rehearsal.cluster.records()
    const shares = { first: [{ share: 0.25 }], full: [{ share: 0.25 }, { share: 0.5 }] }[step]
    expect(record).toMatchObject({
      outcome: 'rolled-back',
      switches: [...shares, { emptied: expect.any(Number) }],
    })
    expect(Math.min(...found)).toBe(PODS)
  })
})

describe('the answer to a patch is lost', () => {
  const patches = ['first', 'full', 'alone'] as const
  const isPatch = (line: string, step: (typeof patches)[number]): boolean =>
    line.startsWith(`patch service ${APP} `) &&
    (step === 'alone'
      ? line.includes('"value":{"app":"chat","color":"green"}}')
      : line.includes(String.raw`\"gradual\":\"${step}\"`))

  test.each(patches)('%s: it was carried out, and all goes on', async (step) => {
    await using rehearsal = verified()
    const { cluster } = rehearsal
    let lost = 0
    cluster.loses = (line) => isPatch(line, step) && lost++ === 0
    expect(await open(rehearsal)).toMatchObject({ outcome: 'succeeded' })
    expect(lost).toBe(1)
  })

  test.each(patches)('%s: it never lands, and users are on the live color', async (step) => {
    await using rehearsal = verified()
    const { cluster } = rehearsal
    let late: (() => Promise<unknown>) | undefined
    cluster.intercept = (line, _, args) => {
      if (!isPatch(line, step) || late) return undefined
      late = () => cluster.read(['kubectl', ...args])
      return UNREACHABLE
    }
    expect((await failure(open(rehearsal))).code).toBe(step === 'first' ? 1 : 3)
    expect(users(rehearsal)).toEqual(live('blue'))
    expect(await late?.()).toMatchObject({ exitCode: 1 })
    expect(users(rehearsal)).toEqual(live('blue'))
    expect(stored(rehearsal)).toBe(step === 'first' ? 'failed' : 'rolled-back')
  })

  test('full: somebody has taken the lock meanwhile, and no patch of before is taken for this one', async () => {
    await using rehearsal = verified()
    const { cluster } = rehearsal
    cluster.intercept = (line) => {
      if (isPatch(line, 'full')) takenOver(rehearsal)
      return undefined
    }
    expect((await failure(open(rehearsal))).code).toBe(5)
    expect([users(rehearsal), pods(rehearsal, 'green')]).toEqual([BOTH, 1])
  })
})

async function killed(step: Step): Promise<Rehearsal> {
  const rehearsal = verified()
  // As SIGKILL leaves it: nothing that comes after reaches the cluster.
  rehearsal.clock.during.set(HOLD[step], () => {
    rehearsal.cluster.intercept = () => UNREACHABLE
    rehearsal.interrupt()
  })
  await failure(open(rehearsal))
  rehearsal.cluster.intercept = () => undefined
  const { world, cluster, clock } = rehearsal
  const { signal } = new AbortController()
  const kubectl = new Kubectl(world.environment, cluster, clock, signal)
  const observed = () => observe(APP, kubectl)
  return { ...rehearsal, observed, world: { ...world, kubectl, signal } }
}

describe('killed while both colors serve', () => {
  test.each(steps)(
    'in %s: a repair ends on the live color, and nobody stays behind on the new one',
    async (step) => {
      await using rehearsal = await killed(step)
      const { cluster, world } = rehearsal
      expect(users(rehearsal)).toEqual(BOTH)
      const found = capacities(rehearsal)
      const scaled: unknown[] = []
      const { intercept } = cluster
      cluster.intercept = async (line, write, args) => {
        if (write === `patch deployment ${APP}-green`) scaled.push(/replicas","value":(\d+)/.exec(line)?.[1])
        return await intercept(line, write, args)
      }
      expect(await repairAlone(world, 'r-repair', gates())).toBe(true)
      expect(users(rehearsal)).toEqual(live('blue'))
      expect(scaled).toEqual(['0', String(PODS)])
      expect(bounds(rehearsal)).toEqual([1, 4])
      expect(stored(rehearsal)).toBe('interrupted')
      expect(Math.min(...found)).toBe(PODS)
    },
  )

  test.each(steps)('in %s: a rollback ends on the live color by one patch', async (step) => {
    await using rehearsal = await killed(step)
    const { cluster, world } = rehearsal
    const observed = await rehearsal.observed()
    const target = chooseTarget(world.environment, observed)
    if (target.kind !== 'warm') throw new Error(target.kind)
    cluster.writes.length = 0
    await rollBack(world, { id: 'r-back', reason: undefined }, observed, target, gates())
    expect(cluster.writes[0]).toBe(`patch service ${APP}`)
    expect(users(rehearsal)).toEqual(live('blue'))
    expect(stored(rehearsal)).toBe('taken-back')
    expect(bounds(rehearsal)).toEqual([1, 4])
  })
})
