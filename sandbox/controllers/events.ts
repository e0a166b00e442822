/** Events, as `kubectl describe` shows them: repetitions are counted, not listed. */
import { now } from '../store.ts'
import type { KubeObject, Store } from '../store.ts'
import type { KubeEvent, ObjectReference } from '../kinds.ts'

/** As in a real cluster, where the API server forgets events after an hour. */
const KEPT_MS = 3_600_000

export interface Occurrence {
  type?: 'Normal' | 'Warning'
  reason: string
  message: string
  /** Who saw it: `kubelet`, `deployment-controller`, … */
  component: string
  /** Which part of the object it concerns: `spec.containers{app}`. */
  fieldPath?: string
}

export class EventRecorder {
  readonly #store: Store
  #sequence = Date.now() * 1000
  /** What was recorded, by what makes two events the same; the longest unseen first. */
  #recorded = new Map<string, { namespace: string; name: string; at: number }>()

  constructor(store: Store) {
    this.#store = store
  }

  record(about: KubeObject, occurrence: Occurrence): void {
    const namespace = about.metadata.namespace ?? 'default'
    if (!this.#accepts(namespace)) return
    this.#forgetOld()
    const signature = Object.values({ type: 'Normal', ...occurrence, uid: about.metadata.uid }).join('|')
    const name = this.#recorded.get(signature)?.name ?? this.#newName(about)
    const again = this.#store.modify<KubeEvent>('events', namespace, name, (event) => {
      event.count++
      event.lastTimestamp = now()
    })
    if (!again) this.#store.create('events', newEvent({ name, namespace }, about, occurrence))
    this.#recorded.delete(signature)
    this.#recorded.set(signature, { namespace, name, at: Date.now() })
  }

  /** Nothing may be created in a namespace that is on its way out. */
  #accepts(namespace: string): boolean {
    const found = this.#store.get('namespaces', undefined, namespace)
    return found !== undefined && !found.metadata.deletionTimestamp
  }

  #newName(about: KubeObject): string {
    return `${about.metadata.name}.${(this.#sequence++).toString(16)}`
  }

  #forgetOld(): void {
    for (const [signature, { namespace, name, at }] of this.#recorded) {
      if (Date.now() - at < KEPT_MS) return
      this.#store.remove('events', namespace, name)
      this.#recorded.delete(signature)
    }
  }
}

function newEvent(
  metadata: { name: string; namespace: string },
  about: KubeObject,
  { type = 'Normal', reason, message, component, fieldPath }: Occurrence,
): KubeEvent {
  const time = now()
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata,
    involvedObject: { ...referenceTo(about), ...(fieldPath && { fieldPath }) },
    type,
    reason,
    message,
    count: 1,
    firstTimestamp: time,
    lastTimestamp: time,
    eventTime: null,
    source: { component, ...(component === 'kubelet' && { host: 'sandbox' }) },
    reportingComponent: '',
    reportingInstance: '',
  }
}

export function referenceTo({ apiVersion, kind, metadata }: KubeObject): ObjectReference {
  const { name, namespace, uid, resourceVersion } = metadata
  return {
    kind,
    ...(namespace && { namespace }),
    name,
    ...(uid && { uid }),
    apiVersion,
    ...(resourceVersion && { resourceVersion }),
  }
}
