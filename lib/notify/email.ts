/**
 * E-mail, by SMTP over STARTTLS or TLS; the certificate is checked before anything is said. All mails about a record
 * are one thread, and a repeat has the Message-ID of the first try, by which servers drop it.
 */
import { Socket } from 'node:net'
import { createTransport } from 'nodemailer'
import { sentence } from '../errors.ts'
import type { ChannelOf } from '../settings/notify.ts'
import { plain } from '../text.ts'
import { mailHtml } from './mail-html.ts'
import { asText, headline, type Message } from './message.ts'
import type { Result, Sender } from './post.ts'

/** ms for each of: connecting, the greeting, and an answer */
const PATIENCE = 10_000

/** Errors of what comes before the message: nothing can have been taken. A connection that ended says not when. */
const UNSENT = ['EDNS', 'ETLS', 'EAUTH', 'EENVELOPE', 'EREQUIRETLS', 'ENOAUTH']
const UNCONNECTED =
  /certificate|self.signed|altnames|ECONNREFUSED|EHOSTUNREACH|Connection timeout|Greeting never/i

export interface Mail {
  from: string
  to: string[]
  subject: string
  text: string
  html: string
  messageId: string
  references: string
  inReplyTo?: string
  headers: Record<string, string>
}

/** Pure. */
export function mailOf({ from, to }: Pick<ChannelOf<'email'>, 'from' | 'to'>, message: Message): Mail {
  const host = from.split('@').at(-1) ?? 'localhost'
  const thread = `<${message.record}@${host}>`
  const own = `<${message.id}@${host}>`
  return {
    from,
    to,
    subject: headline(message),
    text: asText(message),
    html: mailHtml(message),
    messageId: own,
    references: thread,
    inReplyTo: thread,
    headers: { 'Auto-Submitted': 'auto-generated', 'X-Auto-Response-Suppress': 'All' },
  }
}

/** @param ca who vouches for the server beside those that this machine trusts, as PEM */
export function email(settings: ChannelOf<'email'>, password: string | undefined, ca?: string): Sender {
  const { host, port, tls, user } = settings
  const options = {
    host,
    port,
    secure: tls === 'tls',
    requireTLS: tls === 'starttls',
    ...(user !== undefined && password !== undefined && { auth: { user, pass: password } }),
    greetingTimeout: PATIENCE,
    socketTimeout: PATIENCE,
    ...(ca !== undefined && { tls: { ca } }),
    disableFileAccess: true,
    disableUrlAccess: true,
  }
  return {
    once: true,
    secrets: password === undefined ? [] : [password],
    send: async (message, { signal }) => {
      using line = connection(host, port, signal)
      const transport = createTransport({ ...options, getSocket: line.getSocket })
      try {
        const { response } = await Promise.race([transport.sendMail(mailOf(settings, message)), line.cut])
        return { sent: plain(response, 200) }
      } catch (error) {
        return failed(error)
      }
    },
  }
}

/** A connection that ends with the try: nodemailer leaves one that hangs open until its own time is over. */
function connection(host: string, port: number, signal: AbortSignal) {
  const socket = new Socket()
  const cut = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(new Error('no time was left')), { once: true })
  })
  cut.catch(() => {})
  const getSocket = (
    _: unknown,
    done: (error: Error | null, found?: { connection: Socket }) => void,
  ): void => {
    const late = setTimeout(() => socket.destroy(new Error('Connection timeout')), PATIENCE)
    const failing = (error: Error): void => (clearTimeout(late), done(error))
    socket.once('error', failing)
    socket.connect({ host, port }, () => {
      clearTimeout(late)
      socket.off('error', failing)
      done(null, { connection: socket })
    })
  }
  return { cut, getSocket, [Symbol.dispose]: () => void socket.destroy() }
}

/** What SMTP answers with 4 may be tried again, and with 5 not; everything before the message is out has not arrived. */
function failed(error: unknown): Result {
  const { code = '', responseCode = 0 } = fields(error)
  const failure = plain(`${code} ${sentence(error)}`.trim(), 200)
  const unsent = UNSENT.includes(code) || responseCode > 0 || UNCONNECTED.test(failure)
  return { failure, again: responseCode < 500, unsure: !unsent }
}

function fields(error: unknown): { code?: string; responseCode?: number } {
  const found: Record<string, unknown> = Error.isError(error) ? Object.fromEntries(Object.entries(error)) : {}
  return {
    ...(typeof found.code === 'string' && { code: found.code }),
    ...(typeof found.responseCode === 'number' && { responseCode: found.responseCode }),
  }
}
