/** What all controllers share: a queue of keys, each reconciled once after any number of events. */
import type { KubeObject, Store, WatchEvent } from '../store.ts'
import { ApiError } from '../status.ts'
import type { EventRecorder } from './events.ts'

/** The world a controller acts on. `create` is the API's own: defaults, validation and quota apply. */
export interface Cluster {
  store: Store
  events: EventRecorder
  create: <T extends KubeObject>(resource: string, object: T) => T
}

export interface Controller {
  name: string
  /** Per resource: the keys (`namespace/name`) of the objects that a change to one of it concerns. */
  triggers: Record<string, (object: KubeObject, event: WatchEvent['type']) => string[]>
  /** Makes the world fit one object. Returns after how many milliseconds to look again, if at all. */
  reconcile(namespace: string, name: string): number | undefined
}

const RETRY_MS = { first: 5, most: 60_000 }

/** Runs controllers until the returned function is called. A reconcile that throws is retried, ever later. */
export function runControllers(
  store: Store,
  controllers: Controller[],
  report: (name: string, error: unknown) => void,
): () => void {
  const queues = controllers.map((controller) => new Queue(controller, report))
  const unsubscribe = store.subscribe((event) => {
    for (const queue of queues) queue.notice(event)
  })
  return () => {
    unsubscribe()
    for (const queue of queues) queue.stop()
  }
}

/** `namespace/name`, or `/name` for what has no namespace. */
export function keyOf(object: KubeObject): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name}`
}

class Queue {
  #due = new Set<string>()
  #timers = new Map<string, { timer: Timer; at: number }>()
  #failures = new Map<string, number>()
  #flushing = false
  #stopped = false
  readonly #controller: Controller
  readonly #report: (name: string, error: unknown) => void

  constructor(controller: Controller, report: (name: string, error: unknown) => void) {
    this.#controller = controller
    this.#report = report
  }

  notice(event: WatchEvent): void {
    for (const key of this.#controller.triggers[event.resource]?.(event.object, event.type) ?? []) {
      this.#add(key)
    }
  }

  stop(): void {
    this.#stopped = true
    for (const { timer } of this.#timers.values()) clearTimeout(timer)
  }

  /** Through setImmediate, so that a burst of events is one reconcile and sockets are served in between. */
  #add(key: string): void {
    this.#due.add(key)
    if (this.#flushing || this.#stopped) return
    this.#flushing = true
    setImmediate(() => this.#flush())
  }

  #addAfter(key: string, ms: number): void {
    const at = Date.now() + ms
    const waiting = this.#timers.get(key)
    if (waiting && waiting.at <= at) return
    clearTimeout(waiting?.timer)
    const wake = () => {
      this.#timers.delete(key)
      this.#add(key)
    }
    this.#timers.set(key, { timer: setTimeout(wake, ms), at })
  }

  #flush(): void {
    this.#flushing = false
    if (this.#stopped) return
    const keys = [...this.#due]
    this.#due.clear()
    for (const key of keys) this.#reconcile(key)
  }

  #reconcile(key: string): void {
    const slash = key.indexOf('/')
    try {
      const again = this.#controller.reconcile(key.slice(0, slash), key.slice(slash + 1))
      this.#failures.delete(key)
      if (again !== undefined) this.#addAfter(key, again)
    } catch (error) {
      const failures = this.#failures.get(key) ?? 0
      this.#failures.set(key, failures + 1)
      this.#addAfter(key, Math.min(RETRY_MS.first * 2 ** failures, RETRY_MS.most))
      // What the API refuses is told by the object's events; the rest is a fault of the sandbox.
      if (!(error instanceof ApiError)) this.#report(`${this.#controller.name} ${key}`, error)
    }
  }
}
