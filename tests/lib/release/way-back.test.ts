/** The law of the way back (S9), by whichever door it is entered. */
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { key, type Color } from '../../../lib/app/color.ts'
import type { Gates } from '../../../lib/check.ts'
import { openRecord } from '../../../lib/history/journal.ts'
import { newEntry, type DeploymentRecord } from '../../../lib/history/record.ts'
import { deploy } from '../../../lib/release/blue-green.ts'
import { rollBack } from '../../../lib/release/rollback.ts'
import { repairAlone, switchAlone } from '../../../lib/release/switch-alone.ts'
import { chooseTarget } from '../../../lib/release/target.ts'
import { refused } from '../cluster.ts'
import { APP, SITE, deployment, live, made, service, waiting } from '../objects.ts'
import {
  failure,
  gates,
  lastSwitch,
  moments,
  rehearse,
  running,
  type Rehearsal,
  type Says,
} from '../world.ts'
import { planned, recordOf, request, stored } from './setting.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

const smoke = [{ name: 'as it was', fingerprint: 'then' }]

/** 1.1.0 is live in green, 1.0.0 waits in blue, and both have their records. */
async function afterDeployment(rehearsal: Rehearsal): Promise<void> {
  running(rehearsal.cluster, { blue: '1.0.0', green: '1.1.0' }, 'green')
  lastSwitch(rehearsal.cluster)
  await recordOf(rehearsal, '1.0.0', { to: { color: 'blue', ...made('1.0.0') }, smoke })
  await recordOf(rehearsal, '1.1.0', { smoke: [{ name: 'as it is', fingerprint: 'now' }] })
}

/** What a killed run had in its record. */
const ends = {
  back: { from: { color: 'green', ...made('1.1.0') }, to: { color: 'blue', ...made('1.0.0') } },
  forward: { from: { color: 'blue', ...made('1.0.0') }, to: { color: 'green', ...made('1.1.0') } },
} as const

/** A run that was killed after its switch: its record is open, and names what it changes for a time. */
async function killed(
  { world, cluster, observed }: Rehearsal,
  kind: 'deploy' | 'rollback',
  id: string,
): Promise<void> {
  const way = kind === 'deploy' ? ends.forward : ends.back
  const back = { color: 'green', release: 'r1.1.0', replicas: 2 }
  const replicas = world.environment.afterSwitch === 'scale-down' ? [] : [back]
  await openRecord(world, newEntry(world, { id, kind, ...way, temporary: { replicas } }), [])
  const { metadata } = cluster.object('Service', APP)
  const change = { id, kind, ...way, by: 'bob', at: '2026-11-23T07:00:00Z' }
  const annotations = { ...metadata.annotations, [key.switch]: JSON.stringify(change) }
  cluster.put({
    ...service(APP),
    metadata: { ...metadata, annotations },
    spec: { selector: live(way.to.color) },
  })
  expect((await observed()).switch?.id).toBe(id)
}

interface Door {
  name: string
  /** What the record is called that tells it. */
  id: string
  given: (rehearsal: Rehearsal) => Promise<void>
  go: (rehearsal: Rehearsal, told: Gates) => Promise<unknown>
  /** How it ends when all is well. */
  code: number
  outcome: DeploymentRecord['outcome']
  /** What blue is verified by. */
  kept: unknown
}

