/** A deployment in two commands: `--until verified` leaves a color that passed, `--resume` looks again and opens it. */
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { placeHold } from '../../../lib/history/hold.ts'
import { deploy } from '../../../lib/release/blue-green.ts'
import type { Gates } from '../../../lib/check.ts'
import type { Terms } from '../../../lib/release/deployment.ts'
import { switchAlone } from '../../../lib/release/switch-alone.ts'
import { resume } from '../../../lib/release/resume.ts'
import { UNREACHABLE } from '../cluster.ts'
import { APP, deployment, image, live, made } from '../objects.ts'
import { failure, gates, moments, rehearse, running, type Rehearsal, type Says } from '../world.ts'
import { next, planned, recordOf, request, stored } from './setting.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

/** 1.0.0 is live in blue, 1.1.0 has passed its gates in green and waits. */
async function waiting(settings = {}): Promise<Rehearsal> {
  const rehearsal = rehearse(settings)
  running(rehearsal.cluster, { blue: '1.0.0' }, 'blue')
  await deploy(rehearsal.world, { ...request, until: 'verified' }, await planned(rehearsal), gates())
  rehearsal.cluster.writes.length = 0
  rehearsal.log.steps.length = 0
  return rehearsal
}

const terms = (agreed = true, override?: string): Terms => ({
  context: undefined,
  verbose: false,
  override,
  proceed: () => Promise.resolve(agreed),
})

const opened = (rehearsal: Rehearsal, told = gates(), agreed = true) =>
  resume(rehearsal.world, next.release, { id: 'r-open' }, told, terms(agreed))

describe('deploy --until verified', () => {
  test('moves nobody, lets the lock go, gives the bounds back, and says that it waits', async () => {
    await using rehearsal = rehearse()
    const { cluster } = rehearsal
    running(cluster, { blue: '1.0.0' }, 'blue')
    const told = gates()
    const plan = await planned(rehearsal, 'blue', { replicas: 3 })
    const entry = await deploy(rehearsal.world, { ...request, until: 'verified' }, plan, told)
    expect(entry).toMatchObject({ outcome: 'verified', kind: 'deploy', smoke: told.kept })
    expect(stored(rehearsal, next.release)).toMatchObject({
      outcome: 'verified',
      finishedAt: expect.any(String),
    })
    expect(told.asked).toEqual(['preview green'])
    expect(cluster.selector()).toEqual(live('blue'))
    expect(cluster.selector(`${APP}-preview`)).toEqual(live('green'))
    expect(cluster.object('Lease', `${APP}-deploy`).spec?.holderIdentity).toBe('')
    expect(cluster.object('HorizontalPodAutoscaler', `${APP}-green`).spec).toMatchObject({
      minReplicas: 1,
      maxReplicas: 4,
    })
    expect(cluster.object('Deployment', `${APP}-green`).spec?.replicas).toBe(3)
  })

  test('one that fails is not left to be resumed', async () => {
    await using rehearsal = rehearse()
    running(rehearsal.cluster, { blue: '1.0.0' }, 'blue')
    const plan = await planned(rehearsal)
    const until = { ...request, until: 'verified' as const }
    expect((await failure(deploy(rehearsal.world, until, plan, gates({ preview: 'failed' })))).code).toBe(1)
    expect((await failure(opened(rehearsal))).message).toBe(
      `${next.release} is no deployment that waits to be resumed: it ended failed`,
    )
  })

  test('its record cannot be closed: a person is told what is verified (4)', async () => {
    await using rehearsal = rehearse()
    const { cluster } = rehearsal
    running(cluster, { blue: '1.0.0' }, 'blue')
    const plan = await planned(rehearsal)
    cluster.intercept = (line) => (line.startsWith('patch configmap') ? UNREACHABLE : undefined)
    const until = { ...request, until: 'verified' as const }
    const failed = await failure(deploy(rehearsal.world, until, plan, gates()))
    expect(failed.code).toBe(4)
    expect(failed.message).toMatch(/^green is verified, but the record could not be closed/)
    expect(cluster.selector()).toEqual(live('blue'))
  })
})

