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
}

export interface Answer {
  status: number
  text: string
  /** There was more of it than was asked for. */
  cut: boolean
}

/** Why there is no whole answer, as a sentence. */
export interface Unanswered {
  failure: string
}

/**
 * Asks once, on a connection of its own; a redirect is an answer, and is not followed. What goes wrong on the way
 * is told, not thrown, since whoever asks goes on to say what it means.
 * @throws what the signal was aborted with
 */
export async function askOnce(url: URL, asked: Asked): Promise<Answer | Unanswered> {
  const { method = 'GET', headers = {}, body, within, most, signal } = asked
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
    return { status: response.status, ...(await beginning(response, most)) }
  } catch (error) {
    signal.throwIfAborted()
    return { failure: deadline.aborted ? `no whole answer within ${seconds(within)}` : sentence(error) }
  }
}

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
