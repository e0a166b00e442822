/** Each box with a case that passes and one that does not, and what is said then. */
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { newEntry, type DeploymentRecord } from '../../../lib/history/record.ts'
import type { Manifest } from '../../../lib/cluster/objects.ts'
import { fill } from '../../../lib/preflight/boxes.ts'
import { judgeExpiry } from '../../../lib/preflight/certificate.ts'
import type { Change } from '../../../lib/preflight/change.ts'
import { judgeChecks } from '../../../lib/preflight/checks.ts'
import { judgeSkew } from '../../../lib/preflight/clock.ts'
import type { Facts, Planned, Proof } from '../../../lib/preflight/facts.ts'
import { placeable } from '../../../lib/preflight/room.ts'
import { preflight, windows, type BoxId } from '../../../lib/settings/preflight.ts'
import { APP, deployment, digest, made } from '../objects.ts'
import { failure, rehearse, running, type Rehearsal } from '../world.ts'
import { before } from './openapi-changes.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

const proof = (about: Partial<Proof>): Promise<Proof> => Promise.resolve({ held: [], missing: [], ...about })

const change = (files: Change['files'] = []): Promise<Change> =>
  Promise.resolve({ from: 'a'.repeat(40), to: 'b'.repeat(40), files })

const added = (path: string): Change['files'][number] => ({ path, status: 'added' })

/** A Deployment's containers and more of its pods. */
function painted(container: object = {}, pod: object = {}): Manifest[] {
  const green = deployment('green', made('1.1.0'))
  const spec = { containers: [{ name: 'app', image: made('1.1.0').image, ...container }], ...pod }
  const template = { metadata: { labels: { app: APP, color: 'green' } }, spec }
  return [{ ...green, spec: { ...green.spec, template } }]
}

async function planOf({ observed }: Rehearsal, about: Partial<Planned> = {}): Promise<Planned> {
  const seen = await observed()
  return { observed: seen, painted: painted(), shared: [], replicas: 2, idle: seen.colors.green, ...about }
}

interface Wanted {
  settings?: unknown
  facts?: Partial<Facts>
  plan?: Partial<Planned>
  environment?: Parameters<typeof rehearse>[0]
  prepare?: (rehearsal: Rehearsal) => unknown
}

async function box(id: BoxId, { settings = {}, facts = {}, plan, environment, prepare }: Wanted = {}) {
  await using rehearsal = rehearse(environment)
  running(rehearsal.cluster, { blue: '1.0.0' }, 'blue')
  await prepare?.(rehearsal)
  const all: Facts = {
    world: rehearsal.world,
    settings: preflight.parse(settings),
    planned: planOf(rehearsal, plan),
    access: Promise.resolve(),
    tests: proof({}),
    scan: proof({}),
    staging: undefined,
    commit: Promise.resolve('b'.repeat(40)),
    change: change(),
    records: Promise.resolve([]),
    channels: [],
    variables: {},
    ...facts,
  }
  const [found] = await fill(all, [id])
  if (!found) throw new Error(`no box ${id}`)
  return `${found.verdict}: ${found.why}${found.next && ` → ${found.next}`}`
}

const git =
  (content: string) =>
  ({ cluster }: Rehearsal): void => {
    const read = cluster.read.bind(cluster)
    cluster.read = async (command, options) => {
      if (command[0] === 'git') return { stdout: content, stderr: '', exitCode: 0 }
      if (command[0].includes('squawk')) return { stdout: '[]', stderr: '', exitCode: 0 }
      return await read(command, options)
    }
  }

const sql = { migrations: { files: ['db/*.sql'] } }

const answering = (body: unknown, status = 200) =>
  Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => Response.json(body, { status }) })

async function withCi(body: unknown, status = 200): Promise<string> {
  const server = answering(body, status)
  const settings = { ci: { repository: 'a/b', api: `http://127.0.0.1:${server.port}` } }
  try {
    return await box('tests', { settings })
  } finally {
    await server.stop(true)
  }
}

