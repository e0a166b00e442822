/**
 * The connections that the load goes down. Behind a balancer that gives a connection to one pod for its life
 * (kube-proxy, a NodePort, most load balancers), who keeps one connection measures one pod: so many are kept and
 * used in turn, and a share of the requests comes on new ones, as users do. Bun's fetch would use the one that it
 * used last, again and again (measured); undici's Client is one connection, and says when it is opened anew.
 */
import { Client } from 'undici/index.js'
import { seconds } from '../../lib/clock.ts'
import { sentence } from '../../lib/errors.ts'

/** One endpoint, as one lane asks for it. */
export interface Exchange {
  url: URL
  method?: string
  headers?: Record<string, string>
  body?: string
  /** Any other status is a failure. */
  status: number
}

/** What came of one request. */
export interface Outcome {
  failure?: string
  /** Its time was out. */
  late?: boolean
  /** The number of the kept connection that it went down; undefined: it had a new one to itself. */
  connection?: number
  /** The pod that answered, where it says so. */
  pod?: string
}

/** One request of so many has a new connection to itself. More would make handshakes the p90 of them all. */
const NEW_EVERY = 20
/** More than any page; of the rest it is enough to know that it is there. */
const MOST_BYTES = 10_000_000
/**
 * A connection that was idle for so long (ms) a server may close in the instant in which it is used again. What
 * only reads is then sent once more, as browsers do (RFC 9110, 9.2.2).
 */
const STALE = 1000
const CLOSED = ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE']
const READS = ['GET', 'HEAD', 'OPTIONS']

export interface Connections {
  /** How many were opened so far. */
  readonly opened: number
  /** Asks once, and reads the whole answer. Never throws. */
  ask(exchange: Exchange): Promise<Outcome>
  /** Whatever is under way ends at once, without an answer. */
  close(): void
}

interface Options {
  /** How many are kept, at least; more where the answer is still out on the one whose turn it is. */
  count: number
  /** For a whole answer, in ms. */
  timeout: number
  /** The header in which the application names the pod that answers. */
  podHeader?: string | undefined
}

/** All exchanges are of one origin. */
export function openConnections(exchanges: readonly Exchange[], options: Options): Connections {
  const { count } = options
  const origin = exchanges[0]?.url.origin ?? ''
  const all = new Set<Connection>()
  let [asked, opened] = [0, 0]
  const open = (): Connection => {
    const connection = new Connection(origin, options, () => ++opened)
    all.add(connection)
    return connection
  }
  const kept = Array.from({ length: count }, open)
  // Each endpoint goes round by itself, so that every connection is asked for each of them equally often.
  const turns = new Map(
    exchanges.map((exchange, i) => [exchange, Math.floor((i * count) / exchanges.length)]),
  )
  const spare: Connection[] = []

  /** The one whose turn it is; where its answer is still out, the one among the others that rested longest. */
  const next = (exchange: Exchange): Connection => {
    const turn = turns.get(exchange) ?? 0
    turns.set(exchange, turn + 1)
    const due = kept[turn % count]
    return due && !due.busy ? due : (spare.shift() ?? open())
  }
  return {
    get opened() {
      return opened
    },
    ask: async (exchange) => {
      if (++asked % NEW_EVERY === 0) {
        const fresh = open()
        const outcome = await fresh.ask(exchange)
        fresh.close()
        all.delete(fresh)
        return outcome
      }
      const connection = next(exchange)
      const outcome = await connection.ask(exchange)
      if (!kept.includes(connection)) spare.push(connection)
      return { ...outcome, connection: connection.number }
    },
    close: () => {
      for (const connection of all) connection.close()
    },
  }
}

/** One that is kept. When it was closed, the next request opens it again, and maybe to another pod. */
class Connection {
  busy = false
  /** Anew each time it is opened. 0: it never was. */
  number = 0
  readonly #options: Options
  readonly #open: () => Client
  #client: Client
  /** When its last answer was there, by `performance.now()`. */
  #used = Number.POSITIVE_INFINITY

  constructor(origin: string, options: Options, opened: () => number) {
    this.#options = options
    this.#open = () => {
      const { timeout } = options
      // An answer's time is kept by `send`.
      const client = new Client(origin, { headersTimeout: 0, bodyTimeout: 0, connect: { timeout } })
      client.on('connect', () => (this.number = opened()))
      return client
    }
    this.#client = this.#open()
  }

  async ask(exchange: Exchange): Promise<Outcome> {
    this.busy = true
    const stale = performance.now() - this.#used >= STALE && READS.includes(exchange.method ?? 'GET')
    let { code, ...outcome } = await send(this.#client, exchange, this.#options)
    if (stale && CLOSED.includes(code ?? ''))
      ({ code, ...outcome } = await send(this.#client, exchange, this.#options))
    if (code !== undefined) {
      // What is left of the answer must not be taken for the next one's.
      this.close()
      this.#client = this.#open()
    }
    this.#used = performance.now()
    this.busy = false
    return outcome
  }

  close(): void {
    this.#client.destroy().catch(() => {})
  }
}

/** `code`: the answer is not whole, and why. */
async function send(
  client: Client,
  { url, method = 'GET', headers = {}, body, status }: Exchange,
  { timeout, podHeader }: Options,
): Promise<Outcome & { code?: string }> {
  const { promise, resolve } = Promise.withResolvers<Outcome & { code?: string }>()
  const late = setTimeout(
    () => resolve({ failure: `no whole answer within ${seconds(timeout)}`, late: true, code: 'LATE' }),
    timeout,
  )
  let [bytes, answered, pod] = [0, 0, undefined as string | undefined]
  client.dispatch(
    { path: url.pathname + url.search, method, headers, ...(body !== undefined && { body }) },
    {
      onRequestStart: () => {}, // undici refuses a handler without it
      onResponseStart: (_, code, told) => {
        answered = code
        const named = podHeader === undefined ? undefined : told[podHeader]
        pod = Array.isArray(named) ? named[0] : named
      },
      onResponseData: (_, chunk) => {
        bytes += chunk.length
        if (bytes > MOST_BYTES)
          resolve({ failure: `an answer of more than ${MOST_BYTES} bytes`, code: 'LONG' })
      },
      onResponseEnd: () =>
        resolve({
          ...(answered !== status && { failure: `status ${answered}` }),
          ...(pod !== undefined && { pod }),
        }),
      onResponseError: (_, error) => resolve(broken(error)),
    },
  )
  const outcome = await promise
  clearTimeout(late)
  return outcome
}

function broken(error: Error): { failure: string; code: string } {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : 'BROKEN'
  const said = sentence(error)
  return { failure: said.includes(code) || code === 'BROKEN' ? said : `${code}: ${said}`, code }
}
