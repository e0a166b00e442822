/** One message, one receiver: whatever it does, the message arrives once, or twice and says so, or is still due. */
import { beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { deliver } from '../../../lib/notify/delivery.ts'
import { messageOf } from '../../../lib/notify/message.ts'
import type { Delivery } from '../../../lib/notify/notices.ts'
import { retryAfter, wrongAddress, type Sender } from '../../../lib/notify/post.ts'
import { slack } from '../../../lib/notify/slack.ts'
import { webhook } from '../../../lib/notify/webhook.ts'
import { certificate, type Pair } from '../../verify/security/certificates.ts'
import { rawServer } from '../servers.ts'
import { FakeClock } from '../world.ts'
import { json, receiver, type Received } from './receivers.ts'
import { subjects } from './subjects.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

const message = messageOf(subjects['rolled-back'], { state: 'rolled-back', at: '2026-11-23T08:04:00Z' })
const secret = `whsec_${Buffer.from('x'.repeat(24)).toString('base64')}`
const toSlack = (url: string): Sender =>
  slack(
    { kind: 'slack', api: 'https://unused.example', on: ['all'] },
    { webhook: `${url}/T/B/a-secret-address` },
  )
const toHook = (url: string): Sender => webhook({ url }, secret)

/** Delivers as a run does that goes on for half a minute. */
async function delivered(
  sender: Sender,
  delivery: Delivery = {},
  within = 30_000,
  signal = new AbortController().signal,
) {
  const clock = new FakeClock()
  const noted: Delivery[] = []
  const note = (): Promise<void> => Promise.resolve(void noted.push({ ...delivery }))
  await deliver(sender, message, delivery, {
    clock,
    signal,
    deadline: within,
    ref: undefined,
    note,
    learnt: () => {},
  })
  return { delivery, noted, slept: clock.slept }
}

test('the intent is stored before the receiver is asked, the receipt after', async () => {
  const order: string[] = []
  await using server = receiver(() => void order.push('asked'))
  const delivery: Delivery = {}
  const note = (): Promise<void> => Promise.resolve(void order.push(delivery.open ? 'intent' : 'receipt'))
  const around = { clock: new FakeClock(), signal: new AbortController().signal, deadline: 1, ref: undefined }
  await deliver(toSlack(server.url), message, delivery, { ...around, note, learnt: () => {} })
  expect(order).toEqual(['intent', 'asked', 'receipt'])
  expect(delivery).toEqual({ at: expect.any(String), sent: '200 ok' })
})

const answers =
  (...all: (() => Response)[]) =>
  (_: Received, n: number) =>
    all[n - 1]?.()
const repeats = (got: readonly Received[]) => got.map((one) => json(one).text.includes('(repeated'))

const busy = () => new Response('', { status: 429, headers: { 'retry-after': '7' } })
const broken = () => new Response('<h1>oops</h1>', { status: 500 })
const lost = () => new Response('', { status: 502 })

describe('a receiver that', () => {
  test('has too many: what it asks for is waited', async () => {
    await using server = receiver(answers(busy, busy))
    const { delivery, slept } = await delivered(toSlack(server.url))
    expect(slept).toEqual([7000, 7000])
    expect(delivery).toEqual({ at: expect.any(String), sent: '200 ok' })
    expect(repeats(server.got)).toEqual([false, false, false])
  })

  test('asks for more time than there is: it stays due', async () => {
    await using server = receiver(() => new Response('', { status: 429, headers: { 'retry-after': '60' } }))
    const { delivery, slept } = await delivered(toSlack(server.url))
    expect([slept, server.got.length]).toEqual([[], 1])
    expect(delivery).toEqual({ at: expect.any(String), failure: '429' })
  })

  test('breaks: it is tried again, with back-off, and arrives', async () => {
    await using server = receiver(answers(broken, broken, broken))
    const { delivery, slept } = await delivered(toSlack(server.url))
    expect(slept).toEqual([1000, 2000, 4000])
    expect(delivery.sent).toBe('200 ok')
    expect(repeats(server.got)).toEqual([false, false, false, false])
  })

  test('breaks for good: it is tried as long as there is time, and stays due', async () => {
    await using server = receiver(() => new Response('no', { status: 503 }))
    const { delivery, slept } = await delivered(toSlack(server.url))
    expect(slept).toEqual([1000, 2000, 4000, 8000])
    expect(delivery).toEqual({ at: expect.any(String), failure: '503 no' })
  })

  test.each([400, 401, 404, 410, 302])('refuses with %p: another try says the same', async (status) => {
    await using server = receiver(() => new Response('no', { status }))
    const { delivery } = await delivered(toSlack(server.url))
    expect(server.got.length).toBe(1)
    expect(delivery).toEqual({ at: expect.any(String), failure: `${status} no` })
  })

  test('resets the connection once it has read: the one repeat says that it may be one', async () => {
    let bodies: string[] = []
    await using server = await rawServer((socket, request) => {
      bodies = [...bodies, request]
      socket.resetAndDestroy()
    })
    const { delivery } = await delivered(toSlack(server.url))
    expect(server.connections).toBe(2)
    expect(delivery).toMatchObject({ unsure: 2, over: 'twice it was not confirmed' })
  })

  test('loses its first answer: the repeat says that it may be one', async () => {
    await using server = receiver(answers(() => new Response('', { status: 504 })))
    const { delivery } = await delivered(toSlack(server.url))
    expect(repeats(server.got)).toEqual([false, true])
    expect(delivery).toMatchObject({ unsure: 1, sent: '200 ok' })
  })

  test('loses its answers, and sorts out repeats: the same id, as often as it takes', async () => {
    await using server = receiver(answers(lost, lost, lost))
    const { delivery } = await delivered(toHook(server.url))
    expect(delivery).toMatchObject({ unsure: 3, sent: '200 ok' })
    expect(new Set(server.got.map(({ headers }) => headers['webhook-id']))).toEqual(
      new Set(['r1.rolled-back']),
    )
    expect(server.got.map((one) => json(one).data.repeated)).toEqual([false, false, false, false])
  })

  test('hangs: when there is no more time it may have arrived, and is due', async () => {
    await using server = receiver(async () => {
      await Bun.sleep(3000)
      return new Response('late')
    })
    const began = performance.now()
    const { delivery } = await delivered(toSlack(server.url), {}, 30_000, AbortSignal.timeout(200))
    expect(performance.now() - began).toBeLessThan(2500)
    expect(delivery).toEqual({ at: expect.any(String), failure: 'no time was left', unsure: 1 })
  })

  describe('has a certificate that', () => {
    let self: Pair
    beforeAll(async () => {
      self = await certificate(90, 'IP:127.0.0.1')
    })
    test('nobody vouches for is told nothing, and is no repeat later', async () => {
      await using server = receiver(undefined, self)
      const { delivery } = await delivered(toSlack(server.url), {}, 0)
      expect(server.got).toEqual([])
      expect(delivery).toEqual({ at: expect.any(String), failure: expect.stringMatching(/certificate/i) })
    })
  })

  test('is not there is told later, and that is no repeat', async () => {
    const { delivery } = await delivered(toSlack('http://127.0.0.1:1'), {}, 0)
    expect(delivery.unsure).toBeUndefined()
    expect(delivery.failure).toBeTruthy()
  })
})

describe('after a run that was killed', () => {
  const cutOff = { at: '2026-11-23T07:00:00Z', open: 'theirs' }
  test('in the middle of a try: the one repeat says that it may be one', async () => {
    await using server = receiver()
    const { delivery } = await delivered(toSlack(server.url), { ...cutOff })
    expect(repeats(server.got)).toEqual([true])
    expect(delivery).toMatchObject({ unsure: 1, sent: '200 ok' })
  })
  test('twice: there is no third', async () => {
    await using server = receiver()
    const { delivery } = await delivered(toSlack(server.url), { ...cutOff, unsure: 1 })
    expect(server.got).toEqual([])
    expect(delivery).toMatchObject({ over: 'twice it was not confirmed' })
    expect(delivery.open).toBeUndefined()
  })
})

test('where somebody else is at it meanwhile, it is his', async () => {
  await using server = receiver()
  const delivery: Delivery = {}
  const note = (): Promise<void> => Promise.resolve(void Object.assign(delivery, { open: 'theirs' }))
  const around = { clock: new FakeClock(), signal: new AbortController().signal, deadline: 1, ref: undefined }
  await deliver(toSlack(server.url), message, delivery, { ...around, note, learnt: () => {} })
  expect(server.got).toEqual([])
})

test('a secret address stands in no failure', async () => {
  await using server = receiver(({ path }) => new Response(`no such hook: ${path}`, { status: 404 }))
  const { delivery } = await delivered(toSlack(server.url))
  expect(delivery.failure).toBe('404 no such hook: /T/B/***')
})

test.each<[string | undefined, number | undefined]>([
  ['120', 120_000],
  ['Mon, 23 Nov 2026 08:00:30 GMT', 30_000],
  ['Mon, 23 Nov 2026 07:00:00 GMT', 0],
  ['soon', undefined],
  [undefined, undefined],
])('Retry-After: %p', (header, ms) => {
  expect(retryAfter(header, Date.parse('2026-11-23T08:00:00Z'))).toBe(ms)
})

test.each([
  ['https://hooks.example/x', true],
  ['http://127.0.0.1:80/x', true],
  ['http://hooks.example/x', false],
  ['file:///etc/passwd', false],
  ['hooks.example', false],
])('a secret address such as %p: %p', (address, taken) =>
  expect(wrongAddress(address) === undefined).toBe(taken),
)
