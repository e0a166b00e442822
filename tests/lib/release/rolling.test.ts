import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import type { Gates } from '../../../lib/check.ts'
import type { Request } from '../../../lib/release/plan.ts'
import { newEntry, type DeploymentRecord } from '../../../lib/history/record.ts'
import { key } from '../../../lib/app/color.ts'
import type { Manifest } from '../../../lib/cluster/objects.ts'
import { openRecord } from '../../../lib/history/journal.ts'
import { planRolling, roll, type RollingPlan } from '../../../lib/release/rolling.ts'
import { refused, UNREACHABLE } from '../cluster.ts'
import { APP, autoscaler, deployment, live, made, objectOf, service, waiting } from '../objects.ts'
import { failure, gates, rehearse, type Rehearsal, type Says } from '../world.ts'
import { recordOf, stored } from './setting.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

const next = made('1.1.0')
const request: Request = { id: next.release, image: next.image, version: next.version, reason: undefined }

/** 1.0.0 runs without a color, and its record keeps its manifests. */
async function running(
  rehearsal: Rehearsal,
  manifests: Manifest[] = [deployment('plain', made('1.0.0'))],
  about: Partial<DeploymentRecord> = {},
): Promise<void> {
  const { cluster, world } = rehearsal
  const old = made('1.0.0')
  cluster.put(deployment('plain', old))
  for (const name of [APP, `${APP}-preview`])
    cluster.put({ ...service(name), spec: { selector: { app: APP } } })
  const entry = newEntry(world, {
    id: old.release,
    kind: 'deploy',
    to: { color: 'plain', ...old },
    outcome: 'succeeded',
    ...about,
  })
  await openRecord(world, entry, manifests)
  cluster.writes.length = 0
}

async function planned({ observed }: Rehearsal): Promise<RollingPlan> {
  const seen = await observed()
  const painted = [deployment('plain', next)]
  return {
    release: next,
    from: seen.colors.plain.release,
    observed: seen,
    rendered: { painted, kept: painted, shared: [service(APP)], compared: [], migration: [] },
    difference: '',
    notes: [],
  }
}

const APPLY = `apply Deployment/${APP}`

/** The writes until then, each time that users' address is looked at. */
async function looked(run: boolean, more = {}): Promise<string[][]> {
  await using rehearsal = rehearse({ strategy: 'rolling' })
  if (run) await running(rehearsal)
  const seen: string[][] = []
  const note: Gates['note'] = () => Promise.resolve(void seen.push([...rehearsal.cluster.writes]))
  await roll(rehearsal.world, { ...request, ...more }, await planned(rehearsal), { ...gates(), note })
  return seen
}

