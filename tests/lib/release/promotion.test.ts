import { describe, expect, test } from 'bun:test'
import type { Shell } from '../../../lib/command.ts'
import { judge, overridden, proofLines, prove, type Evidence } from '../../../lib/release/promotion.ts'
import { newEntry, type DeploymentRecord, type Outcome } from '../../../lib/history/record.ts'
import { openRecord } from '../../../lib/history/journal.ts'
import type { Requires } from '../../../lib/settings/file.ts'
import type { Release } from '../../../lib/image/release-file.ts'
import { serveRegistry } from '../../../sandbox/registry.ts'
import { putBeside } from '../image/putting.ts'
import { fronted } from '../image/registries.ts'
import { refused } from '../cluster.ts'
import { hostile } from '../hostile.ts'
import { digest, made } from '../objects.ts'
import { failure, rehearse } from '../world.ts'

const now = Date.parse('2026-11-23T08:00:00Z')
const HOUR = 3_600_000
const commit = 'a'.repeat(40)
const other = 'b'.repeat(40)
const d = digest('c')

const at = (ms: number): string => new Date(now + ms).toISOString()
const result = (more: Partial<Release['stages'][string]> = {}): Release['stages'][string] => ({
  passed: true,
  commit,
  startedAt: at(-2 * HOUR),
  file: 'reports/x/result.json',
  sha256: 'a'.repeat(64),
  failOn: 'high',
  ...more,
})
const release = (stages: Release['stages'] = {}, more: Partial<Release> = {}): Release => ({
  image: 'ghcr.io/team/chat',
  digest: d,
  tags: ['1.2.3'],
  version: '1.2.3',
  commit,
  builtAt: at(-HOUR),
  sbom: { file: 'reports/docker/sbom.cdx.json', sha256: 'a'.repeat(64), bytes: 10 },
  stages: { lint: result(), test: result(), 'security-scan': result(), build: result(), ...stages },
  ...more,
})

const { world } = rehearse()
const record = (outcome: Outcome, more: Partial<DeploymentRecord> = {}): DeploymentRecord =>
  newEntry(world, {
    id: '01',
    kind: 'deploy',
    environment: 'staging',
    to: { color: 'blue', release: 'r', version: '1', image: `ghcr.io/team/chat@${d}` },
    outcome,
    startedAt: at(-5 * HOUR),
    ...more,
  })

const staging = { name: 'staging', context: 'staging', namespace: 'chat-staging' }
const all: Requires = {
  failOn: 'high',
  stages: ['lint', 'test', 'security-scan', 'build'],
  maxScanAge: 24 * HOUR,
  passed: staging,
}
const good: Evidence = { release: release(), records: [record('succeeded')] }
const missing = (evidence: Partial<Evidence>, requires = all): string[] =>
  judge(requires, d, { ...good, ...evidence }, now).missing

describe('what holds', () => {
  test('is said in one line', () => {
    const proof = judge(all, d, good, now)
    expect(proof.missing).toEqual([])
    expect(proofLines(proof)).toEqual([
      'proof    lint, test, security-scan (2 h ago), build, live in staging since 2026-11-23 03:00',
    ])
  })

  test('a scanner that was left out is named', () => {
    const scan = result({ without: ['dependency-check'] })
    const { held } = judge(all, d, { ...good, release: release({ 'security-scan': scan }) }, now)
    expect(held).toContain('security-scan (2 h ago, without dependency-check)')
  })

  test('a scan of a clock that is ahead is of now', () => {
    const ahead = release({ 'security-scan': result({ startedAt: at(299_000) }) })
    expect(judge(all, d, { ...good, release: ahead }, now).held).toContain('security-scan (0 m ago)')
  })

  test('one alone is said, too', () =>
    expect(proofLines({ held: ['lint'], missing: ['test failed'] })).toEqual([
      'proof    lint',
      'missing  test failed',
    ]))

  test('nothing is required: nothing is missing', () => {
    const nothing = judge({ failOn: 'high', stages: [] }, d, { release: 'none', records: 'none' }, now)
    expect(nothing).toEqual({ held: [], missing: [] })
    expect(proofLines(nothing)).toEqual([])
  })

  test.each([
    ['a scan just in time', { 'security-scan': result({ startedAt: at(1 - 24 * HOUR) }) }],
    ['a scan that fails on less', { 'security-scan': result({ failOn: 'medium' }) }],
    ['a clock that is a little ahead', { 'security-scan': result({ startedAt: at(300_000) }) }],
    ['an old test', { test: result({ startedAt: at(-1000 * HOUR) }) }],
    ['a stage that failed and is not asked for', { other: result({ passed: false }) }],
  ])('%s', (_, stages) => expect(missing({ release: release(stages) })).toEqual([]))
})

