import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { NAMESPACED, startCluster } from './cluster.ts'

const cluster = startCluster({
  logs: { logs: (namespace, pod, options) => `${namespace}/${pod} ${JSON.stringify(options)}\n` },
})
afterAll(() => cluster.stop())

const { call, kubectl, store } = cluster

function make(
  apiVersion: string,
  kind: string,
  name: string,
  fields: object,
  labels: Record<string, string> = {},
): void {
  const resource =
    kind === 'Endpoints' ? 'endpoints' : kind === 'Ingress' ? 'ingresses' : `${kind.toLowerCase()}s`
  store.create(resource, { apiVersion, kind, metadata: { name, namespace: 'test', labels }, ...fields })
}

const containers = [{ name: 'app' }, { name: 'side' }]

function pod(name: string, status: object, metadata: object = {}): void {
  const object = { name, namespace: 'test', ...metadata }
  store.create('pods', { apiVersion: 'v1', kind: 'Pod', metadata: object, spec: { containers }, status })
}

const running = { ready: true, state: { running: {} }, restartCount: 0 }

beforeAll(() => {
  pod('p1-running', { phase: 'Running', containerStatuses: [running, running] })
  pod(
    'p2-crashing',
    {
      phase: 'Running',
      containerStatuses: [running, { state: { waiting: { reason: 'CrashLoopBackOff' } }, restartCount: 3 }],
    },
    { uid: 'crashing' },
  )
  pod('p3-pulling', {
    phase: 'Pending',
    containerStatuses: [{ state: { waiting: { reason: 'ErrImagePull' } } }],
  })
  pod('p4-init', {
    phase: 'Pending',
    initContainerStatuses: [{ state: { waiting: { reason: 'CrashLoopBackOff' } } }],
  })
  pod(
    'p5-leaving',
    { phase: 'Running', containerStatuses: [running] },
    { deletionTimestamp: '2026-01-01T00:00:00Z' },
  )
  pod('p6-done', {
    phase: 'Succeeded',
    containerStatuses: [{ state: { terminated: { reason: 'Completed', exitCode: 0 } } }],
  })
  pod('p7-new', { phase: 'Pending' })
  const template = { spec: { containers: [{ name: 'app', image: 'web:1' }] } }
  make('apps/v1', 'Deployment', 'd', {
    spec: { replicas: 3, selector: { matchLabels: { app: 'd' } }, template },
    status: { readyReplicas: 2, updatedReplicas: 1, availableReplicas: 2 },
  })
  make('apps/v1', 'ReplicaSet', 'r', { spec: { replicas: 3 }, status: { replicas: 2, readyReplicas: 1 } })
  make('batch/v1', 'Job', 'j', {
    spec: { completions: 1 },
    status: {
      succeeded: 1,
      startTime: '2026-01-01T00:00:00Z',
      completionTime: '2026-01-01T00:02:05Z',
      conditions: [{ type: 'Complete', status: 'True' }],
    },
  })
  make('v1', 'Service', 's', {
    spec: {
      type: 'NodePort',
      clusterIP: '127.96.0.9',
      ports: [
        { port: 80, nodePort: 30080, protocol: 'TCP' },
        { port: 81, protocol: 'UDP' },
      ],
    },
  })
  make('coordination.k8s.io/v1', 'Lease', 'l', { spec: { holderIdentity: 'me' } })
  make('discovery.k8s.io/v1', 'EndpointSlice', 'e', {
    addressType: 'IPv4',
    ports: [{ port: 80 }],
    endpoints: ['1.1.1.1', '1.1.1.2', '1.1.1.3', '1.1.1.4'].map((each) => ({ addresses: [each] })),
  })
  make('v1', 'ConfigMap', 'c', { data: { a: '1' }, binaryData: { b: '' } }, { tier: 'web' })
  make('v1', 'ConfigMap', 'c2', {}, { tier: 'db' })
  make('v1', 'Event', 'ev', {
    type: 'Warning',
    reason: 'BackOff',
    message: 'again',
    involvedObject: { kind: 'Pod', name: 'p2-crashing', namespace: 'test', uid: 'crashing' },
    lastTimestamp: new Date().toISOString(),
  })
})

/** The header and rows of a table, cells trimmed, without the age. */
async function rows(...args: string[]): Promise<string[]> {
  const { stdout } = await kubectl(['get', ...args])
  return stdout.split('\n').map((line) =>
    line
      .trim()
      .replace(/\s{2,}/g, ' | ')
      .replace(/ \| (AGE|\d+s|<unknown>)/, ''),
  )
}

