/**
 * Numbered SQL files, applied in order, once, under a lock. During a blue/green deployment the old color
 * keeps running on the new schema, so each file declares itself: `expand` adds what an old version can
 * ignore, `contract` removes what no running version uses any more, and `compatible` says why that holds.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { SQL, type TransactionSQL } from 'bun'
import type { Adapter, Database } from './database.ts'

export interface Migration {
  name: string
  kind: 'expand' | 'contract'
  compatible: string
  sql: string
  checksum: string
}

/** The files and the database do not fit together: trying again will not help. */
export class MigrationError extends Error {
  override name = 'MigrationError'
}

/** Beside this module in the sources, beside the bundle in an image. */
export const MIGRATIONS_FOLDER = join(import.meta.dir, 'migrations')

/** Any constant that no other application on the server uses for its advisory locks. */
const ADVISORY_LOCK = 727_001

/** @throws MigrationError for a file without its header, or an expand file that takes something away */
export function readMigrations(folder = MIGRATIONS_FOLDER): Migration[] {
  const files = readdirSync(folder).filter((file) => file.endsWith('.sql'))
  return files.toSorted().map((file) => parseMigration(file, readFileSync(join(folder, file), 'utf8')))
}

export function parseMigration(file: string, text: string): Migration {
  const fail = (problem: string) => new MigrationError(`${file}: ${problem}`)
  if (!/^\d{4}-[a-z0-9-]+\.sql$/.test(file)) throw fail('the name must be like 0001-what-it-does.sql')
  const kind = /^-- kind: (expand|contract)$/m.exec(text)?.[1]
  const compatible = /^-- compatible: (.+)$/m.exec(text)?.[1]
  if (kind !== 'expand' && kind !== 'contract')
    throw fail('the header needs "-- kind: expand" or "-- kind: contract"')
  if (!compatible) throw fail('the header needs "-- compatible: <why the version before keeps working>"')
  const statements = text.replace(/--.*$/gm, '')
  if (kind === 'expand' && /\b(DROP|RENAME|TRUNCATE|DELETE\s+FROM|SET\s+NOT\s+NULL)\b/i.test(statements)) {
    throw fail('takes something away from the version before: that is "-- kind: contract"')
  }
  const checksum = new Bun.CryptoHasher('sha256').update(text).digest('hex')
  return { name: file.replace(/\.sql$/, ''), kind, compatible, sql: text, checksum }
}

/**
 * The names of what is not applied yet. Migrations that a newer version applied are no fault: its old color
 * must stay ready.
 * @throws MigrationError when a file was changed after it had been applied
 */
export async function pendingMigrations(
  database: Database,
  migrations: readonly Migration[],
): Promise<string[]> {
  return pendingOf(migrations, await database.run('migrations.read', readApplied)).map(({ name }) => name)
}

/**
 * Applies what is pending, all or nothing. Processes that start at once wait for one another.
 * @returns the names of what this call applied
 */
export async function migrate(database: Database, migrations: readonly Migration[]): Promise<string[]> {
  if ((await pendingMigrations(database, migrations)).length === 0) return []
  return database.run('migrations.apply', (sql) =>
    underLock(sql, database.adapter, async (transaction) => {
      await transaction.unsafe(
        `CREATE TABLE IF NOT EXISTS schema_migrations
          (name TEXT PRIMARY KEY, checksum TEXT NOT NULL, applied_at TEXT NOT NULL)`,
      )
      const pending = pendingOf(migrations, await readApplied(transaction))
      for (const migration of pending) await apply(transaction, migration)
      return pending.map(({ name }) => name)
    }),
  )
}

/**
 * One transaction that excludes every other migration. Both databases roll back changes of the schema, too.
 */
async function underLock<T>(
  sql: SQL,
  adapter: Adapter,
  work: (transaction: TransactionSQL) => Promise<T>,
): Promise<T> {
  if (adapter === 'sqlite') return sql.begin('IMMEDIATE', work)
  return sql.begin(async (transaction) => {
    await transaction.unsafe('SET LOCAL statement_timeout = 0') // waiting for the lock may take long
    await transaction`SELECT pg_advisory_xact_lock(${ADVISORY_LOCK})`
    return work(transaction)
  })
}

async function apply(transaction: TransactionSQL, { name, sql, checksum }: Migration): Promise<void> {
  try {
    await transaction.unsafe(sql)
  } catch (error) {
    throw new MigrationError(`${name}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    })
  }
  await transaction`INSERT INTO schema_migrations (name, checksum, applied_at)
    VALUES (${name}, ${checksum}, ${new Date().toISOString()})`
}

interface Applied {
  name: string
  checksum: string
}

async function readApplied(sql: SQL): Promise<Applied[]> {
  try {
    return await sql<Applied[]>`SELECT name, checksum FROM schema_migrations`
  } catch (error) {
    if (isMissingTable(error)) return []
    throw error
  }
}

function pendingOf(migrations: readonly Migration[], applied: readonly Applied[]): Migration[] {
  const checksums = new Map(applied.map(({ name, checksum }) => [name, checksum]))
  const changed = migrations.find(({ name, checksum }) => (checksums.get(name) ?? checksum) !== checksum)
  if (changed)
    throw new MigrationError(`${changed.name} was changed after it had been applied; add a new file instead`)
  return migrations.filter(({ name }) => !checksums.has(name))
}

const isMissingTable = (error: unknown) =>
  error instanceof SQL.PostgresError
    ? error.errno === '42P01'
    : error instanceof SQL.SQLiteError && error.message.startsWith('no such table')
