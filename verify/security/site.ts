/** The application as the checks see it: answers that several of them look at are asked for once. */
import type { Target } from '../../lib/check.ts'
import type { Accounts, SecuritySettings } from '../../lib/settings/gates.ts'
import { NotApplicable, Unanswered, answered } from './check.ts'
import { Client, type Answer, type Question } from './client.ts'
import { isSession } from './cookies.ts'
import { Secrets } from './secrets.ts'
import { sessionHeaders, sessionOf, signInQuestion, type Session } from './session.ts'

/** A slow answer is the performance gate's business, in ms. */
const LONGEST = 15_000

export type Protected = SecuritySettings['protected'][number]
type Who = keyof Accounts

export interface SecurityWorld {
  /** ms since 1970 */
  now?: () => number
  /** A certificate authority to trust instead of the usual ones, PEM. */
  ca?: string
  /** Where plain http is answered beside https. */
  plainPort?: number
  /** ms for one whole answer */
  timeout?: number
  /** ms before users' address is asked once more */
  pause?: number
}

/** What the checks are told; passwords are among the variables. */
export interface Briefing {
  settings: SecuritySettings
  accounts: Accounts | undefined
  variables: Record<string, string | undefined>
  world: SecurityWorld
  /** Users are there already. */
  moved: boolean
}

export interface SignedIn {
  /** The account's name. */
  name: string
  session: Session
  answer: Answer
}

export class Site {
  readonly settings: SecuritySettings
  readonly signal: AbortSignal
  readonly now: number
  readonly ca: string | undefined
  readonly plainPort: number
  readonly timeout: number
  readonly moved: boolean
  readonly secrets: Secrets
  readonly client: Client
  /** In no address and no page by chance. */
  readonly canary = `zx${crypto.randomUUID().slice(0, 8)}`
  readonly #accounts: Accounts | undefined
  readonly #variables: Record<string, string | undefined>
  readonly #answers = new Map<string, Promise<Answer>>()
  readonly #sessions = new Map<Who, Promise<SignedIn>>()
  #again: Promise<SignedIn> | undefined
  #sessionCookies: Promise<string[]> | undefined
  /** Sessions that are to be ended. */
  readonly #open = new Set<SignedIn>()

  constructor(
    { settings, accounts, variables, world, moved }: Briefing,
    target: Target,
    signal: AbortSignal,
    secrets = new Secrets([], target.secrets),
  ) {
    const { now = Date.now, ca, plainPort = 80, timeout = LONGEST } = world
    this.settings = settings
    this.#accounts = accounts
    this.#variables = variables
    this.signal = signal
    this.now = now()
    this.ca = ca
    this.plainPort = plainPort
    this.timeout = timeout
    this.moved = moved
    this.secrets = secrets
    this.client = new Client({ target, signal, secrets, rate: settings.rate, timeout, ca })
  }

  get https(): boolean {
    return this.client.url.protocol === 'https:'
  }

  async ask(question: Question): Promise<Answer> {
    const answer = await this.client.ask(question)
    if (answer.status !== 429) return answer
    throw new Unanswered(`${question.path} answered 429: security.rate is too high for it`)
  }

  /** The same question is asked once. */
  once(question: Question): Promise<Answer> {
    const key = JSON.stringify(question)
    const answer = this.#answers.get(key) ?? this.ask(question)
    this.#answers.set(key, answer)
    return answer
  }

  /** Before anything else: where nobody answers, nobody is asked forty times. */
  async reach(): Promise<void> {
    try {
      await this.once({ path: this.settings.pages[0] ?? '/' })
    } catch (error) {
      if (!(error instanceof Unanswered)) throw error
      this.client.giveUp(error.message)
    }
  }

  /** A declared HTML page. */
  async page(path: string): Promise<Answer> {
    const answer = answered(await this.once({ path }))
    if (answer.status >= 200 && answer.status < 300 && isHtml(answer)) return answer
    const what = `${answer.status}, ${answer.header('content-type') ?? 'without a content type'}`
    throw new Unanswered(`GET ${path} answered ${what}: security.pages must name HTML pages`)
  }

  /** A path that nobody has: an error page, or what an application serves for every path. */
  async missing(): Promise<Answer> {
    return answered(await this.once({ path: `/deploy-check-${this.canary}` }))
  }

  withoutSession({ method, path, headers, body }: Protected): Promise<Answer> {
    return this.once({ method, path, headers, body, note: 'without a session' })
  }

