/**
 * Addresses for pods. Linux answers on all of 127.0.0.0/8, so each sandbox takes a /16 of it for itself:
 * 127.x.0.1 is its node, the rest are its pods.
 */
import { listeners } from '../listeners.ts'

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

/** 127.0 is everybody's and 127.96 the Services'. Where a pod has outlived its sandbox, nobody moves in. Pure. */
export function freeNetworks(listening: Iterable<string>): string[] {
  const taken = new Set(Array.from(listening, (address) => address.split('.', 2).join('.')))
  return Array.from({ length: 95 }, (_, i) => `127.${i + 1}`).filter((prefix) => !taken.has(prefix))
}

function claimNetwork(): { prefix: string; claim: { stop(): void } } {
  const free = freeNetworks(listeners())
  for (let tries = 0; ; tries++) {
    const prefix = free[Math.floor(Math.random() * free.length)]
    if (prefix === undefined) throw new Error('something listens in each of 127.1.0.0/16 to 127.95.0.0/16')
    try {
      const socket = { data() {} }
      return { prefix, claim: Bun.listen({ hostname: `${prefix}.0.1`, port: CLAIM_PORT, socket }) }
    } catch (error) {
      if (tries === 50) throw error
    }
  }
}
