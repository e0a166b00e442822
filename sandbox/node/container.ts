/** A container of a pod: from its image through run after run, as its part of the pod's status tells it. */
import { join } from 'node:path'
import type { Cluster } from '../controllers/controller.ts'
import type { Occurrence } from '../controllers/events.ts'
import { timestamp } from '../controllers/pods.ts'
import type { ContainerSpec, ContainerState, ContainerStatus, Pod, Terminated } from '../kinds.ts'
import { ConfigError } from './config-data.ts'
import { ContainerLog } from './container-log.ts'
import type { Target } from './handlers.ts'
import type { Image, Images } from './images.ts'
import { invocationOf } from './invocation.ts'
import type { Places } from './invocation.ts'
import { pause } from './pause.ts'
import { StartError } from './process.ts'
import type { Teller } from './pull.ts'
import { obtainImage } from './pull.ts'
import { Run } from './run.ts'
import type { Supervision } from './supervise.ts'
import { supervise } from './supervise.ts'
import type { Watchdog } from './watchdog.ts'

/** After a crash: at once, then 10 s, doubling up to 5 minutes; forgotten after 10 good minutes. */
const BACKOFF_MS = { first: 10_000, most: 300_000, forgotten: 600_000 }
/** How often a missing ConfigMap or Secret is looked for again. */
const CONFIG_RETRY_MS = 1000

/** What a container needs of its pod and its node. */
export interface Surroundings {
  cluster: Cluster
  images: Images
  watchdog: Watchdog
  address: string
  places: Places
  /** `Always`, `OnFailure` or `Never`. */
  restartPolicy: string
  /** The pod as it was when the kubelet last wrote it. */
  pod: () => Pod
  /** The status has changed. */
  changed: () => void
  stopping: AbortSignal
}

type Invocation = ReturnType<typeof invocationOf>

export class Container implements Teller {
  readonly spec: ContainerSpec
  readonly #around: Surroundings
  readonly #fieldPath: string
  readonly #status: ContainerStatus
  #run: Run | undefined
  #log: ContainerLog | undefined
  #previousLog: ContainerLog | undefined

