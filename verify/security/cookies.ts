/** How cookies are set. */
import { parseSetCookie, type Cookie } from 'set-cookie-parser'
import type { Severity } from '../../lib/settings/gates.ts'
import { NotApplicable, counted, each, found, type Check } from './check.ts'

interface Flaw {
  problem: string
  severity: Severity
}

/** What a session is called, where nobody has signed in yet to prove it. */
const SESSION = /sess|token|auth(?!or(?!i))|login|jwt|(^|[^a-z])sid(?![a-z])/i

/** A flag has as few characters; what is long and comes with a sign-in is taken for a secret. */
const [LONGEST_FLAG, SHORTEST_SECRET] = [3, 16]

export const cookieChecks: Check[] = [
  {
    id: 'cookie-flags',
    severity: 'high',
    expected: 'session cookies are HttpOnly and SameSite Lax or Strict, and every cookie Secure over https',
    fix: 'Set-Cookie: …; HttpOnly; Secure; SameSite=Strict; Path=/ and no Domain.',
    reference: 'https://cheatsheetseries.owasp.org/cheatsheets/Session_Management_Cheat_Sheet.html#cookies',
    passive: true,
    probe: async (site) => {
      const pages = site.settings.pages.map((path) => ({ signIn: false, look: () => site.page(path) }))
      const user = async () => (await site.userIfAny())?.answer
      const proven = async () => {
        const signedIn = await site.userIfAny()
        return signedIn ? await site.sessionCookies(signedIn) : []
      }
      let cookies = 0
      const outcome = await each(
        'answer',
        [{ signIn: true, look: user }, ...pages],
        async ({ signIn, look }) => {
          const answer = await look()
          const names = signIn ? await proven() : []
          const parsed = parseSetCookie(answer?.cookies ?? [], { decodeValues: false })
          cookies += parsed.length
          return parsed.flatMap((cookie) => {
            const session = names.includes(cookie.name) || isSession(cookie, signIn)
            const [worst, ...more] = flaws(cookie, { https: site.https, session })
            if (!worst || !answer) return []
            const problem = [worst, ...more].map((flaw) => flaw.problem).join(', ')
            return found(answer, {
              problem: `sets the cookie ${cookie.name} ${problem}`,
              severity: worst.severity,
            })
          })
        },
      )
      const nothing = cookies === 0 && outcome.unanswered.length === 0
      if (nothing) throw new NotApplicable('no answer that was looked at sets a cookie')
      return { ...outcome, seen: counted(cookies, 'cookie') }
    },
  },
]

/** What a session looks like, by name or by size. A token against forged requests is there to be read by the page. Pure. */
export function isSession({ name, value }: Pick<Cookie, 'name' | 'value'>, signIn: boolean): boolean {
  if (/xsrf|csrf/i.test(name)) return false
  return (SESSION.test(name) && value.length > LONGEST_FLAG) || (signIn && value.length >= SHORTEST_SECRET)
}

/** What is wrong with one cookie, the worst first. Pure. */
export function flaws(cookie: Cookie, { https, session }: { https: boolean; session: boolean }): Flaw[] {
  if (cookie.value === '') return []
  const site = cookie.sameSite?.toLowerCase()
  const found: (Flaw | false)[] = [
    session && !cookie.httpOnly && { problem: 'without HttpOnly', severity: 'high' },
    https && !cookie.secure && { problem: 'without Secure', severity: session ? 'high' : 'medium' },
    site === 'none' &&
      !cookie.secure && { problem: 'with SameSite=None but without Secure', severity: 'high' },
    session && site === undefined && { problem: 'without SameSite', severity: 'medium' },
    session && site === 'none' && !!cookie.secure && { problem: 'with SameSite=None', severity: 'medium' },
    session && !!cookie.domain && { problem: 'for a whole domain', severity: 'low' },
  ]
  return found.filter((flaw) => flaw !== false)
}
