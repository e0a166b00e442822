/** Signing in and out. */
import { readJson, requireText } from '../body.ts'
import { tooManyAttempts, unauthorized } from '../errors.ts'
import type { Call, Route } from '../router.ts'
import type { Services } from '../services.ts'

export function sessionRoutes(services: Services): Route[] {
  const { accounts, sessions, signInLimit } = services

  async function signIn({ request, address, secure }: Call): Promise<Response> {
    const body = await readJson(request)
    const name = requireText(body, 'name', 100)
    const password = requireText(body, 'password', 1000)
    const key = `${address} ${name}`
    const wait = signInLimit.take(key)
    if (wait > 0) throw tooManyAttempts(wait)
    if (!(await accounts.verify(name, password))) throw unauthorized('Name or password is wrong.')
    signInLimit.clear(key)
    return Response.json({ name }, { headers: { 'Set-Cookie': await sessions.open(name, secure) } })
  }

  async function signOut({ request, secure }: Call): Promise<Response> {
    return new Response(null, {
      status: 204,
      headers: { 'Set-Cookie': await sessions.close(request, secure) },
    })
  }

  return [
    { method: 'POST', path: '/api/session', handler: signIn },
    { method: 'DELETE', path: '/api/session', handler: signOut },
    {
      // For the page: it asks before anybody has signed in, and a 401 would be an error in the browser's
      // console.
      method: 'GET',
      path: '/api/session',
      handler: async ({ request }) => Response.json({ account: (await sessions.find(request)) ?? null }),
    },
    {
      method: 'GET',
      path: '/api/me',
      handler: async (call) => Response.json(await services.requireAccount(call)),
    },
  ]
}
