/**
 * The migration Job: applies what is pending, creates the accounts, and prints what it did. It only goes
 * forward; to undo one, deploy a migration that takes it back. Exit 1, with the reason, when a setting or a
 * migration is wrong.
 */
import { parseConfig } from './config.ts'
import { createLog, describe } from './log.ts'
import { prepareDatabase } from './prepare.ts'

const log = createLog('info')
try {
  const config = parseConfig(process.env)
  const applied = await prepareDatabase(config, true)
  for (const migration of applied) log('info', 'migration applied', { migration })
  log('info', 'database is up to date', { applied: applied.length, accounts: config.testAccounts.length })
} catch (error) {
  log('error', describe(error))
  process.exitCode = 1
}
