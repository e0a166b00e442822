/** What is particular about Services: their defaults, and the addresses and node ports they are given. */
import type { KubeObject, Store } from '../store.ts'
import { at, isMap, type JsonMap, listAt, mapAt, numberAt, stringAt, toMap } from './json.ts'

export const NODE_PORTS = { from: 30000, to: 32767 }

export function hasNodePorts(type: string): boolean {
  return type === 'NodePort' || type === 'LoadBalancer'
}

export function serviceDefaults({ spec }: JsonMap): void {
  if (!isMap(spec)) return
  for (const port of listAt(spec, 'ports')) if (!port.targetPort) port.targetPort = port.port ?? 0
  if (spec.sessionAffinity === 'ClientIP') {
    spec.sessionAffinityConfig = {
      clientIP: { timeoutSeconds: 10800, ...mapAt(spec, 'sessionAffinityConfig', 'clientIP') },
    }
  }
  if (spec.type === 'ExternalName') {
    delete spec.internalTrafficPolicy
    return
  }
  if (hasNodePorts(stringAt(spec, 'type'))) spec.externalTrafficPolicy ??= 'Cluster'
  if (spec.type === 'LoadBalancer') spec.allocateLoadBalancerNodePorts ??= true
  spec.ipFamilies ??= ['IPv4']
  spec.ipFamilyPolicy ??= 'SingleStack'
}

/**
 * An update that leaves the given addresses out keeps them, as kubectl apply and replace rely on; one that makes a
 * Service internal again gives its node ports back.
 */
export function keepAllocations(updated: KubeObject, stored: KubeObject): void {
  const spec = mapAt(updated, 'spec')
  const before = mapAt(stored, 'spec')
  if (spec.type === 'ExternalName') return
  for (const key of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy']) {
    if (spec[key] === undefined && before[key] !== undefined) spec[key] = before[key]
  }
  const external = hasNodePorts(stringAt(spec, 'type'))
  if (!external && hasNodePorts(stringAt(before, 'type'))) {
    delete spec.externalTrafficPolicy
    delete spec.allocateLoadBalancerNodePorts
    for (const port of listAt(spec, 'ports')) delete port.nodePort
  }
  if (!external) return
  for (const port of listAt(spec, 'ports')) {
    const same = listAt(before, 'ports').find(
      (old) => old.port === port.port && old.protocol === port.protocol,
    )
    if (!port.nodePort && same?.nodePort) port.nodePort = same.nodePort
  }
}

/** Gives a Service the cluster IP and node ports that it lacks. */
export function allocate(store: Store, object: KubeObject): void {
  const spec = mapAt(object, 'spec')
  if (spec.type === 'ExternalName') return
  spec.clusterIP ||= freeClusterIP(store, listAt(spec, 'ports'))
  spec.clusterIPs ??= [spec.clusterIP]
  if (!hasNodePorts(stringAt(spec, 'type'))) return
  const taken = takenNodePorts(store)
  for (const port of listAt(spec, 'ports')) {
    if (port.nodePort) continue
    port.nodePort = freeNodePort(taken)
    taken.add(port.nodePort)
  }
}

function services(store: Store, except?: KubeObject): JsonMap[] {
  return store
    .list('services')
    .filter(({ metadata }) => !except || metadata.uid !== except.metadata.uid)
    .map(toMap)
}

/** The node ports in use by other Services than this one. */
export function takenNodePorts(store: Store, except?: KubeObject): Set<number> {
  const ports = services(store, except).flatMap((service) => listAt(service, 'spec', 'ports'))
  return new Set(ports.map((port) => numberAt(port, 'nodePort')).filter((port) => port > 0))
}

/** A loopback address of its own, 127.96.0.0/16: the service network, which all sandboxes of a machine share. */
function freeClusterIP(store: Store, ports: readonly JsonMap[]): string {
  const taken = new Set(services(store).map((service) => at(service, 'spec', 'clusterIP')))
  const isFree = (address: string): boolean =>
    !taken.has(address) && !ports.some((port) => isListening(numberAt(port, 'port'), address))
  for (;;) {
    const [high = 0, low = 0] = crypto.getRandomValues(new Uint8Array(2))
    const address = `127.96.${high}.${low}`
    if (low > 0 && low < 255 && isFree(address)) return address
  }
}

/** Random, so that two sandboxes on one machine seldom meet. @throws Error when the range is used up */
function freeNodePort(taken: Set<number>): number {
  const { from, to } = NODE_PORTS
  for (let tries = 0; tries < 10_000; tries++) {
    const port = from + Math.floor(Math.random() * (to - from + 1))
    if (!taken.has(port) && !isListening(port)) return port
  }
  throw new Error('range is full')
}

/** Whether another program on this machine has the port. Binding it for a moment is the only honest answer. */
function isListening(port: number, hostname = '127.0.0.1'): boolean {
  try {
    Bun.listen({ hostname, port, socket: { data() {} } }).stop(true)
    return false
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'EADDRINUSE') return true
    if (code === 'EACCES') return false // a low port, and not root: whoever serves it will say so
    throw error
  }
}
