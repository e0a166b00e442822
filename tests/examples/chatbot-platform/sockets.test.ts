import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { startApp, type AppUnderTest } from './app-under-test.ts'
import { sqlite } from './databases.ts'
import { startPod } from './process.ts'

const database = sqlite()
const settings = { APP_VERSION: '1.2.3', APP_COLOR: 'blue' }
let app: AppUnderTest
beforeAll(async () => {
  await database.start()
  app = await startApp({ ...settings, DATABASE_URL: await database.create() })
})
afterAll(async () => {
  await app.stop()
  await database.stop()
})

interface Client {
  ask(text?: string): Promise<string>
  closed: Promise<number>
}

/** A connection that is open; `ask` waits for the next message, `closed` is its code. */
async function connected(url: string): Promise<Client> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`)
  const closed = new Promise<number>((resolve) =>
    socket.addEventListener('close', ({ code }) => resolve(code)),
  )
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve)
    socket.addEventListener('error', () => reject(new Error('it did not open')))
  })
  const ask = (text = '?'): Promise<string> =>
    new Promise((resolve) => {
      socket.addEventListener('message', ({ data }) => resolve(String(data)), { once: true })
      socket.send(text)
    })
  return { ask, closed }
}

describe('a WebSocket', () => {
  test('answers each message with what runs here', async () => {
    const client = await connected(app.url)
    for (const text of ['', '?', 'x'.repeat(1000)])
      expect(JSON.parse(await client.ask(text))).toEqual({ color: 'blue', version: '1.2.3' })
  })

  test('is closed when a message is larger than any that is meant', async () => {
    const client = await connected(app.url)
    void client.ask('x'.repeat(2000))
    expect(await client.closed).not.toBe(1000)
    expect((await app.call('GET', '/health')).status).toBe(200)
  })

  test('is what /ws asks for: a plain request gets 426', async () => {
    const answer = await app.call('GET', '/ws')
    expect([answer.status, answer.headers.get('upgrade')]).toEqual([426, 'websocket'])
    expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'")
    expect((await app.call('POST', '/ws')).status).toBe(405)
  })

  test('opens nowhere else', async () => {
    const socket = new WebSocket(`${app.url.replace('http', 'ws')}/version`)
    const how = await new Promise((resolve) => {
      socket.addEventListener('open', () => resolve('open'))
      socket.addEventListener('close', () => resolve('closed'))
    })
    expect(how).toBe('closed')
  })
})

test('a pod that is told to stop answers each message, and closes with 1001 right after it', async () => {
  const pod = await startPod({ ...settings, DATABASE_URL: await database.create(), DRAIN_SECONDS: '2' })
  const [busy, idle] = [await connected(pod.url), await connected(pod.url)]
  await busy.ask()
  pod.child.kill('SIGTERM')
  const began = performance.now()
  const left = async (client: Client): Promise<{ code: number; after: number }> => ({
    code: await client.closed,
    after: performance.now() - began,
  })
  const leaving = Promise.all([left(busy), left(idle)])
  while ((await fetch(`${pod.url}/ready`)).ok) await Bun.sleep(10)
  expect(JSON.parse(await busy.ask())).toMatchObject({ version: '1.2.3' })
  const late = await connected(pod.url)
  expect(JSON.parse(await late.ask())).toMatchObject({ version: '1.2.3' })
  const [first, last] = await leaving
  expect([first.code, last.code, await late.closed]).toEqual([1001, 1001, 1001])
  expect(first.after).toBeLessThan(last.after)
  expect(last.after).toBeWithin(1500, 10_000)
  expect(await pod.ended).toBe(0)
}, 30_000)
