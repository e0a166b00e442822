/** What protects the way: the certificate, the protocol's version, and that plain http leads to https. */
import { checkServerIdentity, connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { seconds } from '../../lib/clock.ts'
import {
  NotApplicable,
  Silent,
  Unanswered,
  found,
  observed,
  type Check,
  type Fault,
  type Outcome,
} from './check.ts'
import { errorCode, reason, type Answer } from './client.ts'
import type { Site } from './site.ts'

const tls = 'https://cheatsheetseries.owasp.org/cheatsheets/Transport_Layer_Security_Cheat_Sheet.html'

/** Of its own lifetime, be that 6 days or a year. Automatic renewal comes with a third left: with less than this, it has failed. */
const SHARE_LEFT = 0.25

export const transportChecks: Check[] = [
  {
    id: 'certificate',
    severity: 'high',
    expected: 'the certificate is trusted, for this host, and a quarter of its lifetime is left',
    fix: 'Renew the certificate, with its whole chain and the host among its names. A private authority is trusted by NODE_EXTRA_CA_CERTS.',
    reference: `${tls}#certificates`,
    passive: true,
    address: 'way',
    probe: async (site) => {
      const { certificate } = await handshake(site, { minVersion: 'TLSv1' })
      if (!certificate) throw new Unanswered('the server showed no certificate')
      const fault = certificateFault(certificate, site.now, site.moved)
      return handshaken(site, `a certificate until ${certificate.validTo}`, fault)
    },
  },
  {
    id: 'tls-version',
    severity: 'high',
    expected: 'TLS 1.0 and 1.1 are refused',
    fix: 'Allow TLS 1.2 and 1.3 alone (ssl_protocols TLSv1.2 TLSv1.3).',
    reference: 'https://www.rfc-editor.org/rfc/rfc8996',
    passive: true,
    address: 'way',
    probe: async (site) => {
      // That it answers at all, or a refusal would prove nothing.
      const { protocol } = await handshake(site, { minVersion: 'TLSv1' })
      const old = await handshake(site, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1' }).catch(refused)
      return handshaken(site, protocol, old && `accepts ${old.protocol}`)
    },
  },
  {
    id: 'https-redirect',
    severity: 'medium',
    expected: 'plain http leads to https on the same host, or is refused',
    fix: 'Answer every request on port 80 by 308 to the same path on https.',
    reference: `${tls}#use-tls-for-all-pages`,
    passive: true,
    address: 'way',
    probe: async (site) => {
      const { url } = site.client
      const { plainPort } = site
      if (!site.https) throw new NotApplicable('it is reached over plain http')
      if (url.port !== '' && plainPort === 80)
        throw new NotApplicable(`where port ${url.port} has its plain http is not known`)
      return plainHttp(site, `http://${url.hostname}:${plainPort}`)
    },
  },
]

interface Shown {
  protocol: string
  certificate: Certificate | undefined
}

export interface Certificate {
  /** Why it is not trusted, for this host. */
  problem: string | undefined
  validFrom: string
  validTo: string
}

/** A server that hangs up is there, and will not speak like this. */
class Refused extends Unanswered {}

function refused(error: unknown): undefined {
  if (!(error instanceof Refused)) throw error
}

/** Shakes hands and hangs up; what is wrong with the certificate is for the caller to judge. */
function handshake(site: Site, versions: ConnectionOptions): Promise<Shown> {
  const { url } = site.client
  const { ca, timeout, signal } = site
  if (!site.https) throw new NotApplicable('it is reached over plain http')
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const { promise, resolve, reject } = Promise.withResolvers<Shown>()
  const socket = connect({
    host,
    port: Number(url.port || 443),
    ...(/^[\d.]+$|:/.test(host) ? {} : { servername: host }),
    ...(ca !== undefined && { ca }),
    rejectUnauthorized: false,
    ...versions,
  })
  const silent = new Unanswered(`no TLS handshake within ${seconds(timeout)}`)
  const timer = setTimeout(() => reject(silent), timeout)
  const stop = (): void => reject(signal.reason)
  signal.addEventListener('abort', stop)
  socket.on('secureConnect', () => resolve(shown(socket, host)))
  socket.on('error', (error) => {
    const alert = /SSL|TLS|ECONNRESET|EPROTO/.test(`${errorCode(error)} ${error.message}`)
    reject(alert ? new Refused(reason(error)) : new Unanswered(reason(error)))
  })
  socket.on('close', () => reject(new Refused('the connection was closed')))
  return promise.finally(() => {
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
    socket.destroy()
  })
}

function shown(socket: TLSSocket, host: string): Shown {
  const protocol = socket.getProtocol() ?? 'TLS'
  const peer = socket.getPeerCertificate()
  if (!peer.valid_to) return { protocol, certificate: undefined }
  const identity = checkServerIdentity(host, peer)
  const problem = socket.authorized ? identity?.message : String(socket.authorizationError)
  return { protocol, certificate: { problem, validFrom: peer.valid_from, validTo: peer.valid_to } }
}

/**
 * Pure. `now` in ms since 1970.
 * @param moved users are there already: that little time is left was no other before, and brings nobody back
 */
export function certificateFault(
  { problem, validFrom, validTo }: Certificate,
  now: number,
  moved = false,
): Fault {
  const [from, to] = [Date.parse(validFrom), Date.parse(validTo)]
  if (!Number.isFinite(to - from)) return 'has a certificate without a beginning or an end'
  if (to < now) return { problem: `has a certificate that expired on ${validTo}`, severity: 'critical' }
  if (problem !== undefined)
    return { problem: `has a certificate that is not trusted: ${problem}`, severity: 'critical' }
  if (to - now >= SHARE_LEFT * (to - from)) return undefined
  const soon = `has a certificate that expires on ${validTo}, with less than a quarter of its lifetime left`
  return { problem: soon, severity: moved ? 'low' : undefined }
}

function handshaken(site: Site, seen: string, fault: Fault): Outcome {
  const { host } = site.client.url
  const where = { method: 'TLS', path: host, sent: `a TLS handshake with ${host}`, back: seen }
  return { seen, observations: observed(where, fault), unanswered: [] }
}

async function plainHttp(site: Site, origin: string): Promise<Outcome> {
  try {
    const answer = await site.ask({ origin, path: '/', note: 'over plain http' })
    const observations = found(answer, plainFault(answer, site.client.url))
    return { seen: `status ${answer.status} over plain http`, observations, unanswered: [] }
  } catch (error) {
    if (error instanceof Unanswered && errorCode(error.cause) === 'ECONNREFUSED')
      return { seen: 'plain http is refused', observations: [], unanswered: [] }
    if (error instanceof Silent) throw new NotApplicable(`nothing answers at ${origin}`)
    throw error
  }
}

/** A refusal serves nothing in the clear; a redirect must lead to the same host. Pure. */
export function plainFault({ status, header }: Pick<Answer, 'status' | 'header'>, secure: URL): Fault {
  if (status >= 400) return undefined
  if (status < 300) return `answered ${status} over plain http`
  const to = URL.parse(header('location') ?? '', `http://${secure.host}`)
  if (to?.protocol === 'https:' && to.hostname === secure.hostname) return undefined
  return `redirects plain http to ${to?.origin ?? 'nowhere'}`
}
