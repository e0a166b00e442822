import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { systemClock } from '../../../lib/clock.ts'
import type { WitnessSettings } from '../../../lib/settings/file.ts'
import {
  colorOf,
  leftBehind,
  startWitness,
  stillMet,
  tally,
  type Sample,
} from '../../../lib/traffic/witness.ts'
import { answer, rawServer, type Treat } from '../servers.ts'
import { FakeClock } from '../world.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

const settings: WitnessSettings = {
  path: '/version?a=b',
  rate: 200,
  connections: 4,
  before: 0,
  after: 0,
  timeout: 2000,
  color: 'color',
  allowedFailures: 0,
}

const blue: Treat = (socket) => void socket.write(answer(200, '{"color":"blue"}'))

/** What a server's clients see, asked so many times. */
async function watch(treat: Treat, enough: number, more: Partial<WitnessSettings> = {}) {
  await using server = await rawServer(treat)
  const witness = await startWitness(server.url, { ...settings, ...more }, systemClock)
  while (witness.samples.length < enough) await Bun.sleep(5)
  const samples = await witness.stop()
  return { samples, connections: server.connections, requests: server.requests, seen: server.seen }
}

const failures = (samples: readonly Sample[]): string[] => samples.flatMap(({ failure }) => failure ?? [])

