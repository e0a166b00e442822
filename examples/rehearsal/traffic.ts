#!/usr/bin/env bun
/**
 * Users, played by a process of its own: a constant rate of requests that nothing slows down (an open model), half of
 * them on new connections, half on connections that are kept. It shares no code with the scripts' own witness, so
 * that each can find the other wrong. Every request is a line of JSON in the log.
 *
 *   bun examples/rehearsal/traffic.ts URL RATE CONNECTIONS FILE      (until SIGTERM)
 */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { z } from 'zod'
import { until, start } from './program.ts'

export interface Sample {
  /** When it was sent, and when its answer was complete, in ms since the epoch. */
  at: number
  done: number
  kind: 'new' | 'kept'
  status?: number
  color?: string
  version?: string
  error?: string
}

export interface Traffic {
  /** All requests answered (or failed) so far. */
  samples(): Sample[]
  /** Stops asking, waits for the answers under way. */
  stop(): Promise<Sample[]>
}

/** Starts asking `URL/version`, and waits for the first answers on either kind of connection. */
export async function startTraffic(
  url: string,
  file: string,
  rate = 200,
  connections = 20,
): Promise<Traffic> {
  writeFileSync(file, '')
  const script = new URL(import.meta.url).pathname
  const words = [url, String(rate), String(connections), file]
  const client = start([process.execPath, '--no-orphans', script, ...words], { within: 900_000 })
  const samples = (): Sample[] => {
    const lines = readFileSync(file, 'utf8').split('\n')
    // The last line may be half written.
    return lines.slice(0, -1).map((line): Sample => JSON.parse(line))
  }
  const answered = (kind: Sample['kind']) =>
    samples().some((sample) => sample.kind === kind && !failed(sample))
  try {
    await until(`answers of ${url}`, () => (answered('new') && answered('kept') ? true : undefined))
  } catch (error) {
    client.signal('SIGKILL')
    throw error
  }
  const stop = async (): Promise<Sample[]> => {
    client.signal('SIGTERM')
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

async function main([url = '', rate = '200', connections = '20', file = '']: string[]): Promise<void> {
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
    void Promise.all(underway).then(() => {
      clearInterval(writing)
      write()
      process.exit(0)
    })
  })
}

if (import.meta.main) await main(process.argv.slice(2))
