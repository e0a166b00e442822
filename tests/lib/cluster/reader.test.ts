/** By a real `kubectl proxy`, before an API server that is no more than what a test wants it to answer. */
import { afterEach, expect, test } from 'bun:test'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { until } from '../../../examples/rehearsal/program.ts'
import { systemClock } from '../../../lib/clock.ts'
import { shell, type Command, type Shell } from '../../../lib/command.ts'
import { get as listing, getApp, getFromPod, getNamed } from '../../../lib/cluster/commands.ts'
import { Kubectl } from '../../../lib/cluster/kubectl.ts'
import { openReader } from '../../../lib/cluster/reader.ts'
import { refusalOf } from '../../../lib/cluster/refusal.ts'
import { temporaryFolder } from '../../../lib/temporary.ts'

const EMPTY = { stdout: '{"items":[]}', stderr: '', exitCode: 0 }
const empty = () => Promise.resolve(EMPTY)

const scope = { context: 'test', namespace: 'chat' }
const METRICS = getFromPod('chat', 'a', 9091, '/metrics')

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

/** @param real what runs instead of a kubectl; each is written down */
function reading(
  answer: (path: string) => Response | Promise<Response>,
  real?: Partial<Shell>,
  within?: number,
) {
  const asked: string[] = []
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    idleTimeout: 0,
    fetch: async (request) => {
      const { pathname, search } = new URL(request.url)
      if (pathname === '/version') return Response.json({ major: '1', minor: '32' }) // asked by kubectl as it begins
      asked.push(`${request.method} ${pathname}${search}`)
      return await answer(pathname)
    },
  })
  const folder = temporaryFolder()
  const file = join(folder.path, 'config')
  const named = { name: 'test', cluster: { server: server.url.href }, context: { cluster: 'test' } }
  writeFileSync(
    file,
    JSON.stringify({ kind: 'Config', apiVersion: 'v1', clusters: [named], contexts: [named] }),
  )
  const { KUBECONFIG } = process.env
  process.env['KUBECONFIG'] = file
  const run = { ...shell(() => {}), ...real }
  const kubectls: Command[] = []
  const noted: Shell = {
    ...run,
    read: async (command, options) => (kubectls.push(command), await run.read(command, options)),
  }
  const abort = new AbortController()
  const reader = openReader(scope, noted, within)
  const kubectl = new Kubectl(scope, reader.shell, systemClock, abort.signal)
  closing.push(
    () => folder[Symbol.dispose](),
    () => server.stop(true),
    () =>
      void (KUBECONFIG === undefined
        ? delete process.env['KUBECONFIG']
        : (process.env['KUBECONFIG'] = KUBECONFIG)),
    () => reader[Symbol.asyncDispose](),
  )
  return { asked, kubectls, reader: { ...reader, kubectl }, abort }
}

/** Folders of readers that this process holds. */
const sockets = (): string[] =>
  readdirSync(tmpdir())
    .filter((name) => name.includes(`-${process.pid}-`))
    .map((name) => join(tmpdir(), name, 'api'))
    .filter((path) => existsSync(path))

type Reading = ReturnType<typeof reading>['reader']

const get = async ({ kubectl }: Reading, command = METRICS, timeout = 5000) =>
  await kubectl.ask(command, { timeout })

test('pods and what they say are read without a kubectl for each', async () => {
  const { asked, kubectls, reader } = reading((path) =>
    path.endsWith('/metrics') ? new Response('up 1\n') : Response.json({ kind: 'PodList', items: [] }),
  )
  for (let i = 0; i < 5; i++) {
    expect(await get(reader)).toEqual({ stdout: 'up 1\n', stderr: '', exitCode: 0 })
    expect(JSON.parse((await get(reader, listing(['pods'], '--selector=app=chat'))).stdout)).toMatchObject({
      items: [],
    })
  }
  expect(kubectls).toEqual([])
  expect([...new Set(asked)]).toEqual([
    'GET /api/v1/namespaces/chat/pods/a:9091/proxy/metrics',
    'GET /api/v1/namespaces/chat/pods?labelSelector=app%3Dchat',
  ])
})

/** It listens from here on: what a pod says waits for that. */
async function listening({ reader, kubectls, asked }: ReturnType<typeof reading>): Promise<void> {
  await get(reader)
  kubectls.length = asked.length = 0
}

