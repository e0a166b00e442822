/** What the routes work with, wired once at start. */
import { Accounts, type Account } from './accounts.ts'
import type { Config } from './config.ts'
import { Conversations } from './conversations.ts'
import type { Database } from './database.ts'
import { Drain } from './drain.ts'
import { forbidden, unauthorized } from './errors.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'
import { Readiness } from './readiness.ts'
import type { Call } from './router.ts'
import { Sessions } from './sessions.ts'
import { SignInLimit } from './sign-in-limit.ts'

export class Services {
  readonly config: Config
  readonly log: Log
  readonly metrics: Metrics
  readonly accounts: Accounts
  readonly sessions: Sessions
  readonly conversations: Conversations
  readonly drain = new Drain()
  readonly signInLimit = new SignInLimit()
  readonly readiness: Readiness

  constructor(config: Config, database: Database, metrics: Metrics, log: Log) {
    this.config = config
    this.log = log
    this.metrics = metrics
    this.accounts = new Accounts(database)
    this.sessions = new Sessions(database, config.sessionHours)
    this.conversations = new Conversations(database)
    this.readiness = new Readiness(config, database, log)
  }

  /** @throws HttpError 401 without a valid session */
  async requireAccount({ request }: Call): Promise<Account> {
    const account = await this.sessions.find(request)
    if (!account) throw unauthorized('Sign in first.')
    this.metrics.see(account.name)
    return account
  }

  /** @throws HttpError 401 without a valid session, 403 without the role */
  async requireAdmin(call: Call): Promise<void> {
    if (this.config.faults.openAdmin) return
    const account = await this.requireAccount(call)
    if (account.role !== 'admin') throw forbidden()
  }
}
