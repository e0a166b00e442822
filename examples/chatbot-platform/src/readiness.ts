/** Whether this pod can do its work: the database, its migrations, and the external dependency. */
import type { Config } from './config.ts'
import type { Database } from './database.ts'
import { describe, type Log } from './log.ts'
import { MigrationError, pendingMigrations, readMigrations } from './migrations.ts'

/** A check that takes longer has failed; a kubelet waits no longer by default, either. */
const DEADLINE_MS = 1000

export interface Check {
  name: string
  ok: boolean
  /** Why not. Coarse, since anybody may read it; the log has the details. */
  reason?: string
}

export class Readiness {
  readonly #config: Config
  readonly #database: Database
  readonly #log: Log
  readonly #migrations = readMigrations()
  #prepared = false

  constructor(config: Config, database: Database, log: Log) {
    this.#config = config
    this.#database = database
    this.#log = log
  }

  /** The database is migrated, and the accounts exist. */
  markPrepared(): void {
    this.#prepared = true
  }

  async checks(): Promise<Check[]> {
    const { dependencyUrl, faults } = this.#config
    const checks = [this.#check('database', () => this.#checkDatabase())]
    if (dependencyUrl)
      checks.push(this.#check('dependency', (signal) => checkDependency(dependencyUrl, signal)))
    if (faults.neverReady)
      checks.push(Promise.resolve({ name: 'fault', ok: false, reason: 'FAULT_NEVER_READY' }))
    return Promise.all(checks)
  }

  /** @param ask answers undefined, or the reason why not */
  async #check(name: string, ask: (signal: AbortSignal) => Promise<string | undefined>): Promise<Check> {
    const signal = AbortSignal.timeout(DEADLINE_MS)
    try {
      const reason = await Promise.race([ask(signal), rejectionOf(signal)])
      return reason === undefined ? { name, ok: true } : { name, ok: false, reason }
    } catch (error) {
      this.#log('warn', 'readiness check failed', { check: name, error: describe(error) })
      if (signal.aborted) return { name, ok: false, reason: `no answer within ${DEADLINE_MS / 1000} s` }
      return { name, ok: false, reason: error instanceof MigrationError ? error.message : 'unreachable' }
    }
  }

  async #checkDatabase(): Promise<string | undefined> {
    const pending = await pendingMigrations(this.#database, this.#migrations)
    if (pending.length > 0) return `migrations missing: ${pending.join(', ')}`
    return this.#prepared ? undefined : 'accounts are still being created'
  }
}

/** Rejects when the time is up: a query takes no signal. */
function rejectionOf(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason))
  })
}

async function checkDependency(url: string, signal: AbortSignal): Promise<string | undefined> {
  const response = await fetch(url, { signal, redirect: 'manual' })
  await response.body?.cancel()
  return response.ok ? undefined : `answered ${response.status}`
}
