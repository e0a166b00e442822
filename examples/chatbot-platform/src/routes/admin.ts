/** What only the role admin may see. */
import type { Route } from '../router.ts'
import type { Services } from '../services.ts'

export function adminRoutes(services: Services): Route[] {
  return [
    {
      method: 'GET',
      path: '/api/admin/users',
      handler: async (call) => {
        await services.requireAdmin(call)
        return Response.json({ users: await services.accounts.list() })
      },
    },
  ]
}
