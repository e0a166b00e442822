/** Whether pages of other sites may read what a user sees. */
import { each, found, answered, type Check, type Fault } from './check.ts'
import type { Answer } from './client.ts'
import { sessionHeaders } from './session.ts'

export const corsChecks: Check[] = [
  {
    id: 'cors-reflection',
    severity: 'high',
    expected: 'no foreign origin may read answers with the user’s credentials',
    fix: 'Allow a fixed list of origins; never repeat the Origin header or null together with Allow-Credentials.',
    reference:
      'https://owasp.org/www-project-web-security-testing-guide/latest/4-Web_Application_Security_Testing/11-Client-side_Testing/07-Testing_Cross_Origin_Resource_Sharing',
    probe: async (site) => {
      const { url, live } = site.client
      const plain = site.https ? [`http://${url.host}`] : []
      const hosts = [url, live ?? url].map(({ host }) => host)
      const origins = ['https://evil.invalid', 'null', ...plain, ...[...new Set(hosts)].flatMap(lookalikes)]
      const user = await site.userIfAny()
      const [endpoint] = site.readable
      const page = { path: site.settings.pages[0] ?? '/', headers: {}, as: '' }
      const own = user && { headers: sessionHeaders(user.session), as: ` with the session of ${user.name}` }
      const places = endpoint ? [page, { path: endpoint.path, headers: {}, as: '', ...own }] : [page]
      const allowed = async (
        place: typeof page,
        method: string,
        origin: string,
      ): Promise<[Answer, Fault]> => {
        const asking = method === 'OPTIONS' ? { 'access-control-request-method': 'GET' } : {}
        const headers = { ...place.headers, origin, ...asking }
        const note = `Origin: ${origin}${place.as}`
        const answer = answered(await site.ask({ method, path: place.path, headers, note }))
        return [answer, sharing(answer, origin)]
      }
      const questions = places.flatMap((place) => [
        ...origins.map((origin) => ({ place, method: 'GET', origin })),
        { place, method: 'OPTIONS', origin: 'https://evil.invalid' },
      ])
      return each('foreign request', questions, async ({ place, method, origin }) => {
        const [answer, fault] = await allowed(place, method, origin)
        const kin = fault && sibling(origin, site.canary)
        // Who allows all subdomains allows this one as well, and means to.
        if (kin !== undefined && (await allowed(place, method, kin))[1]) return []
        return found(answer, fault)
      })
    },
  },
]

/**
 * Origins that a server takes for its own which looks only at how one begins or ends: `https://app.example.com.evil.invalid`,
 * `https://evilapp.example.com` and `https://evilexample.com`. Pure.
 */
export function lookalikes(host: string): string[] {
  const labels = host.split('.')
  const isName = /[a-z]/i.test(labels.at(-1) ?? '')
  const ends = labels.slice(0, -1).map((_, at) => labels.slice(at).join('.'))
  const suffixes = isName ? [host, ...ends.slice(1)] : [host]
  return [`https://${host}.evil.invalid`, ...suffixes.map((suffix) => `https://evil${suffix}`)]
}

/** Another name beside `https://evilapp.example.com`; none beside one that would be anybody's. */
function sibling(origin: string, name: string): string | undefined {
  const [, parent] = /^https:\/\/evil[^.]+\.([^.]+\..*[a-z].*)$/i.exec(origin) ?? []
  return parent === undefined ? undefined : `https://${name}.${parent}`
}

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
