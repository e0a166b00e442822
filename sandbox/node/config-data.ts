/** Values that a pod takes from elsewhere: ConfigMaps, Secrets, and its own fields. */
import type { EnvVar, KeyValues, Pod } from '../kinds.ts'
import type { Store } from '../store.ts'
import { parseQuantity } from '../api/quantity.ts'

/** A reference to something that is not there (yet). The container waits with `CreateContainerConfigError`. */
export class ConfigError extends Error {}

export type Kind = 'configmap' | 'secret'

/**
 * The entries of a ConfigMap or Secret, decoded.
 * @returns undefined where it is missing and optional
 * @throws ConfigError
 */
export function dataOf(
  store: Store,
  namespace: string,
  kind: Kind,
  { name, optional }: { name: string; optional?: boolean | undefined },
): Map<string, Buffer> | undefined {
  const found = store.get<KeyValues>(`${kind}s`, namespace, name)
  if (found) return decoded(found)
  if (optional) return undefined
  throw new ConfigError(`${kind} "${name}" not found`)
}

function decoded({ kind, data = {}, binaryData = {} }: KeyValues): Map<string, Buffer> {
  const encoding = kind === 'Secret' ? 'base64' : 'utf8'
  return new Map([
    ...Object.entries(data).map(([key, value]) => [key, Buffer.from(value, encoding)] as const),
    ...Object.entries(binaryData).map(([key, value]) => [key, Buffer.from(value, 'base64')] as const),
  ])
}

/** One value of the environment; undefined where an optional source lacks it. @throws ConfigError */
export function valueFrom(
  store: Store,
  pod: Pod,
  source: NonNullable<EnvVar['valueFrom']>,
): string | undefined {
  const { configMapKeyRef, secretKeyRef, fieldRef, resourceFieldRef } = source
  if (configMapKeyRef) return keyOf(store, pod, 'configmap', configMapKeyRef)
  if (secretKeyRef) return keyOf(store, pod, 'secret', secretKeyRef)
  if (fieldRef) return fieldOf(pod, fieldRef.fieldPath)
  if (resourceFieldRef) return resourceOf(pod, resourceFieldRef)
  throw new ConfigError('invalid valueFrom: it names no source')
}

function keyOf(
  store: Store,
  { metadata: { namespace = 'default' } }: Pod,
  kind: Kind,
  ref: { name: string; key: string; optional?: boolean },
): string | undefined {
  const data = dataOf(store, namespace, kind, ref)
  const value = data?.get(ref.key)?.toString()
  if (value !== undefined || ref.optional) return value
  const kindName = kind === 'secret' ? 'Secret' : 'ConfigMap'
  throw new ConfigError(`couldn't find key ${ref.key} in ${kindName} ${namespace}/${ref.name}`)
}

/** A field of the pod, as the downward API offers it. @throws ConfigError */
export function fieldOf({ metadata, spec, status }: Pod, path: string): string {
  const [, map, key] = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path) ?? []
  if (map && key) return (map === 'labels' ? metadata.labels : metadata.annotations)?.[key] ?? ''
  const fields: Record<string, string | undefined> = {
    'metadata.name': metadata.name,
    'metadata.namespace': metadata.namespace,
    'metadata.uid': metadata.uid,
    'metadata.labels': lines(metadata.labels),
    'metadata.annotations': lines(metadata.annotations),
    'spec.nodeName': spec.nodeName,
    'spec.serviceAccountName': spec.serviceAccountName ?? 'default',
    'status.podIP': status?.podIP,
    'status.podIPs': status?.podIP,
    'status.hostIP': status?.hostIP,
  }
  const value = fields[path]
  if (value === undefined) throw new ConfigError(`unsupported fieldPath: ${path}`)
  return value
}

function lines(map: Record<string, string> = {}): string {
  return Object.entries(map)
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join('\n')
}

function resourceOf(
  { spec }: Pod,
  ref: { resource: string; containerName?: string; divisor?: string },
): string {
  const [kind, name = ''] = ref.resource.split('.')
  const container = spec.containers.find((one) => one.name === ref.containerName) ?? spec.containers[0]
  const amounts = kind === 'limits' ? container?.resources?.limits : container?.resources?.requests
  const divisor = ref.divisor && ref.divisor !== '0' ? parseQuantity(ref.divisor) : 1
  return String(Math.ceil(parseQuantity(amounts?.[name] ?? '0') / divisor))
}
