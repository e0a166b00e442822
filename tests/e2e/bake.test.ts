/** What begins after the switch: users are watched, and brought back from what hurts them; and from nothing else. */
import { expect } from 'bun:test'
import { until, type Started } from '../../examples/rehearsal/program.ts'
import { APP, type Settings, type Workspace } from '../../examples/rehearsal/workspace.ts'
import { exits, rehearsal, safely, unharmed } from './suite.ts'

const stage = rehearsal()

/** Ten requests a second for probes: in as many seconds a bake here is what it is in minutes elsewhere. */
const QUICK = { first: '6s', time: '10s', maxTime: '40s', every: '2s', probes: 20 }

const NEW = '2.0.0'

async function oneRelease(bake: Settings = {}): Promise<Workspace> {
  const workspace = await stage().open()
  for (const version of ['1.0.0', NEW, '3.0.0']) await stage().images.push(version, { FAULT_REMOTE: '1' })
  exits(await workspace.deploy('1.0.0'), 0)
  workspace.configure({ bake: { ...QUICK, ...bake } })
  return workspace
}

/** From now on each pod behind an address fails as it is told. */
async function spoil(url: string, faults: Record<string, string>, pods = 2): Promise<void> {
  const told = new Set<unknown>()
  await until(`${pods} pods to be told`, async () => {
    const answer = await fetch(`${url}/faults`, {
      method: 'POST',
      body: JSON.stringify(faults),
      keepalive: false,
    })
    told.add(Reflect.get(Object(await answer.json()), 'pod'))
    return told.size >= pods || undefined
  })
}

/** A deployment, and when it says what. */
function deploying(
  workspace: Workspace,
  version: string,
  ...flags: string[]
): { run: Started; says: (what: string) => Promise<void> } {
  let said = ''
  const onLine = (line: string): void => void (said += `${line}\n`)
  const run = workspace.start('deploy', ['--env', 'production', '--yes', '--version', version, ...flags], {
    onLine,
  })
  const says = async (what: string): Promise<void> =>
    void (await until(`"${what}"`, async () => said.includes(what) || undefined))
  return { run, says }
}

safely(
  'a release that is healthy at the switch and fails later is rolled back, with its sentence',
  async () => {
    const workspace = await oneRelease()
    const traffic = await workspace.traffic(40, 4)
    const { run, says } = deploying(workspace, NEW)
    await says('Watch green for')
    await spoil(workspace.url, { FAULT_LIVE_ERROR_RATE: '0.3' })
    const spoilt = Date.now()
    const ended = exits(await run.ended, 3)
    expect(ended.stderr).toMatch(
      /[\d,]+ : 1 that more than [\d.]+ % of requests fail \(limit: .*\): \d+ of [\d,]+ since/,
    )
    expect(ended.stderr).toContain('Rolled back: users are on 1.0.0 (blue) again')
    expect(await workspace.selector()).toEqual({ app: APP, color: 'blue' })
    const [record] = await workspace.history()
    expect(record).toMatchObject({ outcome: 'rolled-back', bake: { verdict: 'failed' } })
    const samples = await traffic.stop()
    const bad = samples.filter(({ status }) => status === 500)
    expect(Math.max(...bad.map(({ done }) => done)) - spoilt).toBeLessThan(30_000)
  },
)

safely('a healthy release passes', async () => {
  const workspace = await oneRelease()
  const traffic = await workspace.traffic(40, 4)
  const healthy = exits(await workspace.deploy(NEW), 0)
  unharmed(await traffic.stop())
  expect(healthy.stderr).toContain('Watch green beside blue for 6 s')
  const [record] = await workspace.history()
  expect(record).toMatchObject({ outcome: 'succeeded', bake: { verdict: 'passed' } })
  // By the pods' own words, of each reading but those in which nobody came.
  const counted = record?.bake?.readings.map(({ counts }) => counts['errors']?.live?.[1] ?? 0) ?? []
  expect(counted.filter((requests) => requests > 0).length).toBeGreaterThan(counted.length / 2)
})

safely('what both colors meet is no reason to go back', async () => {
  const workspace = await oneRelease()
  const users = await workspace.traffic(40, 4)
  const { run, says } = deploying(workspace, NEW)
  await says('Watch green for')
  await Promise.all([workspace.url, workspace.previewUrl].map((url) => spoil(url, { FAULT_ERROR_RATE: '1' })))
  await says('going back would not help')
  await Promise.all([workspace.url, workspace.previewUrl].map((url) => spoil(url, {})))
  exits(await run.ended, 0)
  await users.stop()
  expect((await workspace.history())[0]).toMatchObject({ outcome: 'succeeded', bake: { verdict: 'passed' } })
})

safely('a bake whose command was killed is gone on with', async () => {
  const workspace = await oneRelease({ time: '12s' })
  const killed = deploying(workspace, NEW)
  await killed.says('Watch green for')
  await Bun.sleep(3000)
  killed.run.signal('SIGKILL')
  await killed.run.ended
  const before = (await workspace.history())[0]?.bake?.readings ?? []
  expect(before.length).toBeGreaterThan(2)
  exits(await workspace.run('deployment-status', ['--check']), 4)
  exits(await workspace.run('deployment-status', ['--repair']), 0)
  const [finished] = await workspace.history()
  expect(finished).toMatchObject({ outcome: 'succeeded', bake: { verdict: 'passed' } })
  expect(finished?.bake?.readings.slice(0, before.length)).toEqual(before)
  exits(await workspace.run('deployment-status', ['--check']), 0)
})

safely('a bake is superseded for a hotfix', async () => {
  // Long enough for a machine that is busy with the two commands beside it; the hotfix itself is watched for less.
  const workspace = await oneRelease({ time: '90s', maxTime: '3m' })
  const watched = deploying(workspace, NEW)
  await watched.says('Watch green for')
  workspace.configure({ bake: QUICK })
  const locked = exits(await workspace.deploy('3.0.0'), 5)
  expect(locked.stderr).toMatch(/2\.0\.0 is watched until \d\d:\d\d:\d\d UTC.*--supersede/s)
  exits(await workspace.run('deployment-status', ['--check']), 0)
  exits(await workspace.deploy('3.0.0', '--supersede', 'a hotfix'), 0)
  exits(await watched.run.ended, 5)
  const [hotfix, superseded] = await workspace.history()
  expect(hotfix).toMatchObject({ outcome: 'succeeded', supersedes: superseded?.id, reason: 'a hotfix' })
  expect(superseded).toMatchObject({
    outcome: 'superseded',
    superseded: { record: hotfix?.id, reason: 'a hotfix' },
  })
})
