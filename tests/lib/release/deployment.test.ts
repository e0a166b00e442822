import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import type { Request } from '../../../lib/release/plan.ts'
import { changedLines, stateLine } from '../../../lib/release/show.ts'
import { run } from '../../../lib/release/deployment.ts'
import { newEntry } from '../../../lib/history/record.ts'
import { openRecord } from '../../../lib/history/journal.ts'
import { readRecord } from '../../../lib/history/store.ts'
import type { Requires } from '../../../lib/settings/file.ts'
import { refused } from '../cluster.ts'
import { deployment, digest, made } from '../objects.ts'
import { failure, gates, rehearse, running, type Rehearsal } from '../world.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

const next = made('1.1.0')
const request: Request = { id: next.release, image: next.image, version: next.version, reason: undefined }

function ready(settings = {}): Rehearsal {
  const rehearsal = rehearse({ manifests: `${import.meta.dir}/../manifests`, ...settings })
  const { cluster } = rehearsal
  running(cluster, { blue: '1.0.0' }, 'blue')
  cluster.intercept = (line) => (line.startsWith('kustomize') ? cluster.kustomize(line) : undefined)
  return rehearsal
}

const go = ({ world }: Rehearsal, agreed: boolean, more: Partial<Request> = {}) =>
  run(world, { ...request, ...more }, gates(), {
    context: undefined,
    verbose: false,
    proceed: () => Promise.resolve(agreed),
  })

const failed = async ({ world }: Rehearsal) =>
  await openRecord(
    world,
    newEntry(world, {
      id: '00',
      kind: 'deploy',
      to: { color: 'green', ...next },
      outcome: 'rolled-back',
      finishedAt: 'yesterday',
      message: 'it was slow',
    }),
    [],
  )

describe('run', () => {
  test('a plan that is not agreed to changes nothing', async () => {
    await using rehearsal = ready()
    const { cluster, log } = rehearsal
    expect(await go(rehearsal, false)).toBeUndefined()
    expect(cluster.writes).toEqual([])
    expect(cluster.printed).toEqual([])
    expect(log.lines).toEqual([
      'live     blue  1.0.0  2 of 2 pods ready  chat@sha256:aaaaaaaaaaaa',
      'deploy   green  1.1.0  chat@sha256:bbbbbbbbbbbb',
      'pods     2, as many as blue has or the manifests say',
      expect.stringMatching(/^gates {4}/),
      'after    drain 7.8 s, then recycle blue',
      'watch    none: nobody looks at what users meet after the switch (bake: false)',
      'undo     bun scripts/rollback-deployment.ts --env test',
    ])
  })

  test('agreed to, it is carried out from start to end', async () => {
    await using rehearsal = ready()
    expect(await go(rehearsal, true)).toMatchObject({
      outcome: 'succeeded',
      to: { color: 'green', version: '1.1.0' },
    })
    expect(rehearsal.cluster.selector()).toMatchObject({ color: 'green' })
  })

  test('rolling, too', async () => {
    await using rehearsal = ready({ strategy: 'rolling' })
    rehearsal.cluster.objects.clear()
    rehearsal.cluster.put(deployment('plain', made('1.0.0')))
    expect(await go(rehearsal, true)).toMatchObject({
      outcome: 'succeeded',
      strategy: 'rolling',
      to: { color: 'plain' },
    })
  })

  test('the first reason that is told is the wrong context, whatever else is wrong', async () => {
    await using rehearsal = ready()
    const { cluster } = rehearsal
    cluster.intercept = (line) =>
      line.startsWith('config')
        ? { stdout: 'production\n', stderr: '', exitCode: 0 }
        : refused('Error from server (Forbidden): no')
    expect(await failure(go(rehearsal, true))).toMatchObject({
      code: 2,
      message: expect.stringMatching(/the context is "production"/),
    })
    expect(cluster.writes).toEqual([])
  })

  test('a release that no record could hold is refused before the lock, and before the question', async () => {
    await using rehearsal = ready()
    const { cluster } = rehearsal
    const annotations = { 'deploy-scripts/part': 'kept' }
    const files = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'chat-files', annotations } }
    const large = JSON.stringify({ ...files, data: { text: randomBytes(900 * 1024).toString('hex') } })
    cluster.intercept = (line) => {
      if (!line.startsWith('kustomize')) return undefined
      const rendered = cluster.kustomize(line)
      return { ...rendered, stdout: `${rendered.stdout}\n---\n${large}\n` }
    }
    expect(await failure(go(rehearsal, true))).toEqual({
      code: 2,
      message: expect.stringMatching(
        /^The manifests in painted\/ pack to .*The largest is ConfigMap chat-files/,
      ),
    })
    expect(cluster.writes).toEqual([])
  })

  describe('a digest that was rolled back automatically', () => {
    test('is refused', async () => {
      await using rehearsal = ready()
      await failed(rehearsal)
      rehearsal.cluster.writes.length = 0
      expect(await failure(go(rehearsal, true))).toEqual({
        code: 6,
        message: `${next.image} was rolled back automatically at yesterday (it was slow). If it is not to blame: --allow-failed-digest "<reason>"`,
      })
      expect(rehearsal.cluster.writes).toEqual([])
    })

    test("is another one's affair", async () => {
      await using rehearsal = ready()
      await failed(rehearsal)
      expect(await go(rehearsal, false, { image: made('1.2.0').image })).toBeUndefined()
    })

    test('is allowed with a reason, and refused no longer once it has proven itself', async () => {
      await using rehearsal = ready()
      await failed(rehearsal)
      await go(rehearsal, true, { allowFailedDigest: 'the database was full' })
      expect(
        rehearsal.cluster
          .records()
          .map(({ outcome }) => outcome)
          .toSorted(),
      ).toEqual(['released', 'succeeded'])
    })
  })
})

