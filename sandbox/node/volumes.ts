/**
 * Volumes as directories. There is no mount namespace, so a container cannot find its volume under the mountPath;
 * instead, wherever a path at or below a mountPath appears in an argument or the value of a variable, it is
 * rewritten to the directory that stands for it.
 */
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { FieldToPath, KeyToPath, Pod, VolumeSource } from '../kinds.ts'
import type { Store } from '../store.ts'
import { ConfigError, dataOf, fieldOf } from './config-data.ts'
import type { Kind } from './config-data.ts'

/** Path in the container → path on this machine. */
export type Paths = Map<string, string>

type Volume = VolumeSource & { name: string }

/**
 * Makes a pod's volumes in a directory and returns where each is, by name.
 * @throws ConfigError naming the volume
 */
export function makeVolumes(store: Store, pod: Pod, directory: string): Map<string, string> {
  return new Map(
    (pod.spec.volumes ?? []).map((volume) => {
      const path = volume.hostPath?.path ?? join(directory, volume.name)
      if (!volume.hostPath) makeVolume(store, pod, volume, path)
      return [volume.name, path]
    }),
  )
}

function makeVolume(store: Store, pod: Pod, volume: Volume, path: string): void {
  mkdirSync(path, { recursive: true })
  try {
    for (const [name, content] of filesOf(store, pod, volume)) {
      const file = join(path, name)
      mkdirSync(dirname(file), { recursive: true })
      rmSync(file, { force: true }) // it may be read-only, from an earlier attempt
      writeFileSync(file, content)
      chmodSync(file, volume.configMap?.defaultMode ?? volume.secret?.defaultMode ?? 0o644)
    }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    throw new ConfigError(`MountVolume.SetUp failed for volume "${volume.name}" : ${error.message}`)
  }
}

function filesOf(store: Store, pod: Pod, volume: Volume): Map<string, Buffer | string> {
  const { emptyDir, configMap, secret, downwardAPI, projected } = volume
  if (emptyDir) return new Map()
  if (configMap) return keyFiles(store, pod, 'configmap', configMap)
  if (secret) return keyFiles(store, pod, 'secret', { ...secret, name: secret.secretName })
  if (downwardAPI) return fieldFiles(pod, downwardAPI.items)
  if (!projected) throw new ConfigError('the sandbox has no volumes of this type')
  const parts = (projected.sources ?? []).map((source) => {
    if (source.configMap) return keyFiles(store, pod, 'configmap', source.configMap)
    if (source.secret) return keyFiles(store, pod, 'secret', source.secret)
    if (source.downwardAPI) return fieldFiles(pod, source.downwardAPI.items)
    throw new ConfigError('the sandbox projects configMap, secret and downwardAPI only')
  })
  return new Map(parts.flatMap((part): [string, Buffer | string][] => [...part]))
}

function keyFiles(
  store: Store,
  { metadata: { namespace = 'default' } }: Pod,
  kind: Kind,
  source: { name: string; items?: KeyToPath[]; optional?: boolean },
): Map<string, Buffer> {
  const data = dataOf(store, namespace, kind, source) ?? new Map<string, Buffer>()
  if (!source.items) return data
  return new Map(
    source.items.flatMap(({ key, path }) => {
      const content = data.get(key)
      if (content) return [[path, content] as const]
      if (source.optional) return []
      throw new ConfigError(`references non-existent ${kind === 'secret' ? 'secret' : 'config'} key: ${key}`)
    }),
  )
}

function fieldFiles(pod: Pod, items: FieldToPath[] = []): Map<string, string> {
  return new Map(items.map(({ path, fieldRef }) => [path, fieldOf(pod, fieldRef?.fieldPath ?? '')]))
}

/** Replaces paths in a text, the longest first. `/data` is not found in `/database`, `./data` or `/my/data`. */
export function rewrite(text: string, paths: Paths): string {
  if (!paths.size) return text
  const longestFirst = [...paths.keys()].toSorted((a, b) => b.length - a.length)
  const alternatives = longestFirst.map((path) => path.replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`))
  const pattern = new RegExp(String.raw`(?<![\w./-])(?:${alternatives.join('|')})(?![\w.-])`, 'g')
  return text.replace(pattern, (found) => paths.get(found) ?? found)
}
