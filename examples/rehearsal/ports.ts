/**
 * Node ports that nobody has used. Fresh ones for each rehearsal: requests that were refused while a Service had no
 * endpoints leave traces in the kernel for two minutes, in which a later connection may hang.
 */
import { createServer } from 'node:net'
import type { Cluster } from './cluster.ts'

const FIRST = 30_000
const LAST = 32_767

const taken = new Set<number>()

/** @throws Error when the cluster does not answer */
export async function freeNodePorts(cluster: Cluster, count: number): Promise<number[]> {
  const path = 'jsonpath={.items[*].spec.ports[*].nodePort}'
  const { code, stdout, stderr } = await cluster.kubectl('get', 'services', '-A', '-o', path)
  if (code !== 0) throw new Error(stderr)
  for (const port of stdout.split(/\s+/).filter(Boolean)) taken.add(Number(port))
  const found: number[] = []
  while (found.length < count) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST + 1))
    if (taken.has(port)) continue
    taken.add(port)
    if (await isFree(port)) found.push(port)
  }
  return found
}

async function isFree(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
