import { afterAll, expect, test } from 'bun:test'
import { deployment, service, startCluster } from './cluster.ts'

const cluster = startCluster()
afterAll(() => cluster.stop())

type Made = Record<string, unknown>

const container = { name: 'a', image: 'b' }

function pod(spec: object, metadata: object = {}): Made {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', ...metadata },
    spec: { containers: [container], ...spec },
  }
}

function podWith(fields: object): Made {
  return pod({ containers: [{ ...container, ...fields }] })
}

function deploymentWith(spec: object): Made {
  const made = deployment()
  return { ...made, spec: { ...(made.spec as object), ...spec } }
}

function job(spec: object, podSpec: object = { restartPolicy: 'Never' }): Made {
  const template = { spec: { containers: [container], ...podSpec } }
  return { apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'j' }, spec: { template, ...spec } }
}

function autoscaler(spec: object): Made {
  const scaleTargetRef = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' }
  return {
    apiVersion: 'autoscaling/v1',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'h' },
    spec: { scaleTargetRef, maxReplicas: 2, ...spec },
  }
}

function configMap(fields: object): Made {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c' }, ...fields }
}

const RBAC = 'rbac.authorization.k8s.io/v1'
const SUBDOMAIN =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
const LABEL_VALUE =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"

/** The sentences are those of a real cluster, where values are shown as JSON since Kubernetes 1.33. */
const cases: [string, Made, string[]][] = [
  ['a name', pod({}, { name: 'Bad_Name' }), [`metadata.name: Invalid value: "Bad_Name": ${SUBDOMAIN}`]],
  ['no name', pod({}, { name: '' }), ['metadata.name: Required value: name or generateName is required']],
  ['a label', pod({}, { labels: { a: 'c d' } }), [`metadata.labels: Invalid value: "c d": ${LABEL_VALUE}`]],
  ['no containers', pod({ containers: [] }), ['spec.containers: Required value']],
  ['no image', pod({ containers: [{ name: 'a' }] }), ['spec.containers[0].image: Required value']],
  [
    'the same container twice',
    pod({ containers: [container, container] }),
    ['spec.containers[1].name: Duplicate value: "a"'],
  ],
  [
    'a restart policy',
    pod({ restartPolicy: 'Maybe' }),
    ['spec.restartPolicy: Unsupported value: "Maybe": supported values: "Always", "Never", "OnFailure"'],
  ],
  [
    'a pull policy',
    podWith({ imagePullPolicy: 'Often' }),
    [
      'spec.containers[0].imagePullPolicy: Unsupported value: "Often": supported values: "Always", "IfNotPresent", "Never"',
    ],
  ],
  [
    'a port',
    podWith({ ports: [{ containerPort: 99999 }] }),
    [
      'spec.containers[0].ports[0].containerPort: Invalid value: 99999: must be between 1 and 65535, inclusive',
    ],
  ],
  [
    'a volume that is not there',
    podWith({ volumeMounts: [{ name: 'x', mountPath: '/x' }] }),
    ['spec.containers[0].volumeMounts[0].name: Not found: "x"'],
  ],
  [
    'a probe without a handler',
    podWith({ readinessProbe: { periodSeconds: 3 } }),
    ['spec.containers[0].readinessProbe: Required value: must specify a handler type'],
  ],
  [
    'a liveness probe that must succeed twice',
    podWith({ livenessProbe: { tcpSocket: { port: 80 }, successThreshold: 2 } }),
    ['spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1'],
  ],
  [
    'requests above limits',
    podWith({ resources: { requests: { cpu: '2' }, limits: { cpu: '500m' } } }),
    [
      'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 500m',
    ],
  ],
  [
    'a grace period',
    pod({ terminationGracePeriodSeconds: -1 }),
    ['spec.terminationGracePeriodSeconds: Invalid value: -1: must be greater than or equal to 0'],
  ],
  [
    'replicas',
    deploymentWith({ replicas: -1 }),
    ['spec.replicas: Invalid value: -1: must be greater than or equal to 0'],
  ],
  [
    'no selector',
    deploymentWith({ selector: undefined }),
    [
      'spec.selector: Required value',
      'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`',
    ],
  ],
  [
    'a selector that does not match',
    deploymentWith({ selector: { matchLabels: { app: 'x' } } }),
    [
      'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`',
    ],
  ],
  [
    'no surge and none unavailable',
    deploymentWith({ strategy: { rollingUpdate: { maxSurge: 0, maxUnavailable: 0 } } }),
    ['spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0'],
  ],
  [
    'Recreate with a rolling update',
    deploymentWith({ strategy: { type: 'Recreate', rollingUpdate: { maxSurge: 1 } } }),
    ["spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"],
  ],
  [
    'a job that restarts always',
    job({}, {}),
    ['spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'],
  ],
  [
    'a backoff limit',
    job({ backoffLimit: -1 }),
    ['spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0'],
  ],
  ['a service without ports', service({ ports: [] }), ['spec.ports: Required value']],
  [
    'two ports without names',
    service({ ports: [{ port: 1 }, { port: 2 }] }),
    ['spec.ports[0].name: Required value', 'spec.ports[1].name: Required value'],
  ],
  [
    'a protocol',
    service({ ports: [{ port: 1, protocol: 'XX' }] }),
    ['spec.ports[0].protocol: Unsupported value: "XX": supported values: "SCTP", "TCP", "UDP"'],
  ],
  [
    'a node port out of range',
    service({ type: 'NodePort', ports: [{ port: 1, nodePort: 80 }] }),
    [
      'spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767',
    ],
  ],
  [
    'a node port of a ClusterIP',
    service({ ports: [{ port: 1, nodePort: 30000 }] }),
    ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
  ],
  [
    'a key',
    configMap({ data: { 'a b': 'c' } }),
    [
      "data[a b]: Invalid value: \"a b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
    ],
  ],
  [
    'more data than 1 MiB',
    configMap({ data: { a: 'x'.repeat(1024 * 1024 + 1) } }),
    [': Too long: must have at most 1048576 bytes'],
  ],
  [
    'maxReplicas',
    autoscaler({ maxReplicas: 1, minReplicas: 2 }),
    ['spec.maxReplicas: Invalid value: 1: must be greater than or equal to `minReplicas`'],
  ],
  [
    'a lease duration',
    {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: 'l' },
      spec: { leaseDurationSeconds: 0 },
    },
    ['spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0'],
  ],
  [
    'a role reference',
    { apiVersion: RBAC, kind: 'RoleBinding', metadata: { name: 'b' }, roleRef: { kind: 'Foo', name: 'x' } },
    ['roleRef.kind: Unsupported value: "Foo": supported values: "ClusterRole", "Role"'],
  ],
  [
    'a rule without verbs',
    {
      apiVersion: RBAC,
      kind: 'Role',
      metadata: { name: 'r' },
      rules: [{ apiGroups: [''], resources: ['pods'] }],
    },
    ['rules[0].verbs: Required value: verbs must contain at least one value'],
  ],
]