describe('what the environment requires', () => {
  const requires: Requires = {
    failOn: 'high',
    stages: ['test'],
    maxScanAge: 3_600_000,
    passed: { name: 'staging', context: 'staging', namespace: 'chat-staging' },
  }
  // Where no registry is: the proof is missing, with the reason.
  const image = `127.0.0.1:9/chat@${digest('b')}`
  const strategies = ['blue-green', 'rolling'] as const

  function requiring(strategy: (typeof strategies)[number] = 'blue-green'): Rehearsal {
    const rehearsal = ready({ strategy, requires })
    if (strategy === 'blue-green') return rehearsal
    rehearsal.cluster.objects.clear()
    rehearsal.cluster.put(deployment('plain', made('1.0.0')))
    return rehearsal
  }
  const attempt = ({ world }: Rehearsal, override?: string, more: Partial<Request> = {}) => {
    let agreed = 0
    const ended = run(world, { ...request, image, ...more }, gates(), {
      context: undefined,
      verbose: false,
      override,
      proceed: () => Promise.resolve(++agreed > 0),
    })
    return { ended, asked: () => agreed }
  }

  test.each(strategies)(
    '%s: refuses once the plan is shown; nothing is asked or touched',
    async (strategy) => {
      await using rehearsal = requiring(strategy)
      const { ended, asked } = attempt(rehearsal)
      expect(await failure(ended)).toEqual({
        code: 6,
        message: expect.stringMatching(
          /^test requires what this image lacks: whether test and security-scan passed: .*; it has not been live in staging\. /,
        ),
      })
      expect([asked(), rehearsal.cluster.writes, rehearsal.cluster.records()]).toEqual([0, [], []])
      expect(rehearsal.log.lines).toContainEqual(expect.stringMatching(/ 1\.1\.0 {2}chat@sha256:b{12}$/))
      expect(rehearsal.log.lines).toContain('missing  it has not been live in staging')
    },
  )

  test.each(strategies)('%s: overridden, it goes on, and says so for good', async (strategy) => {
    await using rehearsal = requiring(strategy)
    const record = await attempt(rehearsal, 'the old one is down').ended
    expect(record).toMatchObject({
      outcome: 'succeeded',
      override: { reason: 'the old one is down', missing: [expect.any(String), expect.any(String)] },
    })
    expect(rehearsal.cluster.records()).toContainEqual(
      expect.objectContaining({ override: record?.override }),
    )
    expect(rehearsal.log.warnings).toContainEqual(expect.stringContaining('overridden, and recorded'))
  })

  test('an override where nothing is required is not in the record', async () => {
    await using rehearsal = ready()
    expect((await attempt(rehearsal, 'just in case').ended)?.override).toBeUndefined()
  })

  test('a wrong context is told first', async () => {
    await using rehearsal = requiring()
    const { cluster } = rehearsal
    cluster.intercept = (line) =>
      line.startsWith('config')
        ? { stdout: 'production\n', stderr: '', exitCode: 0 }
        : line.startsWith('kustomize')
          ? cluster.kustomize(line)
          : undefined
    expect(await failure(attempt(rehearsal).ended)).toMatchObject({ code: 2 })
  })

  test('going back to what was live is never refused', async () => {
    await using rehearsal = requiring()
    const { id = '' } = (await attempt(rehearsal, 'the first one').ended) ?? {}
    const kept = (await readRecord(rehearsal.world, id))?.manifests ?? []
    expect(kept.length).toBeGreaterThan(0)
    expect(await attempt(rehearsal, undefined, { id: 'r3', kept }).ended).toMatchObject({
      kind: 'rollback',
      outcome: 'succeeded',
    })
  })
})

test.each([
  ['', ''],
  [
    'diff -u -N /tmp/LIVE/apps.v1.Deployment.ns.chat-green /tmp/MERGED/apps.v1.Deployment.ns.chat-green\n--- /tmp/a\n+++ /tmp/b\n@@ -1 +1 @@\n-  generation: 1\n+  generation: 2\n-        image: a\n+        image: b\n unchanged',
    'apps.v1.Deployment.ns.chat-green\n-        image: a\n+        image: b',
  ],
  [
    'diff -u a/x b/x\n-  resourceVersion: "1"\n+  resourceVersion: "2"\ndiff -u a/y b/y\n+  added: true',
    'y\n+  added: true',
  ],
])('changedLines %#', (difference, expected) => expect(changedLines(difference)).toBe(expected))

test('an empty color', () => {
  expect(stateLine({ color: 'green', pods: [], own: [], ready: [] })).toBe('green  empty')
})
