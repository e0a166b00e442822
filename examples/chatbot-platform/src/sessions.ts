/** Signed-in sessions: a random token in a cookie, its SHA-256 in the database. */
import { Cookie, CookieMap } from 'bun'
import type { Account } from './accounts.ts'
import type { Database } from './database.ts'

const COOKIE = 'session'

export class Sessions {
  readonly #database: Database
  readonly #seconds: number
  readonly #now: () => number

  constructor(database: Database, hours: number, now: () => number = Date.now) {
    this.#database = database
    this.#seconds = Math.round(hours * 3600)
    this.#now = now
  }

  /** Opens a session and returns its cookie. Expired sessions of everybody go at the same time. */
  async open(account: string, secure: boolean): Promise<string> {
    const token = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('base64url')
    const expiresAt = this.#iso(this.#seconds)
    await this.#database.run(
      'sessions.expire',
      (sql) => sql`DELETE FROM sessions WHERE expires_at <= ${this.#iso()}`,
    )
    await this.#database.run(
      'sessions.open',
      (sql) =>
        sql`INSERT INTO sessions (token_sha256, account, expires_at) VALUES (${sha256(token)}, ${account}, ${expiresAt})`,
    )
    return cookie(token, this.#seconds, secure)
  }

  /** The account that the request's cookie stands for. */
  async find(request: Request): Promise<Account | undefined> {
    const token = tokenOf(request)
    if (!token) return undefined
    const rows = await this.#database.run(
      'sessions.find',
      (sql) => sql<Account[]>`SELECT accounts.name, accounts.role FROM sessions
        JOIN accounts ON accounts.name = sessions.account
        WHERE token_sha256 = ${sha256(token)} AND expires_at > ${this.#iso()}`,
    )
    return rows[0]
  }

  /** Ends the session on the server, and returns the cookie that ends it in the browser. */
  async close(request: Request, secure: boolean): Promise<string> {
    const token = tokenOf(request)
    if (token) {
      await this.#database.run(
        'sessions.close',
        (sql) => sql`DELETE FROM sessions WHERE token_sha256 = ${sha256(token)}`,
      )
    }
    return cookie('', 0, secure)
  }

  #iso(inSeconds = 0): string {
    return new Date(this.#now() + inSeconds * 1000).toISOString()
  }
}

function cookie(token: string, maxAge: number, secure: boolean): string {
  return new Cookie(COOKIE, token, {
    httpOnly: true,
    sameSite: 'strict',
    path: '/',
    secure,
    maxAge,
  }).serialize()
}

function tokenOf(request: Request): string | null {
  return new CookieMap(request.headers.get('cookie') ?? '').get(COOKIE)
}

const sha256 = (token: string) => new Bun.CryptoHasher('sha256').update(token).digest('hex')
