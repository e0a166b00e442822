/** Who may see what: nobody without a session, no user what is the administrator's, no user what is another's. */
import {
  NotApplicable,
  Unanswered,
  each,
  merged,
  found,
  type Check,
  type Fault,
  type Outcome,
} from './check.ts'
import type { Answer, Question } from './client.ts'
import { sessionHeaders } from './session.ts'
import type { SignedIn, Site } from './site.ts'

const authorization = 'https://cheatsheetseries.owasp.org/cheatsheets/Authorization_Cheat_Sheet.html'

/** Only these refuse. A redirect does not: a program takes what it leads to for the answer. Pure. */
export function refusal(answer: Pick<Answer, 'status' | 'header'>, allowed: readonly number[]): Fault {
  const { status } = answer
  if (allowed.includes(status)) return undefined
  const instead = `instead of ${allowed.join(' or ')}`
  if (status < 300) return { problem: `answered ${status} ${instead}`, severity: 'critical' }
  if (status >= 500) return { problem: `answered ${status} ${instead}`, severity: 'high' }
  const to = status < 400 ? ` to ${(answer.header('location') ?? 'nowhere').replace(/[?#].*/, '')}` : ''
  return { problem: `answered ${status}${to} ${instead}`, severity: 'medium' }
}

export const accessChecks: Check[] = [
  {
    id: 'protected-without-session',
    severity: 'critical',
    expected: 'protected endpoints answer 401 or 403 without a session',
    fix: 'Ask for the session before anything else, on the server, for every endpoint that is not public.',
    reference: authorization,
    passive: true,
    probe: (site) => {
      const endpoints = site.settings.protected
      if (endpoints.length === 0) throw new NotApplicable('no protected endpoint is declared')
      return each('protected endpoint', endpoints, async (endpoint) => {
        const answer = await site.withoutSession(endpoint)
        return found(answer, refusal(answer, [401, 403]))
      })
    },
  },
  {
    id: 'role-refused',
    severity: 'critical',
    expected: 'endpoints of another role answer 403 or 404 to the test account',
    fix: 'Ask for the role on the server, for every endpoint that is not for all users.',
    reference: authorization,
    probe: async (site) => {
      const endpoints = site.settings.protected.filter(({ user }) => user === 'refused')
      if (endpoints.length === 0) throw new NotApplicable('no protected endpoint says user: refused')
      const user = await site.session('user')
      return each('endpoint of another role', endpoints, async ({ method, path, headers, body }) => {
        const answer = await site.ask(withSession({ method, path, headers, body }, user))
        return found(answer, refusal(answer, [401, 403, 404]))
      })
    },
  },
  {
    id: 'other-users-data',
    severity: 'critical',
    expected: 'what one user made answers 403 or 404 to another, and 401, 403 or 404 to nobody',
    fix: 'Look things up by their id and their owner together, on the server.',
    reference:
      'https://cheatsheetseries.owasp.org/cheatsheets/Insecure_Direct_Object_Reference_Prevention_Cheat_Sheet.html',
    probe: async (site) => {
      const { owned } = site.settings
      if (!owned) throw new NotApplicable('nothing owned is declared')
      const [owner, other] = await Promise.all([site.session('user'), site.session('other')])
      const made = await site.ask(withSession({ ...owned, insist: 'once sent' }, owner))
      // Its host may be the public one, which a preview is not reached by.
      const location = URL.parse(made.header('location') ?? '', site.client.url.href)
      if (made.status >= 300 || made.header('location') === undefined || !location)
        throw new Unanswered(`${owned.method} ${owned.path} answered ${made.status} without a Location`)
      const path = location.pathname + location.search
      // What is made is removed: never everything.
      if ([owned.path, '/'].includes(path.replace(/(?<=.)\/$/, '')))
        throw new Unanswered(`${owned.method} ${owned.path} answered with the Location ${path}`)
      let removed: Outcome | undefined
      try {
        const reached = await reach(site, path, owner, other)
        removed = await remove(site, path, owner)
        return merged('reading and removing it, as another and as nobody', [...reached, removed])
      } finally {
        if (!removed) await remove(site, path, owner)
      }
    },
  },
]

function withSession(question: Question, { name, session }: SignedIn): Question {
  const headers = { ...question.headers, ...sessionHeaders(session) }
  return { ...question, headers, note: `with the session of ${name}` }
}

/** One after the other: what has been removed cannot be read. */
async function reach(site: Site, path: string, owner: SignedIn, other: SignedIn): Promise<Outcome[]> {
  const statusForOwner = async (): Promise<number> => (await site.ask(withSession({ path }, owner))).status
  // Its owner can read it, or that others cannot would prove nothing.
  const control = await each('answer to its owner', [path], async () => {
    const status = await statusForOwner()
    if (status < 300) return []
    throw new Unanswered(`GET ${path} answered ${status} to ${owner.name}, who made it`)
  })
  let there = control.unanswered.length === 0
  const refused = (what: string, question: Question, allowed: number[]): Promise<Outcome> =>
    each(what, [question], async () => {
      const removal = question.method === 'DELETE'
      if (removal && !there) return []
      const answer = await site.ask(question)
      const fault = refusal(answer, allowed)
      if (!removal) return found(answer, fault)
      // Some say no, and do it.
      const status = await statusForOwner()
      there = status < 300
      if (there || answer.status < 300) return found(answer, fault)
      if (status >= 500) throw new Unanswered(`GET ${path} answered ${status} to ${owner.name}, who made it`)
      const gone = `answered ${answer.status} and removed it: its owner is answered ${status}`
      return found(answer, { problem: gone, severity: 'critical' })
    })
  const nobody = { path, note: 'without a session' }
  return [
    control,
    await refused('try of another', withSession({ path }, other), [403, 404]),
    await refused('try of nobody', nobody, [401, 403, 404]),
    // Nobody first: what nobody can remove, another may still.
    await refused('removal by nobody', { ...nobody, method: 'DELETE' }, [401, 403, 404, 405]),
    await refused('removal by another', withSession({ method: 'DELETE', path }, other), [403, 404, 405]),
  ]
}

/** Production's data is shared: what was made goes again, also when the run is interrupted. */
function remove(site: Site, path: string, owner: SignedIn): Promise<Outcome> {
  return each('removal', [path], async () => {
    const question = withSession({ method: 'DELETE', path, insist: 'always' }, owner)
    const answer = await site.ask(question)
    const { status } = answer
    if (status < 300 || status === 404 || status === 410) return []
    return found(answer, {
      problem: `answered ${status}: what the check made was not removed`,
      severity: 'low',
    })
  })
}
