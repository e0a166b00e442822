/**
 * Leaving without dropping a request. When a pod is told to stop, the proxies and the clients that hold a
 * connection do not know yet. So it keeps answering for a while, unready and with `Connection: close`, and
 * every client comes back on another pod of its own accord. Only then does it stop listening, and lets what
 * is in flight finish.
 */
import type { Log } from './log.ts'

export interface Listener {
  /** Stops listening; resolves when the last request is answered. `true` breaks off those that are not. */
  stop(closeActiveConnections?: boolean): Promise<void>
  pendingRequests(): number
}

interface Times {
  drainSeconds: number
  stopSeconds: number
}

export class Drain {
  #draining = false

  get draining(): boolean {
    return this.#draining
  }

  /** Resolves when nobody is served any more. */
  async run(listener: Listener, { drainSeconds, stopSeconds }: Times, log: Log): Promise<void> {
    this.#draining = true
    log('info', 'draining', { drainSeconds, inFlight: listener.pendingRequests() })
    await Bun.sleep(drainSeconds * 1000)
    const stopped = await Promise.race([
      listener.stop().then(() => true),
      Bun.sleep(stopSeconds * 1000).then(() => false),
    ])
    if (stopped) return
    log('warn', 'requests broken off', { inFlight: listener.pendingRequests(), stopSeconds })
    await listener.stop(true)
  }
}