describe('roll', () => {
  test("users' URL is not judged before it leads to anybody", async () => {
    await using rehearsal = rehearse({ strategy: 'rolling' })
    rehearsal.app.answer = () => Response.json({ color: 'plain' })
    await roll(
      rehearsal.world,
      request,
      await plan(rehearsal),
      gates({ preview: () => (rehearsal.app.all > 0 ? 'passed' : 'failed') }),
    )
    expect(rehearsal.app.all).toBeGreaterThan(0)
  })

  test('writes in this order, and nothing else', async () => {
    await using rehearsal = rehearse({ strategy: 'rolling' })
    await running(rehearsal)
    const entry = await roll(rehearsal.world, request, await planned(rehearsal), gates())
    expect(rehearsal.cluster.writes).toEqual([
      'create Lease chat-deploy',
      `patch service ${APP}`,
      'create record',
      `apply Service/${APP}`,
      APPLY,
      'patch lease chat-deploy',
    ])
    expect(entry).toMatchObject({ kind: 'deploy', outcome: 'succeeded', from: { version: '1.0.0' } })
  })

  test('users’ address is looked at before anything is rolled out, unless nobody is there or somebody goes back', async () => {
    const [writes = [], ...others] = await looked(true)
    expect([others, writes.includes('create record'), writes.includes(APPLY)]).toEqual([[], true, false])
    expect(await looked(false)).toEqual([])
    expect(await looked(true, { kept: [deployment('plain', next)] })).toEqual([])
  })

  test('what left the overlay goes with the release that does not have it any more', async () => {
    await using rehearsal = rehearse({ strategy: 'rolling' })
    const { cluster, world } = rehearsal
    await running(rehearsal)
    cluster.put(objectOf('1.0.0', 'ConfigMap', 'left', 'plain'))
    cluster.put({ ...autoscaler('plain'), ...objectOf('1.0.0', 'HorizontalPodAutoscaler', APP, 'plain') })
    await roll(world, request, await planned(rehearsal), gates())
    expect(cluster.writes.slice(4, -1)).toEqual([
      APPLY,
      `delete horizontalpodautoscalers ${APP}`,
      APPLY,
      'delete configmaps left',
    ])
  })

  test('a first release opens the Services', async () => {
    await using rehearsal = rehearse({ strategy: 'rolling' })
    const plan = await planned(rehearsal)
    plan.rendered.shared.push(service(`${APP}-preview`))
    await roll(rehearsal.world, request, plan, gates())
    expect(rehearsal.cluster.selector()).toEqual({ app: APP })
    expect(rehearsal.cluster.selector(`${APP}-preview`)).toEqual({ app: APP })
  })

  test('the record of an interrupted run is closed by the next', async () => {
    await using rehearsal = rehearse({ strategy: 'rolling' })
    await running(rehearsal)
    const { world, cluster } = rehearsal
    await openRecord(
      world,
      newEntry(world, { id: 'r0', kind: 'deploy', to: { color: 'plain', ...next } }),
      [],
    )
    await roll(world, request, await planned(rehearsal), gates())
    expect(cluster.records().find(({ id }) => id === 'r0')).toMatchObject({
      outcome: 'interrupted',
      message: 'followed by a run of alice@laptop',
    })
  })

  const cases: {
    name: string
    spoil: (rehearsal: Rehearsal) => void
    says?: Record<string, Says>
    code: number
    message: RegExp
    version: string
    outcome: string
  }[] = [
    {
      name: 'the new release is broken',
      spoil: ({ cluster }) =>
        (cluster.intercept = (_, name) => {
          if (name !== APPLY) return undefined
          cluster.podStatus = () => waiting('CrashLoopBackOff', 'back-off')
          cluster.intercept = (_, other) => {
            if (other === APPLY)
              cluster.podStatus = () => ({
                phase: 'Running',
                conditions: [{ type: 'Ready', status: 'True' }],
              })
            return undefined
          }
          return undefined
        }),
      code: 3,
      message: /CrashLoopBackOff.*Rolled back: 1\.0\.0 runs again$/s,
      version: '1.0.0',
      outcome: 'rolled-back',
    },
    {
      name: 'a check fails once',
      spoil: () => {},
      says: { preview: 'failed' },
      code: 3,
      message: /checks did not pass.*Rolled back: 1\.0\.0 runs again$/s,
      version: '1.0.0',
      outcome: 'rolled-back',
    },
    {
      name: 'the rollback does not pass either',
      spoil: () => {},
      says: { preview: 'failed', back: 'failed' },
      code: 4,
      message:
        /The rollback failed too: .* To try by hand:\n {2}kubectl --context=test --namespace=chat-test rollout undo deployment\/chat$/s,
      version: '1.0.0',
      outcome: 'needs-person',
    },
    {
      name: 'what is shared cannot be applied',
      spoil: ({ cluster }) =>
        (cluster.intercept = (_, name) =>
          name === `apply Service/${APP}` ? refused('Error from server (Forbidden): no') : undefined),
      code: 1,
      message: /Forbidden/,
      version: '1.0.0',
      outcome: 'failed',
    },
    {
      name: 'the API server goes away after the rollout',
      spoil: ({ cluster }) =>
        (cluster.intercept = (line) =>
          cluster.writes.includes(APPLY) && !line.startsWith('patch lease') ? UNREACHABLE : undefined),
      code: 4,
      message: /The rollback failed too: .*does not answer/s,
      version: '1.1.0',
      outcome: 'open',
    },
    {
      name: 'no earlier release is kept',
      spoil: ({ cluster }) => cluster.objects.delete('ConfigMap/chat-deploy-r1.0.0'),
      says: { preview: 'failed', back: 'failed' },
      code: 4,
      message:
        /The rollback failed too: no earlier release is kept that could be brought back\. To try by hand/,
      version: '1.1.0',
      outcome: 'needs-person',
    },
    {
      name: 'an interrupt',
      spoil: ({ cluster, interrupt }) =>
        (cluster.intercept = (_, name) => void (name === APPLY && interrupt())),
      code: 4,
      message: /^Interrupted \(SIGINT\)\. The rollout goes on by itself/,
      version: '1.1.0',
      outcome: 'open',
    },
  ]
  test.each(cases)('$name → $code', async ({ spoil, says, code, message, version, outcome }) => {
    await using rehearsal = rehearse({ strategy: 'rolling' })
    await running(rehearsal)
    const { cluster, world } = rehearsal
    const plan = await planned(rehearsal)
    spoil(rehearsal)
    const failed = await failure(roll(world, request, plan, gates(says)))
    expect(failed.message).toMatch(message)
    expect(failed.code).toBe(code)
    expect(cluster.object('Deployment', APP).metadata.annotations).toMatchObject({
      'deploy-scripts/version': version,
    })
    expect(cluster.records().find(({ id }) => id === next.release)).toMatchObject({ outcome })
    expect(cluster.object('Lease', 'chat-deploy').spec?.holderIdentity).toBe('')
  })

  test('a run that was paused until its lock may have expired brings nothing back', async () => {
    await using rehearsal = rehearse({ strategy: 'rolling', lock: 300 })
    await running(rehearsal)
    const { cluster, world } = rehearsal
    const plan = await planned(rehearsal)
    cluster.intercept = (line, name) => {
      if (name?.startsWith('apply Service')) Bun.sleepSync(400)
      return line.startsWith('patch lease') && !line.includes('"value":""')
        ? refused('Unable to connect to the server: EOF')
        : undefined
    }
    const failed = await failure(roll(world, request, plan, gates()))
    expect(failed).toMatchObject({ code: 5, message: expect.stringMatching(/was not renewed/) })
    expect(cluster.writes).not.toContain(APPLY)
  })
})