test('all that is the application’s, as a kubectl puts it together: one kind after the other', async () => {
  const kinds = { services: 'Service', deployments: 'Deployment', leases: 'Lease' }
  let at = 0
  const all = reading(async (path) => {
    expect(++at).toBe(1)
    await Bun.sleep(5)
    at--
    const [, , , group, resource = ''] = /^\/(api|apis)\/(.+)\/namespaces\/(chat)\/(\w+)$/.exec(path) ?? []
    const found = group === 'chat' && resource in kinds
    return Response.json({
      items: found ? [{ metadata: { name: resource } }, { metadata: { name: 'b' } }] : [],
    })
  })
  await listening(all)
  const answer = await get(all.reader, getApp('chat app'))
  const { items } = JSON.parse(answer.stdout) as {
    items: { apiVersion: string; kind: string; metadata: { name: string } }[]
  }
  expect(items.map(({ kind, metadata }) => `${kind}/${metadata.name}`)).toEqual(
    Object.entries(kinds).flatMap(([name, kind]) => [`${kind}/${name}`, `${kind}/b`]),
  )
  expect([...new Set(items.map(({ apiVersion }) => apiVersion))]).toEqual([
    'v1',
    'apps/v1',
    'coordination.k8s.io/v1',
  ])
  const order = ['services', 'deployments', 'replicasets', 'pods', 'horizontalpodautoscalers', 'leases']
  expect(all.asked.map((one) => /(\w+)\?labelSelector=app%3Dchat%20app$/.exec(one)?.[1])).toEqual(order)
  expect(all.kubectls).toEqual([])
})

test('where one of them is refused, kubectl is asked for all', async () => {
  const one = reading((path) =>
    path.endsWith('/leases') ? new Response('no', { status: 403 }) : Response.json({ items: [] }),
  )
  await listening(one)
  expect(await get(one.reader, getApp('chat'))).toMatchObject({ exitCode: 1 })
  expect(one.kubectls).toHaveLength(1)
})

test('what is asked for by name may be missing; a kind that the server does not know is no missing object', async () => {
  const missing = { kind: 'Status', reason: 'NotFound', details: { name: 'gone' }, code: 404 }
  const some = reading((path) => {
    if (path.endsWith('/gone')) return Response.json(missing, { status: 404 })
    if (path.includes('/jobs')) return new Response('404 page not found', { status: 404 })
    return Response.json({ kind: 'Service', apiVersion: 'v1', metadata: { name: 'chat' } })
  })
  await listening(some)
  const found = await get(some.reader, getNamed('service/chat', 'lease/gone'))
  expect(JSON.parse(found.stdout)).toEqual({
    items: [{ kind: 'Service', apiVersion: 'v1', metadata: { name: 'chat' } }],
  })
  expect(await some.reader.kubectl.objects(getNamed('configmap/gone'), z.unknown())).toEqual([])
  expect(some.asked).toEqual([
    'GET /api/v1/namespaces/chat/services/chat',
    'GET /apis/coordination.k8s.io/v1/namespaces/chat/leases/gone',
    'GET /api/v1/namespaces/chat/configmaps/gone',
  ])
  expect(some.kubectls).toEqual([])
  expect(await get(some.reader, getNamed('job/gone2'))).toMatchObject({ exitCode: 1 })
  // Kubernetes 1.20 has no discovery.k8s.io/v1: a list of it is not an empty one.
  expect(await get(some.reader, listing(['jobs'], '--selector=app=chat'))).toMatchObject({ exitCode: 1 })
  expect(some.kubectls).toHaveLength(2)
})

test('four reads are made by a kubectl each, and so are those that a proxy is not there for yet', async () => {
  const first = reading(() => Response.json({ items: [] }), { read: empty })
  for (let i = 0; i < 4; i++) await get(first.reader, listing(['pods']))
  expect(sockets()).toEqual([])
  expect(first.kubectls).toHaveLength(4)
  await until('a proxy', async () => {
    await get(first.reader, listing(['pods']))
    return first.asked.length > 0 || undefined
  })
  const kubectls = first.kubectls.length
  await get(first.reader, listing(['pods']))
  expect(first.kubectls).toHaveLength(kubectls)
})