const scanAt = (startedAt: string) => release({ 'security-scan': result({ startedAt }) })
const without = (stage: string): Release => {
  const { [stage]: _, ...stages } = release().stages
  return { ...release(), stages }
}

describe('what is missing is named', () => {
  test.each<[string, Release | string, string]>([
    ['no release', 'none is kept', 'whether lint, test, security-scan and build passed: none is kept'],
    ['a stage that did not run', without('test'), 'test had not run when the image was built'],
    ['no scan', without('security-scan'), 'security-scan had not run when the image was built'],
    ['a stage that failed', release({ test: result({ passed: false }) }), 'test failed'],
    ['a scan that failed', release({ 'security-scan': result({ passed: false }) }), 'security-scan failed'],
    [
      "another commit's result",
      release({ build: result({ commit: other }) }),
      'build is of commit bbbbbbbbbbbb, the image of aaaaaaaaaaaa',
    ],
    [
      'a result of changed files',
      release({ lint: result({ commit: `${commit}-dirty` }) }),
      'lint is of commit aaaaaaaaaaaa-dirty, the image of aaaaaaaaaaaa',
    ],
    [
      'a result of nothing',
      release({ lint: result({ commit: '' }) }),
      'lint is of commit an unknown name, the image of aaaaaaaaaaaa',
    ],
    [
      'an old scan',
      scanAt(at(-30 * HOUR)),
      'security-scan passed 30 h ago, and may be 24 h old: security-scan.ts --release scans anew',
    ],
    [
      'a scan of this age',
      scanAt(at(-24 * HOUR)),
      'security-scan passed 24 h ago, and may be 24 h old: security-scan.ts --release scans anew',
    ],
    [
      'a scan a little older',
      scanAt(at(-24 * HOUR - 1)),
      'security-scan passed 25 h ago, and may be 24 h old: security-scan.ts --release scans anew',
    ],
    [
      'a scan of three days',
      scanAt(at(-72 * HOUR)),
      'security-scan passed 72 h ago, and may be 24 h old: security-scan.ts --release scans anew',
    ],
    [
      'a scan a little older than that',
      scanAt(at(-73 * HOUR)),
      'security-scan passed 4 d ago, and may be 24 h old: security-scan.ts --release scans anew',
    ],
    [
      'a very old scan',
      scanAt(at(-100 * HOUR)),
      'security-scan passed 5 d ago, and may be 24 h old: security-scan.ts --release scans anew',
    ],
    [
      'a scan that would have passed worse',
      release({ 'security-scan': result({ failOn: 'critical' }) }),
      'security-scan failed on critical, and is to fail on high: security-scan.ts --release scans anew',
    ],
    [
      'a scan that does not say what it fails on',
      release({ 'security-scan': result({ failOn: undefined }) }),
      'security-scan does not say what it fails on: security-scan.ts --release scans anew',
    ],
    ['a scan of tomorrow', scanAt(at(24 * HOUR)), 'security-scan is dated 24 h from now'],
    ['a scan just too far ahead', scanAt(at(300_001)), 'security-scan is dated 6 m from now'],
    ['a scan of no date', scanAt('2026-99-99T99:99:99Z'), 'security-scan does not say when it was'],
    ['a scan of an empty date', scanAt(''), 'security-scan does not say when it was'],
  ])('%s', (_, known, sentence) => expect(missing({ release: known })).toEqual([sentence]))

  test('an image of changed files, also where every stage ran on them', () => {
    const dirty = `${commit}-dirty`
    const stages = Object.fromEntries(all.stages.map((name) => [name, result({ commit: dirty })]))
    expect(missing({ release: release(stages, { commit: dirty }) })).toEqual([
      'the image was built of more than commit aaaaaaaaaaaa-dirty holds',
    ])
  })

  test('a scan is required by its age alone', () =>
    expect(
      missing({ release: without('security-scan') }, { failOn: 'high', stages: [], maxScanAge: HOUR }),
    ).toEqual(['security-scan had not run when the image was built']))

  test('an age that is no number refuses', () =>
    expect(missing({}, { failOn: 'high', stages: [], maxScanAge: Number.NaN })).toHaveLength(1))

  test.each<[string, Evidence['records'], string]>([
    ['a history that cannot be read', 'no access', 'whether it was live in staging: no access'],
    ['an empty history', [], 'it has not been live in staging'],
    ['one that is under way', [record('open')], 'it has not been live in staging'],
    ['one that failed before the switch', [record('failed')], 'it has not been live in staging'],
    ['one that was interrupted', [record('interrupted')], 'it has not been live in staging'],
    ['one that was released', [record('released')], 'it has not been live in staging'],
    ['one that was rolled back', [record('rolled-back')], 'its last deployment to staging ended rolled-back'],
    [
      'one that was rolled back after it had succeeded once',
      [record('rolled-back'), record('succeeded')],
      'its last deployment to staging ended rolled-back',
    ],
    [
      'one that needs a person',
      [record('needs-person'), record('succeeded')],
      'its last deployment to staging ended needs-person',
    ],
    [
      'one that somebody left after it had been started again from its record',
      [record('taken-back', { kind: 'rollback' }), record('succeeded')],
      'its last deployment to staging ended taken-back',
    ],
    ['a rollback to it', [record('succeeded', { kind: 'rollback' })], 'it has not been live in staging'],
    [
      "another environment's",
      [record('succeeded', { environment: 'production' })],
      'it has not been live in staging',
    ],
    [
      'another digest',
      [record('succeeded', { to: { color: 'blue', ...made('1.0.0') } })],
      'it has not been live in staging',
    ],
    [
      'a tag that reads like it',
      [record('succeeded', { to: { color: 'blue', release: 'r', version: d, image: `chat:${d}` } })],
      'it has not been live in staging',
    ],
  ])('%s', (_, records, sentence) => expect(missing({ records })).toEqual([sentence]))

  test('a later failure before the switch takes nothing back', () =>
    expect(missing({ records: [record('failed'), record('interrupted'), record('succeeded')] })).toEqual([]))

  test('an image that is not named by digest has passed nothing', () => {
    const records = [
      record('succeeded', { to: { color: 'blue', release: 'r', version: '1', image: 'chat:1' } }),
    ]
    expect(
      judge({ failOn: 'high', stages: [], passed: staging }, 'none', { ...good, records }, now).missing,
    ).toHaveLength(1)
  })

  test('everything at once', () => {
    const bad = release({ test: result({ passed: false }), 'security-scan': result({ startedAt: '' }) })
    const proof = judge(all, d, { release: bad, records: [] }, now)
    expect(proof.missing).toHaveLength(3)
    expect(proofLines(proof)[0]).toBe('proof    lint, build')
  })

  test.each(hostile)('a commit named %j is inert', (name) => {
    const said = missing({ release: release({ test: result({ commit: name }) }) })
    expect(said).toEqual(['test is of commit an unknown name, the image of aaaaaaaaaaaa'])
  })
})