/** A person goes back from 1.0.0, which runs, to 0.9.0 as its record kept it. */
async function back(rehearsal: Rehearsal, told = gates()) {
  const old = { ...made('0.9.0'), release: 'r-back' }
  const planning = await planned(rehearsal)
  const painted = [deployment('plain', old)]
  const kept = { ...planning, release: old, rendered: { ...planning.rendered, painted, kept: painted } }
  const wanted = { ...request, ...old, id: 'r-back', kept: painted, smoke: [], reason: 'loses orders' }
  return await failure(roll(rehearsal.world, wanted, kept, told))
}

const version = ({ cluster }: Rehearsal): unknown =>
  cluster.object('Deployment', APP).metadata.annotations?.[key.version]

describe('going back', () => {
  test('brings as many pods as there are now: an autoscaler has set them', async () => {
    await using rehearsal = rehearse({ strategy: 'rolling' })
    const { cluster, world } = rehearsal
    await running(rehearsal, [deployment('plain', made('1.0.0'), 1), autoscaler('plain', 1, 9)])
    cluster.put(deployment('plain', made('1.0.0'), 4))
    cluster.put(autoscaler('plain', 1, 9))
    const planning = await planned(rehearsal)
    planning.rendered.painted = [deployment('plain', next, 4), autoscaler('plain', 1, 9)]
    const applied: unknown[] = []
    cluster.intercept = (_, name) => {
      if (name?.startsWith('apply Deployment')) applied.push(cluster.all('Pod').length)
      return undefined
    }
    const failed = await failure(roll(world, request, planning, gates({ preview: 'failed', back: 'passed' })))
    expect(failed.code).toBe(3)
    const { spec, metadata } = cluster.object('Deployment', APP)
    expect(metadata.annotations).toMatchObject({ [key.version]: '1.0.0' })
    expect(spec).toMatchObject({ replicas: 4 })
    expect(applied).toEqual([4, 4])
  })

  test('the release that comes back is judged by what it went live with', async () => {
    await using rehearsal = rehearse({ strategy: 'rolling' })
    const smoke = [{ name: 'as it was', fingerprint: 'then' }]
    await running(rehearsal, [deployment('plain', made('1.0.0'))], { smoke })
    const told = gates({ preview: 'failed', back: 'passed' })
    expect((await failure(roll(rehearsal.world, request, await planned(rehearsal), told))).code).toBe(3)
    expect(told.told).toEqual([smoke])
  })

  test('by hand: what was left is refused from here on, what was gone to is not', async () => {
    await using rehearsal = rehearse({ strategy: 'rolling' })
    await running(rehearsal)
    await recordOf(rehearsal, '0.9.0', { outcome: 'taken-back', strategy: 'rolling' })
    const told = gates()
    expect(await back(rehearsal, told)).toEqual({ code: 0, message: '' })
    expect(version(rehearsal)).toBe('0.9.0')
    expect(told.told).toEqual([[]])
    expect(stored(rehearsal, 'r1.0.0')).toMatchObject({
      outcome: 'taken-back',
      takenBack: { by: 'alice@laptop', record: 'r-back', reason: 'loses orders' },
    })
    expect(stored(rehearsal, 'r0.9.0').outcome).toBe('succeeded')
  })

  test('by hand, and it does not pass: what was left is not rolled out again, and is refused all the same', async () => {
    await using rehearsal = rehearse({ strategy: 'rolling' })
    await running(rehearsal)
    const failed = await back(rehearsal, gates({ back: 'failed' }))
    expect(failed.code).toBe(4)
    expect(failed.message).toMatch(/^0\.9\.0 was brought back, but 1 of 1 checks did not pass/)
    expect(failed.message).not.toMatch(/rollout undo|1\.0\.0/)
    expect(version(rehearsal)).toBe('0.9.0')
    expect(rehearsal.cluster.writes.filter((write) => write === APPLY)).toHaveLength(1)
    expect(stored(rehearsal, 'r-back').outcome).toBe('needs-person')
    expect(stored(rehearsal, 'r1.0.0').outcome).toBe('taken-back')
  })

  test('by hand, and stopped in the middle: it goes on by itself', async () => {
    await using rehearsal = rehearse({ strategy: 'rolling' })
    await running(rehearsal)
    const { cluster, interrupt } = rehearsal
    cluster.intercept = (_, name) => void (name === APPLY && interrupt())
    const failed = await back(rehearsal)
    expect(failed.code).toBe(4)
    expect(failed.message).toMatch(/The rollout goes on by itself/)
    expect(version(rehearsal)).toBe('0.9.0')
    expect(stored(rehearsal, 'r-back').outcome).toBe('open')
  })

  test('another release runs than the one that was planned for: nothing is rolled out', async () => {
    await using rehearsal = rehearse({ strategy: 'rolling' })
    await running(rehearsal)
    const planning = await planned(rehearsal)
    rehearsal.cluster.put(deployment('plain', made('1.2.0')))
    expect(await failure(roll(rehearsal.world, request, planning, gates()))).toEqual({
      code: 1,
      message: '1.0.0 ran when this was planned, and 1.2.0 runs now: look, and run it again',
    })
    expect(rehearsal.cluster.writes).not.toContain(APPLY)
  })

  test('its digest was rolled back since: nothing is rolled out', async () => {
    await using rehearsal = rehearse({ strategy: 'rolling' })
    await running(rehearsal)
    const planning = await planned(rehearsal)
    await recordOf(rehearsal, '1.1.0', { id: 'r-other', outcome: 'rolled-back' })
    expect((await failure(roll(rehearsal.world, request, planning, gates()))).code).toBe(6)
    expect(rehearsal.cluster.writes).not.toContain(APPLY)
  })
})