test('nothing is begun until it is needed, and nothing is left', async () => {
  const { reader, kubectls } = reading(() => Response.json({ kind: 'List', items: [] }))
  await get(reader, getNamed('service/chat'))
  expect(kubectls).toHaveLength(1)
  expect(sockets()).toEqual([])
  await get(reader)
  const [socket = ''] = sockets()
  expect(socket).not.toBe('')
  await reader[Symbol.asyncDispose]()
  expect(sockets()).toEqual([])
  expect(Bun.spawnSync(['pgrep', '-f', socket]).stdout.toString()).toBe('')
})

test('what is refused is told by kubectl, in its words', async () => {
  const message = 'pods "a" is forbidden: no'
  const { reader, kubectls } = reading(() =>
    Response.json(
      { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'Forbidden', code: 403, message },
      { status: 403 },
    ),
  )
  expect(await get(reader)).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('(Forbidden)') })
  expect(kubectls).toHaveLength(1)
})

test('another namespace, and what is no pod, is asked of kubectl: the proxy lets nothing else be read', async () => {
  const { reader, kubectls } = reading(() => new Response('up 1\n'))
  for (const path of ['/api/v1/namespaces/other/pods/a:1/proxy/metrics', '/api/v1/namespaces/chat/secrets/a'])
    expect(await get(reader, ['kubectl', 'get', `--raw=${path}`])).toMatchObject({ stdout: 'up 1\n' })
  expect(kubectls).toHaveLength(2)
})

test('a pod that stalls gets its time once', async () => {
  const { reader, kubectls } = reading(() => new Promise(() => {}))
  const begun = performance.now()
  expect(await get(reader, METRICS, 700)).toMatchObject({ exitCode: 124 })
  expect(performance.now() - begun).toBeLessThan(5000)
  expect(kubectls).toEqual([])
})

test('so does a list; and what is asked in another way is kubectl’s', async () => {
  const late = reading((path) =>
    path.endsWith('/leases') ? new Promise(() => {}) : Response.json({ items: [] }),
  )
  await listening(late)
  expect(await get(late.reader, getApp('chat'), 700)).toMatchObject({ exitCode: 124 })
  expect(late.kubectls).toEqual([])
  for (const command of [
    listing(['pods'], '--selector=app=chat', '--field-selector=status.phase=Running'),
    listing(['pods'], '--all-namespaces'),
    listing(['secrets'], '--selector=app=chat'),
    getNamed('secret/chat'),
    getNamed('service'),
  ]) {
    await listening(late)
    await get(late.reader, command)
    expect(late.kubectls).toHaveLength(1)
  }
})

test('a proxy whose connection hangs is asked no more: kubectl’s word for it, then kubectls, then another proxy', async () => {
  let hangs = true
  const answer = () => (hangs ? new Promise<Response>(() => {}) : Response.json({ items: [] }))
  const late = reading(
    (path) => (path.endsWith('/metrics') ? Response.json({}) : answer()),
    { read: empty },
    300,
  )
  await listening(late)
  const [socket = ''] = sockets()
  expect(refusalOf(await get(late.reader, listing(['pods'])))).toBe('Unreachable')
  await until('it is stopped', () => (existsSync(socket) ? undefined : true))
  hangs = false
  for (let i = 0; i < 4; i++) expect(await get(late.reader, listing(['pods']))).toEqual(EMPTY)
  expect(late.kubectls).toHaveLength(4)
  await listening(late)
  await get(late.reader, listing(['pods']))
  expect(late.asked).toHaveLength(1)
})

test('an interrupt ends what is asked', async () => {
  const { reader, abort } = reading(() => new Promise(() => {}))
  const asked = get(reader, METRICS, 60_000)
  await Bun.sleep(500)
  abort.abort(new Error('Ctrl-C'))
  const begun = performance.now()
  await asked.catch(() => {})
  expect(performance.now() - begun).toBeLessThan(5000)
})

test('where no proxy begins, or it has ended, kubectl is asked', async () => {
  const none = reading(() => new Response('up 1\n'), { start: () => Promise.reject(new Error('no sh')) })
  for (let i = 0; i < 2; i++) expect(await get(none.reader)).toMatchObject({ stdout: 'up 1\n' })
  expect(none.kubectls).toHaveLength(2)
  const killed = reading(() => new Response('up 1\n'))
  await get(killed.reader)
  const [socket = ''] = sockets()
  Bun.spawnSync(['pkill', '-KILL', '-f', socket])
  expect(await get(killed.reader)).toMatchObject({ stdout: 'up 1\n' })
  expect(killed.kubectls).toHaveLength(1)
})
