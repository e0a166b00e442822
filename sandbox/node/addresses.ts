/**
 * Addresses for pods. Linux answers on all of 127.0.0.0/8, so each sandbox takes a /16 of it for itself:
 * 127.x.0.1 is its node, the rest are its pods.
 */

/** The kubelet's port. Listening there is what reserves a network against other sandboxes on this machine. */
const CLAIM_PORT = 10250
const FIRST = 2
const LAST = 0xff_fe

export class Addresses {
  readonly node: string
  readonly #claim: { stop(): void }
  readonly #prefix: string
  #taken = new Set<number>()
  #next = FIRST

  constructor() {
    const { prefix, claim } = claimNetwork()
    this.#prefix = prefix
    this.#claim = claim
    this.node = `${prefix}.0.1`
  }

  /** In turn, so that an address is not reused soon. @throws Error when all are taken */
  take(): string {
    for (let tries = FIRST; tries <= LAST; tries++) {
      const host = this.#next
      this.#next = host === LAST ? FIRST : host + 1
      if (this.#taken.has(host)) continue
      this.#taken.add(host)
      return `${this.#prefix}.${host >> 8}.${host & 0xff}`
    }
    throw new Error(`all ${LAST - FIRST + 1} pod addresses are taken`)
  }

  giveBack(address: string): void {
    const [, , high = 0, low = 0] = address.split('.').map(Number)
    this.#taken.delete(high * 256 + low)
  }

  close(): void {
    this.#claim.stop()
  }
}

/** 127.0 is everybody's and 127.96 the Services'. */
function claimNetwork(): { prefix: string; claim: { stop(): void } } {
  for (let tries = 0; ; tries++) {
    const prefix = `127.${1 + Math.floor(Math.random() * 95)}`
    try {
      const socket = { data() {} }
      return { prefix, claim: Bun.listen({ hostname: `${prefix}.0.1`, port: CLAIM_PORT, socket }) }
    } catch (error) {
      if (tries === 50) throw error
    }
  }
}
