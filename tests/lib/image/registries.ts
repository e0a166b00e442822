/** A registry with something in front of it, as clouds have: rules for tags, a token service, too much to do. */
import { serveRegistry } from '../../../sandbox/registry.ts'

export interface Fronted extends Disposable {
  /** `127.0.0.1:PORT` */
  host: string
  /** `PUT /v2/chat/manifests/1.2.3`, in order. */
  asked: string[]
}

/** Answers of `treat` come first; what it does not answer goes to a registry of its own. */
export function fronted(
  treat: (request: Request, host: string) => Response | undefined | Promise<Response | undefined>,
): Fronted {
  const behind = serveRegistry()
  const asked: string[] = []
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: async (request): Promise<Response> => {
      const { pathname, search } = new URL(request.url)
      asked.push(`${request.method} ${pathname}`)
      const answer = await treat(request, `127.0.0.1:${server.port}`)
      if (answer) return answer
      const body = request.body ? await request.arrayBuffer() : null
      const { method, headers } = request
      return await fetch(`http://${behind.address}${pathname}${search}`, { method, headers, body })
    },
  })
  const stop = (): void => (void server.stop(true), behind.stop())
  return { host: `127.0.0.1:${server.port}`, asked, [Symbol.dispose]: stop }
}

const refused = (status: number, code: string): Response =>
  Response.json({ errors: [{ code, message: 'x' }] }, { status })

/** Tags, once given, stay: as ECR (400), ACR (409) and Harbor (412) say it. */
export function immutable(status: number): Fronted {
  const given = new Set<string>()
  return fronted((request) => {
    const tag = /\/manifests\/(?!sha256:)(.+)$/.exec(request.url)?.[1]
    if (request.method !== 'PUT' || tag === undefined) return undefined
    if (given.has(tag)) return refused(status, 'TAG_INVALID')
    given.add(tag)
    return undefined
  })
}
