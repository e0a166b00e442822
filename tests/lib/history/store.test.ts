import { describe, expect, test } from 'bun:test'
import { journal, openRecord } from '../../../lib/history/journal.ts'
import { prune } from '../../../lib/history/prune.ts'
import { newEntry, type DeploymentRecord } from '../../../lib/history/record.ts'
import { history, readRecord, release, store, unfinished } from '../../../lib/history/store.ts'
import { refused, UNREACHABLE } from '../cluster.ts'
import { APP, deployment, made, type Stored } from '../objects.ts'
import { failure, rehearse, type Rehearsal } from '../world.ts'

const entryOf = ({ world }: Rehearsal, id: string, about: Partial<DeploymentRecord> = {}): DeploymentRecord =>
  newEntry(world, { id, kind: 'deploy', to: { color: 'green', ...made('1.1.0') }, ...about })

const ids = (records: DeploymentRecord[]) => records.map(({ id }) => id)

const outcomes = ({ cluster }: Rehearsal) =>
  cluster.all('ConfigMap').map(({ metadata }) => metadata.labels?.['deploy-scripts/outcome'])

/** The first so many answers to what matches are lost, though it is done. */
const losing = ({ cluster }: Rehearsal, pattern: RegExp, times = 1) => {
  let left = times
  cluster.loses = (line) => pattern.test(line) && left-- > 0
}

/** The server is away for so many tries of what matches. */
const away = ({ cluster }: Rehearsal, pattern: RegExp, times: number) => {
  let left = times
  cluster.intercept = (line) => (pattern.test(line) && left-- > 0 ? UNREACHABLE : undefined)
}

describe('bookkeeping comes through a lost answer', () => {
  test('opening a record twice is opening it once', async () => {
    await using rehearsal = rehearse()
    losing(rehearsal, /^create/)
    await openRecord(rehearsal.world, entryOf(rehearsal, '01'), [])
    expect(rehearsal.cluster.records()).toMatchObject([{ id: '01', outcome: 'open' }])
    expect(rehearsal.cluster.asked.filter((line) => line.startsWith('create'))).toHaveLength(2)
  })

  test("but another run's record of the same id is not taken for ours", async () => {
    await using rehearsal = rehearse()
    await openRecord(rehearsal.world, entryOf(rehearsal, '01', { by: 'bob' }), [])
    expect(await failure(openRecord(rehearsal.world, entryOf(rehearsal, '01'), []))).toMatchObject({
      code: 1,
      message: expect.stringContaining('already exists'),
    })
  })

  test.each(['succeeded', 'failed'] as const)('a record is closed as %s', async (outcome) => {
    await using rehearsal = rehearse()
    const record = await openRecord(rehearsal.world, entryOf(rehearsal, '01'), [])
    losing(rehearsal, /^patch configmap/)
    await record.close(outcome)
    expect(rehearsal.cluster.records()).toMatchObject([{ outcome }])
    expect(rehearsal.log.warnings).toEqual([])
  })

  test('a record is closed once the server is back, some seconds later', async () => {
    await using rehearsal = rehearse()
    const record = await openRecord(rehearsal.world, entryOf(rehearsal, '01'), [])
    away(rehearsal, /^patch configmap/, 4)
    await record.close('succeeded')
    expect(rehearsal.clock.slept).toEqual([300, 1000, 2000, 3000])
    expect(outcomes(rehearsal)).toEqual(['succeeded'])
  })

  test('one that somebody else has closed stays as it is', async () => {
    await using rehearsal = rehearse()
    const record = await openRecord(rehearsal.world, entryOf(rehearsal, '01'), [])
    await store(rehearsal.world.kubectl, entryOf(rehearsal, '01', { outcome: 'interrupted', by: 'bob' }))
    expect(await failure(record.close('succeeded'))).toMatchObject({
      message: 'somebody else has closed the record 01 since',
    })
    expect(outcomes(rehearsal)).toEqual(['interrupted'])
  })

  test('a server that stays away is given up after ten seconds', async () => {
    await using rehearsal = rehearse()
    const record = await openRecord(rehearsal.world, entryOf(rehearsal, '01'), [])
    away(rehearsal, /^patch configmap/, 100)
    const began = rehearsal.clock.monotonic()
    expect(await failure(record.close('succeeded'))).toMatchObject({
      message: expect.stringContaining('does not answer'),
    })
    expect(rehearsal.clock.monotonic() - began).toBeLessThanOrEqual(10_000)
  })

  test('a step in between is not insisted on: the closing carries it', async () => {
    await using rehearsal = rehearse()
    const record = await openRecord(rehearsal.world, entryOf(rehearsal, '01'), [])
    away(rehearsal, /^patch configmap/, 1)
    record.entry.steps.push({ name: 'Switch', at: '' })
    record.save()
    await record.close('succeeded')
    expect(rehearsal.clock.slept).toEqual([])
    expect(rehearsal.cluster.records()).toMatchObject([{ outcome: 'succeeded', steps: [{ name: 'Switch' }] }])
  })
})

