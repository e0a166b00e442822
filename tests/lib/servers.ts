/** Servers of known behaviour, which count what comes in. */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'

export interface Counting extends AsyncDisposable {
  url: string
  connections: number
  requests: number
  /** The header lines of the newest request. */
  seen: string[]
}

/** What a server does with one request: writes an answer, or anything else one can do to a socket. */
export type Treat = (socket: Socket, request: string, count: number) => void

export const answer = (status: number, body: string, ...headers: string[]): string =>
  [`HTTP/1.1 ${status} X`, `content-length: ${Buffer.byteLength(body)}`, ...headers, '', body].join('\r\n')

/** A server on a raw socket, so that nothing between its treatment and the client is kind to either. */
export async function rawServer(treat: Treat): Promise<Counting> {
  const sockets = new Set<Socket>()
  const counting = { connections: 0, requests: 0, seen: [] as string[] }
  const server: Server = createServer((socket) => {
    counting.connections++
    sockets.add(socket)
    socket.on('error', () => {}) // a client that goes is no fault of the server
    socket.on('data', (data) => {
      for (const request of data
        .toString()
        .split('\r\n\r\n')
        .filter((part) => part.includes(' HTTP/1.1'))) {
        counting.requests++
        counting.seen = request.split('\r\n')
        treat(socket, request, counting.requests)
        if (/^connection: close$/im.test(request)) socket.end()
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return Object.assign(counting, {
    url: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  })
}