describe('kubectl get prints', () => {
  const cases: [string[], string[]][] = [
    [
      ['pods'],
      [
        'NAME | READY | STATUS | RESTARTS',
        'p1-running | 2/2 | Running | 0',
        'p2-crashing | 1/2 | CrashLoopBackOff | 3',
        'p3-pulling | 0/2 | ErrImagePull | 0',
        'p4-init | 0/2 | Init:CrashLoopBackOff | 0',
        'p5-leaving | 1/2 | Terminating | 0',
        'p6-done | 0/2 | Completed | 0',
        'p7-new | 0/2 | Pending | 0',
      ],
    ],
    [
      ['deployments', '-o', 'wide'],
      [
        'NAME | READY | UP-TO-DATE | AVAILABLE | CONTAINERS | IMAGES | SELECTOR',
        'd | 2/3 | 1 | 2 | app | web:1 | app=d',
      ],
    ],
    [['replicasets'], ['NAME | DESIRED | CURRENT | READY', 'r | 3 | 2 | 1']],
    [['jobs'], ['NAME | STATUS | COMPLETIONS | DURATION', 'j | Complete | 1/1 | 2m5s']],
    [
      ['services'],
      [
        'NAME | TYPE | CLUSTER-IP | EXTERNAL-IP | PORT(S)',
        's | NodePort | 127.96.0.9 | <none> | 80:30080/TCP,81/UDP',
      ],
    ],
    [['leases'], ['NAME | HOLDER', 'l | me']],
    [
      ['endpointslices'],
      ['NAME | ADDRESSTYPE | PORTS | ENDPOINTS', 'e | IPv4 | 80 | 1.1.1.1,1.1.1.2,1.1.1.3 + 1 more...'],
    ],
    [
      ['configmaps', '-l', 'tier in (web, cache)'],
      ['NAME | DATA', 'c | 2'],
    ],
    [['configmaps', '-l', 'tier!=web', '--no-headers'], ['c2 | 0']],
    [['pods', '--field-selector', 'status.phase=Succeeded', '-o', 'name'], ['pod/p6-done']],
    [
      ['events', '--field-selector', 'involvedObject.name=p2-crashing', '--no-headers'],
      ['0s | Warning | BackOff | pod/p2-crashing | again'],
    ],
    [
      ['cm,lease', '-o', 'name'],
      ['configmap/c', 'configmap/c2', 'lease.coordination.k8s.io/l'],
    ],
  ]
  test.each(cases)('%p', async (args, printed) => {
    const seen = await rows(...args)
    expect(seen.map((line) => line.replace(/^\d+s \|/, '0s |'))).toEqual(printed)
  })

  test('nothing where there is nothing', async () => {
    expect(await kubectl(['get', 'secrets'])).toEqual({
      code: 0,
      stdout: '',
      stderr: 'No resources found in test namespace.',
    })
  })
})

describe('lists', () => {
  test('come in pages', async () => {
    const first = await call('GET', `${NAMESPACED}/pods?limit=5`)
    const { metadata, items } = first.body as {
      metadata: { continue: string; remainingItemCount: number }
      items: { metadata: { name: string } }[]
    }
    expect({ rest: metadata.remainingItemCount, last: items.at(-1)?.metadata.name }).toEqual({
      rest: 2,
      last: 'p5-leaving',
    })
    const second = await call('GET', `${NAMESPACED}/pods?limit=5&continue=${metadata.continue}`)
    expect((second.body as { items: unknown[] }).items).toHaveLength(2)
    expect(second.body.metadata).not.toHaveProperty('continue')
  })

  test.each([
    ['fieldSelector=spec.nope%3D1', 'field label not supported: spec.nope'],
    ['labelSelector=a%20in%20(b', "unable to parse requirement: found '', expected: ',' or ')'"],
    ['labelSelector=a%20b', "unable to parse requirement: found 'a b', expected: identifier"],
  ])('refuse %s', async (query, message) => {
    const reply = await call('GET', `${NAMESPACED}/pods?${query}`)
    expect({ status: reply.status, message: reply.message }).toEqual({ status: 400, message })
  })
})

