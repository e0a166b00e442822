/** One try to tell a receiver over HTTP, and what is known after it. */
import { z } from 'zod'
import { askOnce } from '../http.ts'
import { parseJson } from '../json.ts'
import { plain } from '../text.ts'
import type { Message } from './message.ts'

/** What came of a try. */
export type Result =
  /** What the receiver said, and what it calls what it was sent, where later messages need that. */
  | { sent: string; ref?: string }
  | {
      failure: string
      /** Another try may help. */
      again: boolean
      /** ms before which the receiver wants none */
      after?: number | undefined
      /** It may have arrived all the same. */
      unsure?: boolean
      ref?: string
    }

/** How a message is sent over one channel. Never throws but what the signal was aborted with. */
export interface Sender {
  /** The receiver sorts out what it has had: it may be told as often as is needed. */
  readonly once: boolean
  /** The sender's own secrets, which must stand in no message and no failure. */
  readonly secrets: readonly string[]
  readonly send: (message: Message, around: Sending) => Promise<Result>
}

export interface Sending {
  signal: AbortSignal
  /** What the receiver called what it was sent first about this record. */
  ref: string | undefined
  /** Wall-clock time in ms */
  now: number
  /** An earlier try may have arrived. */
  repeated: boolean
}

export interface Posting {
  method?: 'POST' | 'PATCH' | 'GET'
  headers?: Record<string, string>
  body?: unknown
  signal: AbortSignal
  now: number
}

/** ms for one answer */
const PATIENCE = 10_000

/** Bytes of an answer that are read. */
const MOST = 64 * 1024

/** Gateways that do not say whether what is behind them was asked. */
const UNSURE = [502, 504]

const AGAIN = [408, 425, 429]

export interface Posted {
  result: Result
  status: number
  text: string
}

/** @returns as `sent` whatever the server called a success; what it means is the channel's to say */
export async function post(address: string, posting: Posting): Promise<Posted> {
  const { method = 'POST', headers = {}, body, signal, now } = posting
  const answer = await askOnce(new URL(address), {
    method,
    headers: {
      'content-type': 'application/json; charset=utf-8',
      'user-agent': 'deploy-scripts',
      ...headers,
    },
    body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body),
    within: PATIENCE,
    most: MOST,
    signal,
    header: 'retry-after',
  })
  if ('failure' in answer) {
    const failure = plain(answer.failure, 200)
    return { status: 0, text: '', result: { failure, again: true, unsure: answer.unsent !== true } }
  }
  const { status, text, header } = answer
  const told = plain(`${status} ${text}`, 200)
  if (status >= 200 && status < 300) return { status, text, result: { sent: told } }
  const again = AGAIN.includes(status) || status >= 500
  const after = retryAfter(header, now)
  return { status, text, result: { failure: told, again, after, unsure: UNSURE.includes(status) } }
}

/** `Retry-After` in ms from `now`: seconds, or a date. https://www.rfc-editor.org/rfc/rfc9110#name-retry-after */
export function retryAfter(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined
  if (/^\d+$/.test(header)) return Number(header) * 1000
  const date = Date.parse(header)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}

const said = z.object({
  ok: z.boolean().optional().catch(undefined),
  error: z.string().optional().catch(undefined),
  ts: z.string().optional().catch(undefined),
  id: z.union([z.string(), z.number()]).optional().catch(undefined),
  messages: z.unknown().optional(),
})

/** What an answer in JSON says, of what any receiver's may. */
export const answered = ({ text }: Pick<Posted, 'text'>): Partial<z.infer<typeof said>> =>
  said.safeParse(parseJson(text)).data ?? {}

/** What of a secret address must be seen nowhere: a receiver may repeat a part of it in what it says. */
export function secretParts(address: string): string[] {
  const { pathname, searchParams } = new URL(address)
  const parts = [...pathname.split('/'), ...searchParams.values()].filter((part) => part.length >= 8)
  return [address, ...parts]
}

/**
 * A secret address from a variable. Over plain HTTP what is secret in it would be read by others on the way, so only
 * this machine may be reached so. @returns what is wrong with it, without naming it
 */
export function wrongAddress(value: string): string | undefined {
  if (!URL.canParse(value)) return 'holds no address'
  const { protocol, hostname } = new URL(value)
  const here = ['localhost', '127.0.0.1', '[::1]'].includes(hostname)
  return protocol === 'https:' || (protocol === 'http:' && here) ? undefined : 'holds no https:// address'
}