function collection(object: Made): string {
  const { apiVersion, kind } = object as { apiVersion: string; kind: string }
  const root = apiVersion === 'v1' ? '/api/v1' : `/apis/${apiVersion}`
  return `${root}/namespaces/test/${kind.toLowerCase()}s`
}

test.each(cases)('refuses %s', async (_what, object, sentences) => {
  const reply = await cluster.call('POST', collection(object), object)
  const { apiVersion, kind, metadata } = object as {
    apiVersion: string
    kind: string
    metadata: { name: string }
  }
  const group = apiVersion.includes('/') ? `.${apiVersion.split('/')[0]}` : ''
  const list = sentences.length === 1 ? sentences.join('') : `[${sentences.join(', ')}]`
  expect(reply.message).toBe(`${kind}${group} "${metadata.name}" is invalid: ${list}`)
  expect({ status: reply.status, reason: reply.body.reason }).toEqual({ status: 422, reason: 'Invalid' })
})

test('kubectl lists what is wrong, line by line', async () => {
  const refused = await cluster.kubectl(
    ['create', '-f', '-'],
    deploymentWith({ selector: undefined, replicas: -1 }),
  )
  expect(refused.code).toBe(1)
  expect(refused.stderr.split('\n')).toEqual([
    'The Deployment "web" is invalid: ',
    '* spec.replicas: Invalid value: -1: must be greater than or equal to 0',
    '* spec.selector: Required value',
    '* spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`',
  ])
})

