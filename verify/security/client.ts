/**
 * The requests of the security checks: paced, counted, bounded in number, time and size, each on a connection of
 * its own. undici sends a path as it is given; Bun's fetch folds `..` away and loses the answer to TRACE.
 */
import { pipeline, type Duplex, type Readable } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import { Agent } from 'undici/index.js'
import type { Target } from '../../lib/check.ts'
import { seconds, systemClock } from '../../lib/clock.ts'
import { sentence } from '../../lib/errors.ts'
import { Silent, Unanswered, shortened } from './check.ts'
import type { Secrets } from './secrets.ts'

/** More than a catalogue with many declared endpoints needs; a loop would meet it. */
const MOST_REQUESTS = 400
const AT_ONCE = 4
const MOST_BYTES = 512 * 1024
/** How long what is insisted on may take in all once the run was interrupted, in ms: who interrupts waits for it. */
const GRACE = 2000
/** Requests without an answer in time, after which no more are made: nobody waits for forty of them. */
const PATIENCE = 3

export interface Question {
  method?: string
  /** Where something else than the target is asked: `http://host`. */
  origin?: string
  /** Sent as it is. */
  path: string
  headers?: Record<string, string>
  body?: string | undefined
  /** What is special about it, fit to be shown: "without a session". */
  note?: string
  /** What makes something is not interrupted once it is sent; what removes it is sent whatever happens. */
  insist?: 'once sent' | 'always'
}

export interface Answer {
  method: string
  path: string
  /** The path as it may be told. */
  shown: string
  note: string
  status: number
  /** Several of one name are joined by a comma; undefined where there is none. */
  header: (name: string) => string | undefined
  /** The Set-Cookie lines. */
  cookies: string[]
  /** At most 512 KiB of it. */
  text: string
  bytes: number
}

/** One line of the evidence. */
export interface Logged {
  method: string
  path: string
  note: string
  /** The status, or why there is none. */
  answer: number | string
}

export interface ClientOptions {
  target: Target
  signal: AbortSignal
  secrets: Secrets
  /** Requests a second, at most. */
  rate: number
  /** ms for one whole answer */
  timeout: number
  /** An authority to trust instead of the usual ones. */
  ca: string | undefined
}

export class Client {
  readonly url: URL
  /** Where users are, if that is somewhere else. */
  readonly live: URL | undefined
  readonly requests: Logged[] = []
  readonly #options: ClientOptions
  readonly #agent: Agent
  readonly #underway = new Set<Promise<unknown>>()
  readonly #over = new AbortController()
  #grace: ReturnType<typeof setTimeout> | undefined
  #next = 0
  #silences = 0
  #givenUp: string | undefined

  constructor(options: ClientOptions) {
    const { target, signal, timeout, ca } = options
    this.url = new URL(target.url)
    this.live = target.live === undefined ? undefined : new URL(target.live)
    this.#options = options
    signal.addEventListener('abort', () => this.#interrupted(), { once: true })
    if (signal.aborted) this.#interrupted()
    const connect = { timeout, ...(ca !== undefined && { ca }) }
    this.#agent = new Agent({ pipelining: 0, headersTimeout: timeout, bodyTimeout: timeout, connect })
  }

  /** @throws Unanswered, or what the run was aborted with */
  async ask(question: Question): Promise<Answer> {
    const { signal, rate } = this.#options
    while (this.#underway.size >= AT_ONCE) await Promise.race(this.#underway)
    const { promise: over, resolve: end } = Promise.withResolvers<void>()
    this.#underway.add(over)
    try {
      const due = Math.max(performance.now(), this.#next)
      this.#next = due + 1000 / rate
      if (question.insist !== 'always') await systemClock.sleep(Math.max(0, due - performance.now()), signal)
      return await this.#send(question)
    } finally {
      this.#underway.delete(over)
      end()
    }
  }

  /** From now on every question is unanswered, for this reason. */
  giveUp(reason: string): void {
    this.#givenUp ??= reason
  }

  #interrupted(): void {
    this.#grace ??= setTimeout(() => this.#over.abort(), GRACE)
  }

  async close(): Promise<void> {
    clearTimeout(this.#grace)
    await this.#agent.destroy()
  }

  async #send({
    method = 'GET',
    origin = this.url.origin,
    path,
    headers,
    body,
    note = '',
    insist,
  }: Question): Promise<Answer> {
    const { target, signal, timeout, secrets } = this.#options
    const optional = insist !== 'always'
    if (optional && this.#givenUp !== undefined) throw new Unanswered(this.#givenUp)
    if (optional && this.requests.length >= MOST_REQUESTS)
      throw new Unanswered(`more than ${MOST_REQUESTS} requests`)
    const shown = shortened(secrets.redact(path))
    const entry: Logged = { method, path: shown, note, answer: 'no answer' }
    this.requests.push(entry)
    const limit = AbortSignal.timeout(timeout)
    const until = AbortSignal.any([insist ? this.#over.signal : signal, limit])
    try {
      const asked = this.#agent.request({
        origin,
        path,
        method,
        reset: true,
        signal: until,
        headers: {
          'user-agent': 'deploy-scripts',
          'x-deploy-verification': target.verification,
          ...headers,
        },
        ...(body !== undefined && { body }),
      })
      // undici hears of an interrupt only once it is connected.
      const { statusCode, headers: answered, body: stream } = await Promise.race([asked, aborted(until)])
      const { text, bytes } = await beginning(decoded(stream, answered['content-encoding']))
      entry.answer = statusCode
      this.#silences = 0
      const cookies = [answered['set-cookie'] ?? []].flat()
      secrets.addCookies(cookies)
      const header = (name: string): string | undefined => {
        const value = answered[name]
        return Array.isArray(value) ? value.join(', ') : value
      }
      return { method, path, shown, note, status: statusCode, header, cookies, text, bytes }
    } catch (error) {
      if (!insist) signal.throwIfAborted()
      const silent = limit.aborted || errorCode(error) === 'UND_ERR_CONNECT_TIMEOUT'
      const why = silent ? `no whole answer within ${seconds(timeout)}` : reason(error)
      entry.answer = why
      if (silent && ++this.#silences >= PATIENCE)
        this.giveUp(`gave up after ${PATIENCE} requests without an answer within ${seconds(timeout)}`)
      const question = `${method} ${shown}: ${why}`
      throw silent ? new Silent(question) : new Unanswered(question, { cause: error })
    }
  }
}

const decoders = new Map<unknown, () => Duplex>([
  ['gzip', createGunzip],
  ['x-gzip', createGunzip],
  ['deflate', createInflate],
  ['br', createBrotliDecompress],
])

/** Some answer compressed to who did not ask for it, and what is in it is judged all the same. */
function decoded(stream: Readable, encoding: unknown): Readable {
  const decoder = decoders.get(encoding)
  // What breaks breaks the reading.
  return decoder ? pipeline(stream, decoder(), () => {}) : stream
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const stop = (): void => reject(signal.reason)
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
}

/** The rest of what is too long is not waited for. */
async function beginning(stream: AsyncIterable<Uint8Array>): Promise<{ text: string; bytes: number }> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of stream) {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes > MOST_BYTES) break
  }
  return { text: Buffer.concat(chunks).toString(), bytes }
}

export function reason(error: unknown): string {
  const code = errorCode(error)
  return code ? `${sentence(error) || 'failed'} (${code})` : sentence(error)
}

export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
