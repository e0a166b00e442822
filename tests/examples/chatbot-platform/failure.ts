/** The message that a promise fails with. One that does not fail is the failure. */
export function failureOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => {
      throw new Error('expected a failure')
    },
    (error: Error) => error.message,
  )
}
