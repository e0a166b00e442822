import { expect, test } from 'bun:test'
import { shell } from '../../../lib/command.ts'
import { judgeMigration } from '../../../lib/preflight/migration.ts'
import { failure } from '../world.ts'
import { migrations } from './migrations.ts'

const real = shell(() => {})

test('there are enough of them, of each verdict', () => {
  const counts = Map.groupBy(migrations, ({ verdict }) => verdict)
  expect(migrations.length).toBeGreaterThanOrEqual(40)
  for (const verdict of ['passed', 'failed', 'unknown'] as const)
    expect(counts.get(verdict)?.length).toBeGreaterThan(10)
})

test.each(migrations)(
  '$name: $verdict',
  async ({ sql, verdict, says }) => {
    const found = await judgeMigration(sql, real)
    expect(found).toMatchObject({ verdict })
    if (says) expect(found.why).toMatch(says)
    if (verdict !== 'passed') expect(found.next).toContain('--ack migrations')
  },
  60_000,
)

test('without squawk nothing is passed', async () => {
  const silent = { ...real, read: () => Promise.resolve({ stdout: '', stderr: 'no', exitCode: 1 }) }
  const { message } = await failure(judgeMigration('ALTER TABLE a ADD COLUMN b text;', silent))
  expect(message).toContain('squawk did not answer')
})
