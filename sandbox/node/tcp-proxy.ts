/**
 * One address of a Service: accepts connections and hands each to a random backend. Chosen when a connection is
 * made and kept for its life, as kube-proxy does, so that a keep-alive client stays with its pod.
 */
import type { Server, Socket } from 'node:net'
import { connect, createServer } from 'node:net'

export interface Backend {
  host: string
  port: number
}

/** How long after a port was somebody else's for a moment it is asked for again, in ms. */
const AGAIN = 200

export class TcpProxy {
  readonly #host: string
  readonly #port: number
  readonly #report: (error: Error) => void
  #backends: Backend[] = []
  #server: Server | undefined
  #again: ReturnType<typeof setTimeout> | undefined
  #connections = new Set<Socket>()

  constructor(host: string, port: number, report: (error: Error) => void) {
    this.#host = host
    this.#port = port
    this.#report = report
  }

  /** Who gets new connections. With none the listener closes, so that a client is refused; open ones go on. */
  setBackends(backends: Backend[]): void {
    this.#backends = backends
    if (backends.length) this.#listen()
    else this.#close()
  }

  /** Cuts every connection. */
  stop(): void {
    this.#close()
    for (const socket of this.#connections) socket.destroy()
  }

  #listen(): void {
    if (this.#server) return
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#accept(client))
    server.on('error', (error) => {
      if (this.#server !== server) return
      this.#server = undefined
      this.#report(error)
      this.#again = setTimeout(() => this.#listen(), AGAIN)
    })
    server.listen({ host: this.#host, port: this.#port, backlog: 1024 })
    this.#server = server
  }

  #close(): void {
    clearTimeout(this.#again)
    this.#server?.close()
    this.#server = undefined
  }

  #accept(client: Socket): void {
    const backend = this.#backends[Math.floor(Math.random() * this.#backends.length)]
    if (!backend) {
      client.resetAndDestroy()
      return
    }
    const upstream = connect({ ...backend, allowHalfOpen: true, noDelay: true })
    // A pod that refuses or breaks off is for the client to see, and a client that does is for the pod.
    upstream.on('error', () => client.resetAndDestroy())
    client.on('error', () => upstream.resetAndDestroy())
    for (const socket of [client, upstream]) {
      this.#connections.add(socket)
      socket.on('close', () => this.#connections.delete(socket))
    }
    client.pipe(upstream)
    upstream.pipe(client)
  }
}
