/** What the API server asks of the node that runs the pods: the seam between HTTP and processes. */

export interface LogOptions {
  container?: string
  tailLines?: number
  sinceSeconds?: number
  previous?: boolean
  follow?: boolean
  timestamps?: boolean
}

export interface LogSource {
  /**
   * The log of one container; a string when it is complete, a stream when it is followed.
   * @throws ApiError 400 for an unknown container, or one that has not started
   */
  logs(namespace: string, pod: string, options: LogOptions): ReadableStream<Uint8Array> | string
}

export interface PodTerminator {
  /**
   * Called after a DELETE. With a grace period the pod is still stored, with its `deletionTimestamp` and
   * `deletionGracePeriodSeconds` set, and it is the node's duty to stop it and then remove it from the store.
   * With grace 0 it is already gone from the store: kill its processes. May be called again with a shorter period.
   */
  terminate(namespace: string, name: string, gracePeriodSeconds: number): void
}

/** For an API without a node: pods have no logs, and one that should stop is beyond reach. */
export const noNode: { logs: LogSource; pods: PodTerminator } = {
  logs: { logs: () => '' },
  pods: { terminate: () => undefined },
}
