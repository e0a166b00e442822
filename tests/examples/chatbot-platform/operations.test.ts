import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { parseConfig } from '../../../examples/chatbot-platform/src/config.ts'
import { start } from '../../../examples/chatbot-platform/src/server.ts'
import { startApp, type AppUnderTest } from './app-under-test.ts'
import { sqlite } from './databases.ts'

const database = sqlite()
let app: AppUnderTest
beforeAll(async () => {
  await database.start()
  app = await startApp({
    DATABASE_URL: await database.create(),
    APP_VERSION: '1.2.3',
    APP_COLOR: 'blue',
    APP_RELEASE: 'r7',
    APP_COMMIT: 'abc123',
  })
})
afterAll(async () => {
  await app.stop()
  await database.stop()
})

test('/version says what runs here, and no other answer does', async () => {
  const version = (await (await app.call('GET', '/version')).json()) as Record<string, string>
  expect(version).toMatchObject({ version: '1.2.3', color: 'blue', release: 'r7', commit: 'abc123' })
  expect(Date.parse(version['startedAt'] ?? '')).toBeWithin(Date.now() - 60_000, Date.now() + 1)
  const elsewhere = await app.call('GET', '/health')
  expect(JSON.stringify([...elsewhere.headers]) + (await elsewhere.text())).not.toMatch(/1\.2\.3|blue/)
})

describe('/ready', () => {
  test.each([
    ['answers', () => new Response('ok'), true, undefined],
    ['answers with an error', () => new Response('no', { status: 500 }), false, 'answered 500'],
    ['redirects', () => Response.redirect('http://127.0.0.1:1/'), false, 'answered 302'],
    ['hangs', () => Bun.sleep(30_000).then(() => new Response('late')), false, 'no answer within 1 s'],
  ])('follows a dependency that %s', async (_, fetch, ok, reason) => {
    const dependency = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch })
    const other = await startApp({
      DATABASE_URL: await database.create(),
      DEPENDENCY_URL: dependency.url.href,
    })
    const ready = await other.call('GET', '/ready')
    await other.stop()
    await dependency.stop(true)
    expect(ready.status).toBe(ok ? 200 : 503)
    expect(await ready.json()).toEqual({
      status: ok ? 'ready' : 'not ready',
      checks: [
        { name: 'database', ok: true },
        { name: 'dependency', ok, ...(reason && { reason }) },
      ],
    })
  })

  test('tells that a dependency is gone, without its address', async () => {
    const env = { DATABASE_URL: await database.create(), DEPENDENCY_URL: 'http://127.0.0.1:1/' }
    const other = await startApp(env)
    const ready = await other.call('GET', '/ready')
    await other.stop()
    expect([ready.status, await ready.text()]).toEqual([
      503,
      '{"status":"not ready","checks":[{"name":"database","ok":true},{"name":"dependency","ok":false,"reason":"unreachable"}]}',
    ])
  })
})

const metrics = async () => (await fetch(app.metricsUrl)).text()

describe('/metrics', () => {
  test('counts requests by the path of their route, users, conversations, messages, queries and connections', async () => {
    const cookie = await app.signIn('alice')
    const created = await app.call('POST', '/api/conversations', { as: cookie, body: {} })
    const path = created.headers.get('location') ?? ''
    await app.call('POST', `${path}/messages`, { as: cookie, body: { text: 'hi' } })
    await app.call('GET', '/made-up/path')
    await app.call('GET', '/made-up/path', { headers: { 'X-Deploy-Verification': 'r8' } })
    await app.call('LOCK', '/')
    const text = await metrics()
    for (const line of [
      'http_request_duration_seconds_count{method="POST",route="/api/conversations/:id/messages",status="200"} 1',
      'http_request_duration_seconds_count{method="GET",route="unmatched",status="404"} 1',
      'http_request_duration_seconds_count{method="GET",route="unmatched",status="404",verification="true"} 1',
      'db_client_connection_count{state="idle"} 1',
      'db_client_connection_count{state="used"} 0',
      'db_client_connection_max 1',
      'db_client_operation_duration_seconds_count{operation="messages.append"} 1',
      'chatbot_active_users 1',
      'chatbot_conversations_started_total 1',
      'chatbot_messages_total 2',
    ]) {
      expect(text).toContain(`${line}\n`)
    }
    expect(text).toContain('process_resident_memory_bytes')
    expect(text).not.toContain('made-up')
  })

  test.each(['0.005', '0.1', '0.25', '0.5', '1', '10'])('has a bucket at %s s', async (bound) => {
    await app.call('GET', '/health')
    expect(await metrics()).toMatch(
      new RegExp(
        `http_request_duration_seconds_bucket\\{le="${bound}",method="GET",route="/health",status="200"\\} \\d+`,
      ),
    )
  })

  test('are on their own port only', async () => {
    expect((await app.call('GET', '/metrics')).status).toBe(404)
    expect((await fetch(new URL('/api/session', app.metricsUrl))).status).toBe(404)
  })
})

test('a server whose database is away is alive, waits for it, and says that it is not ready', async () => {
  const config = parseConfig({
    HOST: '127.0.0.1',
    PORT: '0',
    METRICS_PORT: '0',
    DRAIN_SECONDS: '0',
    DATABASE_URL: 'postgres://nobody:hidden-password@127.0.0.1:1/none',
  })
  const log: string[] = []
  const failed = Promise.withResolvers<void>()
  const waiting = await start(config, (_, message, fields) => {
    log.push(JSON.stringify({ message, ...fields }))
    if (message.includes('cannot be prepared')) failed.resolve()
  })
  await failed.promise
  const [health, ready] = await Promise.all([fetch(`${waiting.url}/health`), fetch(`${waiting.url}/ready`)])
  const metrics = await (await fetch(waiting.metricsUrl)).text()
  await waiting.stop()
  expect(metrics).toMatch(
    /^db_client_operation_duration_seconds_count\{operation="[^"]+",error_type="\w+"\} \d+$/m,
  )
  expect([health.status, ready.status, await ready.text()]).toEqual([
    200,
    503,
    '{"status":"not ready","checks":[{"name":"database","ok":false,"reason":"unreachable"}]}',
  ])
  expect(log.join()).not.toContain('hidden-password')
})
