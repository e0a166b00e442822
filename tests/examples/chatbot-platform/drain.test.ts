import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Environment } from '../../../examples/chatbot-platform/src/environment.ts'
import { startClients, type Service } from './clients.ts'
import { sqlite } from './databases.ts'
import { failureOf } from './failure.ts'
import { startPod, type Pod } from './process.ts'

const database = sqlite()
beforeAll(() => database.start())
afterAll(() => database.stop())

const portOf = (pod: Pod) => Number(new URL(pod.url).port)

/**
 * What a cluster does: the kubelet sees that the pod is not ready, and some time later the last proxy knows.
 */
async function followReadiness(service: Service, from: Pod, to: Pod): Promise<void> {
  const ready = () =>
    fetch(`${from.url}/ready`).then(
      (response) => response.ok,
      () => false,
    )
  while (await ready()) await Bun.sleep(20)
  await Bun.sleep(300)
  service.port = portOf(to)
}

/** 400 requests a second, on kept and on new connections, while blue is told to stop and green takes over. */
async function replaceUnderLoad(drainSeconds: number) {
  const url = await database.create()
  const env = { DATABASE_URL: url, DRAIN_SECONDS: String(drainSeconds) }
  const blue = await startPod({ ...env, APP_COLOR: 'blue' })
  const green = await startPod({ ...env, APP_COLOR: 'green' })
  const service = { port: portOf(blue) }
  const clients = startClients(service)
  await Bun.sleep(500)
  blue.child.kill('SIGTERM')
  await followReadiness(service, blue, green)
  const exitCode = await blue.ended
  await Bun.sleep(300) // a connection that was cut off would be noticed by the next request on it
  const tally = await clients.stop()
  green.child.kill('SIGKILL')
  await green.ended
  return { tally, exitCode }
}

describe('a pod that is told to stop', () => {
  test('is left by every client, on kept and on new connections, without one failed request', async () => {
    const { tally, exitCode } = await replaceUnderLoad(2)
    expect(tally.failures).toEqual([])
    expect(exitCode).toBe(0)
    expect(tally.answers['blue']).toBeGreaterThan(20)
    expect(tally.answers['green']).toBeGreaterThan(20)
    expect(new Set(tally.last.values())).toEqual(new Set(['green']))
  }, 30_000)

  test('would drop requests without its drain: these clients do notice', async () => {
    const { tally } = await replaceUnderLoad(0)
    expect(tally.failures.length).toBeGreaterThan(0)
  }, 30_000)

  test('is not ready at once, says so on each response, and finishes what is in flight', async () => {
    const pod = await startPod(await settings({ DRAIN_SECONDS: '1', REPLY_WORD_MS: '400' }))
    const reply = await startReply(pod) // 8 words: it outlasts the drain
    pod.child.kill('SIGTERM')

    const ready = await untilNotReady(pod)
    expect(ready.headers.get('connection')).toBe('close')
    expect(await ready.json()).toMatchObject({ status: 'not ready', checks: [{ name: 'drain' }] })
    const other = await fetch(`${pod.url}/health`)
    expect([other.status, other.headers.get('connection')]).toEqual([200, 'close'])

    expect(await reply.text()).toBe('Hello! What would you like to talk about?')
    expect(await pod.ended).toBe(0)
    expect(await failureOf(fetch(`${pod.url}/health`))).toContain('Unable to connect')
  }, 30_000)

  test('breaks off at its limit what does not end', async () => {
    const pod = await startPod(
      await settings({ DRAIN_SECONDS: '0', STOP_SECONDS: '0.2', REPLY_WORD_MS: '10000' }),
    )
    const reply = await startReply(pod)
    pod.child.kill('SIGTERM')
    expect(await failureOf(reply.text())).toContain('socket')
    expect(await pod.ended).toBe(0)
    expect(pod.log.text).toContain('"requests broken off","inFlight":1')
  }, 30_000)
})

const settings = async (env: Environment) => ({
  DATABASE_URL: await database.create(),
  TEST_ACCOUNTS: 'alice:pw:user',
  ...env,
})

/** A reply whose first word is on its way. */
async function startReply(pod: Pod): Promise<Response> {
  const post = (path: string, body: object, headers = {}) =>
    fetch(pod.url + path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...headers },
      body: JSON.stringify(body),
    })
  const signedIn = await post('/api/session', { name: 'alice', password: 'pw' })
  const cookie = { Cookie: signedIn.headers.get('set-cookie')?.split(';')[0] ?? '' }
  const created = await post('/api/conversations', {}, cookie)
  return post(`${created.headers.get('location')}/messages`, { text: 'hello' }, cookie)
}

async function untilNotReady(pod: Pod): Promise<Response> {
  for (;;) {
    const response = await fetch(`${pod.url}/ready`)
    if (!response.ok) return response
    await Bun.sleep(10)
  }
}