describe('tests', () => {
  test('by the proof beside the image', async () => {
    expect(await box('tests', { facts: { tests: proof({ held: ['lint', 'test'] }) } })).toBe(
      'passed: lint, test',
    )
    expect(await box('tests', { facts: { tests: proof({ missing: ['test failed'] }) } })).toBe(
      'failed: test failed → make deploy-staging runs the stages, or --ack tests "<reason>"',
    )
    expect(await box('tests')).toStartWith('unknown: nothing is known of it')
  })

  test("by GitHub's checks", async () => {
    const run = { name: 'ci', status: 'completed', conclusion: 'success' }
    expect(await withCi({ total_count: 1, check_runs: [run] })).toBe('passed: 1 checks of this commit')
    const red = { ...run, conclusion: 'failure' }
    expect(await withCi({ total_count: 1, check_runs: [red] })).toStartWith(
      'failed: ci: failure → let CI pass',
    )
    expect(await withCi({ total_count: 0, check_runs: [] })).toStartWith('unknown: no check of this commit')
    expect(await withCi({ message: 'Not Found' }, 404)).toStartWith('unknown: 127.0.0.1:')
    expect(await withCi({ total_count: 2, check_runs: [run] }, 500)).toStartWith('unknown: ')
  })

  const ok = { name: 'ci', status: 'completed', conclusion: 'success' }
  test.each([
    [[ok], [], 'passed'],
    [[ok, { name: 'skip', status: 'completed', conclusion: 'skipped' }], [], 'passed'],
    [[{ name: 'skip', status: 'completed', conclusion: 'skipped' }], [], 'unknown'],
    [[ok, { name: 'slow', status: 'in_progress', conclusion: null }], [], 'failed'],
    [[ok, { name: 'odd', status: 'completed' }], [], 'failed'],
    [[ok], ['e2e'], 'failed'],
    [[ok, { name: 'e2e', status: 'completed', conclusion: 'skipped' }], ['e2e'], 'failed'],
    [[], [], 'unknown'],
  ])('%j, of which %j are wanted: %s', (runs, wanted, verdict) => {
    expect(judgeChecks(runs, wanted).verdict).toBe(verdict as 'passed')
  })
})

test('scan', async () => {
  expect(await box('scan', { facts: { scan: proof({ held: ['security-scan (3 h ago)'] }) } })).toStartWith(
    'passed',
  )
  expect(await box('scan', { facts: { scan: proof({ missing: ['security-scan failed'] }) } })).toBe(
    'failed: security-scan failed → bun scripts/security-scan.ts --release, or --ack scan "<reason>"',
  )
})

test('staging', async () => {
  expect(await box('staging', { facts: { staging: proof({ held: ['live in staging'] }) } })).toStartWith(
    'passed',
  )
  const never = proof({ missing: ['it has not been live in staging'] })
  expect(await box('staging', { facts: { staging: never } })).toStartWith(
    'failed: it has not been live in staging → make deploy-staging',
  )
  expect(await box('staging')).toStartWith('unknown: deploy.yaml names no environment')
})

describe('migrations', () => {
  const files = { change: change([added('db/1.sql'), added('src/a.ts')]) }
  test.each([
    ['passed: none since aaaaaaa', sql, {}, ''],
    ['passed: db/1.sql adds what', sql, files, 'ALTER TABLE a ADD COLUMN b text;'],
    ['failed: db/1.sql drops the column b of a → expand first', sql, files, 'ALTER TABLE a DROP COLUMN b;'],
    ['unknown: db/1.sql a DO block', sql, files, 'DO $$ BEGIN END $$;'],
    ['unknown: deploy.yaml does not say where', {}, files, ''],
    ['passed: the application has no database', { migrations: false }, files, ''],
    [
      "unknown: db/1.sql: only PostgreSQL's can be judged",
      { migrations: { files: ['db/*.sql'], dialect: 'mysql' } },
      files,
      'CREATE TABLE a (b int);',
    ],
    [
      'unknown: db/1.sql was changed',
      sql,
      { change: change([{ path: 'db/1.sql', status: 'changed' }]) },
      'CREATE TABLE a (b int);',
    ],
    ['passed: nothing is live yet', sql, { change: Promise.resolve(undefined) }, ''],
  ])('%s', async (says, settings, facts, content) => {
    expect(await box('migrations', { settings, facts, prepare: git(content) })).toStartWith(says)
  })
})

test('what changes is not known', async () => {
  const facts = { change: Promise.reject(new Error('no commit')) }
  expect(await box('migrations', { settings: sql, facts })).toBe(
    'unknown: no commit → --ack migrations "<reason>"',
  )
})

