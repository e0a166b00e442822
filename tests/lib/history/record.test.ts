import { describe, expect, test } from 'bun:test'
import { history, readRecord, release, unfinished } from '../../../lib/history/store.ts'
import { journal, openRecord } from '../../../lib/history/journal.ts'
import {
  newEntry,
  newId,
  outcomes,
  recordForm,
  type DeploymentRecord,
  type Outcome,
} from '../../../lib/history/record.ts'
import { prune, superfluous } from '../../../lib/history/prune.ts'
import { journalled } from '../../../lib/history/journal.ts'
import { UNREACHABLE } from '../cluster.ts'
import { APP, deployment, made } from '../objects.ts'
import { rehearse, type Rehearsal } from '../world.ts'

const entryOf = ({ world }: Rehearsal, id: string, about: Partial<DeploymentRecord> = {}): DeploymentRecord =>
  newEntry(world, { id, kind: 'deploy', to: { color: 'green', ...made('1.1.0') }, ...about })

const full: DeploymentRecord = {
  id: '01',
  kind: 'rollback',
  app: APP,
  environment: 'test',
  strategy: 'blue-green',
  by: 'alice@laptop',
  reason: 'ümlaut, "quotes" and\nlines',
  startedAt: '2026-11-23T08:00:00.000Z',
  finishedAt: '2026-11-23T08:01:00.000Z',
  from: { color: 'blue', ...made('1.0.0') },
  to: { color: 'plain', ...made('1.1.0') },
  temporary: { autoscaler: { name: 'chat', minReplicas: 1, maxReplicas: 4 } },
  allowedFailedDigest: 'flaky test',
  steps: [{ name: 'Switch', at: '2026-11-23T08:00:30.000Z', ms: 12 }],
  checks: [
    {
      gate: 'smoke',
      name: 'health',
      verdict: 'inconclusive',
      ms: 3,
      expected: 'a',
      seen: 'b',
      evidence: ['c'],
    },
  ],
  switches: [
    {
      converged: 1,
      firstNew: 2,
      lastOld: 3,
      lastOldOnNew: 4,
      requests: 5,
      failures: 6,
      failuresBefore: 7,
      onNewConnections: 8,
      onKeptConnections: 9,
    },
  ],
  drift: 'by hand',
  outcome: 'rolled-back',
  message: 'it failed',
}

describe('a record', () => {
  test('is read as it was written, with the manifests it kept', async () => {
    await using rehearsal = rehearse()
    const { world } = rehearsal
    const manifests = [deployment('plain', made('1.1.0'))]
    await openRecord(world, full, manifests)
    expect(recordForm.parse(JSON.parse(JSON.stringify(full)))).toEqual(full)
    expect(await readRecord(world, '01')).toEqual({ entry: full, manifests })
    expect(await readRecord(world, '02')).toBeUndefined()
  })

  test('is written once more when it closes, with its outcome as a label', async () => {
    await using rehearsal = rehearse()
    const { world, cluster } = rehearsal
    const journal = await openRecord(world, entryOf(rehearsal, '01'), [])
    const { log } = journalled(world, journal)
    log.step('one')
    await world.clock.sleep(40)
    log.step('two')
    await journal.close('succeeded', 'well')
    expect(cluster.records()).toMatchObject([
      {
        outcome: 'succeeded',
        message: 'well',
        steps: [
          { name: 'one', ms: 40 },
          { name: 'two', ms: 0 },
        ],
      },
    ])
    expect(cluster.object('ConfigMap', 'chat-deploy-01').metadata.labels).toEqual({
      'deploy-scripts/record': APP,
      'deploy-scripts/outcome': 'succeeded',
    })
  })

  test('saves what changed while it was being sent, and no more often than needed', async () => {
    await using rehearsal = rehearse()
    const { world, cluster } = rehearsal
    const journal = await openRecord(world, entryOf(rehearsal, '01'), [])
    for (const name of ['a', 'b', 'c']) {
      journal.entry.steps.push({ name, at: '' })
      journal.save()
    }
    await journal.close('failed')
    const sent = cluster.asked.filter((line) => line.startsWith('patch configmap'))
    expect(sent.length).toBeLessThanOrEqual(3)
    expect(cluster.records()).toMatchObject([{ steps: [{ name: 'a' }, { name: 'b' }, { name: 'c' }] }])
  })

  test.each(outcomes.filter((outcome) => outcome !== 'open'))(
    'that cannot be stored: %s',
    async (outcome) => {
      await using rehearsal = rehearse()
      const { world, cluster, log } = rehearsal
      cluster.intercept = () => UNREACHABLE
      const closing = journal(world, entryOf(rehearsal, '01')).close(outcome)
      if (outcome === 'succeeded' || outcome === 'verified')
        return expect(closing).rejects.toThrow(/does not answer/)
      await closing
      expect(log.warnings).toEqual([expect.stringMatching(/^The record could not be closed: /)])
    },
  )

  test('that cannot be saved in between is told, and the run goes on', async () => {
    await using rehearsal = rehearse()
    const { world, cluster, log } = rehearsal
    const record = journal(world, entryOf(rehearsal, '01'))
    cluster.intercept = () => UNREACHABLE
    record.save()
    await record.close('failed')
    expect(log.warnings[0]).toMatch(/^The record could not be written: /)
  })
})

