import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { openDatabase } from '../../../examples/chatbot-platform/src/database.ts'
import {
  migrate,
  parseMigration,
  pendingMigrations,
  readMigrations,
} from '../../../examples/chatbot-platform/src/migrations.ts'
import { startApp } from './app-under-test.ts'
import { databaseKinds } from './databases.ts'
import { failureOf } from './failure.ts'
import { run, startPod } from './process.ts'

const all = readMigrations()
const names = all.map(({ name }) => name)
const expand = (file: string, sql: string) =>
  parseMigration(file, `-- kind: expand\n-- compatible: a test\n${sql}`)

const open = (url: string) => openDatabase(url, { connections: 2 })

for (const kind of databaseKinds()) {
  describe.skipIf(kind.missing !== undefined)(`migrations on ${kind.name}`, () => {
    beforeAll(() => kind.start(), 30_000)
    afterAll(() => kind.stop())

    test('are applied in order, once', async () => {
      const database = await open(await kind.create())
      expect(await pendingMigrations(database, all)).toEqual(names)
      expect(await migrate(database, all)).toEqual(names)
      expect(await pendingMigrations(database, all)).toEqual([])
      expect(await migrate(database, all)).toEqual([])
      await database.close()
    })

    test('one by one gives the same as all at once: each release can be the first to run', async () => {
      const database = await open(await kind.create())
      for (const [index, name] of names.entries()) {
        expect(await migrate(database, all.slice(0, index + 1))).toEqual([name])
      }
      await database.close()
    })

    test('an older release stays ready on what a newer one applied, and applies nothing', async () => {
      const database = await open(await kind.create())
      await migrate(database, all)
      const older = all.slice(0, 2)
      expect(await pendingMigrations(database, older)).toEqual([])
      expect(await migrate(database, older)).toEqual([])
      await database.close()
    })

    test('processes that start at once do not collide: one applies, the others wait', async () => {
      const url = await kind.create()
      const env = { DATABASE_URL: url, TEST_ACCOUNTS: 'alice:pw:user,root:pw:admin' }
      const runs = await Promise.all([1, 2, 3, 4].map(() => run('migrate.ts', env)))
      for (const { exitCode, output } of runs) expect([exitCode, output]).toEqual([0, output])
      const applied = runs.flatMap(({ output }) =>
        [...output.matchAll(/"migration":"([^"]+)"/g)].map(([, name]) => name),
      )
      expect(applied).toEqual(names)
    }, 30_000)

    test('one that fails leaves nothing behind, of those before it either', async () => {
      const database = await open(await kind.create())
      const broken = [
        expand('0001-good.sql', 'CREATE TABLE good (id TEXT);'),
        expand('0002-bad.sql', 'CREATE TABEL bad;'),
      ]
      expect(await failureOf(migrate(database, broken))).toMatch(/^0002-bad: .*TABEL/)
      expect(await pendingMigrations(database, broken)).toEqual(['0001-good', '0002-bad'])
      expect(await failureOf(database.run('test', (sql) => sql`SELECT * FROM good`))).toMatch(
        /no such table|does not exist/,
      )
      await database.close()
    })

    test('a file that was changed after it had been applied is refused', async () => {
      const database = await open(await kind.create())
      await migrate(database, [expand('0001-a.sql', 'CREATE TABLE a (id TEXT);')])
      const changed = [expand('0001-a.sql', 'CREATE TABLE a (id TEXT, more TEXT);')]
      expect(await failureOf(migrate(database, changed))).toContain(
        '0001-a was changed after it had been applied',
      )
      await database.close()
    })

    test('what the release before wrote is read by this one', async () => {
      const url = await kind.create()
      const database = await open(url)
      await migrate(database, all.slice(0, 2))
      const hash = await Bun.password.hash('alice-password')
      await database.run('test', (sql) => sql`INSERT INTO accounts VALUES ('alice', ${hash}, 'user')`)
      await migrate(database, all)
      // As a pod of the release before does, which knows nothing of last_message_at.
      await database.run(
        'test',
        (sql) =>
          sql`INSERT INTO conversations (id, account, title, created_at) VALUES ('old', 'alice', 'Old', '2026-01-01')`,
      )
      await database.close()
      const app = await startApp({ DATABASE_URL: url })
      const listed = await app.call('GET', '/api/conversations', { as: await app.signIn('alice') })
      await app.stop()
      expect(await listed.json()).toMatchObject({ conversations: [{ id: 'old', lastMessageAt: null }] })
    })

    test('without MIGRATE_ON_START a server waits unready for the Job, and then creates its accounts', async () => {
      const url = await kind.create()
      const app = await startApp({ DATABASE_URL: url, MIGRATE_ON_START: 'false' })
      const before = await app.call('GET', '/ready')
      const reason = `migrations missing: ${names.join(', ')}`
      expect([before.status, await before.json()]).toEqual([
        503,
        { status: 'not ready', checks: [{ name: 'database', ok: false, reason }] },
      ])
      expect((await app.call('GET', '/health')).status).toBe(200)
      expect((await run('migrate.ts', { DATABASE_URL: url })).exitCode).toBe(0)
      await app.prepared
      expect((await app.call('GET', '/ready')).status).toBe(200)
      expect(await app.signIn('alice')).toStartWith('session=')
      await app.stop()
    })

    test('two pods that start at once both become ready, and an account gets its new password', async () => {
      const url = await kind.create()
      const env = (password: string) => ({
        DATABASE_URL: url,
        TEST_ACCOUNTS: `alice:${password}:user`,
        DRAIN_SECONDS: '0',
      })
      const pods = await Promise.all([startPod(env('first')), startPod(env('first'))])
      const third = await startPod(env('second'))
      const signIn = async (password: string) => {
        const body = JSON.stringify({ name: 'alice', password })
        const headers = { 'Content-Type': 'application/json' }
        return (await fetch(`${third.url}/api/session`, { method: 'POST', headers, body })).status
      }
      expect([await signIn('first'), await signIn('second')]).toEqual([401, 200])
      for (const pod of [...pods, third]) pod.child.kill('SIGTERM')
      for (const pod of [...pods, third]) expect(await pod.ended).toBe(0)
    }, 30_000)
  })
}

