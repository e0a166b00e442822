/** What the platform asks: is it alive, can it work, what is it. */
import { upgradeRequired } from '../errors.ts'
import type { Route } from '../router.ts'
import type { Services } from '../services.ts'
import { SOCKET_PATH } from '../sockets.ts'

export function operationRoutes({ config, drain, readiness }: Services): Route[] {
  const { version, color, release, commit } = config
  const startedAt = new Date().toISOString()

  async function ready(): Promise<Response> {
    const checks = drain.draining
      ? [{ name: 'drain', ok: false, reason: 'shutting down' }]
      : await readiness.checks()
    const ok = checks.every((check) => check.ok)
    return Response.json({ status: ok ? 'ready' : 'not ready', checks }, { status: ok ? 200 : 503 })
  }

  return [
    // Nothing else is asked here: a pod whose database is away must not be restarted for it.
    { method: 'GET', path: '/health', handler: () => Response.json({ status: 'ok' }) },
    { method: 'GET', path: '/ready', handler: ready },
    {
      method: 'GET',
      path: '/version',
      handler: () => Response.json({ version, color, release, commit, startedAt }),
    },
    // What is a WebSocket's handshake never comes here: the server takes it over.
    { method: 'GET', path: SOCKET_PATH, handler: () => Promise.reject(upgradeRequired()) },
  ]
}