const ids = (records: DeploymentRecord[]) => records.map(({ id }) => id)

test('the history is newest first; what is unfinished are the open and the rolled back ones', async () => {
  await using rehearsal = rehearse()
  const { world } = rehearsal
  for (const [i, outcome] of outcomes.entries())
    await openRecord(world, entryOf(rehearsal, `0${i}`, { outcome }), [])
  expect(ids(await history(world, 3))).toEqual(['09', '08', '07'])
  expect((await unfinished(world)).map(({ outcome }) => outcome)).toEqual([
    'taken-back',
    'rolled-back',
    'open',
  ])
  for (const entry of await unfinished(world)) if (entry.outcome !== 'open') await release(world, entry)
  expect((await unfinished(world)).map(({ outcome }) => outcome)).toEqual(['open'])
})

const past = (...some: string[]) =>
  some.map((text) => {
    const [id = '', outcome = 'succeeded'] = text.split(' ')
    return { id, outcome: outcome as Outcome }
  })

describe('superfluous', () => {
  test.each<[string, string[], number, string[], string[]]>([
    ['nothing', [], 2, [], []],
    ['as many as are kept', ['3', '2'], 2, [], []],
    ['the oldest goes', ['3', '2', '1'], 2, [], ['1']],
    ['an open one stays', ['3', '2', '1 open'], 2, [], []],
    ['one in use stays', ['3', '2', '1'], 2, ['1'], []],
    ['the last good one stays', ['3 failed', '2 failed', '1', '0'], 2, [], ['0']],
    ['a good one among the kept is enough', ['3', '2 failed', '1'], 2, [], ['1']],
  ])('%s', (_, newestFirst, keep, inUse, expected) => {
    expect(superfluous(past(...newestFirst), keep, inUse)).toEqual(expected)
  })
})

test('prune removes what is superfluous, in one command', async () => {
  await using rehearsal = rehearse({ history: 2 })
  const { world, cluster } = rehearsal
  for (const id of ['01', '02', '03', '04', '05'])
    await openRecord(world, entryOf(rehearsal, id, { outcome: 'succeeded' }), [])
  await prune(world, ['02'])
  expect(cluster.records().map(({ id }) => id)).toEqual(['02', '04', '05'])
  expect(cluster.asked.at(-1)).toBe(
    'delete configmap chat-deploy-03 chat-deploy-01 --ignore-not-found --wait=false',
  )
  const before = cluster.asked.length
  await prune(world, ['02'])
  expect(cluster.asked).toHaveLength(before + 1)
})

test('an id can name an object, and sorts by time', () => {
  const [early, late] = [newId(1_700_000_000_000), newId(1_800_000_000_000)]
  expect(early).toMatch(/^[0-9a-z]{26}$/)
  expect(early < late).toBe(true)
})
