/** The node's kube-proxy: listens for every Service on its cluster IP, and on 127.0.0.1 at its node port. */
import type { EndpointSlice, Service, ServicePort } from '../kinds.ts'
import type { Store, WatchEvent } from '../store.ts'
import type { Backend } from './tcp-proxy.ts'
import { TcpProxy } from './tcp-proxy.ts'

const SERVICE_NAME = 'kubernetes.io/service-name'

export class ServiceProxy {
  readonly #store: Store
  readonly #report: (what: string, error: unknown) => void
  readonly #unsubscribe: () => void
  /** Service → address → proxy */
  #proxies = new Map<string, Map<string, TcpProxy>>()

  constructor(store: Store, report: (what: string, error: unknown) => void) {
    this.#store = store
    this.#report = report
    this.#unsubscribe = store.subscribe((event) => this.#notice(event))
  }

  stop(): void {
    this.#unsubscribe()
    for (const proxies of this.#proxies.values()) for (const proxy of proxies.values()) proxy.stop()
  }

  /** At once: between a pod's readiness and its first request lies no queue. */
  #notice({ resource, object }: WatchEvent): void {
    const { namespace = '', name, labels } = object.metadata
    if (resource === 'services') this.#update(namespace, name)
    const service = resource === 'endpointslices' && labels?.[SERVICE_NAME]
    if (service) this.#update(namespace, service)
  }

  #update(namespace: string, name: string): void {
    const service = this.#store.get<Service>('services', namespace, name)
    const key = `${namespace}/${name}`
    const proxies = this.#proxies.get(key) ?? new Map<string, TcpProxy>()
    const slices = this.#store
      .list<EndpointSlice>('endpointslices', namespace)
      .filter(({ metadata }) => metadata.labels?.[SERVICE_NAME] === name)
    const wanted = new Map(
      (service?.spec.ports ?? []).flatMap((port) =>
        addressesOf(service, port).map((address) => [address, backendsOf(port, slices)] as const),
      ),
    )
    for (const [address, proxy] of proxies) {
      if (wanted.has(address)) continue
      proxy.setBackends([])
      proxies.delete(address)
    }
    for (const [address, backends] of wanted) {
      const proxy = proxies.get(address) ?? this.#newProxy(key, address)
      proxies.set(address, proxy)
      proxy.setBackends(backends)
    }
    if (proxies.size) this.#proxies.set(key, proxies)
    else this.#proxies.delete(key)
  }

  #newProxy(service: string, address: string): TcpProxy {
    const [host = '', port] = address.split(':')
    return new TcpProxy(host, Number(port), (error) =>
      this.#report(`service ${service} on ${address}`, error),
    )
  }
}

function addressesOf(
  service: Service | undefined,
  { port, nodePort, protocol = 'TCP' }: ServicePort,
): string[] {
  const clusterIP = service?.spec.clusterIP
  if (protocol !== 'TCP' || !clusterIP || clusterIP === 'None') return []
  return [`${clusterIP}:${port}`, ...(nodePort ? [`127.0.0.1:${nodePort}`] : [])]
}

/** The ready endpoints of one of the Service's ports; slices name a port as the Service does. */
function backendsOf({ name }: ServicePort, slices: EndpointSlice[]): Backend[] {
  return slices.flatMap(({ ports, endpoints }) => {
    const port = ports?.find((one) => (one.name ?? '') === (name ?? ''))?.port
    if (port === undefined) return []
    const ready = (endpoints ?? []).filter(({ conditions }) => conditions.ready)
    return ready.flatMap(({ addresses }) => addresses.map((host) => ({ host, port })))
  })
}
