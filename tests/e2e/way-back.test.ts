/**
 * S9: going back asks only for less harm. Whatever became of a deployment, and whatever is left of the color that users
 * were on: they end on the best color there is, and the exit code and the last words of the run are true.
 */
import { describe, expect } from 'bun:test'
import { kubectlShim, SWITCH } from '../../examples/rehearsal/kubectl-shim.ts'
import { until, type Finished } from '../../examples/rehearsal/program.ts'
import { type Settings, type Workspace } from '../../examples/rehearsal/workspace.ts'
import { exits, FEW, rehearsal, safely } from './suite.ts'
import {
  BAD,
  fallsIll,
  namesNoOtherColor,
  nothingLeft,
  outside,
  SHORT,
  states,
  tellsTheTruth,
  TOLERANT,
  verdict,
  type State,
} from './way-back.ts'

const GOOD = '1.0.0'
const WORSE = '2.0.0-bad'

const DEPLOY = ['--env', 'production', '--yes', '--version', WORSE]

interface Ending {
  old: State
  code: number
  /** The best that there is for users. */
  ends: string
  /** Not of few: others meet the same state of the cluster, and others end so after the same command. */
  more?: true
}

const chosen = <E extends Ending>(endings: readonly E[]): E[] => endings.filter(({ more }) => !(FEW && more))

/** One ready pod is enough, and pods that can be started are; what crashes, or is gone, is not. */
const automatic: readonly Ending[] = [
  { old: 'full', code: 3, ends: GOOD, more: true },
  { old: 'one pod unready', code: 3, ends: GOOD },
  { old: 'scaled down', code: 3, ends: GOOD, more: true },
  { old: 'crashed', code: 4, ends: WORSE, more: true },
  { old: 'gone', code: 4, ends: WORSE },
]

/** A person's rollback also starts a release that is gone, from its record; what crashes moves nobody. */
const byHand: readonly (Ending & { flags?: string[] })[] = [
  { old: 'full', code: 0, ends: GOOD },
  { old: 'one pod unready', code: 0, ends: GOOD, more: true },
  { old: 'one pod fewer under a full quota', code: 0, ends: GOOD },
  { old: 'scaled down', code: 0, ends: GOOD },
  { old: 'crashed', code: 1, ends: WORSE },
  { old: 'gone', code: 0, ends: GOOD },
  { old: 'one pod unready', flags: ['--now'], code: 0, ends: GOOD },
  { old: 'scaled down', flags: ['--now'], code: 0, ends: GOOD, more: true },
]

const killed: readonly (Ending & { by: 'rollback' | 'repair' })[] = [
  { old: 'gone', by: 'rollback', code: 0, ends: GOOD },
  { old: 'full', by: 'repair', code: 0, ends: GOOD },
  { old: 'one pod unready', by: 'repair', code: 0, ends: GOOD, more: true },
  { old: 'scaled down', by: 'repair', code: 0, ends: GOOD, more: true },
  { old: 'crashed', by: 'repair', code: 4, ends: WORSE },
  { old: 'gone', by: 'repair', code: 4, ends: WORSE, more: true },
]

