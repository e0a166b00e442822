/** Whether the address that users have leads to the color that is live: names, balancers, silence. Pure. */
import { answersOf, podsOf, type Case } from './case.ts'
import { kubectl, script, type Cause } from './cause.ts'
import { commandLine } from '../command.ts'
import { isReady } from '../cluster/objects.ts'

const base = { trouble: 'traffic does not switch', certainty: 'certain', users: true } as const

/** What is cached for longer than this outlives a switch by too much, in s. */
const LONG_TTL = 300

export function addressCauses(about: Case): Cause[] {
  return [...nameCauses(about), ...elsewhere(about), ...silence(about)]
}

/** `dig` as it is pasted. */
const dig = (host: string): string => commandLine(['dig', '+noall', '+answer', host])

function nameCauses({ resolved, site, service }: Case): Cause[] {
  if (!resolved) return []
  const { host, addresses, failure } = resolved
  if (addresses.length === 0) {
    const what = `the name ${host} of the live URL leads nowhere`
    const evidence = [`resolving it: ${failure ?? 'no address'}`, `url in deploy.yaml: ${site.url}`]
    return [{ ...base, id: 'dns', what, evidence, next: dig(host) }]
  }
  const balancers = (service?.status.loadBalancer.ingress ?? []).flatMap(({ ip }) => ip ?? [])
  const other = addresses.filter(({ address }) => !balancers.includes(address))
  if (service?.spec.type !== 'LoadBalancer' || balancers.length === 0 || other.length === 0) return []
  const ttl = Math.max(0, ...addresses.map((one) => one.ttl ?? 0))
  const what = `the name ${host} leads elsewhere than to the load balancer of Service ${site.app}`
  const evidence = [
    `it leads to ${other.map(({ address }) => address).join(', ')}; the balancer is ${balancers.join(', ')}`,
    ttl > LONG_TTL ? `clients keep what they were told for up to ${ttl} s (TTL)` : '',
  ]
  // Something in front of the cluster (a CDN, a firewall) has another address rightly.
  return [{ ...base, certainty: 'possible', id: 'dns', what, evidence, next: dig(host) }]
}

/** The Service leads to one color, and users are answered by another. */
function elsewhere(about: Case): Cause[] {
  const { live, site, resolved } = about
  if (live === undefined || live === 'plain') return []
  const colors = answersOf(about, live).flatMap(({ color }) => color ?? [])
  const others = colors.filter((color) => color !== live)
  if (others.length === 0) return []
  const what = `the live URL is answered by ${others[0]}, while Service ${site.app} leads to ${live}`
  const ttl = resolved?.addresses.map((one) => one.ttl).find((one) => one !== undefined)
  const evidence = [
    `${others.length} of ${colors.length} answers of ${site.url} name ${others[0]}`,
    `${resolved?.host ?? site.url} leads to ${resolved?.addresses.map(({ address }) => address).join(', ') ?? '?'}${ttl === undefined ? '' : ` (TTL ${ttl} s)`}`,
  ]
  const next = kubectl(site, 'get', 'service', site.app, '-o', 'wide')
  return [{ ...base, id: 'address-elsewhere', what, evidence, next }]
}

/** Ready pods behind the Service, and no answer. */
function silence(about: Case): Cause[] {
  const { live, site } = about
  if (live === undefined) return []
  const answers = answersOf(about, live)
  const silent = answers.filter(({ failure }) => failure !== undefined)
  const ready = podsOf(about, live).filter(isReady).length
  if (silent.length === 0 || silent.length < answers.length) return []
  const what = `the live URL does not answer${ready > 0 ? `, although ${ready} pods of ${live} are ready` : ''}`
  const evidence = [...new Set(silent.map(({ failure }) => failure ?? ''))]
  const next = script(site, 'verify-deployment', '--only', 'smoke')
  return [{ ...base, id: 'address-silent', what, evidence, next }]
}
