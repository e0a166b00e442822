#!/usr/bin/env bun
/**
 * Users, played by a process of its own: a constant rate of requests that nothing slows down (an open model), half of
 * them on new connections, half on connections that are kept. It shares no code with the scripts' own witness, so
 * that each can find the other wrong. Every request is a line of JSON in the log.
 *
 * Beside them, if asked for, WebSockets: each sends a message ten times a second, once it has the answer to the one
 * before, and connects anew as soon as it is closed. A message is lost, and so has failed, when it was sent on an open
 * connection (no close had come from the server yet) and was never answered. A connection that cannot be opened is a
 * failure of its own.
 *
 *   bun examples/rehearsal/traffic.ts URL RATE CONNECTIONS SOCKETS FILE      (until SIGTERM)
 */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { z } from 'zod'
import { until, start } from './program.ts'

export interface Sample {
  /** When it was sent, and when its answer was complete, in ms since the epoch. */
  at: number
  done: number
  kind: 'new' | 'kept' | 'websocket'
  status?: number
  color?: string
  version?: string
  error?: string
}

export interface Traffic {
  /** All requests answered (or failed) so far. */
  samples(): Sample[]
  /**
   * Stops asking, waits for the answers under way. With a moment, not before each kind of connection was answered a
   * request that was sent after it: on a busy machine there may be none for a while.
   */
  stop(after?: number): Promise<Sample[]>
}

/** Starts asking `URL/version`, and waits for the first answers on each kind of connection. */
export async function startTraffic(
  url: string,
  file: string,
  rate = 200,
  connections = 20,
  sockets = 0,
): Promise<Traffic> {
  writeFileSync(file, '')
  const script = new URL(import.meta.url).pathname
  const words = [url, String(rate), String(connections), String(sockets), file]
  const client = start([process.execPath, '--no-orphans', script, ...words], { within: 900_000 })
  const samples = (): Sample[] => {
    const lines = readFileSync(file, 'utf8').split('\n')
    // The last line may be half written.
    return lines.slice(0, -1).map((line): Sample => JSON.parse(line))
  }
  const kinds = ['new', 'kept', ...(sockets > 0 ? ['websocket'] : [])]
  const allAnswered = async (after: number): Promise<void> => {
    await until(`answers of ${url}`, () => {
      const answered = samples().filter((sample) => sample.at > after && !failed(sample))
      return new Set(answered.map(({ kind }) => kind)).size === kinds.length || undefined
    })
  }
  try {
    await allAnswered(0)
  } catch (error) {
    client.signal('SIGKILL')
    throw error
  }
  const stop = async (after = 0): Promise<Sample[]> => {
    await allAnswered(after).finally(() => client.signal('SIGTERM'))
    const { code, stderr } = await client.ended
    if (code !== 0) throw new Error(`the client of ${url} exited with ${code}: ${stderr}`)
    return samples()
  }
  return { samples, stop }
}

/** Whether a user would call it broken. */
export const failed = ({ error, status }: Sample): boolean => error !== undefined || (status ?? 599) >= 500

/** `3 × new: ECONNREFUSED`, most frequent first; empty when nothing failed. */
export function failures(samples: readonly Sample[]): string[] {
  const kinds = Map.groupBy(
    samples.filter(failed),
    ({ kind, error, status }) => `${kind}: ${error ?? status}`,
  )
  return [...kinds]
    .toSorted(([, a], [, b]) => b.length - a.length)
    .map(([what, { length }]) => `${length} × ${what}`)
}

/** Requests a second that were really made. */
export function rateOf(samples: readonly Sample[]): number {
  const times = samples.map(({ at }) => at)
  const span = Math.max(...times) - Math.min(...times)
  return span > 0 ? ((samples.length - 1) * 1000) / span : 0
}

const answer = z.object({ color: z.string(), version: z.string() })

const TIMEOUT = 30_000
const TICK = 5
const FLUSH = 100

/** Between two messages of a WebSocket, and before it tries to open again what could not be opened, in ms. */
const PAUSE = 100

