/** The node's agent: runs the pods that the scheduler gave it, and answers for their logs. */
import type { LogOptions, LogSource, PodTerminator } from '../hooks.ts'
import type { Pod } from '../kinds.ts'
import { isFinished } from '../controllers/pods.ts'
import { badRequest, notFound } from '../status.ts'
import type { WatchEvent } from '../store.ts'
import type { Addresses } from './addresses.ts'
import type { NodeContext } from './pod-worker.ts'
import { PodWorker } from './pod-worker.ts'

export class Kubelet implements LogSource, PodTerminator {
  readonly #node: NodeContext
  readonly #nodeName: string
  readonly #addresses: Addresses
  readonly #report: (what: string, error: unknown) => void
  readonly #unsubscribe: () => void
  /** By the pod's uid. */
  #workers = new Map<string, PodWorker>()

  constructor(
    nodeName: string,
    node: NodeContext,
    addresses: Addresses,
    report: (what: string, error: unknown) => void,
  ) {
    this.#nodeName = nodeName
    this.#node = node
    this.#addresses = addresses
    this.#report = report
    this.#unsubscribe = node.cluster.store.subscribe((event) => {
      // Later, after the controllers that heard the same: a pod leaves its endpoints before it is stopped.
      if (event.resource === 'pods') setImmediate(() => this.#notice(event as WatchEvent<Pod>))
    })
  }

  logs(namespace: string, name: string, options: LogOptions): ReadableStream<Uint8Array> | string {
    const pod = this.#node.cluster.store.get<Pod>('pods', namespace, name)
    if (!pod) throw notFound('pods', name)
    const containerName = options.container ?? pod.spec.containers[0]?.name ?? ''
    const container = this.#workers.get(pod.metadata.uid ?? '')?.container(containerName)
    const log = container?.log(options.previous)
    if (log) return options.follow ? log.follow(options) : log.read(options)
    if (options.previous) {
      throw badRequest(`previous terminated container "${containerName}" in pod "${name}" not found`)
    }
    const waiting = container?.status.state.waiting?.reason ?? 'ContainerCreating'
    throw badRequest(`container "${containerName}" in pod "${name}" is waiting to start: ${waiting}`)
  }

  /** Nothing to do: what a DELETE writes or removes is heard from the store, as are the controllers' deletions. */
  terminate(): void {}

  /** Kills every container; resolves when they are gone. */
  async stop(): Promise<void> {
    this.#unsubscribe()
    await Promise.all([...this.#workers.values()].map((worker) => worker.destroy()))
  }

  #notice({ type, object: pod }: WatchEvent<Pod>): void {
    const { uid = '', deletionTimestamp, deletionGracePeriodSeconds = 30 } = pod.metadata
    if (pod.spec.nodeName !== this.#nodeName) return
    const worker = this.#workers.get(uid)
    if (type === 'DELETED') this.#forget(uid, worker)
    else if (deletionTimestamp) this.#stop(pod, worker, deletionGracePeriodSeconds)
    else if (!worker && !isFinished(pod)) this.#start(pod)
  }

  #start(pod: Pod): void {
    const worker = new PodWorker(pod, this.#addresses.take(), this.#node)
    this.#workers.set(pod.metadata.uid ?? '', worker)
    worker
      .run()
      .catch((error: unknown) => this.#report(`pod ${pod.metadata.name}`, error))
      .finally(() => this.#addresses.giveBack(worker.address)) // a finished pod needs none
  }

  #stop({ metadata: { namespace, name } }: Pod, worker: PodWorker | undefined, grace: number): void {
    if (!worker) {
      this.#node.cluster.store.remove('pods', namespace, name)
      return
    }
    worker.stop(grace).catch((error: unknown) => this.#report(`stopping pod ${name}`, error))
  }

  #forget(uid: string, worker: PodWorker | undefined): void {
    this.#workers.delete(uid)
    worker?.destroy().catch((error: unknown) => this.#report(`removing a pod's files`, error))
  }
}