describe('the witness', () => {
  test('half of its requests open a connection, half keep theirs', async () => {
    const { samples, connections, requests, seen } = await watch(blue, 80)
    const fresh = samples.filter(({ connection }) => connection === 'new').length
    const kept = samples.length - fresh
    expect(requests).toBe(samples.length)
    expect(Math.abs(fresh - kept)).toBeLessThanOrEqual(1)
    expect(connections).toBe(fresh + settings.connections)
    expect(failures(samples)).toEqual([])
    expect(new Set(samples.map(({ color }) => color))).toEqual(new Set(['blue']))
    expect(seen[0]).toBe('GET /version?a=b HTTP/1.1')
    expect(seen.join('\n')).toMatch(/^user-agent: deploy-scripts-witness$/m)
    expect(seen.join('\n')).not.toMatch(/x-deploy-verification/i)
  })

  test('asks at its rate, to the request', async () => {
    await using server = await rawServer(blue)
    const clock = new FakeClock()
    const start = clock.monotonic()
    const witness = await startWitness(server.url, settings, clock)
    for (let owed = 101; owed <= 501; owed += 100) {
      await clock.sleep(500)
      while (witness.samples.length < owed) await Bun.sleep(5)
    }
    const samples = await witness.stop()
    expect(samples).toHaveLength(501)
    expect(witness.skipped).toBe(0)
    expect(samples.map(({ due }) => due - start).toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 501 }, (_, i) => i * 5),
    )
  })

  test('what is overdue by more than a second is never asked, and counted: no burst after a Ctrl-Z', async () => {
    await using server = await rawServer(blue)
    const clock = new FakeClock()
    const witness = await startWitness(server.url, settings, clock)
    await clock.sleep(60_000)
    while (witness.samples.length < 201) await Bun.sleep(5)
    const samples = await witness.stop()
    expect({ asked: samples.length, skipped: witness.skipped }).toEqual({ asked: 201, skipped: 11_800 })
    expect(Math.min(...samples.map(({ due }) => due))).toBe(59_000)
  })

  test('a wall clock that is set is none of its business', async () => {
    await using server = await rawServer(blue)
    const clock = new FakeClock()
    const witness = await startWitness(server.url, settings, clock)
    clock.set(3_600_000)
    await clock.sleep(500)
    while (witness.samples.length < 101) await Bun.sleep(5)
    expect(await witness.stop()).toHaveLength(101)
    expect(witness.skipped).toBe(0)
  })

  test('says which of its kept connections it was', async () => {
    const { samples } = await watch(blue, 80)
    const clients = Map.groupBy(samples, ({ connection, client }) => `${connection} ${client}`)
    expect([...clients.keys()].toSorted()).toEqual(['kept 0', 'kept 1', 'kept 2', 'kept 3', 'new undefined'])
  })

  test('keeps its rate within 2 % on a clock that runs', async () => {
    await using server = await rawServer(blue)
    const witness = await startWitness(server.url, settings, systemClock)
    const started = performance.now()
    // A timer like its own tells how far its own can have come on a machine that is busy.
    let ticked = started
    const timer = setInterval(() => (ticked = performance.now()), 5)
    await Bun.sleep(1500)
    clearInterval(timer)
    const samples = await witness.stop()
    const owed = ((ticked - started) / 1000) * settings.rate
    expect(Math.abs(samples.length - owed)).toBeLessThanOrEqual(owed * 0.02 + 2)
  })

  test.each<[string, Treat, RegExp]>([
    ['an error of the server', (socket) => void socket.write(answer(503, 'no')), /^status 503$/],
    ['a reset', (socket) => socket.resetAndDestroy(), /./],
    ['a connection that is closed without an answer', (socket) => socket.destroy(), /./],
    [
      'half an answer',
      (socket) => void socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf'),
      /./,
    ],
    ['no HTTP', (socket) => void socket.end('SSH-2.0\r\n\r\n'), /./],
  ])('%s is a failure', async (_, treat, reason) => {
    const { samples } = await watch(treat, 20)
    expect(failures(samples)).toHaveLength(samples.length)
    for (const failure of failures(samples)) expect(failure).toMatch(reason)
  })

  test.each([200, 204, 302, 404, 429])('status %p is an answer', async (status) => {
    const { samples } = await watch((socket) => void socket.write(answer(status, '')), 10)
    expect(failures(samples)).toEqual([])
  })

  test('one failure in ten is counted as that', async () => {
    const { samples } = await watch(
      (socket, _, count) => void socket.write(answer(count % 10 === 0 ? 500 : 200, '')),
      60,
    )
    expect(failures(samples)).toHaveLength(Math.floor(samples.length / 10))
  })

  test('nobody there is a failure of each request', async () => {
    const server = await rawServer(blue)
    await server[Symbol.asyncDispose]()
    const witness = await startWitness(server.url, settings, systemClock)
    while (witness.samples.length < 10) await Bun.sleep(5)
    expect(failures(await witness.stop())).toHaveLength(witness.samples.length)
  })

  test('a server that hangs: each request fails in its time, also those that wait for a connection', async () => {
    await using server = await rawServer(() => {})
    const clock = new FakeClock()
    const witness = await startWitness(server.url, { ...settings, connections: 1, timeout: 300 }, clock)
    await clock.sleep(1000)
    while (server.connections < 2) await Bun.sleep(5)
    const started = performance.now()
    const samples = await witness.stop()
    expect(samples).toHaveLength(201)
    expect(failures(samples)).toHaveLength(201)
    // One after the other, the hundred on the one connection that is kept would take half a minute.
    expect(performance.now() - started).toBeLessThan(5000)
  })

  test('a server that hangs in the middle of its answer', async () => {
    const { samples } = await watch(
      (socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{'),
      4,
      {
        rate: 20,
        timeout: 200,
      },
    )
    expect(failures(samples)).toHaveLength(samples.length)
  })

  test('is silent once it is stopped, and stops twice', async () => {
    await using server = await rawServer(blue)
    const clock = new FakeClock()
    const witness = await startWitness(server.url, settings, clock)
    await clock.sleep(100)
    while (witness.samples.length < 5) await Bun.sleep(5)
    await witness.stop()
    const { requests } = server
    await clock.sleep(10_000)
    await Bun.sleep(30)
    expect(server.requests).toBe(requests)
    expect(await witness.stop()).toBe(witness.samples)
  })
})

test.each([
  ['{"color":"blue"}', 'color', 'blue'],
  ['{"build":{"color":"green"}}', 'build.color', 'green'],
  ['{"color":7}', 'color', undefined],
  ['{"color":null}', 'color.x', undefined],
  ['<html>', 'color', undefined],
  ['', 'color', undefined],
  ['{"color":"blue"}', undefined, undefined],
  ['{"color":"blue"}', '__proto__', undefined],
])('colorOf(%p, %p) is %p', (text, path, expected) => expect(colorOf(text, path)).toBe(expected))

