/**
 * WebSockets at /ws: each message is answered with what runs here. They say nothing that a session protects, and
 * show what becomes of long connections when traffic moves: a Service never takes an open one elsewhere.
 */
import type { ServerWebSocket, WebSocketHandler } from 'bun'
import type { Config } from './config.ts'
import type { Drain } from './drain.ts'

export const SOCKET_PATH = '/ws'

/** RFC 6455, 7.4.1: the endpoint goes away. Clients take it as a request to connect anew. */
const GOING_AWAY = 1001

/** As long as an idle keep-alive connection may last. */
const IDLE_SECONDS = 120

/** A message is a question without content; what is larger is no client of ours. */
const MESSAGE_BYTES = 1024

export class Sockets {
  readonly #open = new Set<ServerWebSocket>()
  readonly handler: WebSocketHandler<undefined>

  constructor({ color, version }: Pick<Config, 'color' | 'version'>, drain: Drain) {
    const answer = JSON.stringify({ color, version })
    this.handler = {
      idleTimeout: IDLE_SECONDS,
      maxPayloadLength: MESSAGE_BYTES,
      open: (socket) => void this.#open.add(socket),
      close: (socket) => void this.#open.delete(socket),
      message: (socket) => {
        socket.send(answer)
        // As `Connection: close` on a response: with its answer in hand, the client has no message under way.
        if (drain.draining) leave(socket)
      },
    }
  }

  /** At the end of the drain: whoever asked nothing meanwhile is told to go, too. */
  leaveAll(): void {
    for (const socket of this.#open) leave(socket)
  }
}

const leave = (socket: ServerWebSocket): void => socket.close(GOING_AWAY, 'draining')
