/** How long the certificate of the address that users have is still good. */
import { connect } from 'node:tls'
import { DeployError } from '../errors.ts'
import { failed, passed, type Finding } from './box.ts'
import type { Facts } from './facts.ts'

/** ms for the handshake */
const TIMEOUT = 10_000

const DAY = 86_400_000

export async function judgeCertificate({
  world,
  settings,
}: Pick<Facts, 'world' | 'settings'>): Promise<Finding> {
  const url = new URL(world.environment.url)
  if (url.protocol !== 'https:') return passed('users come over plain http: there is no certificate')
  return judgeExpiry(await expiryOf(url, world.signal), world.clock.now(), settings.certificate)
}

/** Pure; `until` as the certificate says it, the rest in ms. */
export function judgeExpiry(until: string, now: number, least: number): Finding {
  const end = Date.parse(until)
  const next = 'renew it, or --ack certificate "<reason>"'
  if (Number.isNaN(end)) return { verdict: 'unknown', why: `its end "${until}" is no time`, next }
  const date = new Date(end).toISOString().slice(0, 10)
  if (end <= now) return failed(`it expired on ${date}`, next)
  if (end - now < least)
    return failed(`it expires on ${date}, in ${Math.floor((end - now) / DAY)} days`, next)
  return passed(`it is good until ${date}`)
}

/** Whether it is trusted is for the security checks to say. */
async function expiryOf(url: URL, signal: AbortSignal): Promise<string> {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const servername = /^[\d.]+$|:/.test(host) ? {} : { servername: host }
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const socket = connect({ host, port: Number(url.port || 443), ...servername, rejectUnauthorized: false })
  const timer = setTimeout(() => reject(new DeployError(`${url.host} answered no handshake`)), TIMEOUT)
  const stop = (): void => reject(signal.reason)
  signal.addEventListener('abort', stop)
  socket.on('secureConnect', () => resolve(socket.getPeerCertificate().valid_to ?? ''))
  socket.on('error', (error) => reject(new DeployError(`${url.host}: ${error.message}`)))
  return await promise.finally(() => {
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
    socket.destroy()
  })
}
