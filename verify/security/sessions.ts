/** Sessions: one that was altered or ended is refused, and passwords cannot be tried without end. */
import { parseJson } from '../../lib/json.ts'
import { NotApplicable, Unanswered, each, found, type Check, type Observation } from './check.ts'
import type { Answer } from './client.ts'
import { refusal } from './access.ts'
import {
  confusions,
  forgeries,
  guessable,
  isSignedByPrivateKey,
  JWKS,
  sessionHeaders,
  signInQuestion,
} from './session.ts'
import type { Protected, SignedIn, Site } from './site.ts'

const sessions = 'https://cheatsheetseries.owasp.org/cheatsheets/Session_Management_Cheat_Sheet.html'

/** An endpoint whose answer shows whether a session is honoured. */
function witness(site: Site): Protected {
  const [endpoint] = site.readable
  if (endpoint) return endpoint
  throw new NotApplicable('no protected endpoint is declared that the test account may read')
}

export const sessionChecks: Check[] = [
  {
    id: 'session-tampered',
    severity: 'critical',
    expected: 'a session that was altered or made up answers 401 or 403',
    fix: 'Look sessions up by their whole value, or verify the signature, with a fixed algorithm, before reading anything.',
    reference: 'https://www.rfc-editor.org/rfc/rfc8725#section-3.1',
    probe: async (site) => {
      const { method, path, headers } = witness(site)
      const { name, session } = await site.session('user')
      const other = site.nameOf('other')
      const names = other === undefined ? undefined : { own: name, other }
      const keys = isSignedByPrivateKey(session)
        ? parseJson((await site.ask({ path: JWKS })).text)
        : undefined
      const all = [...forgeries(session, names), ...confusions(session, keys)]
      return each('altered session', all, async ({ what, session: forged }) => {
        const sent = { ...headers, ...sessionHeaders(forged) }
        const answer = await site.ask({ method, path, headers: sent, note: `with a session: ${what}` })
        return found(answer, refusal(answer, [401, 403]))
      })
    },
  },
  {
    id: 'session-guessable',
    severity: 'high',
    expected: 'session ids have 16 characters at least, and two of them have little in common',
    fix: 'Make session ids of 128 bits from a cryptographically secure generator, and look everything else up by them.',
    reference: `${sessions}#session-id-entropy`,
    probe: async (site) => {
      const [one, other] = await Promise.all([site.session('user'), site.again()])
      const names = await site.sessionCookies(one)
      const pairs = names.map((name) => [valueOf(one, name), valueOf(other, name)] as const)
      const { token } = one.session
      if (token !== undefined) pairs.push([token, other.session.token ?? ''])
      return each('session id', pairs, ([first, second]) =>
        Promise.resolve(found(other.answer, guessable(first, second))),
      )
    },
  },
  {
    id: 'session-after-sign-out',
    severity: 'high',
    expected: 'a session that was ended answers 401 or 403',
    fix: 'End the session on the server at sign-out; deleting the cookie ends it in the browser alone.',
    reference: `${sessions}#session-expiration`,
    probe: async (site) => {
      const { signOut } = site.settings.signIn ?? {}
      if (!signOut) throw new NotApplicable('signIn.signOut is not declared')
      const { method, path, headers } = witness(site)
      // One of its own: the checks beside it still need theirs.
      const second = await site.again()
      const { name, session } = second
      return each('ended session', [session], async () => {
        const own = sessionHeaders(session)
        const ended = await site.ask({
          ...signOut,
          headers: own,
          note: `signing ${name} out`,
          insist: 'once sent',
        })
        if (ended.status >= 400)
          throw new Unanswered(`${signOut.method} ${signOut.path} answered ${ended.status}`)
        site.ended(second)
        const note = `with the session of ${name}, signed out`
        const answer = await site.ask({ method, path, headers: { ...headers, ...own }, note })
        return found(answer, stillOpen(answer))
      })
    },
  },
  {
    id: 'sign-in-rate-limit',
    severity: 'medium',
    expected: 'failed sign-ins are answered by 429 after a few',
    fix: 'Count failed sign-ins by account and address, and answer 429 with Retry-After.',
    reference:
      'https://cheatsheetseries.owasp.org/cheatsheets/Authentication_Cheat_Sheet.html#login-throttling',
    last: true,
    probe: async (site) => {
      const { signInAttempts, signIn } = site.settings
      if (signInAttempts === undefined) throw new NotApplicable('signInAttempts is not set')
      if (!signIn) throw new NotApplicable('signIn is not declared')
      const nobody = `deploy-check-${site.canary}`
      return each('account that nobody has', [nobody], async () => {
        let answer: Answer | undefined
        for (let attempt = 1; attempt <= signInAttempts; attempt++) {
          answer = await site.client.ask(signInQuestion(signIn, nobody, `wrong-${attempt}`))
          if (answer.status === 429) return limited(answer)
          if (answer.status >= 500)
            throw new Unanswered(`${signIn.method} ${signIn.path} answered ${answer.status}`)
        }
        return answer ? found(answer, `still answered ${answer.status} to attempt ${signInAttempts}`) : []
      })
    },
  },
]

function valueOf({ session }: SignedIn, name: string): string {
  return session.cookies.find((cookie) => cookie.name === name)?.value ?? ''
}

function stillOpen(answer: Answer): ReturnType<typeof refusal> {
  if (answer.status < 300) return `answered ${answer.status} to a session that was signed out`
  return refusal(answer, [401, 403])
}

function limited(answer: Answer): Observation[] {
  const missing = answer.header('retry-after') === undefined
  return missing ? found(answer, { problem: 'answered 429 without Retry-After', severity: 'low' }) : []
}
