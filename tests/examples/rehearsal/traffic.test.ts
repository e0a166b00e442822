/** The users of a rehearsal must be able to tell harm from none, or nothing that they witness proves anything. */
import { afterEach, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { ServerWebSocket } from 'bun'
import { until } from '../../../examples/rehearsal/program.ts'
import { failures, startTraffic, type Sample } from '../../../examples/rehearsal/traffic.ts'

const ended: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ended.splice(0)) await end()
})

const ANSWER = JSON.stringify({ color: 'blue', version: '1.0.0' })

/** An application whose WebSockets do `respond` to each message; the so manieth is from 1. */
function serve(respond: (socket: ServerWebSocket, message: number) => void): string {
  let messages = 0
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch: (request, listener) => (listener.upgrade(request) ? undefined : new Response(ANSWER)),
    websocket: { message: (socket) => respond(socket, ++messages) },
  })
  ended.push(() => server.stop(true))
  return server.url.origin
}

const sockets = (samples: readonly Sample[]) => samples.filter(({ kind }) => kind === 'websocket')

/** One user on WebSockets, until it has got so many answers. */
async function watched(url: string, answers: number): Promise<Sample[]> {
  const folder = mkdtempSync('/tmp/traffic-')
  ended.push(() => rmSync(folder, { recursive: true }))
  const traffic = await startTraffic(url, join(folder, 'log'), 20, 1, 1)
  const answered = () =>
    sockets(traffic.samples()).filter(({ error }) => !error).length >= answers || undefined
  await until(`${answers} answers`, answered)
  return await traffic.stop()
}

test('a user on WebSockets meets what answers, beside those on new and on kept connections', async () => {
  const samples = await watched(
    serve((socket) => void socket.send(ANSWER)),
    5,
  )
  expect(failures(samples)).toEqual([])
  expect([...new Set(samples.map(({ kind }) => kind))].toSorted()).toEqual(['kept', 'new', 'websocket'])
  expect(sockets(samples).every(({ version, color }) => version === '1.0.0' && color === 'blue')).toBe(true)
})

test('a connection that is closed after its answer has cost nothing: it is opened anew', async () => {
  const url = serve((socket) => {
    socket.send(ANSWER)
    socket.close(1001)
  })
  expect(failures(await watched(url, 4))).toEqual([])
})

test.each([
  ['closed', (socket: ServerWebSocket) => socket.close(1001)],
  ['cut off', (socket: ServerWebSocket) => socket.terminate()],
])('a message that was sent and never answered is lost, if its connection is %s', async (_, end) => {
  const url = serve((socket, message) => void (message === 3 ? end(socket) : socket.send(ANSWER)))
  const lost = sockets(await watched(url, 5)).filter(({ error }) => error)
  expect(lost.map(({ error }) => error)).toEqual([expect.stringMatching(/^message lost: closed with \d+/)])
})

test('a connection that cannot be opened is a failure, each time', async () => {
  let refusing = false
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch: (request, listener) => (!refusing && listener.upgrade(request) ? undefined : new Response(ANSWER)),
    websocket: {
      message: (socket) => {
        socket.send(ANSWER)
        socket.close(1001)
        refusing = true
        setTimeout(() => (refusing = false), 500)
      },
    },
  })
  ended.push(() => server.stop(true))
  const failed = sockets(await watched(server.url.origin, 2)).filter(({ error }) => error)
  expect(failed.length).toBeGreaterThan(1)
  expect(failed[0]?.error).toMatch(/^closed with \d+/)
})