describe('logs', () => {
  test('are asked of the node, with the options', async () => {
    const { stdout } = await kubectl([
      'logs',
      'p1-running',
      '-c',
      'side',
      '--tail=5',
      '--previous',
      '--since=1m',
    ])
    const options = {
      tailLines: 5,
      sinceSeconds: 60,
      previous: true,
      follow: false,
      timestamps: false,
      container: 'side',
    }
    expect(stdout).toBe(`test/p1-running ${JSON.stringify(options)}`)
  })

  test.each([
    [
      `${NAMESPACED}/pods/p1-running/log`,
      400,
      'a container name must be specified for pod p1-running, choose one of: [app side]',
    ],
    [`${NAMESPACED}/pods/p1-running/log?container=zz`, 400, 'container zz is not valid for pod p1-running'],
    [`${NAMESPACED}/pods/nope/log`, 404, 'pods "nope" not found'],
  ])('%s is refused', async (path, status, message) => {
    const reply = await call('GET', path)
    expect({ status: reply.status, message: reply.message }).toEqual({ status, message })
  })
})

const proxied = (name: string, path: string) => `${NAMESPACED}/pods/${name}/proxy${path}`

describe('what a pod answers', () => {
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: ({ url }) =>
      new Response(new URL(url).pathname + new URL(url).search, {
        status: url.includes('teapot') ? 418 : 200,
      }),
  })
  afterAll(() => server.stop(true))

  test('kubectl is told it, whatever its path', async () => {
    pod('asked', { phase: 'Running', podIP: '127.0.0.1' })
    const { stdout } = await kubectl(['get', '--raw', proxied(`asked:${server.port}`, '/a/metrics?b=c')])
    expect(stdout).toBe('/a/metrics?b=c')
    expect((await kubectl(['get', '--raw', proxied(`asked:${server.port}`, '/teapot')])).code).toBe(1)
  })

  test.each([
    ['nope:80', 404, 'pods "nope" not found'],
    ['p7-new:80', 400, 'address not allowed'],
    ['asked:1', 503, 'error trying to reach service: '],
  ])('pod %s does not answer', async (name, status, message) => {
    const reply = await call('GET', proxied(name, '/metrics'))
    expect(reply.status).toBe(status)
    expect(reply.message).toStartWith(message)
  })
})

describe('what is not there', () => {
  test('kubectl says so of a kind', async () => {
    expect((await kubectl(['get', 'statefulsets'])).stderr).toBe(
      'error: the server doesn\'t have a resource type "statefulsets"',
    )
  })

  const missing = 'the server could not find the requested resource'
  test.each([
    ['GET', '/nope', 404, missing],
    ['GET', '/apis/apps/v1/namespaces/test/statefulsets', 404, missing],
    ['GET', '/apis/apps/v2', 404, missing],
    ['GET', `${NAMESPACED}/pods/p1-running/nope`, 404, missing],
    ['GET', `${NAMESPACED}/configmaps/nope`, 404, 'configmaps "nope" not found'],
    ['GET', '/apis/apps/v1/namespaces/test/deployments/nope', 404, 'deployments.apps "nope" not found'],
    ['POST', `${NAMESPACED}/pods/p1-running/exec`, 501, 'the sandbox does not implement pods/exec'],
    [
      'GET',
      `${NAMESPACED}/pods/p1-running/portforward`,
      501,
      'the sandbox does not implement pods/portforward',
    ],
    [
      'PUT',
      `${NAMESPACED}/configmaps`,
      405,
      'the server does not allow this method on the requested resource',
    ],
    [
      'GET',
      '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
      405,
      'the server does not allow this method on the requested resource',
    ],
  ])('%s %s', async (method, path, status, message) => {
    const reply = await call(method, path, method === 'GET' ? undefined : {})
    expect({ status: reply.status, message: reply.message }).toEqual({ status, message })
    expect(reply.body).toMatchObject({ kind: 'Status', status: 'Failure', code: status })
  })
})

describe('describe', () => {
  test.each([
    ['pod', 'p2-crashing', ['Status:       Running', 'BackOff']],
    ['deployment', 'd', ['Replicas:', 'Image:         web:1']],
    ['service', 's', ['NodePort:          <unset>  30080/TCP']],
  ])('%s', async (kind, name, lines) => {
    const { code, stdout } = await kubectl(['describe', kind, name])
    expect(code).toBe(0)
    for (const line of lines) expect(stdout).toContain(line)
  })
})

test('discovery tells kubectl of every kind, its short names and "all"', async () => {
  const { stdout } = await kubectl(['api-resources', '--no-headers', '-o', 'name'])
  expect(stdout.split('\n')).toHaveLength(28)
  expect((await kubectl(['get', 'deploy,svc,hpa,netpol,pdb,cj,quota,sa,ep,ev,no', '-o', 'name'])).code).toBe(
    0,
  )
  const all = await kubectl(['get', 'all', '-o', 'name'])
  expect(all.stdout.split('\n').slice(-4)).toEqual([
    'service/s',
    'deployment.apps/d',
    'replicaset.apps/r',
    'job.batch/j',
  ])
})
