/**
 * Node ports that nobody has used. Fresh ones for each rehearsal: requests that were refused while a Service had no
 * endpoints leave traces in the kernel for two minutes, in which a later connection may hang. Other processes rehearse
 * on this machine as well, and a sandbox listens at a port only while its Service has endpoints: so a port is claimed.
 */
import { once } from 'node:events'
import { connect, createServer, type Server } from 'node:net'
import type { Cluster } from './cluster.ts'

const FIRST = 30_000
const LAST = 32_767

/** Nobody's address: a sandbox has its pods at 127.1 to 127.95, and its Services at 127.96. */
const CLAIMS = '127.97.0.1'

const taken = new Set<number>()
/** Held on to, lest the garbage collector closes them. */
const claimed: Server[] = []

/** Claimed until this process ends. @throws Error when the cluster does not answer */
export async function freeNodePorts(cluster: Pick<Cluster, 'kubectl'>, count: number): Promise<number[]> {
  const path = 'jsonpath={.items[*].spec.ports[*].nodePort}'
  const { code, stdout, stderr } = await cluster.kubectl('get', 'services', '-A', '-o', path)
  if (code !== 0) throw new Error(stderr)
  for (const port of stdout.split(/\s+/).filter(Boolean)) taken.add(Number(port))
  const found: number[] = []
  while (found.length < count) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST + 1))
    if (taken.has(port)) continue
    taken.add(port)
    if ((await claims(port)) && (await isFree(port))) found.push(port)
  }
  return found
}

/** Whether nobody else had claimed the port: the kernel ends a claim with its process, however that ends. */
async function claims(port: number): Promise<boolean> {
  const claim = await listen(CLAIMS, port)
  if (claim) claimed.push(claim.unref())
  return claim !== undefined
}

/** How long a connection to oneself may take, in ms. */
const LOOPBACK = 1000

/**
 * Whether nobody listens there, and who does is reached: what the kube-proxy of a cluster that is gone left in the
 * kernel takes connections elsewhere.
 */
export async function isFree(port: number): Promise<boolean> {
  const server = await listen('127.0.0.1', port)
  if (!server) return false
  const client = connect({ host: '127.0.0.1', port }).on('error', () => {})
  const [connection] = await once(server, 'connection', { signal: AbortSignal.timeout(LOOPBACK) }).catch(
    () => [],
  )
  client.destroy()
  await new Promise((resolve) => server.close(resolve))
  return connection !== undefined
}

/** Nothing where somebody listens already. @throws Error when nobody could listen there */
async function listen(host: string, port: number): Promise<Server | undefined> {
  return await new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error) =>
      'code' in error && error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    )
    server.listen(port, host, () => resolve(server))
  })
}