const plan = async (rehearsal: Rehearsal): Promise<RollingPlan> => {
  const { cluster, world } = rehearsal
  world.environment.manifests = `${import.meta.dir}/../manifests`
  cluster.intercept = (line) => (line.startsWith('kustomize') ? cluster.kustomize(line) : undefined)
  return await planRolling(world, request)
}

describe('planRolling', () => {
  test('what an autoscaler has set is kept, and nothing is written', async () => {
    await using rehearsal = rehearse({ strategy: 'rolling' })
    rehearsal.cluster.put(deployment('plain', made('1.0.0'), 7))
    rehearsal.cluster.put(autoscaler('plain', 2, 9))
    const { rendered, from } = await plan(rehearsal)
    expect(from).toEqual(made('1.0.0'))
    expect(rendered.painted.find(({ kind }) => kind === 'Deployment')).toMatchObject({
      metadata: { name: APP },
      spec: { replicas: 7, selector: { matchLabels: { app: APP } } },
    })
    expect(rehearsal.cluster.writes).toEqual([])
  })

  test('a Service that selects a color is not taken over', async () => {
    await using rehearsal = rehearse({ strategy: 'rolling' })
    rehearsal.cluster.put({ ...service(APP), spec: { selector: live('green') } })
    expect(await failure(plan(rehearsal))).toMatchObject({
      code: 2,
      message: expect.stringMatching(/selects the color green: use strategy: blue-green/),
    })
  })
})
