/**
 * Prometheus by its HTTP API. What it answers is taken only when it is whole and what was asked for: a server that is
 * gone, hangs, warns, or says something else is unknown, with a sentence.
 * https://prometheus.io/docs/prometheus/latest/querying/api/
 */
import { z } from 'zod'
import { askOnce } from '../http.ts'
import { parseJson } from '../json.ts'
import { plain } from '../text.ts'
import type { Unknown } from './source.ts'

export interface Server {
  url: string
  token?: string | undefined
  /** ms for a whole answer. */
  within: number
  signal: AbortSignal
}

/** One series at one moment. */
export interface Sample {
  labels: Record<string, string>
  value: number
}

export interface Moment {
  /** ms since 1970, as the server's clock has it. */
  at: number
  samples: Sample[]
}

/** More than 1,000 pods with all that is asked of each; 30 minutes of 100 pods. Beyond, it is something else. */
const MOST_SERIES = 30_000
const MOST_BYTES = 8_000_000
const MOST_BYTES_OF_HISTORY = 64_000_000

const labels = z.record(z.string(), z.string())
const point = z.tuple([z.number(), z.string()])
const warnings = z.array(z.string()).default([])

const answer = <T extends z.ZodType>(type: string, series: T) =>
  z.object({
    status: z.literal('success'),
    data: z.object({ resultType: z.literal(type), result: z.array(series) }),
    warnings,
  })
const vector = answer('vector', z.object({ metric: labels, value: point }))
const matrix = answer('matrix', z.object({ metric: labels, values: z.array(point) }))
const failure = z.object({ status: z.literal('error'), error: z.string() })

/** A query as of now, by the server's own clock. */
export async function instant(server: Server, query: string): Promise<Sample[] | Unknown> {
  const found = await ask(server, 'query', { query }, vector, MOST_BYTES)
  if ('unknown' in found) return found
  return found.data.result.map(({ metric, value: [, value] }) => ({ labels: metric, value: Number(value) }))
}

/** The same at each step of a time that has passed, oldest first; in ms. */
export async function range(
  server: Server,
  query: string,
  { from, to, step }: { from: number; to: number; step: number },
): Promise<Moment[] | Unknown> {
  const times = { start: String(from / 1000), end: String(to / 1000), step: String(step / 1000) }
  const found = await ask(server, 'query_range', { query, ...times }, matrix, MOST_BYTES_OF_HISTORY)
  if ('unknown' in found) return found
  const moments = new Map<number, Sample[]>()
  for (const { metric, values } of found.data.result) {
    for (const [at, value] of values) {
      const samples = moments.get(at) ?? []
      samples.push({ labels: metric, value: Number(value) })
      moments.set(at, samples)
    }
  }
  return [...moments].toSorted(([a], [b]) => a - b).map(([at, samples]) => ({ at: at * 1000, samples }))
}

type Answered = { data: { result: unknown[] }; warnings: string[] }

async function ask<T extends Answered>(
  { url, token, within, signal }: Server,
  endpoint: string,
  parameters: Record<string, string>,
  form: z.ZodType<T>,
  most: number,
): Promise<T | Unknown> {
  const asked = await askOnce(new URL(`${url.replace(/\/+$/, '')}/api/v1/${endpoint}`), {
    method: 'POST', // a query may be longer than an address
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    },
    body: new URLSearchParams(parameters).toString(),
    within,
    most,
    signal,
  })
  if ('failure' in asked) return unknown(`does not answer: ${asked.failure}`)
  if (asked.cut) return unknown(`answered with more than ${most / 1e6} MB`)
  const content = parseJson(asked.text)
  const failed = failure.safeParse(content)
  if (failed.success)
    return unknown(`refused the query (HTTP ${asked.status}): ${plain(failed.data.error, 200)}`)
  const parsed = form.safeParse(content)
  if (!parsed.success)
    return unknown(`answered with HTTP ${asked.status} and something else: ${plain(asked.text, 60)}`)
  if (asked.status !== 200) return unknown(`answered with HTTP ${asked.status}`)
  const { data, warnings: warned } = parsed.data
  if (warned[0] !== undefined) return unknown(`warns: ${plain(warned[0], 200)}`)
  const count = data.result.length
  if (count > MOST_SERIES) return unknown(`answered with ${count.toLocaleString('en')} series`)
  return parsed.data
}

const unknown = (what: string): Unknown => ({ unknown: `Prometheus ${what}` })