  /** Declared endpoints that the test account may see, and that only read. */
  get readable(): Protected[] {
    return this.settings.protected.filter((one) => one.user === 'allowed' && isRead(one.method))
  }

  /** Signs in, and shows that the session is honoured, or what is refused later would prove nothing. */
  async signIn(who: Who): Promise<SignedIn> {
    const { signIn } = this.settings
    const account = this.#accounts?.[who]
    if (!signIn) throw new NotApplicable('signIn is not declared')
    if (!account) throw new NotApplicable(`accounts.${who} is not declared`)
    const password = this.#variables[account.password]
    if (!password) throw new Unanswered(`${account.password}, the password of ${account.name}, is not set`)
    this.secrets.add(password)
    const answer = await this.ask(signInQuestion(signIn, account.name, password))
    const session = sessionOf(answer, signIn.token)
    if (!session)
      throw new Unanswered(`signing in as ${account.name} answered ${answer.status} and gave no session`)
    if (session.token !== undefined) this.secrets.add(session.token)
    const signedIn = { name: account.name, session, answer }
    this.#open.add(signedIn)
    const [control] = this.readable
    if (control) await this.read(control, signedIn)
    return signedIn
  }

  /** The session that the checks share. @throws NotApplicable, Unanswered */
  session(who: Who): Promise<SignedIn> {
    const session = this.#sessions.get(who) ?? this.signIn(who)
    this.#sessions.set(who, session)
    return session
  }

  /** A second one of the test account, which may be ended. @throws NotApplicable, Unanswered */
  again(): Promise<SignedIn> {
    this.#again ??= this.signIn('user')
    return this.#again
  }

  /** It was ended by who asks what becomes of it then. */
  ended(signedIn: SignedIn): void {
    this.#open.delete(signedIn)
  }

  nameOf(who: Who): string | undefined {
    return this.#accounts?.[who]?.name
  }

  /** The names of the cookies that are the session of the test account: without them it is not honoured. @throws Unanswered */
  sessionCookies(user: SignedIn): Promise<string[]> {
    this.#sessionCookies ??= this.#needed(user)
    return this.#sessionCookies
  }

  async #needed({ name, session }: SignedIn): Promise<string[]> {
    const { cookies } = session
    const names = [...new Set(cookies.map((cookie) => cookie.name))]
    const [control] = this.readable
    const needed: string[] = []
    for (const left of names.length > 1 && control ? names : []) {
      const rest = { cookies: cookies.filter((cookie) => cookie.name !== left) }
      const headers = { ...control?.headers, ...sessionHeaders(rest) }
      const note = `with the session of ${name}, without its cookie ${left}`
      const { status } = answered(await this.ask({ ...control, path: control?.path ?? '/', headers, note }))
      if (status >= 300) needed.push(left)
    }
    if (needed.length > 0) return needed
    // Each is enough, or none can be asked for: what looks like one, or something must be it.
    const likely = cookies.filter((cookie) => isSession(cookie, true)).map((cookie) => cookie.name)
    return likely.length > 0 ? likely : names
  }

  /** Where nobody can sign in there is none. @throws Unanswered */
  async userIfAny(): Promise<SignedIn | undefined> {
    try {
      return await this.session('user')
    } catch (error) {
      if (error instanceof NotApplicable) return undefined
      throw error
    }
  }

  /** What an account sees that may see it. */
  async read({ method, path, headers }: Protected, { name, session }: SignedIn): Promise<Answer> {
    const note = `with the session of ${name}`
    const answer = await this.once({
      method,
      path,
      headers: { ...headers, ...sessionHeaders(session) },
      note,
    })
    if (answer.status >= 200 && answer.status < 300) return answer
    throw new Unanswered(`${method} ${path} answered ${answer.status} with the session of ${name}`)
  }

  /** Ends the sessions that were opened, as far as that is declared. */
  async signOut(): Promise<void> {
    const { signOut } = this.settings.signIn ?? {}
    if (!signOut) return
    await Promise.allSettled(
      [...this.#open].map(({ name, session }) =>
        this.ask({
          ...signOut,
          headers: sessionHeaders(session),
          note: `signing ${name} out`,
          insist: 'always',
        }),
      ),
    )
  }
}

export function isHtml(answer: Pick<Answer, 'header'>): boolean {
  return /^\s*(text\/html|application\/xhtml\+xml)/i.test(answer.header('content-type') ?? '')
}

export function isRead(method: string): boolean {
  return ['GET', 'HEAD', 'OPTIONS'].includes(method)
}