describe('api', () => {
  const settings = { api: { file: 'openapi.yaml', live: '/openapi.json' } }
  const text = JSON.stringify(before)
  const against = async (answer: unknown): Promise<string> => {
    const prepare = (rehearsal: Rehearsal): void => {
      git(text)(rehearsal)
      rehearsal.app.answer = () => Response.json(answer)
    }
    return await box('api', { settings, prepare })
  }

  test('what is live beside what is to be', async () => {
    expect(await against(before)).toStartWith('passed')
    expect(await against({ ...before, paths: { ...before.paths, '/old': { get: {} } } })).toStartWith(
      'failed: /old is gone → add beside it',
    )
    expect(await against('no')).toStartWith('unknown: the live one is no OpenAPI 3 document')
  })

  test('where nobody says what it is, it is not known', async () => {
    expect(await box('api')).toStartWith('unknown: deploy.yaml does not say')
    expect(await box('api', { settings: { api: false } })).toStartWith('passed')
    expect(await box('api', { settings: { api: { file: 'a' } }, prepare: git(text) })).toStartWith('passed')
  })
})

test('docs', async () => {
  const settings = { docs: ['docs/**'] }
  const of = async (...paths: string[]) =>
    await box('docs', { settings, facts: { change: change(paths.map(added)) } })
  expect(await of('src/a.ts', 'docs/a.md')).toBe('passed: 1 files of it since aaaaaaa')
  expect(await of('src/a.ts')).toBe('unknown: 1 files since aaaaaaa, none of docs/** → --ack docs "<reason>"')
  expect(await of()).toStartWith('passed')
  expect(await box('docs')).toStartWith('unknown: deploy.yaml does not say')
})

test('team', async () => {
  expect(await box('team', { facts: { channels: ['slack'] } })).toBe('passed: slack is told')
  expect(await box('team')).toStartWith('unknown: deploy.yaml names nobody')
})

const quotaOf = (hard: string) => (rehearsal: Rehearsal) =>
  rehearsal.cluster.put({
    apiVersion: 'v1',
    kind: 'ResourceQuota',
    metadata: { name: 'small' },
    status: { hard: { pods: hard }, used: { pods: '2' } },
  })

const nodesWith =
  (cpu: string, ready = 'True') =>
  ({ cluster }: Rehearsal) => {
    const node = {
      metadata: { name: 'n' },
      status: { allocatable: { cpu, memory: '8Gi' }, conditions: [{ type: 'Ready', status: ready }] },
    }
    cluster.intercept = (line) =>
      line.startsWith('get nodes')
        ? { stdout: JSON.stringify({ items: [node] }), stderr: '', exitCode: 0 }
        : undefined
  }

describe('room', () => {
  test('under the quota', async () => {
    expect(await box('room', { prepare: quotaOf('4') })).toStartWith(
      'passed: the quotas have room for 2 more pods',
    )
    expect(await box('room', { prepare: quotaOf('3') })).toStartWith(
      'failed: There is no room for 2 more pods: quota small',
    )
  })

  test('on the nodes', async () => {
    const resources = { requests: { cpu: '500m', memory: '1Gi' } }
    const plan = { painted: painted({ resources }) }
    expect(await box('room', { plan, prepare: nodesWith('1') })).toStartWith(
      'passed: the quotas and the nodes',
    )
    expect(await box('room', { plan, prepare: nodesWith('900m') })).toStartWith(
      'unknown: the nodes have room for 1 of 2',
    )
    expect(await box('room', { plan, prepare: nodesWith('9', 'False') })).toStartWith(
      'unknown: the nodes have room for 0',
    )
  })

  test.each([
    [[{ cpu: 1, memory: 1 }], { cpu: 0.5, memory: 0.5 }, 2],
    [[{ cpu: 1, memory: 0.4 }], { cpu: 0.5, memory: 0.5 }, 0],
    [
      [
        { cpu: 0.7, memory: 9 },
        { cpu: 0.7, memory: 9 },
      ],
      { cpu: 0.7, memory: 1 },
      2,
    ],
    [[{ cpu: -1, memory: 9 }], { cpu: 0.1, memory: 1 }, 0],
    [[{ cpu: 1, memory: 1 }], { cpu: 0, memory: 0 }, 3],
    [[], { cpu: 0, memory: 0 }, 0],
  ])('%j take %j each: %s of 3', (free, need, fit) => expect(placeable(free, need, 3)).toBe(fit))
})

const budgetOf = (spec: object, labels = { app: APP }): Partial<Planned> => ({
  shared: [
    {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata: { name: 'b' },
      spec: { ...spec, selector: { matchLabels: labels } },
    },
  ],
})

