/** What a client of a Service meets: balance, pinned connections, refusal, and its bytes unharmed. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { connect, createServer } from 'node:net'
import type { EndpointSlice, Service } from '../../sandbox/kinds.ts'
import { TcpProxy } from '../../sandbox/node/tcp-proxy.ts'
import { PATIENCE_MS, READY, TestCluster, deployment, service } from './fixtures/cluster.ts'

let cluster: TestCluster

beforeAll(async () => {
  cluster = new TestCluster()
  const colors = ['blue', 'green']
  const images = await Promise.all(colors.map((VERSION) => cluster.push(`app:${VERSION}`, { VERSION })))
  const deployments = colors.map((color, index) =>
    deployment(color, { image: images[index] ?? '', readinessProbe: READY }, { replicas: 2 }),
  )
  await cluster.apply(...deployments, service('live', { app: 'blue' }), service('empty', { app: 'none' }))
  await Promise.all(
    colors.map((color) => cluster.kubectl('rollout', 'status', `deployment/${color}`, '--timeout=30s')),
  )
})
afterAll(() => cluster.stop())
setDefaultTimeout(2 * PATIENCE_MS)

function nodePort(name: string): number {
  return cluster.store.get<Service>('services', 'default', name)?.spec.ports?.[0]?.nodePort ?? 0
}

function get(port: number, agent?: Agent): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path: '/', ...(agent ? { agent } : { agent: false }) })
    sent.on('error', reject)
    sent.on('response', (response) => {
      let body = ''
      response.on('data', (chunk: Buffer) => (body += chunk.toString()))
      response.on('end', () => resolve(body))
    })
    sent.end()
  })
}

/** What a request failed with. @throws Error when it did not */
async function failureOf(answer: Promise<string>): Promise<unknown> {
  const failure: unknown = await answer.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (failure === undefined) throw new Error('the request was answered')
  return failure
}

test('new connections are balanced; the cluster IP leads there too', async () => {
  const pods = new Set<string>()
  for (let count = 0; count < 40; count++) pods.add(await get(nodePort('live')))
  expect([...pods].toSorted()).toEqual([
    expect.stringMatching(/^blue blue-/),
    expect.stringMatching(/^blue blue-/),
  ])
  const clusterIP = cluster.store.get<Service>('services', 'default', 'live')?.spec.clusterIP
  expect(await (await fetch(`http://${clusterIP}/`)).text()).toStartWith('blue')
})

test('a switch moves new connections at once and leaves a keep-alive connection with its pod', async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const pinned = await get(nodePort('live'), agent)
  const patch = '{"spec":{"selector":{"app":"green"}}}'
  await cluster.kubectl('patch', 'service', 'live', '-p', patch)
  await cluster.untilAll<EndpointSlice>('endpointslices', (slices) =>
    slices
      .filter(({ metadata }) => metadata.labels?.['kubernetes.io/service-name'] === 'live')
      .every(({ endpoints }) => endpoints?.every(({ targetRef }) => targetRef?.name.startsWith('green'))),
  )
  for (let count = 0; count < 20; count++) expect(await get(nodePort('live'))).toStartWith('green')
  for (let count = 0; count < 20; count++) expect(await get(nodePort('live'), agent)).toBe(pinned)
  agent.destroy()
})

test('without endpoints a client is refused, and served again when there are some', async () => {
  expect(await failureOf(get(nodePort('empty')))).toMatchObject({ code: 'ECONNREFUSED' })
  await cluster.kubectl('patch', 'service', 'empty', '-p', '{"spec":{"selector":{"app":"blue"}}}')
  await untilReady('empty', 2)
  expect(await get(nodePort('empty'))).toStartWith('blue')
  await cluster.kubectl('patch', 'service', 'empty', '-p', '{"spec":{"selector":{"app":"none"}}}')
  await untilReady('empty', 0)
  expect(await failureOf(get(nodePort('empty')))).toMatchObject({ code: 'ECONNREFUSED' })
})

function untilReady(name: string, wanted: number) {
  return cluster.untilAll<EndpointSlice>('endpointslices', (slices) => {
    const own = slices.filter(({ metadata }) => metadata.labels?.['kubernetes.io/service-name'] === name)
    return own.flatMap(({ endpoints }) => endpoints ?? []).length === wanted
  })
}

test('10 MB go through and come back unchanged', async () => {
  const sent = crypto.getRandomValues(new Uint8Array(65_536))
  const body = new Uint8Array(160 * sent.length)
  for (let at = 0; at < body.length; at += sent.length) body.set(sent, at)
  const answer = await fetch(`http://127.0.0.1:${nodePort('live')}/echo`, { method: 'POST', body })
  expect(Bun.SHA256.hash(await answer.arrayBuffer(), 'hex')).toBe(Bun.SHA256.hash(body, 'hex'))
})

test('a slow reader gets every byte, and a half-closed connection its answer', async () => {
  const size = 10 * 2 ** 20
  // Answers only once the client has finished sending, with more than the sockets' buffers hold.
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    let received = 0
    socket.on('data', (chunk) => (received += chunk.length))
    socket.on('end', () => socket.end(Buffer.alloc(size, String(received % 10))))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port: backendPort } = server.address() as { port: number }
  const port = await freePort()
  const proxy = new TcpProxy('127.0.0.1', port, (error) => {
    throw error
  })
  proxy.setBackends([{ host: '127.0.0.1', port: backendPort }])

  const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  await once(client, 'connect')
  client.end(Buffer.alloc(size + 3))
  let received = 0
  for await (const chunk of client as AsyncIterable<Buffer>) {
    expect(chunk.every((byte) => byte === '3'.charCodeAt(0))).toBe(true)
    received += chunk.length
    if (received % 5 === 0) await Bun.sleep(1) // reads more slowly than the server writes
  }
  expect(received).toBe(size)
  proxy.stop()
  server.close()
})

test('a backend that refuses is a reset for the client', async () => {
  const port = await freePort()
  const proxy = new TcpProxy('127.0.0.1', port, (error) => {
    throw error
  })
  proxy.setBackends([{ host: '127.0.0.1', port: await freePort() }])
  expect(await failureOf(get(port))).toMatchObject({ code: 'ECONNRESET' })
  proxy.stop()
})

async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

test('an address that was somebody else’s for a moment is listened at as soon as it is free', async () => {
  using pod = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response('pod') })
  const port = await freePort()
  const other = Bun.listen({ hostname: '127.0.0.1', port, socket: { data() {} } })
  const reports: Error[] = []
  const proxy = new TcpProxy('127.0.0.1', port, (error) => reports.push(error))
  try {
    proxy.setBackends([{ host: '127.0.0.1', port: pod.port ?? 0 }])
    await Bun.sleep(50)
    expect(reports).not.toEqual([])
    other.stop(true)
    await Bun.sleep(500)
    expect(await get(port)).toBe('pod')
  } finally {
    proxy.stop()
  }
})
