/**
 * Brings a database up to what this version needs. It has a connection of its own, so that no request slips
 * into its transaction.
 */
import { Accounts } from './accounts.ts'
import type { Config } from './config.ts'
import { openDatabase } from './database.ts'
import { describe, type Log } from './log.ts'
import { migrate, MigrationError, pendingMigrations, readMigrations } from './migrations.ts'

/** How long to wait for a database, or for the migration Job, that has not come yet. */
const RETRY_MS = 1000

/**
 * Applies the pending migrations if it may, then creates or updates the accounts. Safe to run twice, or in
 * two processes at once.
 * @returns the names of the migrations that were applied
 * @throws when migrations are missing and it may not apply them
 */
export async function prepareDatabase(config: Config, mayMigrate: boolean): Promise<string[]> {
  const database = await openDatabase(config.databaseUrl, { connections: 1 })
  try {
    const migrations = readMigrations()
    const applied = mayMigrate ? await migrate(database, migrations) : []
    const pending = await pendingMigrations(database, migrations)
    if (pending.length > 0) throw new Error(`migrations missing: ${pending.join(', ')}`)
    await new Accounts(database).seed(config.testAccounts)
    return applied
  } finally {
    await database.close()
  }
}

/**
 * The same, for a server: what is not there yet is waited for, since the pod is alive and only not ready.
 * @throws MigrationError, which waiting does not mend
 */
export async function prepareWhenPossible(config: Config, log: Log, stopped: () => boolean): Promise<void> {
  let problem = ''
  while (!stopped()) {
    try {
      const applied = await prepareDatabase(config, config.migrateOnStart)
      return log('info', 'database is prepared', { applied: applied.join(', ') || 'nothing' })
    } catch (error) {
      if (error instanceof MigrationError) throw error
      if (describe(error) !== problem)
        log('warn', 'database cannot be prepared yet', { error: describe(error) })
      problem = describe(error)
      await Bun.sleep(RETRY_MS)
    }
  }
}