const disruptionOf = async (plan: Partial<Planned>) => await box('disruption', { plan })

test('disruption', async () => {
  expect(await disruptionOf(budgetOf({ maxUnavailable: 1 }))).toStartWith('passed: b keeps pods')
  expect(await disruptionOf({})).toStartWith('failed: no PodDisruptionBudget')
  expect(await disruptionOf(budgetOf({ maxUnavailable: 1 }, { app: 'other' }))).toStartWith(
    'failed: no PodDisruptionBudget',
  )
  expect(await disruptionOf(budgetOf({ maxUnavailable: 0 }))).toStartWith('failed: b lets no pod go')
  expect(await disruptionOf(budgetOf({ minAvailable: 2 }))).toStartWith('failed: b lets no pod go')
  expect(await disruptionOf(budgetOf({ minAvailable: 1 }))).toStartWith('passed')
})

test('probes', async () => {
  const readinessProbe = { httpGet: { path: '/ready', port: 80 } }
  expect(await box('probes', { plan: { painted: painted({ readinessProbe }) } })).toStartWith('passed')
  expect(await box('probes')).toStartWith('failed: app: no readinessProbe')
})

const shutdownOf = async (preStop: object | undefined, grace?: number) =>
  await box('shutdown', {
    plan: {
      painted: painted({ lifecycle: { preStop } }, { terminationGracePeriodSeconds: grace }),
    },
  })

test('shutdown', async () => {
  expect(await shutdownOf({ sleep: { seconds: 5 } })).toBe('passed: preStop, then up to 30 s to end')
  expect(await shutdownOf(undefined)).toStartWith('failed: app: no preStop')
  expect(await shutdownOf({ sleep: { seconds: 5 } }, 5)).toStartWith(
    'failed: it is killed after 5 s, and preStop alone takes 5',
  )
  expect(await shutdownOf({ exec: { command: ['sh', '-c', 'sleep 40'] } })).toStartWith(
    'failed: it is killed after 30 s',
  )
  expect(await shutdownOf({ exec: { command: ['bun', '-e', 'await Bun.sleep(3000)'] } }, 4)).toStartWith(
    'passed',
  )
})

test('image', async () => {
  expect(await box('image')).toBe('passed: every container is named by digest')
  const sidecar = { initContainers: [{ name: 'wait', image: 'busybox:1' }] }
  expect(await box('image', { plan: { painted: painted({}, sidecar) } })).toBe(
    'failed: wait (busybox:1) may be another image tomorrow → name it by digest: NAME@sha256:…',
  )
  const short = { image: `x@${digest('a').slice(0, 20)}` }
  expect(await box('image', { plan: { painted: painted(short) } })).toStartWith('failed')
})

test('access', async () => {
  expect(await box('access')).toStartWith('passed')
  const denied = Promise.reject(new Error('may not patch services'))
  expect(await box('access', { facts: { access: denied } })).toBe(
    'failed: may not patch services → grant the Role of k8s/rbac',
  )
})

const serverAt =
  (time: string) =>
  ({ cluster }: Rehearsal): void => {
    const metadata = { name: 'x', creationTimestamp: time }
    cluster.intercept = (line) =>
      line.includes('--dry-run=server')
        ? { stdout: JSON.stringify({ metadata }), stderr: '', exitCode: 0 }
        : undefined
  }

describe('clock', () => {
  test('beside the API server’s', async () => {
    expect(await box('clock', { prepare: serverAt('2026-11-23T08:00:00Z') })).toStartWith('passed')
    expect(await box('clock', { prepare: serverAt('2026-11-23T08:01:00Z') })).toStartWith(
      "failed: this clock is 60 s behind the API server's",
    )
    expect(await box('clock', { prepare: serverAt('noon') })).toStartWith('unknown: ')
  })

  test.each([
    [10_000, 10_000, 10_000, 'passed'],
    [10_900, 10_000, 10_950, 'passed'],
    [10_000, 12_000, 11_000, 'passed'],
    [10_000, 12_001, 11_000, 'failed'],
    [13_000, 11_000, 13_001, 'failed'],
    [12_999, 11_000, 13_001, 'passed'],
  ])('%d ms, the server at %d, %d ms: %s', (from, at, to, verdict) => {
    expect(judgeSkew(from, at, to, 1000).verdict).toBe(verdict as 'passed')
  })
})

