/** Whether pages of other sites may read what a user sees. */
import { each, found, answered, type Check, type Fault } from './check.ts'
import type { Answer } from './client.ts'

export const corsChecks: Check[] = [
  {
    id: 'cors-reflection',
    severity: 'high',
    expected: 'no foreign origin may read answers with the user’s credentials',
    fix: 'Allow a fixed list of origins; never repeat the Origin header or null together with Allow-Credentials.',
    reference:
      'https://owasp.org/www-project-web-security-testing-guide/latest/4-Web_Application_Security_Testing/11-Client-side_Testing/07-Testing_Cross_Origin_Resource_Sharing',
    probe: (site) => {
      const { host } = site.client.url
      const plain = site.https ? [`http://${host}`] : []
      const origins = ['https://evil.invalid', 'null', `https://${host}.evil.invalid`, ...plain]
      const [endpoint] = site.readable
      const paths = [site.settings.pages[0] ?? '/', ...(endpoint ? [endpoint.path] : [])]
      const questions = paths.flatMap((path) => [
        ...origins.map((origin) => ({ method: 'GET', path, origin })),
        { method: 'OPTIONS', path, origin: 'https://evil.invalid' },
      ])
      return each('foreign request', questions, async ({ method, path, origin }) => {
        const asking = method === 'OPTIONS' ? { 'access-control-request-method': 'GET' } : {}
        const headers = { origin, ...asking }
        const answer = answered(await site.ask({ method, path, headers, note: `Origin: ${origin}` }))
        return found(answer, sharing(answer, origin))
      })
    },
  },
]

/** What an answer allows a foreign origin. `*` without credentials shows what anybody may fetch anyway. Pure. */
export function sharing(answer: Pick<Answer, 'header'>, origin: string): Fault {
  const allowed = answer.header('access-control-allow-origin')?.trim()
  const credentials = /^\s*true\s*$/i.test(answer.header('access-control-allow-credentials') ?? '')
  if (allowed === origin && credentials) return `lets the origin ${origin} read it with credentials`
  if (allowed === '*' && credentials)
    return { problem: 'allows * with credentials, which browsers refuse', severity: 'medium' }
  const varies = /(^|,)\s*(origin|\*)\s*(,|$)/i.test(answer.header('vary') ?? '')
  if (allowed === origin && !varies)
    return { problem: `repeats the origin ${origin} without Vary: Origin`, severity: 'low' }
  return undefined
}
