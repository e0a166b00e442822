/** `switch: gradual`: nobody is lost, a sick release is met by few, and whatever stops it ends on one color. */
import { expect } from 'bun:test'
import { z } from 'zod'
import { kubectlShim } from '../../examples/rehearsal/kubectl-shim.ts'
import { start, until, type Finished } from '../../examples/rehearsal/program.ts'
import { APP, WITNESS, type Settings, type Workspace } from '../../examples/rehearsal/workspace.ts'
import { failed } from '../../examples/rehearsal/traffic.ts'
import { exits, rehearsal, safely, since, unharmed, versions } from './suite.ts'
import { nothingLeft } from './way-back.ts'

const stage = rehearsal()

/** How many releases follow one another. With `GRADUAL_RELEASES=10` it is killed after each of its writes, too. */
const RELEASES = Number(process.env.GRADUAL_RELEASES ?? 2)
const ALL = process.env.GRADUAL_RELEASES !== undefined

const KILLED = 137
const AGAIN = ['--allow-failed-digest', 'a rehearsal']
const BOUNDS = { min: 2, max: 4 }

const GRADUAL: Settings = {
  switch: 'gradual',
  gradual: { first: 1, hold: '1s', full: '1s' },
  witness: { ...WITNESS, before: '300ms', after: '500ms' },
  drain: '100ms',
}

async function live(replicas = 2): Promise<Workspace> {
  const wishes = { replicas, autoscaler: BOUNDS, settings: GRADUAL }
  const workspace = await stage().open(wishes, '1.0.0', '2.0.0')
  exits(await workspace.deploy('1.0.0'), 0)
  return workspace
}

const slice = z.object({
  endpoints: z.array(z.object({ conditions: z.object({ ready: z.boolean() }) })).nullish(),
})

/** Ready pods behind the live Service, at each change: what the API server tells, not a sample. */
function endpoints(workspace: Workspace): () => Promise<number[]> {
  const words = ['get', 'endpointslices', '-l', `kubernetes.io/service-name=${APP}`, '--watch', '-o', 'json']
  const command = ['kubectl', '-n', workspace.namespace, ...words]
  const watch = start(command, { env: workspace.cluster.env, within: 600_000 })
  return async () => {
    watch.signal('SIGTERM')
    const { stdout } = await watch.ended
    const objects = stdout.split(/(?<=^})$/m).filter((text) => text.trim())
    return objects.map((text) => {
      const { endpoints: all } = slice.parse(JSON.parse(text))
      return (all ?? []).filter(({ conditions }) => conditions.ready).length
    })
  }
}

async function bounds(workspace: Workspace): Promise<string[]> {
  const path = 'jsonpath={range .items[*]}{.spec.minReplicas}-{.spec.maxReplicas} {end}'
  return [...new Set((await workspace.kubectl('get', 'hpa', '-o', path)).trim().split(' '))]
}

async function oneColor(workspace: Workspace, color: string): Promise<void> {
  await nothingLeft(workspace)
  expect(await workspace.selector()).toEqual({ app: APP, color })
  expect(await bounds(workspace)).toEqual([`${BOUNDS.min}-${BOUNDS.max}`])
}

/** In one go, in two commands, and by the switch alone. */
const ways: readonly ((workspace: Workspace, version: string, to: string) => Promise<Finished>)[] = [
  (workspace, version) => workspace.deploy(version),
  async (workspace, version, to) => {
    exits(await workspace.deploy(version, '--until', 'verified'), 0)
    return await workspace.run('switch-traffic', ['--yes', '--to', to])
  },
  async (workspace, version) => {
    exits(await workspace.deploy(version, '--until', 'verified'), 0)
    const [waiting] = await workspace.history()
    return await workspace.run('deploy', ['--yes', '--resume', waiting?.id ?? ''])
  },
]

safely('S1: gradual releases in a row never cost a request, nor a pod of capacity', async () => {
  const workspace = await live()
  const stop = endpoints(workspace)
  const traffic = await workspace.traffic(100, 10)
  for (let i = 0; i < RELEASES; i++) {
    const version = `${i + 2}.0.0`
    const to = i % 2 === 0 ? 'green' : 'blue'
    await stage().images.push(version)
    const way = ways[i % ways.length]
    if (way) exits(await way(workspace, version, to), 0)
    await oneColor(workspace, to)
    const [record] = await workspace.history()
    expect(record?.switches).toMatchObject([{ share: 1 / 3 }, { share: 0.5 }, {}])
    expect(record?.switches.map(({ failures }) => failures)).toEqual([0, 0, 0])
  }
  const samples = await traffic.stop()
  unharmed(samples)
  expect(versions(samples)).toHaveLength(RELEASES + 1)
  const found = await stop()
  // Two colors behind it for a while, each time, and never fewer than the live color's.
  expect(Math.max(...found)).toBe(4)
  expect(found.filter((pods) => pods < 2)).toEqual([])
  if (ALL) console.log(`${RELEASES} releases, ${samples.length} requests, none lost`)
})