/** All of them lead from 1.1.0 in green to 1.0.0 in blue. */
const doors: Door[] = [
  {
    name: 'a rollback',
    id: 'r-back',
    given: afterDeployment,
    go: async ({ world, observed }, told) => {
      const seen = await observed()
      const target = chooseTarget(SITE, seen)
      if (target.kind !== 'warm') throw new Error(target.kind)
      return await rollBack(world, { id: 'r-back', reason: 'it is slow' }, seen, target, told)
    },
    code: 0,
    outcome: 'succeeded',
    kept: smoke,
  },
  {
    name: 'a switch to what users were on before',
    id: 'r-switch',
    given: afterDeployment,
    go: ({ world }, told) => switchAlone(world, { id: 'r-switch', to: 'blue', reason: undefined }, told),
    code: 0,
    outcome: 'succeeded',
    kept: smoke,
  },
  {
    name: 'the automatic rollback of a deployment',
    id: request.id,
    given: async (rehearsal) => {
      running(rehearsal.cluster, { blue: '1.0.0' }, 'blue')
      await recordOf(rehearsal, '1.0.0', { to: { color: 'blue', ...made('1.0.0') }, smoke })
    },
    go: async (rehearsal, told) => await deploy(rehearsal.world, request, await planned(rehearsal), told),
    code: 3,
    outcome: 'rolled-back',
    kept: smoke,
  },
  {
    name: 'the automatic rollback of a switch to what users have not been on',
    id: 'r-switch',
    given: async (rehearsal) => {
      running(rehearsal.cluster, { blue: '1.0.0', green: '1.1.0' }, 'blue')
      await recordOf(rehearsal, '1.0.0', { to: { color: 'blue', ...made('1.0.0') }, smoke })
      await recordOf(rehearsal, '1.1.0', { outcome: 'verified' })
    },
    go: ({ world }, told) => switchAlone(world, { id: 'r-switch', to: 'green', reason: undefined }, told),
    code: 3,
    outcome: 'rolled-back',
    kept: smoke,
  },
  {
    name: 'the repair of a deployment that does not hold',
    id: 'r-dead',
    given: async (rehearsal) => {
      await afterDeployment(rehearsal)
      await killed(rehearsal, 'deploy', 'r-dead')
    },
    go: ({ world }, told) => repairAlone(world, 'r-repair', told),
    code: 0,
    outcome: 'rolled-back',
    kept: smoke,
  },
  {
    name: 'the repair of a rollback',
    id: 'r-dead',
    given: async (rehearsal) => {
      await afterDeployment(rehearsal)
      await killed(rehearsal, 'rollback', 'r-dead')
    },
    go: ({ world }, told) => repairAlone(world, 'r-repair', told),
    code: 0,
    outcome: 'succeeded',
    kept: smoke,
  },
]

/** Green does not hold; blue does. */
const says: Record<string, Says> = {
  live: ({ color }) => (color === 'green' ? 'failed' : 'passed'),
}

const pods = ({ cluster }: Rehearsal): unknown => cluster.object('Deployment', `${APP}-green`).spec?.replicas

const scalesGreen = (line: string): string | undefined =>
  line.startsWith(`patch deployment ${APP}-green`)
    ? /"path":"\/spec\/replicas","value":(\d+)/.exec(line)?.[1]
    : undefined

describe('nobody stays behind: the color that was left is emptied', () => {
  test.each(doors)('$name: and comes back', async ({ id, given, go, code, outcome }) => {
    await using rehearsal = rehearse()
    const { cluster } = rehearsal
    await given(rehearsal)
    const failed = await failure(go(rehearsal, gates(says)))
    expect(failed.code).toBe(code)
    expect(cluster.selector()).toEqual(live('blue'))
    expect(cluster.asked.flatMap((line) => scalesGreen(line) ?? [])).toEqual(['0', '2'])
    expect(pods(rehearsal)).toBe(2)
    const record = stored(rehearsal, id)
    expect(record.outcome).toBe(outcome)
    const { emptied = Number.NaN, lastOld = 0 } = record.switches.at(-1) ?? {}
    expect(emptied).toBeGreaterThanOrEqual(0)
    expect(emptied).toBeLessThan(60_000)
    expect(lastOld).toBeLessThan(60_000)
  })

  test.each(doors)('$name: and stays empty with scale-down', async ({ given, go, code }) => {
    await using rehearsal = rehearse({ afterSwitch: 'scale-down' })
    await given(rehearsal)
    const failed = await failure(go(rehearsal, gates(says)))
    expect(failed.code).toBe(code)
    expect(rehearsal.cluster.selector()).toEqual(live('blue'))
    expect(pods(rehearsal)).toBe(0)
  })

  test.each(doors)('$name: where it cannot be, a person is told', async ({ id, given, go }) => {
    await using rehearsal = rehearse()
    const { cluster } = rehearsal
    await given(rehearsal)
    cluster.intercept = (line) =>
      scalesGreen(line) === '0' ? refused('Error from server (Forbidden): not to you') : undefined
    const failed = await failure(go(rehearsal, gates(says)))
    expect(failed.code).toBe(4)
    expect(failed.message).toMatch(
      /[Uu]sers are on (1\.0\.0 \()?blue\)?.* but clients with kept connections may still be on green: .*not to you/,
    )
    expect(failed.message).not.toMatch(/patch service/)
    expect(cluster.selector()).toEqual(live('blue'))
    expect(stored(rehearsal, id)).toMatchObject({ outcome: 'needs-person' })
    expect(stored(rehearsal, id).switches.at(-1)).not.toHaveProperty('emptied')
  })
})