const failed = async (rehearsal: Rehearsal) => {
  const entry = entryOf(rehearsal, '01', { outcome: 'rolled-back' })
  await openRecord(rehearsal.world, entry, [])
  return entry
}

describe('releasing a digest that has proven itself', () => {
  test('comes through a lost answer', async () => {
    await using rehearsal = rehearse()
    const entry = await failed(rehearsal)
    losing(rehearsal, /^patch configmap/)
    await release(rehearsal.world, entry)
    expect(outcomes(rehearsal)).toEqual(['released'])
    expect(rehearsal.log.warnings).toEqual([])
  })

  test('a record that is gone, pruned perhaps, refuses nothing', async () => {
    await using rehearsal = rehearse()
    await release(rehearsal.world, entryOf(rehearsal, '01', { outcome: 'rolled-back' }))
    expect(rehearsal.log.warnings).toEqual([])
  })

  test.each([
    ['a server that stays away', UNREACHABLE],
    ['a refusal', refused('Error from server (Forbidden): no')],
  ])('%s does not make a success a failure', async (_, answer) => {
    await using rehearsal = rehearse()
    const entry = await failed(rehearsal)
    rehearsal.cluster.intercept = () => answer
    await release(rehearsal.world, entry)
    expect(rehearsal.log.warnings).toEqual([
      expect.stringMatching(/^ghcr\.io\/example\/chat@sha256:b+ stays refused because of the record 01: /),
    ])
  })
})

/** A record as somebody else wrote it. */
const foreign = (
  { cluster }: Rehearsal,
  id: string,
  outcome: string,
  data: Record<string, string> | undefined,
  about: Partial<Stored['metadata']> = {},
) =>
  cluster.put({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: `chat-deploy-${id}`,
      labels: { 'deploy-scripts/record': APP, 'deploy-scripts/outcome': outcome },
      ...about,
    },
    ...(data && { data }),
  })

const newer = (rehearsal: Rehearsal, id: string) => ({
  record: JSON.stringify({ ...entryOf(rehearsal, id), kind: 'canary', weights: [1, 2] }),
})

