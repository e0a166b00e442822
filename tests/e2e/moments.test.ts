/** Somebody else moves traffic at the worst moment: by hand, or with a rollback. */
import { expect } from 'bun:test'
import { z } from 'zod'
import { until, type Started } from '../../examples/rehearsal/program.ts'
import { APP, type Settings, type Workspace } from '../../examples/rehearsal/workspace.ts'
import { exits, rehearsal, safely, since, unharmed, versions } from './suite.ts'

const stage = rehearsal()

/** 1.0.0 is live in blue, and 2.0.0 is being deployed with these settings. */
async function deploying(
  settings: Settings,
): Promise<{ workspace: Workspace; run: Started; drains: () => Promise<void> }> {
  const workspace = await stage().open({ settings }, '1.0.0', '2.0.0')
  await workspace.bring('1.0.0')
  const words = ['--env', 'production', '--yes', '--version', '2.0.0']
  let draining = false
  const onLine = (line: string): void => void (draining ||= line.includes('Drain blue'))
  const run = workspace.start('deploy', words, { onLine })
  let said: string | undefined
  void run.ended.then(({ stderr }) => (said = stderr))
  const drains = async (): Promise<void> =>
    void (await until('blue to be drained', () => {
      if (said !== undefined && !draining) throw new Error(`it ended before it drained:\n${said}`)
      return draining || undefined
    }))
  return { workspace, run, drains }
}

const selects = async (workspace: Workspace, wanted: object): Promise<void> => {
  await until(`the selector to be ${JSON.stringify(wanted)}`, async () =>
    Bun.deepEquals(await workspace.selector(), wanted) ? true : undefined,
  )
}

const pods = async (workspace: Workspace, color: string): Promise<string> =>
  await workspace.kubectl('get', 'pods', '-l', `color=${color}`, '-o', 'name', '--sort-by=.metadata.name')

const byHand = (color: string) => [
  'patch',
  'service',
  APP,
  '-p',
  `{"spec":{"selector":{"color":"${color}"}}}`,
]

safely(
  'S2: a deployment never recycles what users were brought back to by hand while it drained',
  async () => {
    const { workspace, run, drains } = await deploying({ drain: '8s' })
    const before = await pods(workspace, 'blue')
    await selects(workspace, { app: APP, color: 'green' })
    const traffic = await workspace.traffic(40, 4)
    await drains()
    await workspace.kubectl(...byHand('blue'))
    const moved = exits(await run.ended, 4)
    expect(moved.stderr).toContain('Users are on blue, no longer on green: somebody else moved them')
    expect(await pods(workspace, 'blue')).toBe(before)
    expect((await workspace.selector()).color).toBe('blue')
    unharmed(await traffic.stop())
    expect((await workspace.history())[0]).toMatchObject({ outcome: 'needs-person' })
  },
)

/** In the proof, where its own checks then meet the release of before, or after it. */
for (const moment of ['proves its switch', 'drains']) {
  safely(`S3: a rollback while a deployment ${moment} is never followed by its recycling`, async () => {
    const { workspace, run, drains } = await deploying({ drain: '20s' })
    const before = await pods(workspace, 'blue')
    await selects(workspace, { app: APP, color: 'green' })
    const traffic = await workspace.traffic(40, 4)
    if (moment === 'drains') await drains()
    exits(await workspace.rollback(), 0)
    const back = Date.now()
    exits(await run.ended, 5)
    expect(await pods(workspace, 'blue')).toBe(before)
    const samples = await traffic.stop(back)
    unharmed(samples)
    expect(versions(since(samples, back).filter(({ kind }) => kind === 'new'))).toEqual(['1.0.0'])
    const outcomes = (await workspace.history()).map(({ kind, outcome }) => `${kind} ${outcome}`)
    expect(outcomes[0]).toBe('rollback succeeded')
    expect(outcomes.some((line) => line.endsWith(' open'))).toBe(false)
  })
}

safely('S1: a rollback inside an overlap never goes forward', async () => {
  const { workspace, run } = await deploying({ switch: 'overlap', overlap: '20s' })
  await selects(workspace, { app: APP })
  const traffic = await workspace.traffic(40, 4)
  exits(await workspace.rollback(), 0)
  const moment = Date.now()
  expect(await workspace.selector()).toEqual({ app: APP, color: 'blue' })
  exits(await run.ended, 5)
  expect(await workspace.selector()).toEqual({ app: APP, color: 'blue' })
  const samples = await traffic.stop(moment)
  unharmed(samples)
  expect(versions(since(samples, moment).filter(({ kind }) => kind === 'new'))).toEqual(['1.0.0'])
})

safely('S5: a repair never moves users whom somebody brought back by hand', async () => {
  const { workspace, run } = await deploying({ drain: '60s' })
  await selects(workspace, { app: APP, color: 'green' })
  run.signal('SIGKILL')
  await run.ended
  await workspace.kubectl(...byHand('blue'))
  await until('the proxies to follow', async () => {
    // A connection that is kept would stay where it was.
    const fresh = { headers: { connection: 'close' }, signal: AbortSignal.timeout(5000) }
    const answer = await fetch(`${workspace.url}/version`, fresh)
    const { color } = z.object({ color: z.string() }).parse(await answer.json())
    return color === 'blue' || undefined
  })
  const before = await pods(workspace, 'blue')
  const traffic = await workspace.traffic(40, 4)
  exits(await workspace.run('deployment-status', ['--repair']), 0)
  expect(await workspace.selector()).toEqual({ app: APP, color: 'blue' })
  expect(await pods(workspace, 'blue')).toBe(before)
  const samples = await traffic.stop()
  unharmed(samples)
  expect(versions(samples)).toEqual(['1.0.0'])
  expect((await workspace.status()).unfinished).toEqual([])
})

safely('S1: an automatic rollback never waits for as many pods as the bad release has', async () => {
  const workspace = await stage().open({ autoscaler: { min: 1, max: 4 } }, '1.0.0')
  await stage().images.push('2.0.0-live', { FAULT_LIVE_ERROR_RATE: '0.5' })
  await workspace.bring('1.0.0')
  workspace.overlay({ replicas: 3, autoscaler: { min: 3, max: 4 } })
  const back = exits(await workspace.deploy('2.0.0-live'), 3)
  expect(back.stderr).toContain('Rolled back: users are on 1.0.0 (blue) again')
  expect((await workspace.selector()).color).toBe('blue')
})