describe('an old release is judged by what it went live with', () => {
  test.each(doors)('$name', async ({ given, go, kept }) => {
    await using rehearsal = rehearse()
    await given(rehearsal)
    const told = gates(says)
    await failure(go(rehearsal, told))
    expect(told.told).toEqual([kept])
  })

  test.each(doors)('$name: where no record says it, by today’s', async ({ given, go }) => {
    await using rehearsal = rehearse()
    await given(rehearsal)
    rehearsal.cluster.objects.delete(`ConfigMap/${APP}-deploy-r1.0.0`)
    const told = gates(says)
    await failure(go(rehearsal, told))
    expect(told.told).toStrictEqual([undefined])
  })

  test.each(doors)('$name: a check that fails leads nobody back', async ({ id, given, go }) => {
    await using rehearsal = rehearse()
    const { cluster } = rehearsal
    await given(rehearsal)
    const failed = await failure(go(rehearsal, gates({ ...says, back: 'failed' })))
    expect(failed.code).toBe(4)
    expect(failed.message).toMatch(/back: failed: failed/)
    expect(failed.message).not.toMatch(/kubectl|green'|--to green|--to-version 1\.1\.0/)
    expect(cluster.selector()).toEqual(live('blue'))
    expect(stored(rehearsal, id)).toMatchObject({ outcome: 'needs-person' })
    expect(pods(rehearsal)).toBe(2)
  })
})

describe('one ready pod of what served before is enough', () => {
  test.each(doors)('$name', async ({ name, id, given, go, code, outcome }) => {
    await using rehearsal = rehearse()
    const { cluster, log } = rehearsal
    await given(rehearsal)
    cluster.put(deployment('blue', made('1.0.0'), 3))
    const [fit, ...others] = cluster.all('Pod').filter((pod) => pod.metadata.name.startsWith(`${APP}-blue.`))
    const [first, second] = others
    if (!fit || !first || !second) throw new Error('blue has no three pods')
    first.status = waiting('CrashLoopBackOff')
    second.status = {
      phase: 'Pending',
      conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable' }],
    }
    expect((await failure(go(rehearsal, gates(says)))).code).toBe(code)
    expect(cluster.selector()).toEqual(live('blue'))
    expect(stored(rehearsal, id)).toMatchObject({ outcome })
    const less = 'blue has 1 pods ready, green had 2: capacity is less than before'
    // Whoever decides to go is told; who is brought back has no choice.
    const decided = name === 'a rollback' || name === 'a switch to what users were on before'
    expect(log.warnings.includes(less)).toBe(decided)
  })

  test.each(doors.filter(({ outcome }) => outcome === 'rolled-back'))(
    '$name: but none is not',
    async ({ id, given, go }) => {
      await using rehearsal = rehearse()
      const { cluster } = rehearsal
      await given(rehearsal)
      const unfit: Record<string, Says> = {
        live: ({ color }) => {
          for (const pod of cluster.all('Pod'))
            if (pod.metadata.name.startsWith(`${APP}-blue.`)) pod.status = waiting('CrashLoopBackOff')
          return color === 'green' ? 'failed' : 'passed'
        },
      }
      const failed = await failure(go(rehearsal, gates(unfit)))
      expect(failed.code).toBe(4)
      expect(failed.message).toMatch(
        /The rollback failed too: .*Users stay on .*green.*, since no pod of blue is ready; .*rollback-deployment\.ts --env test starts what is kept in a record$/s,
      )
      expect(failed.message).not.toMatch(/kubectl/)
      expect(cluster.selector()).toEqual(live('green'))
      expect(stored(rehearsal, id).outcome).not.toBe('succeeded')
    },
  )
})

/**
 * Half of what a color answers is an error that names nobody. Clients who have a connection to it stay on it as long
 * as it has pods, as kube-proxy leaves them; and all that comes while users are moved is answered by it.
 */
function failing({ app, cluster, clock }: Rehearsal, bad: Color): void {
  let asked = 0
  app.answer = ({ headers }) => {
    const kept =
      headers.get('user-agent') === 'deploy-scripts-witness' && headers.get('connection') !== 'close'
    const pinned =
      kept && cluster.all('Pod').some(({ metadata }) => metadata.name.startsWith(`${APP}-${bad}.`))
    const color = pinned ? bad : Reflect.get(Object(cluster.selector()), 'color')
    return color === bad && asked++ % 2 === 0
      ? new Response('broken', { status: 500 })
      : Response.json({ color })
  }
  const before = cluster.intercept
  cluster.intercept = async (line, ...more) => {
    const moves = line.startsWith(`patch service ${APP} `) && line.includes('"path":"/spec/selector","value"')
    if (moves && Bun.deepEquals(cluster.selector(), live(bad))) {
      for (const enough = app.kept + 3; app.kept < enough; await Bun.sleep(1)) await clock.sleep(100)
      // What was due by now was due before the patch, not in the same instant.
      await clock.sleep(1)
    }
    return await before(line, ...more)
  }
}

describe('fleeing: what the color that is left answers is not held against the one that is entered', () => {
  test.each(doors)('$name', async ({ id, given, go, code, outcome }) => {
    await using rehearsal = rehearse()
    await given(rehearsal)
    failing(rehearsal, 'green')
    const failed = await failure(go(rehearsal, gates(says)))
    expect(failed.code).toBe(code)
    expect(rehearsal.cluster.selector()).toEqual(live('blue'))
    expect(stored(rehearsal, id)).toMatchObject({ outcome })
    await rehearsal.app.silentUnder(rehearsal.clock)
  })

  test('a switch to what has passed its gates and users have not been on', async () => {
    await using rehearsal = rehearse()
    running(rehearsal.cluster, { blue: '1.0.0', green: '1.1.0' }, 'blue')
    await recordOf(rehearsal, '1.1.0', { outcome: 'verified' })
    failing(rehearsal, 'blue')
    const switching = { id: 'r-switch', to: 'green', reason: 'half of it fails' } as const
    expect(await failure(switchAlone(rehearsal.world, switching, gates()))).toEqual({ code: 0, message: '' })
    expect(rehearsal.cluster.selector()).toEqual(live('green'))
    expect(stored(rehearsal, 'r-switch')).toMatchObject({ outcome: 'succeeded' })
  })

  test('the deployment of what mends it', async () => {
    await using rehearsal = rehearse()
    running(rehearsal.cluster, { blue: '1.0.0' }, 'blue')
    const plan = await planned(rehearsal)
    failing(rehearsal, 'blue')
    rehearsal.clock.during.set(moments.before, async () => {
      await rehearsal.app.watched()
      // What was answered was answered before the patch is asked for.
      await rehearsal.clock.sleep(1)
    })
    expect(await failure(deploy(rehearsal.world, request, plan, gates()))).toEqual({ code: 0, message: '' })
    expect(rehearsal.cluster.selector()).toEqual(live('green'))
    expect(stored(rehearsal, request.id)).toMatchObject({ outcome: 'succeeded' })
  })
})
