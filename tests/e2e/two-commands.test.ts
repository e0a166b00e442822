/** A deployment in two commands: somebody looks at the idle color for as long as he likes, and then opens it. */
import { expect } from 'bun:test'
import { z } from 'zod'
import { APP, type Workspace } from '../../examples/rehearsal/workspace.ts'
import { exits, rehearsal, safely, unharmed } from './suite.ts'

const stage = rehearsal()

const idOf = (stdout: string): string => z.object({ id: z.string() }).parse(JSON.parse(stdout)).id

/** 1.0.0 is live in blue; 2.0.0 has passed its gates in green, and waits. */
async function verified(...versions: string[]): Promise<{ workspace: Workspace; id: string }> {
  const workspace = await stage().open({ replicas: 1 }, '1.0.0', '2.0.0', ...versions)
  await workspace.bring('1.0.0')
  const run = exits(await workspace.deploy('2.0.0', '--until', 'verified', '--json'), 0)
  expect(run.stderr).toMatch(/2\.0\.0 is verified in green of production; --resume \w+ opens it to users/)
  return { workspace, id: idOf(run.stdout) }
}

const resume = async (workspace: Workspace, id: string, ...flags: string[]) =>
  await workspace.run('deploy', ['--resume', id, '--yes', ...flags])

safely('the verified color waits with the lock free, and is opened by --resume, once', async () => {
  const { workspace, id } = await verified()
  const traffic = await workspace.traffic(40, 4)
  expect(await workspace.selector()).toEqual({ app: APP, color: 'blue' })
  const { lock, unfinished } = await workspace.status()
  expect({ lock, unfinished }).toEqual({ lock: undefined, unfinished: [] })
  expect((await workspace.history())[0]).toMatchObject({ id, outcome: 'verified' })

  const shown = exits(await workspace.run('deploy', ['--resume', id, '--dry-run']), 0)
  expect(shown.stderr).toContain('Nothing was changed.')
  const opened = exits(await resume(workspace, id), 0)
  expect(opened.stderr).toContain(`2.0.0 is live in production (green). Record ${id}`)
  expect(await workspace.selector()).toEqual({ app: APP, color: 'green' })
  expect((await workspace.history())[0]).toMatchObject({ id, outcome: 'succeeded' })
  unharmed(await traffic.stop())

  const again = exits(await resume(workspace, id), 1)
  expect(again.stderr).toContain(`${id} is no deployment that waits to be resumed: it ended succeeded`)
})

safely('what was verified is not opened once something else is there, or users are elsewhere', async () => {
  const { workspace, id } = await verified('3.0.0')
  exits(await workspace.run('lock', ['--hold', 'a holiday', '--yes']), 0)
  expect(exits(await resume(workspace, id), 5).stderr).toContain('a holiday')
  exits(await workspace.run('lock', ['--release', '--yes']), 0)

  const later = exits(await workspace.deploy('3.0.0', '--until', 'verified', '--json'), 0)
  expect(exits(await resume(workspace, id), 1).stderr).toContain('green holds 3.0.0 by now')
  exits(await resume(workspace, idOf(later.stdout)), 0)
  expect(await workspace.selector()).toEqual({ app: APP, color: 'green' })
  expect(exits(await resume(workspace, id), 1).stderr).toMatch(/deploy it again$/m)
  expect(await workspace.status()).toMatchObject({ unfinished: [] })
})

safely('switch-traffic opens what has passed its gates, and nothing that has not', async () => {
  const workspace = await stage().open({ replicas: 1 }, '1.0.0', '2.0.0')
  await workspace.bring('1.0.0')
  workspace.configure({ smoke: [{ name: 'never', path: '/no-such-page-ever', expect: { status: 204 } }] })
  exits(await workspace.deploy('2.0.0'), 1)
  workspace.configure()
  const refused = exits(await workspace.run('switch-traffic', ['--to', 'green', '--yes']), 6)
  expect(refused.stderr).toContain('2.0.0 in green may not be opened to users: its deployment ended failed')
  expect(await workspace.selector()).toEqual({ app: APP, color: 'blue' })

  const forced = ['--to', 'green', '--yes', '--override', 'the check was wrong']
  exits(await workspace.run('switch-traffic', forced), 0)
  const told = exits(await workspace.run('deployment-history', ['--json', '--limit', '1']), 0)
  expect(told.stdout).toContain('the check was wrong')
})