describe('certificate', () => {
  test('of an address without one, and of one that does not answer', async () => {
    expect(await box('certificate')).toStartWith('passed: users come over plain http')
    expect(await box('certificate', { environment: { url: 'https://127.0.0.1:1' } })).toStartWith(
      'unknown: 127.0.0.1:1',
    )
  })

  const now = Date.parse('2026-11-01T00:00:00Z')
  test.each([
    ['Nov 20 00:00:00 2026 GMT', 'passed'],
    ['Nov  8 00:00:00 2026 GMT', 'passed'],
    ['Nov  7 23:59:59 2026 GMT', 'failed'],
    ['Oct 31 00:00:00 2026 GMT', 'failed'],
    ['', 'unknown'],
  ])('one until %j: %s', (until, verdict) => {
    expect(judgeExpiry(until, now, 7 * 86_400_000).verdict).toBe(verdict as 'passed')
  })
})

const debugPod = ({ cluster }: Rehearsal): unknown =>
  cluster.put({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'debug', labels: { app: APP } },
    status: { phase: 'Running' },
  })

test('strays', async () => {
  expect(await box('strays')).toStartWith('passed')
  expect(await box('strays', { prepare: debugPod })).toStartWith('failed: debug → kubectl delete pod')
})

const windowsOf = async (from: string) =>
  await box('windows', {
    environment: { windows: windows.parse({ zone: 'UTC', open: [{ from, to: '17:00' }] }) },
  })

test('windows', async () => {
  // The rehearsal's clock stands at 08:00 UTC on a Monday.
  expect(await windowsOf('08:00')).toStartWith('passed')
  expect(await windowsOf('09:00')).toStartWith('failed: Mon 2026-11-23 08:00 UTC is in no window')
})

const drillOf = async (...about: Partial<DeploymentRecord>[]): Promise<string> => {
  await using rehearsal = rehearse()
  const to = { color: 'blue' as const, ...made('1.0.0') }
  const records = about.map((each) =>
    newEntry(rehearsal.world, { id: 'x', kind: 'rollback', to, outcome: 'succeeded', ...each }),
  )
  return await box('drill', { facts: { records: Promise.resolve(records) } })
}

const provenBy = (failures: number, requests = 100) => [
  { converged: 1, requests, failures, failuresBefore: 0, onNewConnections: 50, onKeptConnections: 50 },
]

describe('drill', () => {
  const good = { finishedAt: '2026-11-13T08:00:00Z', switches: provenBy(0) }

  const cases: [says: string, Partial<DeploymentRecord>[]][] = [
    ['passed: shown to work 10 days ago in test', [good]],
    ['failed: last shown to work 40 days ago', [{ ...good, finishedAt: '2026-10-14T08:00:00Z' }]],
    ['passed: shown to work 10 days ago', [{ ...good, finishedAt: '2026-10-14T08:00:00Z' }, good]],
    ['failed: no rollback is on record', []],
    ['failed: no rollback is on record', [{ ...good, switches: provenBy(1) }]],
    ['failed: no rollback is on record', [{ ...good, switches: provenBy(0, 0) }]],
    ['failed: no rollback is on record', [{ ...good, switches: [] }]],
    ['failed: no rollback is on record', [{ ...good, outcome: 'needs-person' }]],
    ['failed: no rollback is on record', [{ ...good, kind: 'deploy' }]],
    ['failed: no rollback is on record', [{ ...good, finishedAt: '2027-01-01T00:00:00Z' }]],
    ['failed: no rollback is on record', [{ ...good, finishedAt: 'soon' }]],
  ]
  test.each(cases)('%s', async (says, records) => {
    expect(await drillOf(...records)).toStartWith(says)
  })
})

test.each(['room', 'disruption', 'probes', 'shutdown', 'image', 'strays'] as const)(
  'where nothing could be planned, nobody knows of %s',
  async (id) => {
    const planned = Promise.reject(new Error('no overlay'))
    expect(await box(id, { facts: { planned } })).toBe(
      `unknown: it could not be planned: no overlay → --ack ${id} "<reason>"`,
    )
  },
)

test('an interrupt is no answer', async () => {
  await using rehearsal = rehearse()
  rehearsal.interrupt()
  const access = Promise.reject(new Error('x'))
  const { code } = await failure(box('access', { facts: { world: rehearsal.world, access } }))
  expect(code).toBe(130)
})
