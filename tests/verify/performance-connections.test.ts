import { expect, test } from 'bun:test'
import { createServer, type Server, type Socket } from 'node:net'
import { openConnections, type Exchange, type Outcome } from '../../verify/performance/connections.ts'

interface Peer extends AsyncDisposable {
  exchange: Exchange
  /** How many connections it was asked on, and how often on each. */
  asked: number[]
}

/** Answers each request by what is said of it: `undefined` closes the connection in its place, `null` is no answer. */
async function peer(
  answer: (number: number, connection: number) => string | null | undefined,
  about: Partial<Exchange> = {},
): Promise<Peer> {
  const asked: number[] = []
  let number = 0
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    const connection = asked.push(0) - 1
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('data', () => {
      asked[connection]!++
      const body = answer(++number, connection)
      if (body === undefined) socket.destroy()
      else if (body !== null)
        socket.write(
          `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\nx-pod: p${connection}\r\n\r\n${body}`,
        )
    })
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : 0
  return {
    asked,
    exchange: { url: new URL(`http://127.0.0.1:${port}/`), status: 200, ...about },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((done) => server.close(done))
    },
  }
}

async function asking(
  { exchange }: Peer,
  times: number,
  options: { count?: number; podHeader?: string; timeout?: number } = {},
): Promise<Outcome[]> {
  const connections = openConnections([exchange], { count: 1, timeout: 5000, ...options })
  const outcomes: Outcome[] = []
  for (let i = 0; i < times; i++) outcomes.push(await connections.ask(exchange))
  connections.close()
  return outcomes
}

test('a connection that failed costs one request, and is opened anew', async () => {
  await using server = await peer((number) => (number === 2 ? undefined : 'ok'))
  const outcomes = await asking(server, 5)
  expect(outcomes.map(({ failure }) => failure !== undefined)).toEqual([false, true, false, false, false])
  expect(outcomes.map(({ connection }) => connection)).toEqual([1, 1, 2, 2, 2])
  expect(server.asked).toEqual([2, 3])
})

test('those that are kept are used in turn, and the twentieth request has one to itself', async () => {
  await using server = await peer(() => 'ok')
  const outcomes = await asking(server, 40, { count: 3, podHeader: 'x-pod' })
  expect(server.asked.toSorted((a, b) => a - b)).toEqual([1, 1, 12, 13, 13])
  expect(outcomes.flatMap(({ connection }, i) => (connection === undefined ? [i + 1] : []))).toEqual([20, 40])
  expect(new Set(outcomes.map(({ pod }) => pod)).size).toBe(5)
})

test('what only reads is sent once more where a rested connection was closed, and nothing else is', async () => {
  for (const [method, failed] of [
    ['GET', false],
    ['POST', true],
  ] as const) {
    await using server = await peer((number) => (number === 2 ? undefined : 'ok'), { method })
    const connections = openConnections([server.exchange], { count: 1, timeout: 5000 })
    await connections.ask(server.exchange)
    await Bun.sleep(1050)
    const { failure } = await connections.ask(server.exchange)
    connections.close()
    expect(failure !== undefined).toBe(failed)
  }
})

test('where the answer is still out on the one whose turn it is, a spare one is opened once, and used again', async () => {
  await using server = await peer(() => 'ok')
  const connections = openConnections([server.exchange], { count: 1, timeout: 5000 })
  for (let round = 0; round < 4; round++) {
    const outcomes = await Promise.all([1, 2, 3].map(() => connections.ask(server.exchange)))
    expect(outcomes.map(({ failure = 'answered' }) => failure)).toEqual(['answered', 'answered', 'answered'])
  }
  expect([connections.opened, server.asked.length]).toEqual([3, 3])
  connections.close()
})

test('an answer that does not come is late, and says after how long', async () => {
  await using server = await peer((number) => (number === 1 ? null : 'ok'))
  const [late, after] = await asking(server, 2, { timeout: 300 })
  expect(late).toMatchObject({ late: true, failure: expect.stringContaining('no whole answer within') })
  expect(after?.failure).toBeUndefined()
})