const sample = (done: number, more: Partial<Sample> = {}): Sample => ({
  due: done,
  done,
  connection: 'new',
  ...more,
})

const counted = (...samples: Sample[]) => tally(samples, 1000, 'green')

describe('tally', () => {
  test('of nothing', () => {
    expect(counted()).toEqual({
      requests: 0,
      onNewConnections: 0,
      onKeptConnections: 0,
      failures: 0,
      failuresBefore: 0,
      requestsBefore: 0,
      reasons: [],
    })
  })

  test.each<[string, Sample[], object]>([
    [
      'the moment of the patch itself is after it',
      [sample(999), sample(1000)],
      { requestsBefore: 1, requests: 1 },
    ],
    [
      'a request that was sent before the patch and answered after it counts after it',
      [sample(1001, { due: 900, failure: 'reset' })],
      { failures: 1, failuresBefore: 0 },
    ],
    [
      'by the kind of connection',
      [sample(1001), sample(1002, { connection: 'kept' }), sample(1003, { connection: 'kept' })],
      { onNewConnections: 1, onKeptConnections: 2 },
    ],
    [
      'first of the new and last of the old, in the order in which they came, not in which they were noted',
      [
        sample(1900, { color: 'blue', connection: 'kept' }),
        sample(1300, { color: 'green' }),
        sample(1200, { color: 'green' }),
        sample(1250, { color: 'blue' }),
      ],
      { firstNew: 200, lastOld: 900, lastOldOnNew: 250, lastOldOnKept: 900 },
    ],
    [
      'reasons, most frequent first, five at the most',
      ['a', 'b', 'b', 'c', 'd', 'e', 'f'].map((failure) => sample(1001, { failure })),
      { failures: 7, reasons: ['2 × b', '1 × a', '1 × c', '1 × d', '1 × e'] },
    ],
  ])('%s', (_, samples, expected) => expect(counted(...samples)).toMatchObject(expected))

  test('where no color is named, no time is made up', () => {
    const found = counted(sample(1001), sample(1002))
    expect([found.firstNew, found.lastOld, found.lastOldOnNew]).toEqual([undefined, undefined, undefined])
  })
})

describe('stillMet: new connections that the color which is left still gets', () => {
  test.each<[string, Sample[], number]>([
    ['none', [], 0],
    ['of the other color', [sample(1100, { color: 'blue' }), sample(1200, { color: 'blue' })], 2],
    ['not before', [sample(999, { color: 'blue' })], 0],
    ['not those that were opened before', [sample(1100, { due: 999, color: 'blue' })], 0],
    ['not those that are kept', [sample(1100, { color: 'blue', connection: 'kept', client: 0 })], 0],
    ['not the one that is meant, nor who names none', [sample(1100, { color: 'green' }), sample(1100)], 0],
  ])('%s', (_, samples, expected) => expect(stillMet(samples, 1000, 'green')).toBe(expected))
})

const kept = (done: number, client: number, color?: string): Sample =>
  sample(done, { connection: 'kept', client, ...(color && { color }) })

describe('leftBehind: kept connections that are on the color which was left, as far as is known', () => {
  test.each<[string, Sample[], number[]]>([
    ['who has said nothing yet may be there', [], [0, 1]],
    ['nor does what was said before count', [kept(999, 0, 'green'), kept(999, 1, 'green')], [0, 1]],
    ['one is', [kept(1100, 0, 'green'), kept(1100, 1, 'blue')], [1]],
    ['none is', [kept(1100, 0, 'green'), kept(1100, 1, 'green')], []],
    ['the last word counts', [kept(1100, 1, 'green'), kept(1100, 0, 'green'), kept(1050, 1, 'blue')], []],
    ['an error page is no word', [kept(1100, 0, 'green'), kept(1100, 1, 'blue'), kept(1200, 1)], [1]],
    ['a new connection is nobody of theirs', [sample(1100, { color: 'green' })], [0, 1]],
  ])('%s', (_, samples, expected) => expect(leftBehind(samples, 1000, 'blue', 2)).toEqual(expected))
})
