/** What kubectl reads before anything else: which groups, versions and resources there are. */
import type { JsonMap } from './json.ts'
import { type Resource, groupVersion, groups, isReview, resourcesIn, verbsOf } from './resources.ts'

export const VERSION: JsonMap = {
  major: '1',
  minor: '32',
  gitVersion: 'v1.32.0+sandbox',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: '',
  compiler: 'bun',
  platform: 'linux/amd64',
}

/** The answer to a discovery path, undefined for any other path. */
export function discover(path: string): JsonMap | undefined {
  if (path === '/version') return VERSION
  if (path === '/api') return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] }
  if (path === '/apis') {
    const named = [...groups().keys()].filter(Boolean).map(apiGroup)
    return { kind: 'APIGroupList', apiVersion: 'v1', groups: named }
  }
  if (path === '/api/v1') return resourceList('', 'v1')
  const [, group = '', version] = /^\/apis\/([^/]+)(?:\/([^/]+))?$/.exec(path) ?? []
  const versions = groups().get(group)
  if (!group || !versions) return undefined
  if (version === undefined) return { kind: 'APIGroup', apiVersion: 'v1', ...apiGroup(group) }
  return versions.includes(version) ? resourceList(group, version) : undefined
}

function apiGroup(group: string): JsonMap {
  const versions = (groups().get(group) ?? []).map((version) => ({
    groupVersion: groupVersion(group, version),
    version,
  }))
  return { name: group, versions, preferredVersion: versions[0] ?? {} }
}

function resourceList(group: string, version: string): JsonMap {
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: groupVersion(group, version),
    resources: resourcesIn(group, version).flatMap((resource) => [
      entry(resource),
      ...subresourcesOf(resource),
    ]),
  }
}

function entry(resource: Resource): JsonMap {
  const { name, singular, namespaced, kind, shortNames, inAll } = resource
  return {
    name,
    singularName: isReview(resource) ? '' : singular,
    namespaced,
    kind,
    verbs: verbsOf(resource),
    ...(shortNames.length > 0 && { shortNames }),
    ...(inAll && { categories: ['all'] }),
  }
}

const OTHER: Record<string, { kind: string; group?: string; version?: string; verbs: string[] }> = {
  scale: { kind: 'Scale', group: 'autoscaling', version: 'v1', verbs: ['get', 'patch', 'update'] },
  log: { kind: 'Pod', verbs: ['get'] },
  proxy: {
    kind: 'PodProxyOptions',
    verbs: ['create', 'delete', 'get', 'patch', 'update'],
  },
  token: { kind: 'TokenRequest', group: 'authentication.k8s.io', version: 'v1', verbs: ['create'] },
}

function subresourcesOf({ name, kind, namespaced, subresources }: Resource): JsonMap[] {
  return subresources.map((subresource) => ({
    name: `${name}/${subresource}`,
    singularName: '',
    namespaced,
    ...(OTHER[subresource] ?? { kind, verbs: ['get', 'patch', 'update'] }),
  }))
}
