import { afterAll, describe, expect, test } from 'bun:test'
import { listAt } from '../../../sandbox/api/json.ts'
import { startCluster } from './cluster.ts'

const cluster = startCluster()
afterAll(() => cluster.stop())

const { kubectl, store } = cluster

/** `kubectl create` sends protobuf; what is stored shows that every field was understood. */
describe('kubectl create', () => {
  const cases: [string, string[], string, string, object][] = [
    [
      'namespace',
      ['x'],
      'namespaces',
      '',
      {
        spec: { finalizers: ['kubernetes'] },
        status: { phase: 'Active' },
        metadata: { labels: { 'kubernetes.io/metadata.name': 'x' } },
      },
    ],
    [
      'configmap',
      ['x', '--from-literal=a=1', '--from-literal=b=two'],
      'configmaps',
      'test',
      { data: { a: '1', b: 'two' } },
    ],
    [
      'secret',
      ['generic', 'x', '--from-literal=a=über'],
      'secrets',
      'test',
      { type: 'Opaque', data: { a: 'w7xiZXI=' } },
    ],
    [
      'deployment',
      ['x', '--image=web:1', '--replicas=0', '--port=8080'],
      'deployments',
      'test',
      {
        spec: {
          replicas: 0,
          strategy: { rollingUpdate: { maxSurge: '25%' } },
          template: {
            spec: {
              containers: [
                {
                  image: 'web:1',
                  imagePullPolicy: 'IfNotPresent',
                  ports: [{ containerPort: 8080, protocol: 'TCP' }],
                },
              ],
            },
          },
        },
      },
    ],
    [
      'service',
      ['nodeport', 'x', '--tcp=80:8080'],
      'services',
      'test',
      {
        spec: {
          type: 'NodePort',
          externalTrafficPolicy: 'Cluster',
          ports: [{ name: '80-8080', port: 80, targetPort: 8080 }],
        },
      },
    ],
    [
      'job',
      ['x', '--image=web', '--', 'sh', '-c', 'true'],
      'jobs',
      'test',
      {
        spec: {
          backoffLimit: 6,
          completions: 1,
          parallelism: 1,
          template: {
            spec: {
              restartPolicy: 'Never',
              containers: [{ command: ['sh', '-c', 'true'], imagePullPolicy: 'Always' }],
            },
          },
        },
      },
    ],
    [
      'cronjob',
      ['x', '--image=web:1', '--schedule=*/5 * * * *'],
      'cronjobs',
      'test',
      {
        spec: {
          schedule: '*/5 * * * *',
          concurrencyPolicy: 'Allow',
          jobTemplate: { spec: { template: { spec: { restartPolicy: 'OnFailure' } } } },
        },
      },
    ],
    [
      'quota',
      ['x', '--hard=pods=3,requests.cpu=500m'],
      'resourcequotas',
      'test',
      { spec: { hard: { pods: '3', 'requests.cpu': '500m' } } },
    ],
    [
      'pdb',
      ['x', '--selector=a=b', '--min-available=50%'],
      'poddisruptionbudgets',
      'test',
      { spec: { minAvailable: '50%', selector: { matchLabels: { a: 'b' } } } },
    ],
    [
      'role',
      ['x', '--verb=get,list', '--resource=pods,deployments.apps'],
      'roles',
      'test',
      {
        rules: [
          { verbs: ['get', 'list'], apiGroups: [''], resources: ['pods'] },
          { apiGroups: ['apps'], resources: ['deployments'] },
        ],
      },
    ],
    [
      'rolebinding',
      ['x', '--role=x', '--serviceaccount=test:sa', '--user=bob'],
      'rolebindings',
      'test',
      {
        roleRef: { kind: 'Role', name: 'x', apiGroup: 'rbac.authorization.k8s.io' },
        subjects: [
          { kind: 'User', name: 'bob' },
          { kind: 'ServiceAccount', name: 'sa', namespace: 'test' },
        ],
      },
    ],
    [
      'ingress',
      ['x', '--rule=host.example/path*=web:http'],
      'ingresses',
      'test',
      {
        spec: {
          rules: [
            {
              host: 'host.example',
              http: {
                paths: [
                  {
                    path: '/path',
                    pathType: 'Prefix',
                    backend: { service: { name: 'web', port: { name: 'http' } } },
                  },
                ],
              },
            },
          ],
        },
      },
    ],
  ]
  test.each(cases)('%s', async (kind, args, resource, namespace, stored) => {
    const made = await kubectl(['create', kind, ...args])
    expect(made).toMatchObject({ code: 0, stderr: '' })
    expect(made.stdout).toEndWith('/x created')
    expect(store.get(resource, namespace || undefined, 'x')).toMatchObject(stored)
  })

  test('autoscale writes what autoscaling/v1 and v2 both show', async () => {
    await kubectl(['autoscale', 'deployment', 'x', '--min=2', '--max=4', '--cpu-percent=70'])
    const shown = await kubectl([
      'get',
      'horizontalpodautoscalers.v1.autoscaling',
      'x',
      '-o',
      'jsonpath={.apiVersion} {.spec.minReplicas} {.spec.targetCPUUtilizationPercentage}',
    ])
    expect(shown.stdout).toBe('autoscaling/v1 2 70')
    expect(store.get('horizontalpodautoscalers', 'test', 'x')).toMatchObject({
      apiVersion: 'autoscaling/v2',
      spec: { maxReplicas: 4, metrics: [{ resource: { name: 'cpu', target: { averageUtilization: 70 } } }] },
    })
  })

  test('an autoscaling/v1 manifest applies without an end, and diffs empty', async () => {
    const manifest = {
      apiVersion: 'autoscaling/v1',
      kind: 'HorizontalPodAutoscaler',
      metadata: { name: 'v1' },
      spec: {
        maxReplicas: 4,
        minReplicas: 2,
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'x' },
      },
    }
    for (const flags of [['--server-side', '--force-conflicts'], []]) {
      expect((await kubectl(['apply', ...flags, '-f', '-'], manifest)).stderr).not.toContain('rror')
      expect(await kubectl(['diff', '-f', '-'], manifest)).toEqual({ code: 0, stdout: '', stderr: '' })
    }
  })
})

