/** The life of one pod on the node: volumes, init containers, containers, and its end. */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Cluster } from '../controllers/controller.ts'
import type { Pod } from '../kinds.ts'
import { ConfigError } from './config-data.ts'
import type { Surroundings } from './container.ts'
import { Container } from './container.ts'
import type { Images } from './images.ts'
import { pause } from './pause.ts'
import { podStatus } from './pod-status.ts'
import type { Places } from './invocation.ts'
import { makeVolumes } from './volumes.ts'
import type { Watchdog } from './watchdog.ts'

/** How often a volume whose ConfigMap or Secret is missing is tried again. */
const MOUNT_RETRY_MS = 1000

/** What all pods of a node share. */
export interface NodeContext {
  cluster: Cluster
  images: Images
  watchdog: Watchdog
  hostIP: string
  dataDirectory: string
}

export class PodWorker {
  readonly address: string
  readonly #node: NodeContext
  readonly #stopping = new AbortController()
  readonly #inits: Container[]
  readonly #containers: Container[]
  #pod: Pod
  readonly #places: Places
  #grace = Infinity
  #running = Promise.resolve()

  constructor(pod: Pod, address: string, node: NodeContext) {
    const { namespace, name, uid } = pod.metadata
    this.address = address
    this.#node = node
    this.#pod = pod
    const directory = join(node.dataDirectory, 'pods', `${namespace}_${name}_${uid}`)
    this.#places = { directory, volumes: new Map() }
    const { initContainers = [], containers, restartPolicy = 'Always' } = pod.spec
    const initPolicy = restartPolicy === 'Never' ? 'Never' : 'OnFailure'
    this.#inits = initContainers.map(
      (spec) => new Container(spec, 'initContainers', this.#around(initPolicy)),
    )
    this.#containers = containers.map(
      (spec) => new Container(spec, 'containers', this.#around(restartPolicy)),
    )
  }

  container(name: string): Container | undefined {
    return [...this.#containers, ...this.#inits].find(({ spec }) => spec.name === name)
  }

  /** Resolves when the containers are over for good: the pod has finished, or was stopped. */
  run(): Promise<void> {
    this.#running = this.#run()
    return this.#running
  }

  async #run(): Promise<void> {
    mkdirSync(this.#places.directory, { recursive: true })
    if (this.#inits.length) for (const container of this.#containers) container.waitFor('PodInitializing')
    this.#publish()
    if (!(await this.#mount())) return
    for (const init of this.#inits) {
      await init.keepRunning()
      if (this.#stopping.signal.aborted || init.status.state.terminated?.exitCode !== 0) return
    }
    if (this.#inits.length) for (const container of this.#containers) container.waitFor('ContainerCreating')
    await Promise.all(this.#containers.map((container) => container.keepRunning()))
  }

  /** Stops every container within the grace period, then takes the pod out of the store. Only a shorter period counts again. */
  async stop(graceSeconds: number): Promise<void> {
    if (graceSeconds >= this.#grace) return
    this.#grace = graceSeconds
    this.#stopping.abort()
    await Promise.all(this.#all().map((container) => container.stop(graceSeconds)))
    await Promise.allSettled([this.#running]) // so that how each container ended has been told
    const { namespace, name, uid } = this.#pod.metadata
    const { store } = this.#node.cluster
    if (store.get('pods', namespace, name)?.metadata.uid === uid) store.remove('pods', namespace, name)
  }

  /** For a pod that is gone from the store: kills what still runs, then removes its files. */
  async destroy(): Promise<void> {
    this.#stopping.abort()
    for (const container of this.#all()) container.kill()
    await Promise.allSettled([this.#running])
    rmSync(this.#places.directory, { recursive: true, force: true })
  }

  #all(): Container[] {
    return [...this.#inits, ...this.#containers]
  }

  #around(restartPolicy: string): Surroundings {
    return {
      ...this.#node,
      address: this.address,
      places: this.#places,
      restartPolicy,
      pod: () => this.#pod,
      changed: () => this.#publish(),
      stopping: this.#stopping.signal,
    }
  }

  async #mount(): Promise<boolean> {
    const { store, events } = this.#node.cluster
    for (;;) {
      try {
        this.#places.volumes = makeVolumes(store, this.#pod, join(this.#places.directory, 'volumes'))
        return true
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error
        const { message } = error
        events.record(this.#pod, { type: 'Warning', reason: 'FailedMount', message, component: 'kubelet' })
        if (!(await pause(MOUNT_RETRY_MS, this.#stopping.signal))) return false
      }
    }
  }

  #publish(): void {
    const { cluster, hostIP } = this.#node
    const { namespace, name, uid } = this.#pod.metadata
    const [inits, containers] = [this.#inits, this.#containers].map((list) =>
      list.map(({ status }) => status),
    )
    const written = cluster.store.modify<Pod>('pods', namespace, name, (draft) => {
      if (draft.metadata.uid !== uid) return // another pod of the same name has come
      draft.status = podStatus(draft, {
        inits: inits ?? [],
        containers: containers ?? [],
        podIP: this.address,
        hostIP,
      })
    })
    if (written && written.metadata.uid === uid) this.#pod = written
  }
}
