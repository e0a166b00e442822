/** Receivers of known behaviour, which keep what they were sent. */
import type { Sending } from '../../../lib/notify/post.ts'

export interface Received {
  method: string
  path: string
  headers: Record<string, string>
  body: string
}

export interface Receiver extends AsyncDisposable {
  url: string
  got: Received[]
}

type Answer = Response | Promise<Response> | undefined

/** @param answers what it says to its n-th request; 200 `ok` without */
export function receiver(
  answers: (received: Received, n: number) => Answer = () => undefined,
  tls?: { cert: string; key: string },
): Receiver {
  const got: Received[] = []
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    idleTimeout: 60,
    ...(tls && { tls }),
    fetch: async (request) => {
      const { pathname, search } = new URL(request.url)
      const received = {
        method: request.method,
        path: pathname + search,
        headers: request.headers.toJSON(),
        body: await request.text(),
      }
      got.push(received)
      return (await answers(received, got.length)) ?? new Response('ok')
    },
  })
  return {
    url: `http${tls ? 's' : ''}://127.0.0.1:${server.port}`,
    got,
    [Symbol.asyncDispose]: async () => await server.stop(true),
  }
}

export const json = (received: Received | undefined) => JSON.parse(received?.body ?? 'null')

/** One try, with all the time there is. */
export const sending = (more: Partial<Sending> = {}): Sending => ({
  signal: new AbortController().signal,
  ref: undefined,
  now: Date.now(),
  repeated: false,
  ...more,
})

/** Every text that stands anywhere in a value, with the names of the fields that lead to it. */
export function textsOf(value: unknown, path: string[] = []): { path: string; text: string }[] {
  if (typeof value === 'string') return [{ path: path.join('.'), text: value }]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, item]) => textsOf(item, [...path, name]))
}