describe('S9', () => {
  const stage = rehearsal()

  /** 1.0.0 is live in blue. */
  async function oneRelease(settings: Settings = {}): Promise<Workspace> {
    const workspace = await stage().open({ settings: SHORT }, GOOD)
    await stage().images.push(WORSE, BAD)
    await workspace.bring(GOOD)
    workspace.configure(settings)
    return workspace
  }

  // What takes longest begins first: at the end nothing is waited for alone.
  safely('a rollback whose answer to one write is lost never ends otherwise than without', async () => {
    const workspace = await stage().open({ settings: { ...SHORT, afterSwitch: 'keep' } }, GOOD, '2.0.0')
    await workspace.bring(GOOD, '2.0.0')
    const shim = kubectlShim(workspace)
    const wrong: string[] = []
    let at = 0
    for (let made = Infinity; ++at <= made;) {
      const to = at % 2 === 1 ? GOOD : '2.0.0'
      const flags = ['--env', 'production', '--yes', '--to-version', to]
      const run = await shim.lose('rollback-deployment', flags, { at }).ended
      const writes = shim.matched()
      made = writes.length
      const write = writes[at - 1]?.replace(/^.*--request-timeout=\S+ /, '').slice(0, 150)
      const where = `the answer to ${write}`
      if (run.code === 0) await tellsTheTruth(workspace, run, to)
      else {
        wrong.push(`${where}: exit ${run.code}: ${verdict(run)}`)
        expect(await outside(workspace)).toBe(to)
      }
      const { unfinished, lock } = await workspace.status()
      if (unfinished.length > 0 || lock) wrong.push(`${where}: left ${unfinished.join()} ${lock}`)
    }
    expect(wrong).toEqual([])
    expect(at).toBeGreaterThan(3)
  })

  safely('an old release is never held against a check that it did not go live with', async () => {
    const workspace = await stage().open({ settings: { ...SHORT, afterSwitch: 'keep' } }, GOOD, '2.0.0')
    await stage().images.push('3.0.0-bad', BAD)
    await workspace.bring(GOOD)
    workspace.configure(since('2.0.0'))
    exits(await workspace.deploy('2.0.0'), 0)
    workspace.configure(since('3.0.0'))
    const undone = exits(await workspace.deploy('3.0.0-bad'), 3)
    await tellsTheTruth(workspace, undone, '2.0.0')
    const back = exits(await workspace.rollback('--to-version', GOOD), 0)
    await tellsTheTruth(workspace, back, GOOD)
    expect((await workspace.history())[0]).toMatchObject({ kind: 'rollback', outcome: 'succeeded' })
    await nothingLeft(workspace)
  })

  safely(
    'a rollback fences a deployment off that drains, the old color one pod unready: 0 and 5, users on 1.0.0',
    async () => {
      const old = 'one pod unready'
      const workspace = await oneRelease({ ...TOLERANT, afterSwitch: 'recycle', drain: '60s' })
      let draining = false
      const onLine = (line: string): void => void (draining ||= line.includes('Drain blue'))
      const deployment = workspace.start('deploy', DEPLOY, { onLine })
      await until('blue to be drained', () => draining || undefined)
      workspace.configure()
      await states[old](workspace, 'blue')
      await ended(workspace, await workspace.rollback(), { old, code: 0, ends: GOOD })
      const stopped = exits(await deployment.ended, 5)
      expect(verdict(stopped)).toContain('The lock was taken over')
      namesNoOtherColor(verdict(stopped), 'blue')
      await nothingLeft(workspace)
    },
  )

  for (const { by, ...ending } of chosen(killed)) {
    safely(
      `kill -9 after the switch, then ${by}, the old color ${ending.old}: exit ${ending.code}, users on ${ending.ends}`,
      async () => {
        const workspace = await oneRelease()
        const run = kubectlShim(workspace).start('deploy', DEPLOY, { at: 1, on: SWITCH })
        expect((await run.ended).code).toBe(137)
        workspace.configure()
        if (by === 'repair') await fallsIll(workspace, 'green')
        await states[ending.old](workspace, 'blue')
        const repair = () => workspace.run('deployment-status', ['--repair'])
        await ended(workspace, await (by === 'repair' ? repair() : workspace.rollback()), ending)
      },
    )
  }

  for (const { flags = [], ...ending } of chosen(byHand)) {
    const how = ['rollback', ...flags].join(' ')
    safely(
      `a ${how}, the old color ${ending.old}: exit ${ending.code}, users on ${ending.ends}`,
      async () => {
        const workspace = await oneRelease(TOLERANT)
        exits(await workspace.deploy(WORSE), 0)
        workspace.configure()
        await states[ending.old](workspace, 'blue')
        const run = await workspace.rollback('--reason', 'it fails users', ...flags)
        await ended(workspace, run, ending)
        if (ending.old.startsWith('one pod')) expect(run.stderr).toContain('capacity is less than before')
        if (ending.old !== 'full') return
        // Taken back is taken back, until somebody says why it may come again.
        const refused = exits(await workspace.deploy(WORSE), 6)
        expect(refused.stderr).toContain('--allow-failed-digest')
        await tellsTheTruth(workspace, run, GOOD)
      },
    )
  }

  for (const ending of chosen(automatic)) {
    safely(
      `an automatic rollback, the old color ${ending.old}: exit ${ending.code}, users on ${ending.ends}`,
      async () => {
        const workspace = await oneRelease()
        const held = kubectlShim(workspace).hold('deploy', DEPLOY, { at: 1, on: SWITCH })
        expect(await held.call).toBeDefined()
        await states[ending.old](workspace, 'blue')
        await held.go()
        await ended(workspace, await held.run.ended, ending)
        if (ending.old !== 'gone') return
        // What it cannot do by itself, the next command does.
        const back = await workspace.rollback()
        await ended(workspace, back, { ...ending, code: 0, ends: GOOD })
      },
    )
  }

  safely(
    'a deployment that fails before its switch never moves users from a color with one pod ready',
    async () => {
      const old = 'one pod unready'
      const workspace = await oneRelease()
      await stage().images.push('2.0.0-crash', { FAULT_CRASH_AT_START: '1' })
      await states[old](workspace, 'blue')
      await ended(workspace, await workspace.deploy('2.0.0-crash'), { old, code: 1, ends: GOOD })
      const repaired = await workspace.run('deployment-status', ['--repair'])
      await ended(workspace, repaired, { old, code: 0, ends: GOOD })
    },
  )
})

async function ended(workspace: Workspace, run: Finished, { code, ends }: Ending): Promise<void> {
  exits(run, code)
  await tellsTheTruth(workspace, run, ends)
  if (code !== 4) await nothingLeft(workspace)
}

/** The checks of the day on which a version brought its feature. */
const since = (version: string): Settings => ({
  smoke: [
    { name: 'alive', path: '/health', expect: { status: 200 } },
    { name: `the feature of ${version}`, path: '/version', expect: { text: version } },
  ],
})