const changes: [string, Made, string, object, string][] = [
  [
    "a Deployment's selector",
    deployment('web:1', 'fixed'),
    'fixed',
    { spec: { selector: { matchLabels: { app: 'x' } }, template: { metadata: { labels: { app: 'x' } } } } },
    'spec.selector: Invalid value: {"matchLabels":{"app":"x"}}: field is immutable',
  ],
  [
    "a Job's completions",
    { ...job({}), metadata: { name: 'fixed' } },
    'fixed',
    { spec: { completions: 3 } },
    'spec.completions: Invalid value: 3: field is immutable',
  ],
  [
    "a Service's address",
    service({}, 'fixed'),
    'fixed',
    { spec: { clusterIP: '127.96.1.1' } },
    'spec.clusterIPs[0]: Invalid value: ["127.96.1.1"]: may not change once set',
  ],
  [
    "an immutable ConfigMap's data",
    { ...configMap({ data: { a: '1' }, immutable: true }), metadata: { name: 'fixed' } },
    'fixed',
    { data: { a: '2' } },
    'data: Forbidden: field is immutable when `immutable` is set',
  ],
  [
    "a pod's command",
    { ...pod({}), metadata: { name: 'fixed' } },
    'fixed',
    { spec: { nodeSelector: { a: 'b' } } },
    'spec: Forbidden: pod updates may not change fields other than',
  ],
]

test.each(changes)('refuses to change %s', async (_what, object, name, patch, sentence) => {
  expect((await cluster.call('POST', collection(object), object)).status).toBe(201)
  const type = { 'content-type': 'application/merge-patch+json' }
  const reply = await cluster.call('PATCH', `${collection(object)}/${name}`, patch, type)
  expect(reply.status).toBe(422)
  expect(reply.message).toContain(sentence)
})

test.each([
  [
    'a namespace that is not there',
    '/api/v1/namespaces/nope/configmaps',
    configMap({}),
    404,
    'namespaces "nope" not found',
  ],
  [
    'another namespace than the URL',
    '/api/v1/namespaces/test/configmaps',
    configMap({ metadata: { name: 'c', namespace: 'x' } }),
    400,
    'the namespace of the provided object does not match the namespace sent on the request',
  ],
  [
    'another version',
    '/api/v1/namespaces/test/configmaps',
    configMap({ apiVersion: 'v2' }),
    400,
    'the API version in the data (v2) does not match the expected API version (v1)',
  ],
  [
    'another kind',
    '/api/v1/namespaces/test/configmaps',
    configMap({ kind: 'Secret' }),
    400,
    'Secret in version "v1" cannot be handled as a ConfigMap',
  ],
  [
    'a pod of an account that is not there',
    '/api/v1/namespaces/test/pods',
    pod({ serviceAccountName: 'zz' }),
    403,
    'pods "p" is forbidden: error looking up service account test/zz: serviceaccount "zz" not found',
  ],
])('refuses %s', async (_what, path, object, status, message) => {
  const reply = await cluster.call('POST', path, object)
  expect(reply.status).toBe(status)
  expect(reply.message).toStartWith(message)
})

test('a second object of the same name is refused, by a dry run too', async () => {
  const path = '/api/v1/namespaces/test/configmaps'
  const twin = configMap({ metadata: { name: 'twin' } })
  expect((await cluster.call('POST', `${path}?dryRun=All`, twin)).status).toBe(201)
  expect((await cluster.call('POST', path, twin)).status).toBe(201)
  for (const query of ['', '?dryRun=All']) {
    const reply = await cluster.call('POST', path + query, twin)
    expect({ status: reply.status, message: reply.message }).toEqual({
      status: 409,
      message: 'configmaps "twin" already exists',
    })
  }
})
