/** One bounded request: on a connection of its own, so that no old one decides who answers. */
import { seconds } from './clock.ts'
import { sentence } from './errors.ts'

export interface Asked {
  method?: string
  headers?: Record<string, string>
  body?: string | undefined
  /** ms for the whole answer */
  within: number
  /** Bytes of the answer that are read; the rest is not waited for. */
  most: number
  signal: AbortSignal
  /** A header of the answer that is wanted too. */
  header?: string
}

export interface Answer {
  status: number
  text: string
  /** There was more of it than was asked for. */
  cut: boolean
  /** What the wanted header says, where there is one. */
  header?: string
}

/** Why there is no whole answer, as a sentence. */
export interface Unanswered {
  failure: string
  /** Nothing went out: there was nobody, or not who it should be. */
  unsent?: true
}

/** Of a connection that did not come about; whatever else fails, fails when something may have arrived. */
const UNSENT =
  /^(ConnectionRefused|ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|FailedToOpenSocket|.*CERT.*|ERR_TLS.*|UNABLE_TO_.*)$/

/**
 * Asks once, on a connection of its own; a redirect is an answer, and is not followed. What goes wrong on the way
 * is told, not thrown, since whoever asks goes on to say what it means.
 * @throws what the signal was aborted with
 */
export async function askOnce(url: URL, asked: Asked): Promise<Answer | Unanswered> {
  const { method = 'GET', headers = {}, body, within, most, signal, header } = asked
  const deadline = AbortSignal.timeout(within)
  try {
    const response = await fetch(url, {
      method,
      headers,
      ...(body !== undefined && { body }),
      redirect: 'manual',
      keepalive: false,
      signal: AbortSignal.any([signal, deadline]),
    })
    const found = header === undefined ? null : response.headers.get(header)
    const answer = { status: response.status, ...(await beginning(response, most)) }
    return found === null ? answer : { ...answer, header: found }
  } catch (error) {
    signal.throwIfAborted()
    if (deadline.aborted) return { failure: `no whole answer within ${seconds(within)}` }
    return { failure: sentence(error), ...(isUnsent(error) && { unsent: true }) }
  }
}

const isUnsent = (error: unknown): boolean =>
  Error.isError(error) && 'code' in error && UNSENT.test(String(error.code))

async function beginning(response: Response, most: number): Promise<{ text: string; cut: boolean }> {
  const decoder = new TextDecoder()
  let [text, bytes] = ['', 0]
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length
    text += decoder.decode(chunk, { stream: true })
    if (bytes > most) return { text, cut: true }
  }
  return { text: text + decoder.decode(), cut: false }
}
