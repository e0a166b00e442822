/** Migrations of two releases never meet in one database. */
import { expect } from 'bun:test'
import { CONTAINER } from '../../examples/rehearsal/overlay.ts'
import type { Workspace } from '../../examples/rehearsal/workspace.ts'
import { exits, rehearsal, safely } from './suite.ts'

const stage = rehearsal()

/** Works until it is told to end, and finishes its transaction first. */
const LONG = `process.on('SIGTERM', () => setTimeout(() => process.exit(0), 8000)); setInterval(() => {}, 1000)`

const SHORT = 'setTimeout(() => process.exit(0), 5000)'

function migrateBy(workspace: Workspace, code: string): void {
  const patch = [{ op: 'replace', path: `${CONTAINER}/command`, value: ['bun', '-e', code] }]
  workspace.overlay({ patches: { migration: [{ target: { kind: 'Job' }, patch }] } })
}

/** Pods of migrations in which something runs at this moment. */
async function running(workspace: Workspace): Promise<string[]> {
  const started = '{.status.containerStatuses[0].state.running.startedAt}'
  const lines = `jsonpath={range .items[*]}{.metadata.name} ${started}{"\\n"}{end}`
  const pods = await workspace.kubectl('get', 'pods', '-l', 'job-name=chatbot-platform-migrate', '-o', lines)
  return pods.split('\n').flatMap((line) => (line.includes(' 2') ? line.split(' ').slice(0, 1) : []))
}

safely('S4: a migration waits until that of a run which was killed has ended', async () => {
  const workspace = await stage().open({ replicas: 1, migration: true }, '1.0.0', '2.0.0')
  await workspace.bring('1.0.0')
  migrateBy(workspace, LONG)
  const killed = workspace.start('deploy', ['--env', 'production', '--yes', '--version', '2.0.0'])
  const early = killed.ended.then(({ stderr }) => Promise.reject(new Error(stderr)))
  while ((await Promise.race([running(workspace), early])).length === 0) await Bun.sleep(50)
  killed.signal('SIGKILL')
  await Promise.allSettled([early])

  migrateBy(workspace, SHORT)
  const next = workspace.deploy('2.0.0')
  const ended = next.then(() => true)
  const met = new Set<string>()
  let most = 0
  while (!(await Promise.race([ended, Bun.sleep(200).then(() => false)]))) {
    const now = await running(workspace)
    for (const pod of now) met.add(pod)
    most = Math.max(most, now.length)
  }
  const { stderr } = exits(await next, 0)
  expect({ most, met: met.size }).toEqual({ most: 1, met: 2 })
  expect(stderr).toContain('the migration of the last run still ends: pod/')
})
