/** The app, started in the test's own process on free ports, and a client that speaks to it. */
import { parseConfig } from '../../../examples/chatbot-platform/src/config.ts'
import type { Environment } from '../../../examples/chatbot-platform/src/environment.ts'
import { createLog } from '../../../examples/chatbot-platform/src/log.ts'
import { start, type Running } from '../../../examples/chatbot-platform/src/server.ts'

export interface AppUnderTest extends Running {
  /** What it has logged, a line each. */
  log: string[]
  /** One request; `body` is sent as JSON unless it is a string, `as` is a cookie from signIn. */
  call(method: string, path: string, options?: CallOptions): Promise<Response>
  /** @returns the session's cookie */
  signIn(name: string): Promise<string>
}

interface CallOptions {
  as?: string
  body?: unknown
  headers?: Record<string, string>
}

const settings = {
  HOST: '127.0.0.1',
  PORT: '0',
  METRICS_PORT: '0',
  DRAIN_SECONDS: '0',
  REPLY_WORD_MS: '1',
  LOG_LEVEL: 'debug',
  TEST_ACCOUNTS: 'alice:alice-password:user,bob:bob-password:user,root:root-password:admin',
}

export async function startApp(env: Environment): Promise<AppUnderTest> {
  const log: string[] = []
  const config = parseConfig({ ...settings, ...env })
  const running = await start(
    config,
    createLog(config.logLevel, (line) => log.push(line)),
  )
  if (config.migrateOnStart) await running.prepared

  const call: AppUnderTest['call'] = (method, path, { as, body, headers } = {}) =>
    fetch(running.url + path, {
      method,
      headers: {
        ...(as !== undefined && { Cookie: as }),
        ...(body !== undefined && { 'Content-Type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })

  async function signIn(name: string): Promise<string> {
    const response = await call('POST', '/api/session', { body: { name, password: `${name}-password` } })
    const cookie = response.headers.get('set-cookie')?.split(';')[0]
    if (response.status !== 200 || !cookie)
      throw new Error(`${name} cannot sign in: ${await response.text()}`)
    return cookie
  }

  return { ...running, log, call, signIn }
}
