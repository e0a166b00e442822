/** Proxies as they stand before applications: plain, strict about hosts, or with headers of their own. */
import { Agent } from 'undici/index.js'
import { serve, type Served } from './application.ts'

/** What proxies are told to add, whether or not the application sends it too. */
const DOUBLED = [
  'content-security-policy',
  'x-frame-options',
  'strict-transport-security',
  'x-content-type-options',
  'referrer-policy',
  'permissions-policy',
  'cross-origin-opener-policy',
  'cross-origin-resource-policy',
]

export type Kind = 'plain' | 'strict' | 'doubling'

/** Hands everything on as it came; `strict` answers 503 to hosts that it does not know. */
export async function proxy(origin: string, kind: Kind): Promise<Served> {
  const agent = new Agent({ pipelining: 0 })
  let known = ''
  const served = await serve(async ({ method, path, headers, body }) => {
    if (kind === 'strict' && headers.host !== known)
      return { status: 503, body: `no such host: ${headers.host}` }
    const { connection: _connection, ...sent } = headers
    const answer = await agent.request({
      origin,
      path,
      method,
      headers: sent,
      reset: true,
      ...(body !== '' && { body }),
    })
    const came = Object.entries(answer.headers).flatMap(([name, value = '']) => {
      if (['connection', 'content-length', 'transfer-encoding', 'keep-alive'].includes(name)) return []
      const twice = kind === 'doubling' && DOUBLED.includes(name) && typeof value === 'string'
      return [[name, twice ? [value, value] : value] as const]
    })
    return { status: answer.statusCode, headers: Object.fromEntries(came), body: await answer.body.text() }
  })
  known = new URL(served.url).host
  return {
    ...served,
    [Symbol.asyncDispose]: async () => {
      await agent.destroy()
      await served[Symbol.asyncDispose]()
    },
  }
}
