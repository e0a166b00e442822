/** Waiting that can be called off. */

/** Less than 0 ms is no wait. @returns whether the time passed; false as soon as the signal is aborted */
export function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return Promise.resolve(false)
  return new Promise((resolve) => {
    const stop = () => {
      clearTimeout(timer)
      resolve(false)
    }
    const timer = setTimeout(
      () => {
        signal.removeEventListener('abort', stop)
        resolve(true)
      },
      Math.max(0, ms),
    )
    signal.addEventListener('abort', stop, { once: true })
  })
}