const pod = (name: string, cpu?: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: { containers: [{ name: 'a', image: 'b', resources: cpu ? { requests: { cpu } } : {} }] },
})
const create = (object: object) => kubectl(['create', '-f', '-', '-n', 'x'], object)

describe('ResourceQuota', () => {
  const from = 'Error from server (Forbidden): error when creating "STDIN": '

  test('stops what is too much, and says how much there is', async () => {
    await kubectl(['create', 'quota', 'q', '--hard=pods=2,requests.cpu=1,count/services=0', '-n', 'x'])
    expect((await create(pod('none'))).stderr).toBe(
      `${from}pods "none" is forbidden: failed quota: q: must specify requests.cpu for: a`,
    )
    expect((await create(pod('first', '600m'))).code).toBe(0)
    expect((await create(pod('second', '600m'))).stderr).toBe(
      `${from}pods "second" is forbidden: exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=600m, limited: requests.cpu=1`,
    )
    expect((await create(pod('second', '400m'))).code).toBe(0)
    expect((await create(pod('third', '0'))).stderr).toContain(
      'exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2',
    )
    const service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 's' },
      spec: { ports: [{ port: 80 }] },
    }
    expect((await create(service)).stderr).toContain(
      'exceeded quota: q, requested: count/services=1, used: count/services=0, limited: count/services=0',
    )
    const used = await kubectl(['get', 'quota', 'q', '-n', 'x', '-o', 'jsonpath={.status.used}'])
    expect(JSON.parse(used.stdout)).toEqual({ 'count/services': '0', pods: '2', 'requests.cpu': '1' })
  })

  test('finished pods do not count', async () => {
    store.modify('pods', 'x', 'first', (draft) => {
      draft.status = { phase: 'Succeeded' }
    })
    expect((await create(pod('third', '100m'))).code).toBe(0)
  })
})

const nodePort = (name: string, port?: number) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { type: 'NodePort', ports: [{ port: 80, ...(port !== undefined && { nodePort: port }) }] },
})
function portOf(name: string): number | undefined {
  const port = listAt(store.get('services', 'test', name), 'spec', 'ports')[0]?.nodePort
  return typeof port === 'number' ? port : undefined
}

describe('node ports', () => {
  test('are given from the range, kept over an apply, and belong to one Service', async () => {
    await kubectl(['apply', '-f', '-'], nodePort('a'))
    const given = portOf('a') ?? 0
    expect(given).toBeGreaterThanOrEqual(30000)
    expect(given).toBeLessThanOrEqual(32767)
    await kubectl(['apply', '-f', '-'], {
      ...nodePort('a'),
      spec: { ...nodePort('a').spec, sessionAffinity: 'ClientIP' },
    })
    expect(portOf('a')).toBe(given)
    const taken = await kubectl(['create', '-f', '-'], nodePort('b', given))
    expect(taken.stderr).toBe(
      `The Service "b" is invalid: spec.ports[0].nodePort: Invalid value: ${given}: provided port is already allocated`,
    )
  })

  test('are given back when the Service is internal again', async () => {
    await kubectl(['patch', 'service', 'a', '-p', '{"spec":{"type":"ClusterIP"}}'])
    expect(portOf('a')).toBeUndefined()
    expect(store.get('services', 'test', 'a')?.spec).not.toHaveProperty('externalTrafficPolicy')
  })
})
