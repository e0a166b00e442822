import { describe, expect, test } from 'bun:test'
import { environments, only, render, type Manifest } from './render.ts'

const read = ['get', 'list', 'watch']
const write = ['create', 'patch', 'update']

/** Everything that the deployer may do: a new right has to be written here too. */
const deployer = {
  configmaps: [...read, ...write, 'delete'],
  'cronjobs.batch': [...read, ...write, 'delete'],
  'deployments.apps': [...read, ...write],
  endpoints: read,
  'endpointslices.discovery.k8s.io': read,
  events: [...read, 'create'],
  'horizontalpodautoscalers.autoscaling': [...read, ...write, 'delete'],
  'ingresses.networking.k8s.io': [...read, ...write, 'delete'],
  'jobs.batch': [...read, ...write, 'delete'],
  'leases.coordination.k8s.io': [...read, ...write],
  'networkpolicies.networking.k8s.io': [...read, ...write, 'delete'],
  'poddisruptionbudgets.policy': [...read, ...write, 'delete'],
  pods: read,
  'pods/log': ['get'],
  'pods/portforward': ['get', 'create'],
  'pods/proxy': ['get'],
  'pods.metrics.k8s.io': ['get', 'list'],
  'replicasets.apps': read,
  resourcequotas: read,
  serviceaccounts: [...read, ...write, 'delete'],
  services: [...read, ...write, 'delete'],
}

const viewer = {
  configmaps: read,
  'deployments.apps': read,
  'endpointslices.discovery.k8s.io': read,
  events: read,
  'horizontalpodautoscalers.autoscaling': read,
  'jobs.batch': read,
  'leases.coordination.k8s.io': read,
  'networkpolicies.networking.k8s.io': read,
  pods: read,
  'pods/log': ['get'],
  'replicasets.apps': read,
  services: read,
}

test.each([
  ['deployer', deployer],
  ['viewer', viewer],
])('%s may do exactly this', async (name, rights) => {
  const role = (await render('rbac')).find(({ kind, metadata }) => kind === 'Role' && metadata.name === name)
  expect(granted(role)).toEqual(sorted(rights))
})

describe.each(environments)('%s setup', (environment) => {
  test('binds each account of this namespace to its Role', async () => {
    const setup = await render(`overlays/${environment}/setup`)
    const namespace = only(setup, 'Namespace').metadata.name
    const bindings = setup.filter(({ kind }) => kind === 'RoleBinding')
    expect(bindings.map(({ roleRef, subjects }) => ({ roleRef, subjects }))).toMatchObject(
      ['deployer', 'viewer'].map((name) => ({
        roleRef: { kind: 'Role', name },
        subjects: [{ kind: 'ServiceAccount', name, namespace }],
      })),
    )
  })

  test('has nothing that reaches beyond the namespace', async () => {
    const kinds = new Set((await render(`overlays/${environment}/setup`)).map(({ kind }) => kind))
    expect(kinds).toEqual(new Set(['Namespace', 'ServiceAccount', 'Role', 'RoleBinding']))
  })
})

function granted(role: Manifest | undefined): Record<string, string[]> {
  const rights: Record<string, string[]> = {}
  for (const { apiGroups, resources, verbs } of role?.rules ?? []) {
    for (const group of apiGroups) {
      for (const resource of resources) {
        const key = group === '' ? resource : `${resource}.${group}`
        rights[key] = [...(rights[key] ?? []), ...verbs]
      }
    }
  }
  return sorted(rights)
}

function sorted(rights: Record<string, string[]>): Record<string, string[]> {
  return Object.fromEntries(Object.entries(rights).map(([resource, verbs]) => [resource, verbs.toSorted()]))
}
