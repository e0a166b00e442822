import { describe, expect, test } from 'bun:test'
import { migrate } from '../../../lib/app/migration.ts'
import type { Manifest } from '../../../lib/cluster/objects.ts'
import { APP, service, waiting } from '../objects.ts'
import { failure, rehearse, type Rehearsal } from '../world.ts'

const job: Manifest = { apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'migrate' }, spec: {} }
const shared = [service(APP)]

const met = (type: string, reason = '', message = '') => ({
  conditions: [{ type, status: 'True', reason, message }],
})

/** What the cluster makes of the Job once it is applied. */
function becomes({ cluster }: Rehearsal, status: object, pod?: Record<string, unknown>): void {
  cluster.intercept = (line) => {
    if (!line.startsWith('get job/migrate')) return undefined
    cluster.objects.set('Job/migrate', { ...job, status: { ...status } } as never)
    if (pod) {
      const about = { name: 'migrate-x', labels: { 'job-name': 'migrate' } }
      cluster.put({ apiVersion: 'v1', kind: 'Pod', metadata: about, status: pod })
    }
    return undefined
  }
}

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
      /^job\/migrate was not done within 5 m 0 s: job\/migrate runs$/,
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
