/**
 * What Prometheus reads: requests, database, and what the business counts, under the names that its rules and
 * Flagger's expect.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'

/**
 * A bucket on each threshold that a gate or an alert may use: between two buckets a quantile is only a guess.
 */
const REQUEST_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const QUERY_BUCKETS = [0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5]

/** An account counts as active for this long after its last request. */
const ACTIVE_MS = 5 * 60_000

export class Metrics {
  readonly #registry = new Registry()
  readonly #seen = new Map<string, number>()
  readonly #now: () => number

  readonly requests = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time until the response begins',
    labelNames: ['method', 'route', 'status', 'verification'],
    buckets: REQUEST_BUCKETS,
    registers: [this.#registry],
  })
  readonly queries = new Histogram({
    name: 'db_client_operation_duration_seconds',
    help: 'Time of a database operation',
    labelNames: ['operation', 'error_type'],
    buckets: QUERY_BUCKETS,
    registers: [this.#registry],
  })
  readonly conversationsStarted = new Counter({
    name: 'chatbot_conversations_started_total',
    help: 'Conversations that were started',
    registers: [this.#registry],
  })
  readonly messages = new Counter({
    name: 'chatbot_messages_total',
    help: 'Messages of users and of the bot',
    registers: [this.#registry],
  })

  constructor(now: () => number = Date.now) {
    this.#now = now
    collectDefaultMetrics({ register: this.#registry })
    const countActive = () => this.#countActive()
    this.#registry.registerMetric(
      new Gauge({
        name: 'chatbot_active_users',
        help: 'Accounts with a request in the last five minutes',
        registers: [],
        collect() {
          this.set(countActive())
        },
      }),
    )
  }

  /** Has the connections of the database counted at each scrape. */
  watch(connections: () => { used: number; idle: number }, max: number): void {
    this.#registry.registerMetric(
      new Gauge({
        name: 'db_client_connection_count',
        help: 'Open connections to the database',
        labelNames: ['state'],
        registers: [],
        collect() {
          const { used, idle } = connections()
          this.set({ state: 'used' }, used)
          this.set({ state: 'idle' }, idle)
        },
      }),
    )
    const most = new Gauge({
      name: 'db_client_connection_max',
      help: 'Connections that may be open at a time',
      registers: [this.#registry],
    })
    most.set(max)
  }

  see(account: string): void {
    this.#seen.set(account, this.#now())
  }

  async toResponse(): Promise<Response> {
    return new Response(await this.#registry.metrics(), {
      headers: { 'Content-Type': this.#registry.contentType },
    })
  }

  #countActive(): number {
    for (const [account, time] of this.#seen) if (this.#now() - time > ACTIVE_MS) this.#seen.delete(account)
    return this.#seen.size
  }
}
