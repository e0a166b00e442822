/**
 * Marks a browser's requests to one origin with headers. Lighthouse's own `extraHeaders` marks every other
 * origin's requests too, and CORS then refuses fonts and APIs that users get.
 * https://chromedevtools.github.io/devtools-protocol/tot/Fetch/
 */
import { z } from 'zod'

const version = z.object({ webSocketDebuggerUrl: z.string() })
const message = z.object({
  /** Of an answer. */
  id: z.int().optional(),
  error: z.object({ message: z.string() }).optional(),
  /** Of an event. */
  method: z.string().optional(),
  params: z.unknown().optional(),
})
const paused = z.object({
  requestId: z.string(),
  request: z.object({ headers: z.record(z.string(), z.string()) }),
})

/**
 * From now on, and for all pages; but for the look at /robots.txt, which Lighthouse has the browser take by itself.
 * @param port where the browser's debugger listens
 */
export async function markRequests(
  port: number,
  origin: string,
  headers: Readonly<Record<string, string>>,
): Promise<void> {
  const answer = await fetch(`http://127.0.0.1:${port}/json/version`)
  const socket = new WebSocket(version.parse(await answer.json()).webSocketDebuggerUrl)
  const { promise: enabled, resolve, reject } = Promise.withResolvers<void>()
  let id = 0
  const send = (method: string, params: object): void =>
    socket.send(JSON.stringify({ id: ++id, method, params }))
  socket.addEventListener('open', () => send('Fetch.enable', { patterns: [{ urlPattern: `${origin}/*` }] }))
  socket.addEventListener('error', () => reject(new Error("the browser's debugger does not answer")))
  socket.addEventListener('message', ({ data }) => {
    const { id, error, method, params } = message.parse(JSON.parse(String(data)))
    if (id === 1) return error ? reject(new Error(error.message)) : resolve()
    if (method !== 'Fetch.requestPaused') return
    const { requestId, request } = paused.parse(params)
    const marked = Object.entries({ ...request.headers, ...headers }).map(([name, value]) => ({
      name,
      value,
    }))
    send('Fetch.continueRequest', { requestId, headers: marked })
  })
  await enabled
}
