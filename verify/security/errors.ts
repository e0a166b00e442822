/** How the application answers what makes no sense: with a refusal, and without telling about itself. */
import type { Severity } from '../../lib/settings/gates.ts'
import { each, found, type Check, type Fault } from './check.ts'
import type { Answer, Question } from './client.ts'
import { sessionHeaders } from './session.ts'
import type { Site } from './site.ts'

const reference = 'https://cheatsheetseries.owasp.org/cheatsheets/Error_Handling_Cheat_Sheet.html'

export const errorChecks: Check[] = [
  {
    id: 'malformed-input',
    severity: 'medium',
    expected: 'what makes no sense is refused and does not fail with 5xx',
    fix: 'Validate path, query and body first, and answer 400, 404, 413, 414 or 415.',
    reference,
    probe: (site) =>
      each('malformed request', malformed(site), async (ask) => {
        const answer = await ask()
        const failed = answer && answer.status >= 500 && answer.status !== 501
        return failed ? found(answer, `answered ${answer.status}`) : []
      }),
  },
  {
    id: 'error-disclosure',
    severity: 'medium',
    expected: 'errors show no stack traces, paths, queries or versions',
    fix: 'Answer errors by a fixed text and log the rest; switch off debug mode.',
    reference,
    probe: (site) =>
      each('error answer', [() => site.missing(), ...malformed(site)], async (ask) => {
        const answer = await ask()
        return answer ? found(answer, disclosure(answer)) : []
      }),
  },
]

/**
 * None of these can be a valid write: the two bodies go to the sign-in, which makes nothing, and are no JSON, no
 * form and no account.
 */
function malformed(site: Site): (() => Promise<Answer | undefined>)[] {
  const { pages, signIn, owned } = site.settings
  const questions: Question[] = [
    { path: `${pages[0] ?? '/'}?q=${'x'.repeat(8000)}`, note: '8 kB of query' },
    { path: '/%zz%c0%ae', note: 'not an encoded path' },
  ]
  if (signIn) {
    const { method, path, headers } = signIn
    const other = { 'content-type': 'application/x-deploy-check' }
    questions.push({ method, path, headers, body: '{"', note: 'not JSON' })
    questions.push({ method, path, headers: other, body: 'x', note: 'another type' })
  }
  const asked = questions.map((question) => () => site.once(question))
  return owned ? [...asked, () => unknownId(site, owned.path)] : asked
}

async function unknownId(site: Site, path: string): Promise<Answer | undefined> {
  const user = await site.userIfAny()
  if (!user) return undefined
  const headers = sessionHeaders(user.session)
  return site.once({
    path: `${path.replace(/\/$/, '')}/not-an-id'`,
    headers,
    note: `with the session of ${user.name}`,
  })
}

interface Trace {
  what: string
  pattern: RegExp
  severity?: Severity
  /** What matches may be a secret. */
  hidden?: true
  /** A page that is no error may have it in its text. */
  errorsOnly?: true
}

const traces: Trace[] = [
  {
    what: 'a database address',
    pattern: /\b(postgres(ql)?|mysql|mongodb(\+srv)?|redis|amqps?):\/\/\S/,
    severity: 'high',
    hidden: true,
  },
  {
    what: 'a JavaScript stack trace',
    pattern: /\bat (async )?([\w$.<>[\] ]{1,100} \()?(file:\/\/)?(\/|[A-Z]:\\)[^\s)<>]{1,300}:\d+:\d+/,
  },
  { what: 'a Python stack trace', pattern: /Traceback \(most recent call last\)/ },
  {
    what: 'a Java stack trace',
    pattern: /\bat [\w$.]+\([\w$]+\.(java|kt|scala):\d+\)|\bjavax?\.[\w.]{1,100}(Exception|Error)\b/,
  },
  { what: 'a .NET stack trace', pattern: /\bat [\w.`]{1,100}\(.{0,200}\) in \S{1,200}:line \d+/ },
  { what: 'a PHP error', pattern: /(Fatal error|Warning|Notice)(<\/b>)?: .{1,200} in (<b>)?\S{1,200}\.php/ },
  { what: 'a Ruby stack trace', pattern: /\.rb:\d+:in [`']/ },
  { what: 'a Go stack trace', pattern: /goroutine \d+ \[/ },
  {
    what: 'an error of the database',
    pattern:
      /SQLSTATE\b|syntax error at or near|SQLITE_[A-Z]+|SQLITE3?::|ORA-\d{5}|error in your SQL syntax|unrecognized token: "/,
  },
  {
    what: 'a debug page',
    pattern: /Werkzeug Debugger|<title>Whoops!|DEBUG = True|Action Controller: Exception caught/,
  },
  {
    what: 'a path of the server',
    pattern: /(?<![\w/.:-])\/(usr\/src|var\/www|home\/\w+|srv)\/\S{1,1000}/,
    errorsOnly: true,
  },
  {
    what: 'a version',
    pattern: /\b(nginx|Apache|openresty|Jetty|Tomcat|Express|Werkzeug|PHP)\/\d+(\.\d+)+/i,
    severity: 'low',
    errorsOnly: true,
  },
]

/**
 * Characters of an answer that are judged: an error page is shorter, and what it tells stands at its beginning. With
 * the bounds of the patterns that is a few ms for the worst text.
 */
const JUDGED = 65_536

/** What an answer tells about the inside. Pure. */
export function disclosure({ status, text }: Pick<Answer, 'status' | 'text'>): Fault {
  const judged = text.slice(0, JUDGED)
  for (const { what, pattern, severity, hidden, errorsOnly } of traces) {
    const [match] = (errorsOnly && status < 400 ? null : pattern.exec(judged)) ?? []
    if (match === undefined) continue
    const excerpt = hidden ? '' : `: ${match.replace(/\s+/g, ' ')}`
    return { problem: `shows ${what}${excerpt}`, severity }
  }
  return undefined
}