  /** The list of the pod's spec that it is in: `containers` or `initContainers`. */
  constructor(spec: ContainerSpec, list: string, around: Surroundings) {
    this.spec = spec
    this.#around = around
    this.#fieldPath = `spec.${list}{${spec.name}}`
    this.#status = {
      name: spec.name,
      image: spec.image,
      imageID: '',
      ready: false,
      started: false,
      restartCount: 0,
      state: { waiting: { reason: 'ContainerCreating' } },
      lastState: {},
    }
  }

  get status(): ContainerStatus {
    return structuredClone(this.#status)
  }

  /** The log of the present run, or of the one before; undefined where there was none. */
  log(previous = false): ContainerLog | undefined {
    return previous ? this.#previousLog : this.#log
  }

  waitFor(reason: string, message?: string): void {
    this.#enter({ waiting: { reason, ...(message && { message }) } })
  }

  note(reason: string, message: string): void {
    this.#record({ reason, message })
  }

  warn(reason: string, message: string): void {
    this.#record({ type: 'Warning', reason, message })
  }

  /** Runs the container, again and again as the policy says, until it is over or the pod is stopped. */
  async keepRunning(): Promise<void> {
    const { stopping, restartPolicy, images } = this.#around
    for (let wait = 0; ;) {
      const image = await obtainImage(this.spec, images, this, stopping)
      const invocation = image && (await this.#configure(image))
      if (!invocation || stopping.aborted) return
      const began = Date.now()
      const { exitCode } = await this.#runOnce(invocation)
      if (stopping.aborted || restartPolicy === 'Never') return
      if (restartPolicy === 'OnFailure' && exitCode === 0) return
      if (Date.now() - began > BACKOFF_MS.forgotten) wait = 0
      if (wait && !(await this.#backOff(wait))) return
      wait = Math.min(Math.max(BACKOFF_MS.first, wait * 2), BACKOFF_MS.most)
      this.#status.restartCount++
    }
  }

  /** Ends the present run; resolves when its process is gone. */
  async stop(graceSeconds: number): Promise<void> {
    if (!this.#run || this.#run.ended.aborted) return
    this.note('Killing', `Stopping container ${this.spec.name}`)
    await this.#run.stop(graceSeconds)
  }

  kill(): void {
    this.#run?.kill()
  }

  /** Waits for what the container's configuration refers to. */
  async #configure(image: Image): Promise<Invocation | undefined> {
    const { cluster, pod, places, stopping } = this.#around
    this.#status.imageID = image.id
    for (;;) {
      try {
        return invocationOf(cluster.store, pod(), this.spec, image, places)
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error
        this.waitFor('CreateContainerConfigError', error.message)
        this.warn('Failed', `Error: ${error.message}`)
        if (!(await pause(CONFIG_RETRY_MS, stopping))) return undefined
      }
    }
  }

  async #runOnce(invocation: Invocation): Promise<Terminated> {
    const startedAt = timestamp(Date.now())
    const target = this.#targetOf(invocation)
    try {
      const run = this.#start(invocation, target, startedAt)
      const { exitCode, signal, reason } = await supervise(run, this.#supervision(target))
      return this.#ended({ exitCode, ...(signal && { signal }), reason, startedAt })
    } catch (error) {
      if (!(error instanceof StartError)) throw error
      this.warn('Failed', `Error: ${error.message}`)
      return this.#ended({ exitCode: 128, reason: 'StartError', message: error.message, startedAt })
    }
  }

  /** @throws StartError */
  #start(invocation: Invocation, target: Target, startedAt: string): Run {
    const { name, lifecycle } = this.spec
    const log = new ContainerLog(
      join(this.#around.places.directory, `${name}.${this.#status.restartCount}.log`),
    )
    this.#previousLog = this.#log
    this.#log = log
    this.#status.containerID = `sandbox://${crypto.randomUUID().replaceAll('-', '')}`
    this.note('Created', `Created container ${name}`)
    const run = new Run(invocation, (stream, chunk) => log.write(stream, chunk), {
      preStop: lifecycle?.preStop,
      target,
      failed: (output) => this.warn('FailedPreStopHook', `PreStopHook failed: ${output}`),
    })
    this.#run = run
    this.note('Started', `Started container ${name}`)
    this.#enter({ running: { startedAt } })
    return run
  }

  #supervision(target: Target): Supervision {
    const { pod, stopping } = this.#around
    return {
      spec: this.spec,
      target,
      tell: this,
      grace: pod().spec.terminationGracePeriodSeconds ?? 30,
      stopping,
      started: () => this.#become({ started: true }),
      ready: (ready) => this.#become({ ready }),
    }
  }

  #targetOf({ env, cwd, rewritten }: Invocation): Target {
    return {
      address: this.#around.address,
      ports: this.spec.ports ?? [],
      invocation: (command) => ({ argv: rewritten(command), env, cwd }),
      watchdog: this.#around.watchdog,
    }
  }

  #ended(how: Omit<Terminated, 'finishedAt'>): Terminated {
    this.#log?.end()
    const { containerID } = this.#status
    const terminated = { ...how, finishedAt: timestamp(Date.now()), ...(containerID && { containerID }) }
    this.#become({ state: { terminated }, ready: false, started: false })
    return terminated
  }

  async #backOff(wait: number): Promise<boolean> {
    const { pod, stopping } = this.#around
    const { name, namespace, uid } = pod().metadata
    const what = `restarting failed container=${this.spec.name} pod=${name}_${namespace}(${uid})`
    this.waitFor('CrashLoopBackOff', `back-off ${duration(wait)} ${what}`)
    this.warn('BackOff', 'Back-off restarting failed container')
    return pause(wait, stopping)
  }

  /** A state takes the place of the one before; how the last run ended is remembered. */
  #enter(state: ContainerState): void {
    const { terminated } = this.#status.state
    this.#become({ state, ...(terminated && { lastState: { terminated } }) })
  }

  #become(change: Partial<ContainerStatus>): void {
    Object.assign(this.#status, change)
    this.#around.changed()
  }

  #record(occurrence: Omit<Occurrence, 'component' | 'fieldPath'>): void {
    const { cluster, pod } = this.#around
    cluster.events.record(pod(), { ...occurrence, component: 'kubelet', fieldPath: this.#fieldPath })
  }
}

/** As Go writes it: `10s`, `2m40s`, `5m0s`. */
function duration(ms: number): string {
  const seconds = Math.round(ms / 1000)
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`
}