safely('a release that fails 5 % is never met by more than its first pod’s share, nor for long', async () => {
  const workspace = await live(3)
  workspace.configure({ gradual: { first: 1, hold: '60s', full: '60s' } })
  await stage().images.push('2.0.0-sick', { FAULT_LIVE_ERROR_RATE: '0.05' })
  const traffic = await workspace.traffic(100, 6)
  const run = exits(await workspace.deploy('2.0.0-sick'), 3)
  expect(run.stderr).toMatch(/requests failed \(\d+ × status 500\)/)
  await oneColor(workspace, 'blue')
  const samples = (await traffic.stop()).filter(({ kind }) => kind === 'new')
  const met = samples.filter((sample) => sample.version === '2.0.0-sick' || failed(sample))
  const began = Math.min(...met.map(({ at }) => at))
  const ended = Math.max(...met.map(({ done }) => done))
  const n = samples.filter(({ at, done }) => at >= began && done <= ended).length
  const failures = samples.filter(failed).length
  // One pod of four; five standard deviations, so that it fails for no other reason.
  expect(met.length).toBeLessThan(n / 4 + 5 * Math.sqrt((n * 3) / 16))
  // One in twenty of all that it answered, the witness and kept connections too, in whatever turn.
  expect(failures).toBeLessThan(met.length * 0.05 + 5 * Math.sqrt(met.length * 0.05) + 1)
  const [record] = await workspace.history()
  expect(record).toMatchObject({ outcome: 'rolled-back', switches: [{ share: 0.25 }, {}] })
  const spoke = Date.parse(record?.steps.find(({ name }) => name === 'Roll back to blue')?.at ?? '')
  expect(ended - spoke).toBeLessThan(60_000)
  const times = `${ended - began} ms from the first, ${ended - spoke} ms once the witness spoke`
  if (ALL) console.log(`${met.length} of ${n} new connections met it, ${failures} failed; ${times}`)
})

interface Stop {
  /** Which of the writes that count here it is killed after; the first is the lock's mark on the Service. */
  at: number
  what: string
  next: (workspace: Workspace) => Promise<Finished>
  users: string
}

const WRITES = ` patch (service|deployment) ${APP}(-blue|-green)? `
const repair: Stop['next'] = (workspace) => workspace.run('deployment-status', ['--repair'])
const rollback: Stop['next'] = (workspace) => workspace.rollback()

const STOPS: readonly Stop[] = [
  { at: 3, what: 'gradual\\":\\"first', next: rollback, users: 'blue' },
  { at: 5, what: '"/spec/replicas","value":2', next: repair, users: 'blue' },
  ...(ALL
    ? [
        { at: 2, what: '"/spec/replicas","value":1', next: repair, users: 'blue' },
        { at: 3, what: 'gradual\\":\\"first', next: repair, users: 'blue' },
        { at: 4, what: 'gradual\\":\\"full', next: repair, users: 'blue' },
        { at: 4, what: 'gradual\\":\\"full', next: rollback, users: 'blue' },
        { at: 5, what: '"/spec/replicas","value":2', next: rollback, users: 'blue' },
      ]
    : []),
  { at: 6, what: '"color":"green"}', next: repair, users: 'green' },
]

const VERSION = ['--env', 'production', '--yes', '--version', '2.0.0', ...AGAIN]

/** Brought back by hand while the deployment is alive, as soon as it is in that step. */
async function rollBackIn(workspace: Workspace, step: string): Promise<void> {
  const hold = step === 'first' ? '60s' : '500ms'
  workspace.configure({ gradual: { first: 1, hold, full: '60s' } })
  const run = workspace.start('deploy', VERSION)
  let over = false
  void run.ended.then(() => (over = true))
  await until(`the ${step} step`, async () => {
    if (over) return true
    const told = await workspace.kubectl('get', 'service', APP, '-o', 'jsonpath={.metadata.annotations}')
    return told.includes(`gradual\\":\\"${step}`) || undefined
  })
  exits(await workspace.rollback(), 0)
  exits(await run.ended, 5)
  workspace.configure()
  const [back, deployment] = await workspace.history()
  expect([back?.kind, back?.outcome, deployment?.outcome]).toEqual(['rollback', 'succeeded', 'taken-back'])
}

safely('S4: a gradual switch that is stopped anywhere ends on one color, and loses nobody', async () => {
  const workspace = await live()
  const shim = kubectlShim(workspace)
  const stop = endpoints(workspace)
  const traffic = await workspace.traffic(40, 6)
  for (const step of ALL ? ['first', 'full'] : ['full']) {
    await rollBackIn(workspace, step)
    await oneColor(workspace, 'blue')
  }
  for (const { at, what, next, users } of STOPS) {
    exits(await shim.start('deploy', VERSION, { at, on: WRITES }).ended, KILLED)
    expect(shim.matched().at(-1)).toContain(what)
    if (what.includes('first'))
      expect((await workspace.status()).problem).toStartWith('gradual: both colors are selected, first step')
    exits(await next(workspace), 0)
    await oneColor(workspace, users)
  }
  const moment = Date.now()
  const samples = await traffic.stop(moment)
  unharmed(samples)
  expect(versions(since(samples, moment))).toEqual(['2.0.0'])
  expect((await stop()).filter((pods) => pods < 2)).toEqual([])
})
