/** What several controllers ask of pods. */
import type { Condition, Pod, PodTemplate } from '../kinds.ts'
import type { KubeObject, Store } from '../store.ts'
import { ownedBy } from './selector.ts'

/** Without vowels and look-alikes, as Kubernetes generates names. */
const ALPHABET = 'bcdfghjklmnpqrstvwxz2456789'

/** Bytes as the letters that Kubernetes uses in generated names. */
export function letters(bytes: Uint8Array): string {
  return [...bytes].map((byte) => ALPHABET[byte % ALPHABET.length]).join('')
}

/** The five letters at the end of a generated name. */
export function randomSuffix(): string {
  return letters(crypto.getRandomValues(new Uint8Array(5)))
}

/** Still to be counted on: not finished, not being deleted. */
export function isActive(pod: Pod): boolean {
  return !isFinished(pod) && !pod.metadata.deletionTimestamp
}

export function isFinished({ status }: Pod): boolean {
  return status?.phase === 'Succeeded' || status?.phase === 'Failed'
}

export function podCondition(pod: Pod, type: string): Condition | undefined {
  return pod.status?.conditions?.find((condition) => condition.type === type)
}

export function isReady(pod: Pod): boolean {
  return podCondition(pod, 'Ready')?.status === 'True'
}

/** For how many milliseconds a pod has been ready; undefined when it is not. */
export function readyFor(pod: Pod): number | undefined {
  const ready = podCondition(pod, 'Ready')
  if (ready?.status !== 'True' || !ready.lastTransitionTime) return undefined
  return Date.now() - Date.parse(ready.lastTransitionTime)
}

/** A pod as its controller asks for it; the API completes its name. */
export function podFrom(template: PodTemplate, owner: KubeObject): Pod {
  const metadata = {
    ...structuredClone(template.metadata),
    name: '',
    generateName: `${owner.metadata.name}-`,
    namespace: owner.metadata.namespace ?? 'default',
    ownerReferences: [ownedBy(owner)],
  }
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec: structuredClone(template.spec) }
}

/**
 * Starts a pod's deletion; the kubelet stops its containers and then removes it. One that no node has taken is
 * removed at once.
 */
export function deletePod(store: Store, pod: Pod, gracePeriodSeconds?: number): void {
  const { namespace, name, deletionTimestamp } = pod.metadata
  if (deletionTimestamp) return
  const grace = gracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30
  if (!pod.spec.nodeName || grace === 0 || isFinished(pod)) {
    store.remove('pods', namespace, name)
    return
  }
  store.modify<Pod>('pods', namespace, name, ({ metadata }) => {
    metadata.deletionTimestamp = timestamp(Date.now() + grace * 1000)
    metadata.deletionGracePeriodSeconds = grace
  })
}

/** A time in milliseconds as Kubernetes writes it, in whole seconds. */
export function timestamp(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')
}
