/** The whole sandbox: store, API server, controllers, one node with its proxy, and a registry. */
import { mkdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createObject } from './api/write.ts'
import { autoscalerController } from './controllers/autoscaler.ts'
import type { Cluster } from './controllers/controller.ts'
import { runControllers } from './controllers/controller.ts'
import { deploymentController } from './controllers/deployment.ts'
import { endpointsController } from './controllers/endpoints.ts'
import { EventRecorder } from './controllers/events.ts'
import { collectGarbage } from './controllers/garbage.ts'
import { jobController } from './controllers/job.ts'
import { namespaceController } from './controllers/namespaces.ts'
import { replicaSetController } from './controllers/replicaset.ts'
import { schedulerController } from './controllers/scheduler.ts'
import { Addresses } from './node/addresses.ts'
import { Images } from './node/images.ts'
import { Kubelet } from './node/kubelet.ts'
import { NODE_NAME, nodeObject } from './node/node-object.ts'
import { ServiceProxy } from './node/service-proxy.ts'
import { Watchdog } from './node/watchdog.ts'
import { serveRegistry } from './registry.ts'
import { serveApi } from './server.ts'
import { Store } from './store.ts'

export interface SandboxOptions {
  /** Of the API server; 0 or none takes a free one. */
  port?: number
  registryPort?: number
  /** Kept when the sandbox stops; without it a temporary directory is used and removed. */
  dataDirectory?: string
}

export interface Sandbox {
  /** Of the API server. */
  url: string
  /** `127.0.0.1:PORT` */
  registry: string
  dataDirectory: string
  store: Store
  /** Kills every container and closes every port. */
  stop(): Promise<void>
}

/** Starts a sandbox in this process. @throws Error when a port is taken */
export function startSandbox({ port, registryPort, dataDirectory }: SandboxOptions = {}): Sandbox {
  const store = new Store()
  const cluster: Cluster = {
    store,
    events: new EventRecorder(store),
    create: (resource, object) => createObject(store, resource, object),
  }
  const directory = dataDirectory ?? join(tmpdir(), `sandbox-${crypto.randomUUID()}`)

  const stopGarbage = collectGarbage(store)
  const stopControllers = runControllers(store, controllersOf(cluster), report)
  const addresses = new Addresses()
  const watchdog = new Watchdog()
  const node = { cluster, images: new Images(), watchdog, hostIP: addresses.node, dataDirectory: directory }
  const kubelet = new Kubelet(NODE_NAME, node, addresses, report)
  const proxy = new ServiceProxy(store, report)
  const registry = serveRegistry(registryPort)
  const api = serveApi(store, { ...(port && { port }), logs: kubelet, pods: kubelet })
  createObject(store, 'nodes', nodeObject(addresses.node))
  mkdirSync(directory, { recursive: true, mode: 0o700 })

  return {
    url: api.url,
    registry: registry.address,
    dataDirectory: directory,
    store,
    async stop() {
      for (const part of [api, proxy, registry]) part.stop()
      await kubelet.stop()
      stopControllers()
      stopGarbage()
      addresses.close()
      await watchdog.close()
      if (!dataDirectory) rmSync(directory, { recursive: true, force: true })
    },
  }
}

function controllersOf(cluster: Cluster) {
  return [
    namespaceController(cluster),
    deploymentController(cluster),
    replicaSetController(cluster),
    jobController(cluster),
    endpointsController(cluster),
    autoscalerController(cluster),
    schedulerController(cluster, NODE_NAME),
  ]
}

/** A fault of the sandbox itself, for whoever runs it. What goes wrong with an object is told by its events. */
function report(what: string, error: unknown): void {
  console.error(
    `sandbox: ${what}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
  )
}
