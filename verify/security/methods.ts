/** Methods that a page need not answer. */
import { answered, each, found, type Check } from './check.ts'

export const methodChecks: Check[] = [
  {
    id: 'trace-method',
    severity: 'high',
    expected: 'TRACE is not answered by what was sent',
    fix: 'Refuse TRACE at the server and at the proxy (TraceEnable off).',
    reference: 'https://owasp.org/www-community/attacks/Cross_Site_Tracing',
    probe: async (site) => {
      const paths = [site.settings.pages[0] ?? '/', `/deploy-check-${site.canary}`]
      return each('answer', paths, async (path) => {
        const headers = { 'x-deploy-canary': site.canary }
        const answer = answered(await site.ask({ method: 'TRACE', path, headers }))
        // The path alone may be repeated by an error page; the header is not.
        const echoed = answer.status === 200 && /x-deploy-canary/i.test(answer.text)
        return found(answer, echoed ? 'repeats the request, with its headers' : undefined)
      })
    },
  },
  {
    id: 'allowed-methods',
    severity: 'low',
    expected: 'pages allow no methods that change or echo',
    fix: 'Allow GET, HEAD and OPTIONS on pages.',
    reference:
      'https://owasp.org/www-project-web-security-testing-guide/latest/4-Web_Application_Security_Testing/02-Configuration_and_Deployment_Management_Testing/06-Test_HTTP_Methods',
    probe: (site) =>
      each('page', site.settings.pages, async (path) => {
        const answer = answered(await site.ask({ method: 'OPTIONS', path }))
        const named = (answer.header('allow') ?? '').toUpperCase().split(/\s*,\s*/)
        const unwanted = named.filter((name) => UNWANTED.has(name))
        return found(answer, unwanted.length > 0 ? `allows ${unwanted.join(', ')}` : undefined)
      }),
  },
]

const UNWANTED = new Set('TRACE TRACK CONNECT PUT PATCH DELETE PROPFIND MKCOL COPY MOVE'.split(' '))
