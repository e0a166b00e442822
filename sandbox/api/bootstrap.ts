/** What every cluster starts with. */
import type { Store } from '../store.ts'
import type { JsonMap } from './json.ts'
import { createObject } from './write.ts'

const NAMESPACES = ['default', 'kube-node-lease', 'kube-public', 'kube-system']

const READ = ['get', 'list', 'watch']
const WRITE = ['create', 'delete', 'deletecollection', 'patch', 'update']

const WORKLOADS = [
  {
    group: '',
    resources:
      'configmaps endpoints events persistentvolumeclaims pods pods/log pods/status resourcequotas serviceaccounts services services/status',
  },
  {
    group: 'apps',
    resources: 'deployments deployments/scale deployments/status replicasets replicasets/scale',
  },
  { group: 'autoscaling', resources: 'horizontalpodautoscalers' },
  { group: 'batch', resources: 'cronjobs jobs' },
  { group: 'discovery.k8s.io', resources: 'endpointslices' },
  { group: 'networking.k8s.io', resources: 'ingresses networkpolicies' },
  { group: 'policy', resources: 'poddisruptionbudgets' },
]

function rules(verbs: string[]): JsonMap[] {
  return WORKLOADS.map(({ group, resources }) => ({
    apiGroups: [group],
    resources: resources.split(' '),
    verbs,
  }))
}

const VIEW = [...rules(READ), { apiGroups: [''], resources: ['namespaces', 'limitranges'], verbs: READ }]
const EDIT = [
  ...VIEW,
  ...rules(WRITE),
  { apiGroups: [''], resources: ['secrets'], verbs: [...READ, ...WRITE] },
  { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: [...READ, ...WRITE] },
]
const ADMIN = [
  ...EDIT,
  {
    apiGroups: ['rbac.authorization.k8s.io'],
    resources: ['roles', 'rolebindings'],
    verbs: [...READ, ...WRITE],
  },
]
const CLUSTER_ADMIN = [
  { apiGroups: ['*'], resources: ['*'], verbs: ['*'] },
  { nonResourceURLs: ['*'], verbs: ['*'] },
]

/** Namespaces, and the roles that bindings usually refer to. Does nothing in a store that has them. */
export function bootstrap(store: Store): void {
  if (store.get('namespaces', undefined, 'default')) return
  for (const name of NAMESPACES) {
    createObject(store, 'namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
  }
  const roles = { 'cluster-admin': CLUSTER_ADMIN, admin: ADMIN, edit: EDIT, view: VIEW }
  for (const [name, each] of Object.entries(roles)) {
    const role = {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata: { name },
      rules: each,
    }
    createObject(store, 'clusterroles', role)
  }
}
