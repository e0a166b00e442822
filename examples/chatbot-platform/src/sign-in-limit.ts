/**
 * Slows down guessing: so many failed sign-ins a minute for an account from an address. Counted in each pod.
 */
const WINDOW_MS = 60_000
const FAILURES = 10
/** Keys kept at most, so that inventing names cannot fill the memory. */
const MOST_KEYS = 10_000

export class SignInLimit {
  readonly #attempts = new Map<string, number[]>()
  readonly #now: () => number

  constructor(now: () => number = Date.now) {
    this.#now = now
  }

  /**
   * Counts an attempt before its password is looked at, so that many at once cannot all slip through.
   * @returns the seconds to wait, or 0 when the attempt is allowed
   */
  take(key: string): number {
    const now = this.#now()
    const recent = (this.#attempts.get(key) ?? []).filter((time) => now - time < WINDOW_MS)
    const [oldest] = recent
    if (oldest !== undefined && recent.length >= FAILURES) return Math.ceil((oldest + WINDOW_MS - now) / 1000)
    this.#forgetOldest()
    this.#attempts.set(key, [...recent, now])
    return 0
  }

  /** The attempt succeeded: earlier failures were typing errors. */
  clear(key: string): void {
    this.#attempts.delete(key)
  }

  #forgetOldest(): void {
    if (this.#attempts.size < MOST_KEYS) return
    const oldest = this.#attempts.keys().next().value
    if (oldest !== undefined) this.#attempts.delete(oldest)
  }
}
