/**
 * What response headers must say. Severities follow MDN's HTTP Observatory and the OWASP Secure Headers Project.
 * Each rule judges one answer and is pure.
 */
import type { Severity } from '../../lib/settings/gates.ts'
import { NotApplicable, answered, each, found, type Check, type Fault } from './check.ts'
import type { Answer } from './client.ts'
import { contentSecurityPolicy, framing } from './csp.ts'
import { isHtml, type Site } from './site.ts'

interface Rule extends Omit<Check, 'probe' | 'passive' | 'mends'> {
  /** Declared pages and an HTML error page; these and what protected endpoints answer; what an account sees. */
  on: 'pages' | 'answers' | 'private'
  httpsOnly?: true
  judge: (answer: Answer) => Fault
}

const mdn = 'https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers'
const owasp = 'https://cheatsheetseries.owasp.org/cheatsheets/HTTP_Headers_Cheat_Sheet.html'

/** In seconds: the least that browsers' preload lists take, and the least that the Observatory does. */
const YEAR = 31_536_000
const HALF_A_YEAR = 15_768_000

const rules: Rule[] = [
  {
    id: 'content-security-policy',
    severity: 'high',
    expected: 'every page has an enforced Content-Security-Policy that scripts cannot get around',
    fix: "Send Content-Security-Policy: default-src 'none' and allow only what the page loads, without 'unsafe-inline'.",
    reference: 'https://cheatsheetseries.owasp.org/cheatsheets/Content_Security_Policy_Cheat_Sheet.html',
    on: 'pages',
    judge: (answer) => contentSecurityPolicy(answer.header('content-security-policy')),
  },
  {
    id: 'framing',
    severity: 'medium',
    expected: 'no page can be framed by another site',
    fix: "Send frame-ancestors 'none' in the Content-Security-Policy, or X-Frame-Options: DENY.",
    reference: 'https://cheatsheetseries.owasp.org/cheatsheets/Clickjacking_Defense_Cheat_Sheet.html',
    on: 'pages',
    judge: (answer) => framing(answer.header('content-security-policy'), answer.header('x-frame-options')),
  },
  {
    id: 'hsts',
    severity: 'high',
    expected: 'every answer over https has Strict-Transport-Security of at least a year',
    fix: 'Send Strict-Transport-Security: max-age=31536000; includeSubDomains.',
    reference:
      'https://cheatsheetseries.owasp.org/cheatsheets/HTTP_Strict_Transport_Security_Cheat_Sheet.html',
    on: 'answers',
    address: 'answers',
    httpsOnly: true,
    judge: (answer) => strictTransport(answer.header('strict-transport-security')),
  },
  {
    id: 'content-type-options',
    severity: 'medium',
    expected: 'every answer has X-Content-Type-Options: nosniff',
    fix: 'Send X-Content-Type-Options: nosniff with every answer.',
    reference: `${mdn}/X-Content-Type-Options`,
    on: 'answers',
    // Of several, browsers take the first (Fetch, "determine nosniff").
    judge: (answer) => only('x-content-type-options', /^nosniff\s*(,|$)/i, answer),
  },
  {
    id: 'content-type',
    severity: 'medium',
    expected: 'every answer is declared as what it is, and text with its charset',
    fix: 'Send Content-Type: text/html; charset=utf-8 with pages, application/json with JSON.',
    reference: `${mdn}/Content-Type`,
    on: 'answers',
    judge: contentType,
  },
  {
    id: 'referrer-policy',
    severity: 'low',
    expected: 'no page tells other sites its whole address',
    fix: 'Send Referrer-Policy: no-referrer, or strict-origin-when-cross-origin.',
    reference: `${mdn}/Referrer-Policy`,
    on: 'pages',
    // The last one is what browsers take; the ones before are for old browsers.
    judge: (answer) =>
      only(
        'referrer-policy',
        /(^|,)\s*(no-referrer|same-origin|strict-origin(-when-cross-origin)?)\s*$/i,
        answer,
      ),
  },
  {
    id: 'permissions-policy',
    severity: 'low',
    expected: 'every page says which of the browser’s features it uses',
    fix: 'Send Permissions-Policy: camera=(), geolocation=(), microphone=() and what else is not used.',
    reference: `${mdn}/Permissions-Policy`,
    on: 'pages',
    judge: (answer) => only('permissions-policy', /=/, answer),
  },
  {
    id: 'cross-origin-opener-policy',
    severity: 'low',
    expected: 'no page shares its window with other sites',
    fix: 'Send Cross-Origin-Opener-Policy: same-origin.',
    reference: `${mdn}/Cross-Origin-Opener-Policy`,
    on: 'pages',
    judge: (answer) =>
      only(
        'cross-origin-opener-policy',
        /^(same-origin|same-origin-allow-popups|noopener-allow-popups)\s*(;|$)/i,
        answer,
      ),
  },
  {
    id: 'cross-origin-resource-policy',
    severity: 'low',
    expected: 'no answer can be embedded by other sites',
    fix: 'Send Cross-Origin-Resource-Policy: same-origin.',
    reference: `${mdn}/Cross-Origin-Resource-Policy`,
    on: 'answers',
    judge: (answer) => only('cross-origin-resource-policy', /^same-(origin|site)$/i, answer),
  },
  {
    id: 'software-disclosure',
    severity: 'low',
    expected: 'no answer names the software and version that made it',
    fix: 'Remove the header at the server or the proxy (server_tokens off; app.disable("x-powered-by")).',
    reference:
      'https://owasp.org/www-project-secure-headers/#prevent-information-disclosure-via-http-headers',
    on: 'answers',
    judge: softwareDisclosure,
  },
  {
    id: 'xss-protection',
    severity: 'low',
    expected: 'no answer switches on the XSS filter of old browsers, which has holes of its own',
    fix: 'Remove X-XSS-Protection, or send 0; a Content-Security-Policy does its work.',
    reference: `${mdn}/X-XSS-Protection`,
    on: 'answers',
    judge: (answer) =>
      /^\s*1/.test(answer.header('x-xss-protection') ?? '') ? 'has X-XSS-Protection: 1' : undefined,
  },
  {
    id: 'cache-control',
    severity: 'medium',
    expected: 'what an account sees is kept in no cache',
    fix: 'Send Cache-Control: no-store with everything that needs a session.',
    reference: owasp,
    on: 'private',
    judge: cacheControl,
  },
]

