/** Who may sign in. Accounts come from TEST_ACCOUNTS; there is no registration. */
import type { Role, SeedAccount } from './config.ts'
import type { Database } from './database.ts'

export interface Account {
  name: string
  role: Role
}

/**
 * OWASP's minimum for argon2id: about 50 ms of one core. Bun's default takes three times as long and 64 MB.
 */
const hashing = { algorithm: 'argon2id', memoryCost: 19_456, timeCost: 2 } as const

export class Accounts {
  readonly #database: Database
  #decoy: Promise<string> | undefined

  constructor(database: Database) {
    this.#database = database
  }

  /**
   * Creates each account, or brings its password and role up to date. Two processes may do it at the same
   * time.
   */
  async seed(accounts: readonly SeedAccount[]): Promise<void> {
    await Promise.all(
      accounts.map(async ({ name, password, role }) => {
        const known = await this.#hashOf(name)
        const same = known !== undefined && (await Bun.password.verify(password, known))
        const hash = same ? known : await Bun.password.hash(password, hashing)
        await this.#database.run(
          'accounts.seed',
          (sql) => sql`INSERT INTO accounts (name, password_hash, role) VALUES (${name}, ${hash}, ${role})
            ON CONFLICT (name) DO UPDATE SET password_hash = excluded.password_hash, role = excluded.role`,
        )
      }),
    )
  }

  /** True if this is the account's password. An unknown name takes as long as a wrong password. */
  async verify(name: string, password: string): Promise<boolean> {
    const known = await this.#hashOf(name)
    this.#decoy ??= Bun.password.hash('nobody has this password', hashing)
    const matches = await Bun.password.verify(password, known ?? (await this.#decoy))
    return matches && known !== undefined
  }

  list(): Promise<Account[]> {
    return this.#database.run(
      'accounts.list',
      (sql) => sql<Account[]>`SELECT name, role FROM accounts ORDER BY name`,
    )
  }

  async #hashOf(name: string): Promise<string | undefined> {
    const rows = await this.#database.run(
      'accounts.find',
      (sql) => sql<{ password_hash: string }[]>`SELECT password_hash FROM accounts WHERE name = ${name}`,
    )
    return rows[0]?.password_hash
  }
}
