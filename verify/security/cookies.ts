/** How cookies are set. */
import { parseSetCookie, type Cookie } from 'set-cookie-parser'
import type { Severity } from '../../lib/settings/gates.ts'
import { NotApplicable, counted, each, found, type Check } from './check.ts'

interface Flaw {
  problem: string
  severity: Severity
}

/** Shorter values are settings: nobody guards a session with so little. */
const SHORTEST_SECRET = 16

export const cookieChecks: Check[] = [
  {
    id: 'cookie-flags',
    severity: 'high',
    expected: 'session cookies are HttpOnly and SameSite Lax or Strict, and every cookie Secure over https',
    fix: 'Set-Cookie: …; HttpOnly; Secure; SameSite=Strict; Path=/ and no Domain.',
    reference: 'https://cheatsheetseries.owasp.org/cheatsheets/Session_Management_Cheat_Sheet.html#cookies',
    passive: true,
    probe: async (site) => {
      const pages = site.settings.pages.map((path) => ({ session: false, look: () => site.page(path) }))
      const signIn = { session: true, look: async () => (await site.userIfAny())?.answer }
      let cookies = 0
      const outcome = await each('answer', [signIn, ...pages], async ({ session, look }) => {
        const answer = await look()
        const parsed = parseSetCookie(answer?.cookies ?? [], { decodeValues: false })
        cookies += parsed.length
        return parsed.flatMap((cookie) => {
          const [worst, ...more] = flaws(cookie, { https: site.https, session })
          if (!worst || !answer) return []
          const problem = [worst, ...more].map((flaw) => flaw.problem).join(', ')
          return found(answer, {
            problem: `sets the cookie ${cookie.name} ${problem}`,
            severity: worst.severity,
          })
        })
      })
      const nothing = cookies === 0 && outcome.unanswered.length === 0
      if (nothing) throw new NotApplicable('no answer that was looked at sets a cookie')
      return { ...outcome, seen: counted(cookies, 'cookie') }
    },
  },
]

/** What is wrong with one cookie, the worst first. Pure. */
export function flaws(cookie: Cookie, { https, session }: { https: boolean; session: boolean }): Flaw[] {
  if (cookie.value === '') return []
  const site = cookie.sameSite?.toLowerCase()
  // A token against forged requests is there to be read by the page.
  const guarded = session && cookie.value.length >= SHORTEST_SECRET && !/xsrf|csrf/i.test(cookie.name)
  const found: (Flaw | false)[] = [
    guarded && !cookie.httpOnly && { problem: 'without HttpOnly', severity: 'high' },
    https && !cookie.secure && { problem: 'without Secure', severity: guarded ? 'high' : 'medium' },
    site === 'none' &&
      !cookie.secure && { problem: 'with SameSite=None but without Secure', severity: 'high' },
    guarded && site === undefined && { problem: 'without SameSite', severity: 'medium' },
    guarded && site === 'none' && !!cookie.secure && { problem: 'with SameSite=None', severity: 'medium' },
    guarded && !!cookie.domain && { problem: 'for a whole domain', severity: 'low' },
  ]
  return found.filter((flaw) => flaw !== false)
}
