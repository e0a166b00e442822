import { describe, expect, test } from 'bun:test'
import { migrate } from '../../../lib/app/migration.ts'
import type { Manifest } from '../../../lib/cluster/objects.ts'
import type { Cluster } from '../cluster.ts'
import { APP, service, waiting } from '../objects.ts'
import { failure, rehearse, type Rehearsal } from '../world.ts'

const job: Manifest = { apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'migrate' }, spec: {} }
const shared = [service(APP)]
const said = { stdout: '', stderr: '', exitCode: 0 }

const met = (type: string, reason = '', message = '') => ({
  conditions: [{ type, status: 'True', reason, message }],
})

/** What the cluster makes of the Job once it is applied. */
function becomes({ cluster }: Rehearsal, status: object, pod?: Record<string, unknown>): void {
  let applied = false
  cluster.intercept = (line) => {
    applied ||= line.startsWith('apply')
    if (!applied || !line.startsWith('get job/migrate')) return undefined
    cluster.objects.set('Job/migrate', { ...job, status: { ...status } } as never)
    if (pod) {
      const about = { name: 'migrate-x', labels: { 'job-name': 'migrate' } }
      cluster.put({ apiVersion: 'v1', kind: 'Pod', metadata: about, status: pod })
    }
    return undefined
  }
}

/** A pod of the last run's migration, which was told to end. */
const before = (cluster: Cluster, status: object) =>
  cluster.put({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'migrate-old',
      labels: { 'job-name': 'migrate' },
      deletionTimestamp: '2026-11-23T08:00:00Z',
    },
    spec: { nodeName: 'n1' },
    status: { ...status },
  })

const run = (rehearsal: Rehearsal) => migrate(rehearsal.world, { shared, migration: [job] })

describe('migrate', () => {
  test('the finished Job of the last release makes room, then all is applied at once', async () => {
    await using rehearsal = rehearse()
    becomes(rehearsal, met('Complete'))
    await run(rehearsal)
    expect(rehearsal.cluster.writes).toEqual(['delete job migrate', `apply Service/${APP} Job/migrate`])
  })

  test('without a migration only what is shared is applied; without anything, nothing', async () => {
    await using rehearsal = rehearse()
    await migrate(rehearsal.world, { shared, migration: [] })
    await migrate(rehearsal.world, { shared: [], migration: [] })
    expect(rehearsal.cluster.writes).toEqual([`apply Service/${APP}`])
  })

  describe('never runs beside another', () => {
    test('the pod of the last run, which was told to end, is waited for', async () => {
      await using rehearsal = rehearse()
      const { cluster, clock, log } = rehearsal
      before(cluster, { phase: 'Running' })
      becomes(rehearsal, met('Complete'))
      clock.during.set(300, () => {
        expect(cluster.writes).toEqual(['delete job migrate'])
        cluster.objects.delete('Pod/migrate-old')
      })
      await run(rehearsal)
      expect(cluster.asked).toContain(
        'delete job migrate --ignore-not-found --cascade=foreground --wait=false',
      )
      expect(cluster.writes).toEqual(['delete job migrate', `apply Service/${APP} Job/migrate`])
      expect(log.lines[0]).toBe('the migration of the last run still ends: pod/migrate-old on n1')
    })

    test('and so is the Job, which goes last', async () => {
      await using rehearsal = rehearse()
      const { cluster, clock } = rehearsal
      cluster.put(job)
      cluster.intercept = (line) => (line.startsWith('delete') ? said : undefined)
      clock.during.set(300, () => {
        expect(cluster.writes).toEqual([])
        cluster.objects.delete('Job/migrate')
        becomes(rehearsal, met('Complete'))
      })
      await run(rehearsal)
      expect(cluster.writes).toContain(`apply Service/${APP} Job/migrate`)
    })

    test('one that does not end is named, and nothing is applied', async () => {
      await using rehearsal = rehearse()
      const { cluster } = rehearsal
      before(cluster, { phase: 'Running' })
      expect(await failure(run(rehearsal))).toMatchObject({
        code: 70,
        message: expect.stringMatching(
          /^The migration of the last run did not end within 10 m 0 s, .*: pod\/migrate-old on n1\. .*kubectl --context test -n chat-test delete/,
        ),
      })
      expect(cluster.writes).toEqual(['delete job migrate'])
    })

    test.each(['Succeeded', 'Failed'])('a pod that has %s does nothing any more', async (phase) => {
      await using rehearsal = rehearse()
      before(rehearsal.cluster, { phase })
      becomes(rehearsal, met('Complete'))
      await run(rehearsal)
      expect(rehearsal.cluster.writes).toHaveLength(2)
    })
  })

  const cases: [
    name: string,
    status: object,
    pod: Record<string, unknown> | undefined,
    code: number,
    message: RegExp,
  ][] = [
    [
      'a Job that failed',
      met('Failed', 'BackoffLimitExceeded', 'Job has reached the specified backoff limit'),
      undefined,
      1,
      /^The migration failed: job\/migrate: BackoffLimitExceeded: Job has reached/,
    ],
    [
      'an image that is not there',
      {},
      waiting('ImagePullBackOff', 'not found'),
      1,
      /^The migration is broken: pod\/migrate-x: ImagePullBackOff: not found$/,
    ],
    ['no pod within 10 s', {}, undefined, 1, /^The migration has no pod: job\/migrate/],
    [
      'a Job that never ends',
      {},
      { phase: 'Running' },
      70,
      /^job\/migrate was not done within 10 m 0 s: job\/migrate runs$/,
    ],
    [
      "exits, which are the Job's to count",
      {},
      {
        containerStatuses: [
          {
            name: 'm',
            restartCount: 5,
            state: { waiting: { reason: 'CrashLoopBackOff' } },
            lastState: { terminated: { exitCode: 1 } },
          },
        ],
      },
      70,
      /^job\/migrate was not done/,
    ],
  ]
  test.each(cases)('%s', async (_, status, pod, code, message) => {
    await using rehearsal = rehearse()
    becomes(rehearsal, status, pod)
    expect(await failure(run(rehearsal))).toMatchObject({ code, message: expect.stringMatching(message) })
  })
})