export const headerChecks: Check[] = rules.map(({ on, httpsOnly, judge, ...rule }) => ({
  ...rule,
  ...(on !== 'private' && { passive: true }),
  ...(rule.address && { mends: async (site) => !judge(await site.page(site.settings.pages[0] ?? '/')) }),
  probe: async (site) => {
    if (httpsOnly && !site.https) throw new NotApplicable('it is reached over plain http')
    return each(on === 'pages' ? 'page' : 'answer', await looks[on](site), async (look) => {
      const answer = await look()
      return answer ? found(answer, judge(answer)) : []
    })
  },
}))

type Look = () => Promise<Answer | undefined>

const looks: Record<Rule['on'], (site: Site) => Promise<Look[]>> = {
  pages: async (site) => [
    ...site.settings.pages.map((path) => () => site.page(path)),
    async () => {
      const error = await site.missing()
      return isHtml(error) ? error : undefined
    },
  ],
  answers: async (site) => [
    ...site.settings.pages.map((path) => () => site.page(path)),
    () => site.missing(),
    ...site.settings.protected.map((endpoint) => async () => answered(await site.withoutSession(endpoint))),
  ],
  private: async (site) => {
    const user = await site.session('user')
    return [async () => user.answer, ...site.readable.map((endpoint) => () => site.read(endpoint, user))]
  },
}

/** The header must be there and say that. */
function only(name: string, allowed: RegExp, answer: Answer): Fault {
  const value = answer.header(name)?.trim()
  const title = name.replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase())
  if (value === undefined || value === '') return `has no ${title}`
  return allowed.test(value) ? undefined : `has ${title}: ${value}`
}

export function strictTransport(value: string | undefined): Fault {
  if (value === undefined) return 'has no Strict-Transport-Security'
  // Where a proxy sends it too, browsers take the first (RFC 6797, 8.1).
  const [first = ''] = value.split(',')
  const ages = first.split(';').map((directive) => /^\s*max-age\s*=\s*"?(\d+)"?\s*$/i.exec(directive)?.[1])
  const age = Number(ages.find((seconds) => seconds !== undefined))
  if (age >= YEAR) return undefined
  const problem = `has Strict-Transport-Security: ${value}, less than a year`
  return age >= HALF_A_YEAR ? { problem, severity: 'low' } : problem
}

export function contentType(answer: Answer): Fault {
  if (answer.bytes === 0) return undefined
  const type = answer.header('content-type')
  if (!type) return 'has no Content-Type'
  if (isHtml(answer) && /^\s*[[{]/.test(answer.text)) return 'declares what looks like JSON as HTML'
  const inPage = /<meta[^>]+charset=/i.test(answer.text.slice(0, 1024))
  if (isHtml(answer) && !/charset=/i.test(type) && !inPage)
    return { problem: 'has HTML without a charset', severity: 'low' }
  return undefined
}

/** The names are of the OWASP Secure Headers Project's list, those that are seen in the wild. */
const TALKATIVE =
  'x-powered-by x-aspnet-version x-aspnetmvc-version x-generator x-runtime x-version x-php-version x-cms x-backend-server x-server liferay-portal x-drupal-cache x-envoy-upstream-service-time x-jenkins'.split(
    ' ',
  )

export function softwareDisclosure(answer: Answer): Fault {
  const server = answer.header('server') ?? ''
  const version = /\d\.\d/.test(server) ? [`Server: ${server}`] : []
  const others = TALKATIVE.flatMap((name) => {
    const value = answer.header(name)
    return value === undefined ? [] : [`${name}: ${value}`]
  })
  const all = [...version, ...others]
  return all.length > 0 ? `says ${all.join(', ')}` : undefined
}

export function cacheControl(answer: Answer): Fault {
  const value = answer.header('cache-control') ?? ''
  if (/\bno-store\b/i.test(value)) return undefined
  const problem = value ? `has Cache-Control: ${value}` : 'has no Cache-Control'
  const severity: Severity = /\bprivate\b/i.test(value) ? 'low' : 'medium'
  return { problem: `${problem}, without no-store`, severity }
}
