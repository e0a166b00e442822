/** Every resource served, and how kubectl may call it. */

export interface Resource {
  /** Plural, as in a URL and in the store. */
  name: string
  singular: string
  kind: string
  group: string
  /** The first is the one stored. */
  versions: string[]
  namespaced: boolean
  shortNames: string[]
  /** In `kubectl get all`. */
  inAll: boolean
  subresources: string[]
}

// kind, plural, group, versions, scope, short names, subresources; a * puts it in "all"
const table = `
Namespace namespaces - v1 cluster ns status
Node nodes - v1 cluster no status
Pod* pods - v1 namespaced po status,log,proxy
Service* services - v1 namespaced svc status
Endpoints endpoints - v1 namespaced ep -
ConfigMap configmaps - v1 namespaced cm -
Secret secrets - v1 namespaced - -
Event events - v1 namespaced ev -
ServiceAccount serviceaccounts - v1 namespaced sa token
ResourceQuota resourcequotas - v1 namespaced quota status
LimitRange limitranges - v1 namespaced limits -
PersistentVolumeClaim persistentvolumeclaims - v1 namespaced pvc status
Deployment* deployments apps v1 namespaced deploy status,scale
ReplicaSet* replicasets apps v1 namespaced rs status,scale
Job* jobs batch v1 namespaced - status
CronJob* cronjobs batch v1 namespaced cj status
HorizontalPodAutoscaler* horizontalpodautoscalers autoscaling v2,v1 namespaced hpa status
PodDisruptionBudget poddisruptionbudgets policy v1 namespaced pdb status
Ingress ingresses networking.k8s.io v1 namespaced ing status
NetworkPolicy networkpolicies networking.k8s.io v1 namespaced netpol -
Role roles rbac.authorization.k8s.io v1 namespaced - -
RoleBinding rolebindings rbac.authorization.k8s.io v1 namespaced - -
ClusterRole clusterroles rbac.authorization.k8s.io v1 cluster - -
ClusterRoleBinding clusterrolebindings rbac.authorization.k8s.io v1 cluster - -
Lease leases coordination.k8s.io v1 namespaced - -
EndpointSlice endpointslices discovery.k8s.io v1 namespaced - -
SelfSubjectAccessReview selfsubjectaccessreviews authorization.k8s.io v1 cluster - -
SelfSubjectRulesReview selfsubjectrulesreviews authorization.k8s.io v1 cluster - -`

export const resources: Resource[] = table.trim().split('\n').map(parse)
const byName = new Map(resources.map((resource) => [resource.name, resource]))

function parse(line: string): Resource {
  const [kind = '', name = '', group, versions, scope, shortNames, subresources] = line.split(' ')
  const bare = kind.replace('*', '')
  return {
    name,
    singular: bare.toLowerCase(),
    kind: bare,
    group: group === '-' ? '' : (group ?? ''),
    versions: versions?.split(',') ?? [],
    namespaced: scope === 'namespaced',
    shortNames: words(shortNames),
    inAll: kind.endsWith('*'),
    subresources: words(subresources),
  }
}

function words(text: string | undefined): string[] {
  return text === undefined || text === '-' ? [] : text.split(',')
}

export function findResource(group: string, version: string, name: string): Resource | undefined {
  const found = byName.get(name)
  return found?.group === group && found.versions.includes(version) ? found : undefined
}

/** By its plural alone, which is unique here. @throws Error for a name that is not served: a programming mistake. */
export function resourceNamed(name: string): Resource {
  const found = byName.get(name)
  if (!found) throw new Error(`the sandbox has no resource ${name}`)
  return found
}

/** `deployments.apps`, as messages name a resource. */
export function qualified(name: string): string {
  const group = byName.get(name)?.group
  return group ? `${name}.${group}` : name
}

export function groupVersion(group: string, version: string): string {
  return group ? `${group}/${version}` : version
}

/** Review resources answer a question; nothing is stored, so they can only be created. */
export function isReview(resource: Resource): boolean {
  return resource.name.startsWith('selfsubject')
}

export function verbsOf(resource: Resource): string[] {
  if (isReview(resource)) return ['create']
  const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch']
  return resource.name === 'namespaces' ? verbs.filter((verb) => verb !== 'deletecollection') : verbs
}

/** Groups with the versions that any of their resources has, newest first; the core group is ''. */
export function groups(): Map<string, string[]> {
  const all = new Map<string, string[]>()
  for (const { group, versions } of resources) {
    all.set(group, [...new Set([...(all.get(group) ?? []), ...versions])])
  }
  return all
}

export function resourcesIn(group: string, version: string): Resource[] {
  return resources.filter((resource) => resource.group === group && resource.versions.includes(version))
}