describe('a record that cannot be read', () => {
  const hopeless: [string, Record<string, string> | undefined][] = [
    ['no data', undefined],
    ['not JSON', { record: '{' }],
    ['null', { record: 'null' }],
    ['a list', { record: '[]' }],
    ['almost nothing', { record: '{"id":"02"}' }],
  ]

  test.each(hopeless)('%s: the history leaves it out, and says so once', async (_, data) => {
    await using rehearsal = rehearse()
    const { world, log } = rehearsal
    await openRecord(world, entryOf(rehearsal, '01', { outcome: 'succeeded' }), [])
    foreign(rehearsal, '02', 'succeeded', data)
    foreign(rehearsal, '03', 'failed', data)
    expect(ids(await history(world))).toEqual(['01'])
    expect(log.warnings).toEqual([
      expect.stringMatching(
        /^Records cannot be read: chat-deploy-03 \(.+\), chat-deploy-02 \(.+\)\. .*left out$/,
      ),
    ])
  })

  test.each(hopeless)('%s: an open one is open all the same, and can be closed', async (_, data) => {
    await using rehearsal = rehearse()
    const { world, cluster } = rehearsal
    foreign(rehearsal, '02', 'open', data)
    const [open] = await unfinished(world)
    expect(open).toMatchObject({ id: '02', outcome: 'open', temporary: {}, unreadable: expect.any(String) })
    if (open) await journal(world, open).close('interrupted', 'cleaned up')
    expect(await unfinished(world)).toEqual([])
    // Whoever can read it finds what he wrote.
    expect(cluster.object('ConfigMap', 'chat-deploy-02').data).toEqual(data)
    expect(outcomes(rehearsal)).toEqual(['interrupted'])
  })

  test('of newer scripts counts by what can be read of it: whose release, and what was changed for a time', async () => {
    await using rehearsal = rehearse()
    const { world } = rehearsal
    foreign(rehearsal, '02', 'rolled-back', newer(rehearsal, '02'))
    const said = { id: '02', to: made('1.1.0'), by: 'alice@laptop', outcome: 'rolled-back' }
    expect(await history(world)).toMatchObject([{ ...said, unreadable: expect.stringMatching(/^kind: /) }])
    expect(await unfinished(world)).toMatchObject([said])
    expect(await readRecord(world, '02')).toMatchObject({ entry: said, manifests: [] })
  })

  test('an outcome that is not known is open: nobody can say how it ended', async () => {
    await using rehearsal = rehearse({ history: 2 })
    const { world, cluster } = rehearsal
    foreign(rehearsal, '01', 'paused', newer(rehearsal, '01'))
    foreign(rehearsal, '02', '', { record: '{' })
    for (const id of ['03', '04', '05', '06'])
      await openRecord(world, entryOf(rehearsal, id, { outcome: 'succeeded' }), [])
    expect((await history(world)).at(-1)).toMatchObject({ id: '01', outcome: 'open' })
    await prune(world, [])
    expect(cluster.all('ConfigMap').map(({ metadata }) => metadata.name)).toEqual(
      ['01', '02', '05', '06'].map((id) => `chat-deploy-${id}`),
    )
  })

  test('manifests that cannot be read are none', async () => {
    await using rehearsal = rehearse()
    const { world, cluster, log } = rehearsal
    await openRecord(world, entryOf(rehearsal, '01'), [deployment('plain', made('1.1.0'))])
    const stored = cluster.object('ConfigMap', 'chat-deploy-01')
    cluster.put({ ...stored, binaryData: { manifests: 'AAAA' } })
    expect(await readRecord(world, '01')).toMatchObject({ entry: { id: '01' }, manifests: [] })
    expect(log.warnings).toEqual([expect.stringContaining('chat-deploy-01 cannot be read')])
  })

  test('the label of another app or by a foreign name is no record of ours', async () => {
    await using rehearsal = rehearse({ history: 2 })
    const { world, cluster } = rehearsal
    foreign(rehearsal, '01', 'open', undefined, { name: 'settings' })
    expect(await history(world)).toEqual([])
    expect(await unfinished(world)).toEqual([])
    await prune(world, [])
    expect(cluster.all('ConfigMap')).toHaveLength(1)
  })
})

test('the order is that of the server: a machine whose clock is slow made the newer record', async () => {
  await using rehearsal = rehearse({ history: 2 })
  const { world, cluster } = rehearsal
  const created = { '01': '08:30:00', '02': '08:00:00', '03': '08:10:00', '04': '08:10:00' }
  for (const [id, time] of Object.entries(created)) {
    await openRecord(world, entryOf(rehearsal, id, { outcome: 'rolled-back' }), [])
    const stored = cluster.object('ConfigMap', `chat-deploy-${id}`)
    cluster.put({ ...stored, metadata: { ...stored.metadata, creationTimestamp: `2026-11-23T${time}Z` } })
  }
  expect(ids(await history(world))).toEqual(['01', '04', '03', '02'])
  expect(ids(await unfinished(world))).toEqual(['01', '04', '03', '02'])
  await prune(world, [])
  expect(ids(await history(world))).toEqual(['01', '04'])
})

describe('pruning', () => {
  test.each([
    ['a server that is away', UNREACHABLE],
    ['a refusal', refused('Error from server (Forbidden): no')],
  ])('%s is no failure of the run, and is not waited for', async (_, answer) => {
    await using rehearsal = rehearse()
    rehearsal.cluster.intercept = () => answer
    await prune(rehearsal.world, [])
    expect(rehearsal.clock.slept).toEqual([])
    expect(rehearsal.cluster.asked).toHaveLength(1)
    expect(rehearsal.log.lines).toEqual([expect.stringMatching(/^Old records stay for now: /)])
  })

  test('what has piled up goes little by little, the oldest first', async () => {
    await using rehearsal = rehearse({ history: 2 })
    const { world, cluster } = rehearsal
    for (let i = 100; i < 205; i++)
      await openRecord(world, entryOf(rehearsal, String(i), { outcome: 'failed' }), [])
    await prune(world, [])
    expect(cluster.records().map(({ id }) => id)).toEqual(['200', '201', '202', '203', '204'])
  })

  test('a run that was told to stop does not begin with it', async () => {
    await using rehearsal = rehearse()
    rehearsal.interrupt()
    await prune(rehearsal.world, [])
    expect(rehearsal.cluster.asked).toEqual([])
  })
})
