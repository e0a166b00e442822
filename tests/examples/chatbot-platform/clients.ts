/**
 * What stands before two pods, and the users behind it: new connections go where the Service points, and a
 * connection that is kept alive stays with its pod until that pod says that it closes it.
 */
import { Client, buildConnector } from 'undici/index.js'

export interface Service {
  port: number
}

export interface Tally {
  /** How many answers each color gave. */
  answers: Record<string, number>
  failures: string[]
  /** The color that gave the last answer to each connection-keeping client. */
  last: Map<number, string>
}

const KEEPING = 20
const RENEWING = 20
/** Each client asks ten times a second: 200 requests a second together on each kind of connection. */
const EVERY_MS = 100

/** Runs the clients until `stop` is called. */
export function startClients(service: Service): { stop(): Promise<Tally> } {
  const tally: Tally = { answers: {}, failures: [], last: new Map() }
  const stopping = new AbortController()

  async function ask(client: Client): Promise<string> {
    const { statusCode, body } = await client.request({ method: 'GET', path: '/version' })
    const { color } = (await body.json()) as { color: string }
    if (statusCode !== 200) throw new Error(`status ${statusCode}`)
    tally.answers[color] = (tally.answers[color] ?? 0) + 1
    return color
  }

  async function repeat(work: () => Promise<void>): Promise<void> {
    while (!stopping.signal.aborted) {
      const next = performance.now() + EVERY_MS
      await work().catch((error: Error) => tally.failures.push(error.message))
      await Bun.sleep(Math.max(0, next - performance.now()))
    }
  }

  const keeping = Array.from({ length: KEEPING }, async (_, number) => {
    const client = connectedTo(service)
    await repeat(async () => void tally.last.set(number, await ask(client)))
    await client.close()
  })
  const renewing = Array.from({ length: RENEWING }, () =>
    repeat(async () => {
      const client = connectedTo(service)
      try {
        await ask(client)
      } finally {
        await client.close()
      }
    }),
  )

  return {
    async stop() {
      stopping.abort()
      await Promise.all([...keeping, ...renewing])
      return tally
    },
  }
}

/** A client whose connections go to whichever pod the Service points to at that moment. */
function connectedTo(service: Service): Client {
  const connect = buildConnector({})
  return new Client('http://service.invalid', {
    keepAliveTimeout: 60_000,
    connect: (options, callback) =>
      connect({ ...options, hostname: '127.0.0.1', host: '127.0.0.1', port: String(service.port) }, callback),
  })
}
