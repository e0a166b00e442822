/** Admission by ResourceQuota: what a namespace uses, and whether one more object fits. */
import type { KubeObject, Store } from '../store.ts'
import { forbidden } from '../status.ts'
import { type JsonMap, at, listAt, mapAt, stringAt, toMap } from './json.ts'
import { formatQuantity, parseQuantity } from './quantity.ts'
import { qualified } from './resources.ts'
import { hasNodePorts } from './service.ts'

/** Resources that a quota counts by their bare name. */
const COUNTED = ['pods', 'services', 'configmaps', 'secrets', 'persistentvolumeclaims', 'resourcequotas']
const COMPUTE = /^(requests\.|limits\.)?(cpu|memory|ephemeral-storage)$/

/**
 * Whether the object may be created; controllers ask this too.
 * @throws ApiError 403 Forbidden: "exceeded quota: …"
 */
export function admit(store: Store, resource: string, object: KubeObject): void {
  const { namespace, name } = object.metadata
  for (const quota of store.list('resourcequotas', namespace)) {
    const hard = mapAt(quota, 'spec', 'hard')
    const keys = Object.keys(hard).filter((key) => concerns(key, resource))
    refuseUnspecified(resource, object, quota.metadata.name, keys)
    const rows = keys.map((key) => ({
      key,
      requested: amount(key, resource, object),
      used: usage(store, namespace, key),
      limit: parseQuantity(hard[key]),
    }))
    const over = rows.filter(({ requested, used, limit }) => requested > 0 && used + requested > limit)
    if (over.length === 0) continue
    const list = (column: 'requested' | 'used' | 'limit'): string =>
      over
        .map(
          (row) => `${row.key}=${column === 'limit' ? stringAt(hard, row.key) : formatQuantity(row[column])}`,
        )
        .join(',')
    const sentence = `requested: ${list('requested')}, used: ${list('used')}, limited: ${list('limit')}`
    throw forbidden(resource, name, `exceeded quota: ${quota.metadata.name}, ${sentence}`)
  }
}

/** What `kubectl get quota` shows. */
export function quotaStatus(store: Store, quota: KubeObject): JsonMap {
  const hard = mapAt(quota, 'spec', 'hard')
  const used = Object.keys(hard).map((key) => [
    key,
    formatQuantity(usage(store, quota.metadata.namespace, key)),
  ])
  return { hard: { ...hard }, used: Object.fromEntries(used) as JsonMap }
}

function concerns(key: string, resource: string): boolean {
  if (COMPUTE.test(key)) return resource === 'pods'
  return resourceCounted(key) === resource
}

function resourceCounted(key: string): string {
  if (key === 'services.nodeports') return 'services'
  if (COUNTED.includes(key)) return key
  return key.startsWith('count/') ? (key.slice('count/'.length).split('.')[0] ?? '') : ''
}

function usage(store: Store, namespace: string | undefined, key: string): number {
  const resource = COMPUTE.test(key) ? 'pods' : resourceCounted(key)
  return store
    .list(resource, namespace)
    .map((object) => amount(key, resource, object))
    .reduce((sum, each) => sum + each, 0)
}

function amount(key: string, resource: string, object: KubeObject): number {
  const phase = at(object, 'status', 'phase')
  if (resource === 'pods' && (phase === 'Succeeded' || phase === 'Failed') && !key.startsWith('count/'))
    return 0
  if (key === 'services.nodeports') {
    const isExposed = hasNodePorts(stringAt(object, 'spec', 'type'))
    return isExposed ? listAt(object, 'spec', 'ports').length : 0
  }
  if (!COMPUTE.test(key)) return key === qualifiedCount(resource) || COUNTED.includes(key) ? 1 : 0
  const { of, unit } = compute(key)
  return listAt(object, 'spec', 'containers')
    .map((container) => at(container, 'resources', of, unit))
    .reduce<number>((sum, value) => sum + (value === undefined ? 0 : parseQuantity(value)), 0)
}

function qualifiedCount(resource: string): string {
  return `count/${qualified(resource)}`
}

function compute(key: string): { of: string; unit: string } {
  return {
    of: key.startsWith('limits.') ? 'limits' : 'requests',
    unit: key.replace(/^(requests|limits)\./, ''),
  }
}

/** Where a quota limits cpu, a pod that asks for none cannot be counted. */
function refuseUnspecified(resource: string, object: KubeObject, quota: string, keys: string[]): void {
  const missing = keys
    .filter((key) => COMPUTE.test(key))
    .flatMap((key) => {
      const { of, unit } = compute(key)
      const silent = listAt(toMap(object), 'spec', 'containers').filter(
        (container) => at(container, 'resources', of, unit) === undefined,
      )
      const names = silent.map((container) => stringAt(container, 'name'))
      return names.length > 0 ? [`${key} for: ${names.join(',')}`] : []
    })
  if (missing.length === 0) return
  throw forbidden(
    resource,
    object.metadata.name,
    `failed quota: ${quota}: must specify ${missing.join('; ')}`,
  )
}