describe('resume', () => {
  test('looks again by what it was verified by, and opens it as a deployment does', async () => {
    await using rehearsal = await waiting()
    const { cluster, log } = rehearsal
    const told = gates()
    const entry = await opened(rehearsal, told)
    expect(entry).toMatchObject({ id: next.release, kind: 'deploy', outcome: 'succeeded' })
    expect(cluster.selector()).toEqual(live('green'))
    expect(stored(rehearsal, next.release)).toMatchObject({ outcome: 'succeeded' })
    expect(told.asked).toEqual(['back green', 'live green'])
    expect(told.told).toEqual([told.kept])
    expect(log.steps).toEqual([
      'Check access, and what has changed since',
      'Take the lock',
      'Verify green through the preview once more',
      'Switch blue → green',
      'Verify through the live URL',
      'Drain blue',
      'Recycle blue: clients that kept a connection to it come over',
      'Close the record',
    ])
    expect(cluster.object('Lease', `${APP}-deploy`).spec?.holderIdentity).toBe('')
    expect(cluster.object('HorizontalPodAutoscaler', `${APP}-green`).spec).toMatchObject({
      minReplicas: 1,
      maxReplicas: 4,
    })
  })

  test('users’ address is looked at while they are still where they were', async () => {
    await using rehearsal = await waiting()
    const { cluster, world } = rehearsal
    const seen: unknown[] = []
    const note: Gates['note'] = ({ url }) => Promise.resolve(void seen.push([url, cluster.selector()]))
    await opened(rehearsal, { ...gates(), note })
    expect(seen).toEqual([[world.environment.url, live('blue')]])
  })

  test('once', async () => {
    await using rehearsal = await waiting()
    await opened(rehearsal)
    expect(await failure(opened(rehearsal))).toEqual({
      code: 1,
      message: `${next.release} is no deployment that waits to be resumed: it ended succeeded`,
    })
  })

  test('not what users were brought back from, when somebody had opened it by switch-traffic', async () => {
    await using rehearsal = await waiting()
    const { cluster, world } = rehearsal
    const notLive = gates({ live: ({ color }) => (color === 'green' ? 'failed' : 'passed') })
    const request = { id: 'r-switch', to: 'green', reason: undefined } as const
    expect((await failure(switchAlone(world, request, notLive))).code).toBe(3)
    expect(stored(rehearsal, next.release).outcome).toBe('verified')
    const failed = await failure(opened(rehearsal))
    expect(failed.code).toBe(6)
    expect(failed.message).toMatch(
      /^Users were brought back from 1\.1\.0 \(.*, alice@laptop\): deploy it again$/,
    )
    expect(cluster.selector()).toEqual(live('blue'))
  })

  test('not agreed to: nothing is written', async () => {
    await using rehearsal = await waiting()
    expect(await opened(rehearsal, gates(), false)).toBeUndefined()
    expect(rehearsal.cluster.writes).toEqual([])
    expect(stored(rehearsal, next.release).outcome).toBe('verified')
  })

  test('live has grown meanwhile: green gets as many', async () => {
    await using rehearsal = await waiting()
    rehearsal.cluster.put(deployment('blue', made('1.0.0'), 5))
    expect(await opened(rehearsal)).toMatchObject({ outcome: 'succeeded' })
    expect(rehearsal.cluster.object('Deployment', `${APP}-green`).spec?.replicas).toBe(5)
  })

  const refusals: [string, (rehearsal: Rehearsal) => unknown, number, RegExp][] = [
    [
      'there is no such record',
      ({ cluster }) => cluster.objects.delete(`ConfigMap/${APP}-deploy-${next.release}`),
      1,
      /^r1\.1\.0 is no deployment that waits to be resumed: there is no such record$/,
    ],
    [
      'green holds something else by now',
      ({ cluster }) => cluster.put(deployment('green', made('1.2.0'))),
      1,
      /^green holds 1\.2\.0 by now, not what was verified there: deploy it again$/,
    ],
    [
      'an image was set there by hand',
      ({ cluster }) => {
        const { spec } = cluster.object('Deployment', `${APP}-green`)
        const containers = [{ name: 'app', image: image('f') }]
        Object.assign(spec ?? {}, { template: { metadata: {}, spec: { containers } } })
      },
      1,
      /^Deployment chat-green runs .*, which somebody put there by hand: deploy it again$/,
    ],
    [
      'users are on another release than it was verified beside',
      ({ cluster }) => cluster.put(deployment('blue', made('1.3.0'))),
      1,
      /^Users are on 1\.3\.0 \(blue\) by now; 1\.1\.0 was verified beside 1\.0\.0: deploy it again$/,
    ],
    [
      'users are on it already',
      ({ cluster }) => (cluster.object('Service', APP).spec = { selector: live('green') }),
      1,
      /^Users are on 1\.1\.0 \(green\) by now/,
    ],
    [
      'deployments are held up',
      ({ world }) => placeHold(world, 'the fair is on', undefined),
      5,
      /is on hold by alice@laptop.*the fair is on/,
    ],
    [
      'its digest was rolled back elsewhere',
      (rehearsal) => recordOf(rehearsal, '1.1.0', { id: 'r-other', outcome: 'rolled-back' }),
      6,
      /was rolled back automatically/,
    ],
  ]
  test.each(refusals)('%s → %#', async (_, spoil, code, message) => {
    await using rehearsal = await waiting()
    const { cluster } = rehearsal
    await spoil(rehearsal)
    cluster.writes.length = 0
    const selected = structuredClone(cluster.selector())
    const failed = await failure(opened(rehearsal))
    expect(failed.message).toMatch(message)
    expect(failed.code).toBe(code)
    expect(cluster.writes).toEqual([])
    expect(cluster.selector()).toEqual(selected)
  })

  test.each(refusals)(
    '%s between the question and the lock: the same → %#',
    async (_, spoil, code, message) => {
      await using rehearsal = await waiting()
      const asking = { ...terms(), proceed: () => Promise.resolve(spoil(rehearsal)).then(() => true) }
      const failed = await failure(resume(rehearsal.world, next.release, { id: 'r-open' }, gates(), asking))
      expect(failed.message).toMatch(message)
      expect(failed.code).toBe(code)
      expect(rehearsal.cluster.object('Lease', `${APP}-deploy`).spec?.holderIdentity).toBe('')
    },
  )

  const failures: [string, Record<string, Says>, number, RegExp, string][] = [
    [
      'it does not hold any more',
      { back: 'failed' },
      1,
      /Traffic did not move: users are on 1\.0\.0 \(blue\)$/,
      'failed',
    ],
    [
      'it does not hold before users',
      { live: ({ color }) => (color === 'green' ? 'failed' : 'passed'), back: 'passed' },
      3,
      /Rolled back: users are on .*blue.* again$/,
      'rolled-back',
    ],
  ]
  test.each(failures)('%s', async (_, says, code, message, outcome) => {
    await using rehearsal = await waiting()
    const failed = await failure(opened(rehearsal, gates(says)))
    expect(failed.message).toMatch(message)
    expect(failed.code).toBe(code)
    expect(rehearsal.cluster.selector()).toEqual(live('blue'))
    expect(stored(rehearsal, next.release)).toMatchObject({ outcome })
    expect(rehearsal.cluster.object('Deployment', `${APP}-green`).spec?.replicas).toBe(2)
  })

  test('stopped before users were moved: nobody was', async () => {
    await using rehearsal = await waiting()
    const { clock, interrupt } = rehearsal
    clock.during.set(moments.before, interrupt)
    expect((await failure(opened(rehearsal))).code).toBe(130)
    expect(stored(rehearsal, next.release).outcome).toBe('interrupted')
    expect(rehearsal.cluster.selector()).toEqual(live('blue'))
  })

  test('what the environment requires is asked for again, and an override is kept', async () => {
    const requires = { stages: ['test' as const] }
    await using rehearsal = await waiting({ requires })
    const [, digest] = next.image.split('@')
    const { world } = rehearsal
    const entry = stored(rehearsal, next.release)
    const nowhere = { ...entry.to, image: `127.0.0.1:9/chat@${digest}` }
    rehearsal.cluster.object('ConfigMap', `${APP}-deploy-${next.release}`).data = {
      record: JSON.stringify({ ...entry, to: nowhere }),
    }
    const ask = { id: 'r-open' }
    expect((await failure(resume(world, next.release, ask, gates(), terms()))).code).toBe(6)
    const record = await resume(world, next.release, ask, gates(), terms(true, 'an outage'))
    expect(record).toMatchObject({ outcome: 'succeeded', override: { reason: 'an outage' } })
  })
})