describe('overridden', () => {
  const proof = { held: [], missing: ['test failed', 'it has not been live in staging'] }

  test('refuses, and names everything', async () =>
    expect(await failure(Promise.try(overridden, proof, 'production', undefined))).toEqual({
      code: 6,
      message:
        'production requires what this image lacks: test failed; it has not been live in staging. ' +
        'If it must go there all the same: --override "<reason>"',
    }))

  test('keeps the reason with what was missing', () =>
    expect(overridden(proof, 'production', 'outage')).toEqual({ reason: 'outage', missing: proof.missing }))

  test('is nothing where nothing is missing', () =>
    expect(overridden({ held: [], missing: [] }, 'production', 'outage')).toBeUndefined())
})

/** A registry with a release beside the image, and staging with a record of it. */
async function staged(label = JSON.stringify(release())) {
  const registry = serveRegistry()
  const name = `${registry.address}/chat`
  await putBeside(name, d, label)
  const rehearsal = rehearse()
  await openRecord(rehearsal.world, record('succeeded'), [])
  return { registry, image: `${name}@${d}`, ...rehearsal }
}

describe('prove', () => {
  test("asks the registry and staging's own cluster", async () => {
    const { registry, image, cluster, world: outer } = await staged()
    const asked: string[] = []
    const shell: Shell = {
      read: (command, options) => {
        asked.push(command.join(' '))
        return cluster.read(command, options)
      },
      write: () => Promise.reject(new Error('nothing is written')),
      start: () => cluster.start(),
    }
    const proof = await prove({ ...outer, shell }, all, image)
    registry.stop()
    expect(proof.missing).toEqual([])
    expect(asked).toEqual([
      expect.stringMatching(/^kubectl --context=staging --namespace=chat-staging .*get/),
    ])
  })

  test('one stage is enough to ask the registry, and without one it is not asked', async () => {
    using server = fronted(() => undefined)
    const { world: outer } = rehearse()
    const image = `${server.host}/chat@${d}`
    const nothing = await prove(outer, { failOn: 'high', stages: [] }, image)
    expect([nothing, server.asked]).toEqual([{ held: [], missing: [] }, []])
    const { missing: said } = await prove(outer, { failOn: 'high', stages: ['lint'] }, image)
    expect(said).toEqual([
      'whether lint passed: no release is kept beside it in the registry: docker-build.ts did not push it',
    ])
    expect(server.asked.length).toBeGreaterThan(0)
  })

  test('what does not answer is missing, with the reason', async () => {
    const { registry, image, cluster, world: outer } = await staged()
    registry.stop()
    cluster.intercept = () => refused('Error from server (Forbidden): \u001B[31mno\nnever')
    const proof = await prove({ ...outer, shell: cluster }, all, image)
    expect(proof.held).toEqual([])
    expect(proof.missing).toEqual([
      expect.stringMatching(
        /^whether lint, test, security-scan and build passed: The registry .* does not answer/,
      ),
      expect.stringMatching(/^whether it was live in staging: kubectl get.*\(Forbidden\): no never$/),
    ])
  })

  test.each(hostile)('%j beside the image proves nothing, and is not repeated', async (label) => {
    const { registry, image, cluster, world: outer } = await staged(label)
    const { missing: said } = await prove({ ...outer, shell: cluster }, all, image)
    registry.stop()
    expect(said).toEqual([
      'whether lint, test, security-scan and build passed: what the registry keeps beside it is no release file',
    ])
  })

  test('an interrupt is an interrupt, and not a missing proof', async () => {
    const { registry, image, cluster, world: outer, interrupt } = await staged()
    interrupt()
    expect(await failure(prove({ ...outer, shell: cluster }, all, image))).toMatchObject({ code: 130 })
    registry.stop()
  })
})
