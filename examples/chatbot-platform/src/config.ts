/** The settings of the app: read from the environment once, at start. The README lists them for people. */
import {
  choice,
  ConfigError,
  flag,
  httpAddress,
  integer,
  number,
  text,
  type Environment,
} from './environment.ts'
import { parseFaults, type FaultSettings } from './faults.ts'
import { logLevels, type LogLevel } from './log.ts'

export type Role = 'user' | 'admin'

export interface SeedAccount {
  name: string
  password: string
  role: Role
}

export interface Config {
  host: string
  port: number
  metricsPort: number
  databaseUrl: string
  databaseConnections: number
  migrateOnStart: boolean
  testAccounts: SeedAccount[]
  dependencyUrl: string | undefined
  version: string
  color: string
  release: string
  commit: string
  drainSeconds: number
  stopSeconds: number
  sessionHours: number
  cookieSecure: boolean
  trustProxy: boolean
  replyWordMs: number
  logLevel: LogLevel
  faults: FaultSettings
}

const ports = { min: 0, max: 65535 } // 0: any free port, for tests

/** @throws ConfigError for the first value that makes no sense */
export function parseConfig(env: Environment): Config {
  return {
    host: text(env, 'HOST', '0.0.0.0'),
    port: integer(env, 'PORT', 3000, ports),
    metricsPort: integer(env, 'METRICS_PORT', 9091, ports),
    databaseUrl: parseDatabaseUrl(text(env, 'DATABASE_URL', 'sqlite:./data/chat.db')),
    databaseConnections: integer(env, 'DATABASE_CONNECTIONS', 10, { min: 1, max: 1000 }),
    migrateOnStart: flag(env, 'MIGRATE_ON_START', true),
    testAccounts: parseAccounts(text(env, 'TEST_ACCOUNTS', '')),
    dependencyUrl: httpAddress(env, 'DEPENDENCY_URL'),
    version: text(env, 'APP_VERSION', '0.0.0-dev'),
    color: text(env, 'APP_COLOR', 'none'),
    release: text(env, 'APP_RELEASE', 'none'),
    commit: text(env, 'APP_COMMIT', 'unknown'),
    drainSeconds: number(env, 'DRAIN_SECONDS', 5, { min: 0, max: 300 }),
    stopSeconds: number(env, 'STOP_SECONDS', 20, { min: 0, max: 3600 }),
    sessionHours: number(env, 'SESSION_HOURS', 12, { min: 0.01, max: 720 }),
    cookieSecure: flag(env, 'COOKIE_SECURE', false),
    trustProxy: flag(env, 'TRUST_PROXY', false),
    replyWordMs: number(env, 'REPLY_WORD_MS', 40, { min: 0, max: 10_000 }),
    logLevel: choice(env, 'LOG_LEVEL', logLevels, 'info'),
    faults: parseFaults(env),
  }
}

function parseDatabaseUrl(url: string): string {
  // A database in memory belongs to one connection, and preparing it takes another.
  if (/^sqlite:(?!.*:memory:)./.test(url)) return url
  if (/^postgres(ql)?:\/\//.test(url) && URL.canParse(url)) return url
  throw new ConfigError(
    'DATABASE_URL must be sqlite:<file> or postgres://<user>:<password>@<host>/<database>',
  )
}

/** `name:password:role`, separated by commas. A password may hold colons, not commas. */
function parseAccounts(list: string): SeedAccount[] {
  const entries = list.split(',').filter((entry) => entry.trim() !== '')
  return entries.map((entry, index) => {
    const [, name, password, role] = /^([^:]+):(.+):(user|admin)$/.exec(entry.trim()) ?? []
    if (!name || !password || (role !== 'user' && role !== 'admin')) {
      throw new ConfigError(
        `TEST_ACCOUNTS: entry ${index + 1} must be name:password:user or name:password:admin`,
      )
    }
    return { name, password, role }
  })
}
