import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { parseFaults } from '../../../examples/chatbot-platform/src/faults.ts'
import { startApp, type AppUnderTest } from './app-under-test.ts'
import { sqlite } from './databases.ts'
import { run, startPod } from './process.ts'

const database = sqlite()
beforeAll(() => database.start())
afterAll(() => database.stop())

/** Runs a check against an app with these faults, and then against one without. */
async function compare<T>(
  faults: Record<string, string>,
  check: (app: AppUnderTest) => Promise<T>,
): Promise<[faulty: T, sound: T]> {
  const seen: T[] = []
  for (const env of [faults, {}]) {
    const app = await startApp({ DATABASE_URL: await database.create(), ...env })
    try {
      seen.push(await check(app))
    } finally {
      await app.stop()
    }
  }
  return seen as [T, T]
}

const statusOf =
  (path: string, headers = {}) =>
  async (app: AppUnderTest) =>
    (await app.call('GET', path, { headers })).status

async function statuses(app: AppUnderTest, count: number, path: string, headers = {}): Promise<number[]> {
  const seen = []
  for (let n = 0; n < count; n++) seen.push(await statusOf(path, headers)(app))
  return seen
}

const begin = async (app: AppUnderTest, faults: Record<string, string>) =>
  (await app.call('POST', '/faults', { body: JSON.stringify(faults) })).status

describe('faults', () => {
  test('FAULT_ERROR_RATE fails every n-th request, probes excepted', async () => {
    const [faulty, sound] = await compare({ FAULT_ERROR_RATE: '0.25' }, async (app) => ({
      version: await statuses(app, 8, '/version', { 'X-Deploy-Verification': '1' }),
      ready: await statuses(app, 8, '/ready'),
      health: await statuses(app, 8, '/health'),
    }))
    expect(faulty.version).toEqual([200, 200, 200, 500, 200, 200, 200, 500])
    expect([...faulty.ready, ...faulty.health, ...sound.version]).toEqual(Array(24).fill(200))
  })

  test('FAULT_LIVE_ERROR_RATE fails users, and spares the checks of a deployment and probes', async () => {
    const [faulty, sound] = await compare({ FAULT_LIVE_ERROR_RATE: '0.5' }, async (app) => ({
      checks: await statuses(app, 6, '/', { 'X-Deploy-Verification': 'd1' }),
      users: await statuses(app, 6, '/'),
      ready: await statuses(app, 6, '/ready'),
    }))
    expect(faulty.users).toEqual([200, 500, 200, 500, 200, 500])
    expect([...faulty.checks, ...faulty.ready, ...sound.users]).toEqual(Array(18).fill(200))
  })

  test('FAULT_SLOW_MS delays all but probes', async () => {
    const [faulty, sound] = await compare({ FAULT_SLOW_MS: '300' }, async (app) => {
      await app.call('GET', '/version')
      await app.call('GET', '/health')
      const durations = app.log
        .filter((line) => line.includes('"request"'))
        .map((line) => JSON.parse(line) as { ms: number })
      return durations.map(({ ms }) => ms)
    })
    expect(faulty[0]).toBeGreaterThanOrEqual(299)
    expect(faulty[1]).toBeLessThan(299)
    expect(sound[0]).toBeLessThan(299)
  })

  test('FAULT_LEAK_MB_PER_REQUEST keeps memory', async () => {
    const env = { DATABASE_URL: await database.create(), DRAIN_SECONDS: '0', FAULT_LEAK_MB_PER_REQUEST: '20' }
    const pod = await startPod(env)
    const memory = async () =>
      Number(/VmRSS:\s+(\d+)/.exec(await Bun.file(`/proc/${pod.child.pid}/status`).text())?.[1]) / 1024
    const before = await memory()
    for (let n = 0; n < 10; n++) await fetch(`${pod.url}/version`)
    const grown = (await memory()) - before
    pod.child.kill('SIGKILL')
    await pod.ended
    expect(grown).toBeGreaterThan(190)
  })

  test('FAULT_NEVER_READY: alive, and not ready for that reason', async () => {
    const [faulty, sound] = await compare({ FAULT_NEVER_READY: '1' }, async (app) => {
      const ready = await app.call('GET', '/ready')
      return [(await app.call('GET', '/health')).status, ready.status, await ready.text()]
    })
    expect(faulty.slice(0, 2)).toEqual([200, 503])
    expect(faulty[2]).toContain('{"name":"fault","ok":false,"reason":"FAULT_NEVER_READY"}')
    expect(sound.slice(0, 2)).toEqual([200, 200])
  })

  test('FAULT_NO_SECURITY_HEADERS', async () => {
    const [faulty, sound] = await compare({ FAULT_NO_SECURITY_HEADERS: '1' }, async (app) => {
      const { headers } = await app.call('GET', '/')
      return [headers.has('content-security-policy'), headers.has('x-content-type-options')]
    })
    expect([faulty, sound]).toEqual([
      [false, false],
      [true, true],
    ])
  })

  test('FAULT_OPEN_ADMIN', async () => {
    expect(await compare({ FAULT_OPEN_ADMIN: '1' }, statusOf('/api/admin/users'))).toEqual([200, 401])
  })

  test('FAULT_BROKEN_LOGIN: the same page, a script that throws', async () => {
    const [faulty, sound] = await compare({ FAULT_BROKEN_LOGIN: '1' }, async (app) => ({
      page: await (await app.call('GET', '/')).text(),
      script: await (await app.call('GET', '/app.js')).text(),
    }))
    expect(faulty.page).toBe(sound.page)
    expect(faulty.script).toContain("throw new Error('fault: FAULT_BROKEN_LOGIN')")
    expect(sound.script).not.toContain('FAULT')
  })

  test('FAULT_CRASH_AT_START ends the process with a reason; a loud line names the fault', async () => {
    const { exitCode, output } = await run('server.ts', { FAULT_CRASH_AT_START: '1' })
    expect(exitCode).toBe(1)
    expect(output).toContain('"level":"warn","message":"FAULT SWITCHED ON: FAULT_CRASH_AT_START=1"')
    expect(output).toContain('FAULT_CRASH_AT_START asks this process to end')
  })

  test('FAULT_REMOTE begins and ends faults while it runs; without it nobody can', async () => {
    const [remote, sound] = await compare({ FAULT_REMOTE: '1' }, async (app) => [
      ...(await statuses(app, 2, '/version')),
      await begin(app, { FAULT_ERROR_RATE: '1', FAULT_PATH: '/version' }),
      ...(await statuses(app, 2, '/version')),
      ...(await statuses(app, 1, '/')),
      await begin(app, { FAULT_DATABASE_ERROR_RATE: '1' }),
      ...(await statuses(app, 1, '/version')),
      ...(await statuses(app, 1, '/api/me', { cookie: 'session=x' })),
    ])
    expect(remote).toEqual([200, 200, 200, 500, 500, 200, 200, 200, 500])
    expect(sound).toEqual([200, 200, 404, 200, 200, 200, 404, 200, 401])
  })

  test('a misspelt fault is refused, and one that is off is not named', () => {
    expect(() => parseFaults({ FAULT_SLOW: '100' })).toThrow('FAULT_SLOW is not a fault')
    expect(parseFaults({ FAULT_SLOW_MS: '0', FAULT_OPEN_ADMIN: 'true' }).active).toEqual([
      'FAULT_OPEN_ADMIN=true',
    ])
  })
})