/** One user on WebSockets, until `stopping`. */
async function converse(url: URL, stopping: AbortSignal, tell: (sample: Sample) => void): Promise<void> {
  while (!stopping.aborted) {
    const at = Date.now()
    const socket = new WebSocket(url)
    // Heard before it opens: what is closed at once is closed for good.
    const closed = new Promise<string>((resolve) =>
      socket.addEventListener('close', ({ code, reason }) => resolve(`closed with ${code} ${reason}`.trim())),
    )
    const opened = new Promise<undefined>((resolve) =>
      socket.addEventListener('open', () => resolve(undefined)),
    )
    const refused = await Promise.race([opened, closed, late('did not open')])
    if (refused !== undefined) {
      tell({ at, done: Date.now(), kind: 'websocket', error: refused })
      await Bun.sleep(PAUSE)
      continue
    }
    while (!stopping.aborted && socket.readyState === WebSocket.OPEN) {
      const sample = await message(socket, closed)
      tell(sample)
      if (sample.error) break
      await Promise.race([closed, Bun.sleep(PAUSE)])
    }
    socket.close()
  }
}

async function message(socket: WebSocket, closed: Promise<string>): Promise<Sample> {
  const at = Date.now()
  const answered = new Promise<{ text: string }>((resolve) =>
    socket.addEventListener('message', ({ data }) => resolve({ text: String(data) }), { once: true }),
  )
  socket.send('who answers?')
  const came = await Promise.race([answered, closed, late('was not answered')])
  const sample = { at, done: Date.now(), kind: 'websocket' } as const
  if (typeof came === 'string') return { ...sample, error: `message lost: ${came}` }
  return { ...sample, status: 200, ...answer.parse(JSON.parse(came.text)) }
}

const late = async (what: string): Promise<string> => {
  await Bun.sleep(TIMEOUT)
  return `${what} within ${TIMEOUT / 1000} s`
}

async function main([
  url = '',
  rate = '200',
  connections = '20',
  sockets = '0',
  file = '',
]: string[]): Promise<void> {
  // The bare name "undici" is a stub under Bun.
  const { Agent, Client } = await import('undici/index.js')
  const target = new URL('/version', url)
  const limits = { headersTimeout: TIMEOUT, bodyTimeout: TIMEOUT, connect: { timeout: TIMEOUT } }
  // Not fetch, which does not tell a connection that never opened from an answer that never came.
  const fresh = new Agent({ ...limits, pipelining: 0 })
  const kept = Array.from({ length: Number(connections) }, () => new Client(target.origin, limits))
  const log: Sample[] = []
  const underway = new Set<Promise<void>>()

  const answerOf = async (index: number): Promise<{ status: number; text: string }> => {
    const client = (index % 2 === 0 ? undefined : kept[(index >> 1) % kept.length]) ?? fresh
    const { statusCode, body } = await client.request({
      origin: target.origin,
      path: target.pathname,
      method: 'GET',
      reset: client === fresh,
    })
    return { status: statusCode, text: await body.text() }
  }
  const ask = async (index: number): Promise<void> => {
    const sample = { at: Date.now(), kind: index % 2 === 0 ? ('new' as const) : ('kept' as const) }
    try {
      const { status, text } = await answerOf(index)
      log.push({ ...sample, done: Date.now(), status, ...(status === 200 && answer.parse(JSON.parse(text))) })
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? `${String(error.code)} ` : ''
      log.push({ ...sample, done: Date.now(), error: `${code}${String(error)}` })
    }
  }
  const stopping = new AbortController()
  const live = new URL('/ws', url.replace(/^http/, 'ws'))
  const conversations = Array.from({ length: Number(sockets) }, () =>
    converse(live, stopping.signal, (sample) => void log.push(sample)),
  )
  const write = (): void => {
    const lines = log.splice(0).map((sample) => `${JSON.stringify(sample)}\n`)
    if (lines.length > 0) appendFileSync(file, lines.join(''))
  }

  const began = performance.now()
  let sent = 0
  const asking = setInterval(() => {
    const owed = ((performance.now() - began) / 1000) * Number(rate)
    for (; sent < owed; sent++) {
      const asked = ask(sent).finally(() => underway.delete(asked))
      underway.add(asked)
    }
  }, TICK)
  const writing = setInterval(write, FLUSH)
  process.once('SIGTERM', () => {
    clearInterval(asking)
    stopping.abort()
    void Promise.all([...underway, ...conversations]).then(() => {
      clearInterval(writing)
      write()
      process.exit(0)
    })
  })
}

if (import.meta.main) await main(process.argv.slice(2))
