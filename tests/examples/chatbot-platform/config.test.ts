import { describe, expect, test } from 'bun:test'
import { parseConfig } from '../../../examples/chatbot-platform/src/config.ts'
import { run } from './process.ts'

test('everything has a default', () => {
  expect(parseConfig({})).toMatchObject({
    host: '0.0.0.0',
    port: 3000,
    metricsPort: 9091,
    databaseUrl: 'sqlite:./data/chat.db',
    drainSeconds: 5,
    migrateOnStart: true,
    testAccounts: [],
    dependencyUrl: undefined,
  })
})

test('an empty value is as good as none', () => {
  expect(parseConfig({ PORT: '', DATABASE_URL: '', COOKIE_SECURE: '', DEPENDENCY_URL: '' })).toEqual(
    parseConfig({}),
  )
})

test('a password may hold colons', () => {
  expect(parseConfig({ TEST_ACCOUNTS: 'alice:a:b:user, root:pw:admin,' }).testAccounts).toEqual([
    { name: 'alice', password: 'a:b', role: 'user' },
    { name: 'root', password: 'pw', role: 'admin' },
  ])
})

describe('a bad value is refused in one sentence', () => {
  test.each([
    [{ PORT: '80a' }, 'PORT must be a number from 0 to 65535, not "80a"'],
    [{ PORT: '70000' }, 'PORT must be a number from 0 to 65535, not "70000"'],
    [{ METRICS_PORT: '1.5' }, 'METRICS_PORT must be a whole number, not "1.5"'],
    [{ DRAIN_SECONDS: '-1' }, 'DRAIN_SECONDS must be a number from 0 to 300, not "-1"'],
    [{ DRAIN_SECONDS: 'NaN' }, 'DRAIN_SECONDS must be a number from 0 to 300, not "NaN"'],
    [{ COOKIE_SECURE: 'yes' }, 'COOKIE_SECURE must be true or false, not "yes"'],
    [{ LOG_LEVEL: 'loud' }, 'LOG_LEVEL must be one of debug, info, warn, error, not "loud"'],
    [{ DEPENDENCY_URL: 'example' }, 'DEPENDENCY_URL must be an absolute http:// or https:// address'],
    [{ FAULT_ERROR_RATE: '2' }, 'FAULT_ERROR_RATE must be a number from 0 to 1, not "2"'],
    [
      { DATABASE_URL: 'mysql://u:hidden@h/d' },
      'DATABASE_URL must be sqlite:<file> or postgres://<user>:<password>@<host>/<database>',
    ],
    [
      { DATABASE_URL: 'sqlite::memory:' },
      'DATABASE_URL must be sqlite:<file> or postgres://<user>:<password>@<host>/<database>',
    ],
    [
      { TEST_ACCOUNTS: 'a:b:user,alice:hidden' },
      'TEST_ACCOUNTS: entry 2 must be name:password:user or name:password:admin',
    ],
  ])('%j', (env, sentence) => {
    expect(() => parseConfig(env)).toThrow(new Error(sentence))
  })

  test('and the process ends with 1', async () => {
    const { exitCode, output } = await run('server.ts', { PORT: 'eighty' })
    expect(exitCode).toBe(1)
    expect(output).toMatch(/^\{"time":"[^"]+","level":"error","message":"ConfigError: PORT must be .*"\}\n$/)
  })
})