describe('the migration Job', () => {
  test.each([
    ['an unreachable PostgreSQL', 'postgres://nobody:hidden-password@127.0.0.1:1/none'],
    ['a file that cannot be', 'sqlite:/proc/nowhere/chat.db'],
    ['a bad address', 'mysql://nobody:hidden-password@127.0.0.1/none'],
  ])('ends with 1 and a reason on %s, without the password', async (_, url) => {
    const { exitCode, output } = await run('migrate.ts', { DATABASE_URL: url })
    expect(exitCode).toBe(1)
    expect(output).toMatch(/^\{.*"level":"error","message":".+"\}\n$/)
    expect(output).not.toContain('hidden-password')
  })
})

describe('a migration file', () => {
  test.each([
    ['1-short-number.sql', '-- kind: expand\n-- compatible: x', 'the name must be like'],
    ['0001-a.sql', '-- compatible: x', 'needs "-- kind: expand"'],
    ['0001-a.sql', '-- kind: expand', 'needs "-- compatible:'],
    ['0001-a.sql', '-- kind: expand\n-- compatible: x\nDROP TABLE a', 'takes something away'],
    [
      '0001-a.sql',
      '-- kind: expand\n-- compatible: x\nALTER TABLE a RENAME COLUMN b TO c',
      'takes something away',
    ],
    [
      '0001-a.sql',
      '-- kind: expand\n-- compatible: x\nALTER TABLE a ALTER b SET NOT NULL',
      'takes something away',
    ],
    ['0001-a.sql', '-- kind: expand\n-- compatible: x\ndelete from a', 'takes something away'],
  ])('%s with %j is refused', (file, text, problem) => {
    expect(() => parseMigration(file, text)).toThrow(problem)
  })

  test.each([
    ['0001-a.sql', '-- kind: contract\n-- compatible: x\nDROP TABLE a'],
    [
      '0001-a.sql',
      '-- kind: expand\n-- compatible: never a DROP\nCREATE TABLE a (b TEXT REFERENCES c ON DELETE CASCADE)',
    ],
  ])('%s with %j is accepted', (file, text) => {
    expect(parseMigration(file, text).name).toBe('0001-a')
  })

  test('files are read in the order of their numbers', () => {
    const folder = mkdtempSync(join(tmpdir(), 'migrations-'))
    for (const name of ['0010-b', '0002-a', '0001-c']) {
      writeFileSync(join(folder, `${name}.sql`), '-- kind: expand\n-- compatible: x\n')
    }
    const read = readMigrations(folder).map(({ name }) => name)
    rmSync(folder, { recursive: true })
    expect(read).toEqual(['0001-c', '0002-a', '0010-b'])
  })
})
