/** What comes in must not come out: as markup, as a header, as an address to go to, or as a file. GET requests alone. */
import { NotApplicable, answered, each, found, type Check, type Fault } from './check.ts'
import type { Answer, Question } from './client.ts'
import { isHtml } from './site.ts'

const cheat = 'https://cheatsheetseries.owasp.org/cheatsheets'
const guide =
  'https://owasp.org/www-project-web-security-testing-guide/latest/4-Web_Application_Security_Testing'
const EVIL = 'evil.invalid'

/** Names that pages take from their address. */
const PARAMETERS = ['q', 'query', 'search', 's', 'name', 'id', 'next', 'message', 'error', 'lang']

const PASSWD = /^root:[^:\n]*:0:0:/m

export const inputChecks: Check[] = [
  {
    id: 'reflected-input',
    severity: 'high',
    expected: 'what an address holds is not written into a page unescaped',
    fix: 'Escape by the context it is written to; use a template engine that does.',
    reference: `${cheat}/Cross_Site_Scripting_Prevention_Cheat_Sheet.html`,
    probe: (site) => {
      const probe = `${site.canary}"'<zx>`
      const query = PARAMETERS.map((name) => `${name}=${encodeURIComponent(probe)}`).join('&')
      const pages = site.settings.pages.map((path) => ({ path: `${path}${joint(path)}${query}` }))
      // Raw, as no browser would send it, but as other clients do.
      const questions: Question[] = [...pages, { path: `/${probe}` }]
      return each('page', questions, async (question) => {
        const answer = answered(await site.ask(question))
        return found(answer, isHtml(answer) ? reflection(answer.text, site.canary) : undefined)
      })
    },
  },
  {
    id: 'header-injection',
    severity: 'high',
    expected: 'a line break in an address does not become a header',
    fix: 'Refuse control characters in whatever is put into a header.',
    reference: `${guide}/07-Input_Validation_Testing/15-Testing_for_HTTP_Response_Splitting`,
    probe: (site) => {
      const probe = `%0d%0aX-Deploy-Canary:%20${site.canary}`
      const { pages, redirects } = site.settings
      const questions: Question[] = [
        ...pages.map((path) => ({ path: `${path}${joint(path)}q=${probe}&lang=${probe}` })),
        { path: `/${probe}` },
        ...redirects.map(({ path, parameter }) => ({
          path: `${path}${joint(path)}${encodeURIComponent(parameter)}=/${probe}`,
        })),
      ]
      return each('answer', questions, async (question) => {
        const answer = answered(await site.ask(question))
        const injected = answer.header('x-deploy-canary') !== undefined
        return found(answer, injected ? 'makes a header of what the address holds' : undefined)
      })
    },
  },
  {
    id: 'open-redirect',
    severity: 'medium',
    expected: 'no redirect leads to another site',
    fix: 'Redirect to paths of the application alone: parse the address and compare its origin.',
    reference: `${cheat}/Unvalidated_Redirects_and_Forwards_Cheat_Sheet.html`,
    probe: (site) => {
      const { redirects } = site.settings
      if (redirects.length === 0) throw new NotApplicable('no redirects are declared')
      const targets = [`https://${EVIL}/`, `//${EVIL}/`, `/\\${EVIL}/`, `https:${EVIL}`]
      const questions = redirects.flatMap(({ path, parameter }) =>
        targets.map((to) => ({
          path: `${path}${joint(path)}${encodeURIComponent(parameter)}=${encodeURIComponent(to)}`,
        })),
      )
      return each('redirect', questions, async (question) => {
        const answer = answered(await site.ask(question))
        return found(answer, offSite(answer, site.client.url))
      })
    },
  },
  {
    id: 'host-header',
    severity: 'low',
    expected: 'links and redirects do not repeat the host that a client names',
    fix: 'Take the public address from the configuration, and X-Forwarded-Host from trusted proxies alone.',
    reference: `${guide}/07-Input_Validation_Testing/17-Testing_for_Host_Header_Injection`,
    probe: async (site) => {
      const path = site.settings.pages[0] ?? '/'
      // That it answers at all, or a refusal would prove nothing.
      await site.page(path)
      // Over https the client would ask for the certificate of that host.
      const names = site.https ? ['x-forwarded-host'] : ['host', 'x-forwarded-host']
      return each('answer', names, async (name) => {
        const note = `${name}: ${EVIL}`
        // A proxy that does not know the host may refuse it by 503, as HAProxy and cloud balancers do.
        const answer = await site.ask({ path, headers: { [name]: EVIL }, note })
        if (answer.status >= 500) return []
        const repeated = answer.header('location')?.includes(EVIL) || answer.text.includes(EVIL)
        return found(answer, repeated ? `repeats the ${name} header` : undefined)
      })
    },
  },
  {
    id: 'path-traversal',
    severity: 'critical',
    expected: 'no path leads to files outside of what is served',
    fix: 'Resolve the path and refuse what is not below the folder; better, serve a fixed set of files.',
    reference: 'https://owasp.org/www-community/attacks/Path_Traversal',
    probe: (site) => {
      const paths = [
        '/../../../../../../etc/passwd',
        '/..%2f..%2f..%2f..%2f..%2fetc%2fpasswd',
        '/static/../../../../../../etc/passwd',
        '/%252e%252e/%252e%252e/%252e%252e/%252e%252e/etc/passwd',
      ]
      return each('path', paths, async (path) => {
        const answer = answered(await site.ask({ path }))
        return found(answer, PASSWD.test(answer.text) ? 'serves /etc/passwd' : undefined)
      })
    },
  },
]

const joint = (path: string): string => (path.includes('?') ? '&' : '?')

/**
 * Whether the canary, sent as `canary"'<zx>`, came back able to break out: of text by `<`, or of an attribute by
 * the quote that it stands in. Pure.
 */
export function reflection(html: string, canary: string): Fault {
  const quote = `(?:"|&quot;|&#34;|&#x22;)`
  const ways: [string, RegExp][] = [
    ['as a tag', new RegExp(`${canary}[^<>\\s]{0,24}<zx>`)],
    ['inside an attribute', new RegExp(`=\\s*"[^"<>]*${canary}"`)],
    ['inside an attribute', new RegExp(`=\\s*'[^'<>]*${canary}${quote}'`, 'i')],
  ]
  const way = ways.find(([, pattern]) => pattern.test(html))
  return way ? `writes the address into the page unescaped, ${way[0]}` : undefined
}

/** A redirect that leaves the site; how browsers read the address, not how it is written. Pure. */
export function offSite({ status, header }: Pick<Answer, 'status' | 'header'>, site: URL): Fault {
  const location = header('location')
  if (status < 300 || status >= 400 || location === undefined) return undefined
  return URL.parse(location, site.href)?.hostname === EVIL ? `redirects to ${EVIL}` : undefined
}
