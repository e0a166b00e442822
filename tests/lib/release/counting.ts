/** Stands in for Prometheus, and for the users whose requests the pods of a rehearsal count. */
import type { Rehearsal } from '../world.ts'

interface Pod {
  color: string
  total: number
  bad: number
  /** s since 1970 */
  began: number
}

type Series = [labels: Record<string, string>, value: number]

const vector = (series: readonly Series[]): Response =>
  Response.json({
    status: 'success',
    data: {
      resultType: 'vector',
      result: series.map(([metric, value]) => ({ metric, value: [1000, String(value)] })),
    },
  })

export class Counting {
  /** How often it was asked what pods count. */
  asked = 0
  /** Answers in its place. */
  answer: (() => Response | Promise<Response>) | undefined
  readonly url: string
  readonly #port: number
  readonly #pods = new Map<string, Pod>()
  #server: ReturnType<typeof Bun.serve> | undefined
  #rehearsal: Rehearsal | undefined
  #start = 0

  constructor() {
    this.#server = this.#serve(0)
    this.url = this.#server.url.href
    this.#port = this.#server.port ?? 0
  }

  /** What it counts for; pods that are there have a past, in which one request of 500 failed. */
  watch(rehearsal: Rehearsal): void {
    const { now, monotonic } = rehearsal.clock
    this.#rehearsal = rehearsal
    this.#start ||= now() - monotonic()
    if (this.#pods.size > 0) return
    this.#scrape()
    for (const pod of this.#pods.values()) Object.assign(pod, { total: 10_000, bad: 20, began: 1 })
  }

  /** So many requests, shared among the pods that are live and ready. */
  users(requests: number, failed: number): void {
    this.#scrape()
    const selector = Object(this.#rehearsal?.cluster.selector())
    const live = [...this.#pods].filter(([, { color }]) => color === selector.color)
    for (const [, pod] of live) {
      pod.total += requests / live.length
      pod.bad += failed / live.length
    }
  }

  /** Counters begin anew, by a process that says so or by one that does not. */
  reset(name: string, { told = true } = {}): void {
    const pod = this.#pods.get(name)
    if (pod) Object.assign(pod, { total: 0, bad: 0, ...(told && { began: this.#now() }) })
  }

  /** Another one, by which the same pods have counted as much. */
  copy(): Counting {
    const copy = new Counting()
    for (const [name, pod] of this.#pods) copy.#pods.set(name, { ...pod })
    return copy
  }

  async kill(): Promise<void> {
    await this.#server?.stop(true)
    this.#server = undefined
  }

  start(): void {
    this.#server ??= this.#serve(this.#port)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
  }

  /** The answer as it would be, with what is more. */
  figures(...more: Series[]): Response {
    this.#scrape()
    const own = [...this.#pods].flatMap(([pod, { color, total, bad, began }]): Series[] =>
      Object.entries({
        'errors/all': total,
        'errors/bad': bad,
        'errors/at': this.#now(),
        'errors/readers': 1,
        'gauge/startTime': began,
      }).map(([figure, value]) => [{ pod, color, figure }, value]),
    )
    return vector([[{ figure: 'now' }, this.#now()], ...own, ...more])
  }

  #serve(port: number) {
    return Bun.serve({
      hostname: '127.0.0.1',
      port,
      idleTimeout: 30,
      fetch: async (request) => {
        const query = new URLSearchParams(await request.text()).get('query') ?? ''
        if (request.url.endsWith('query_range'))
          return Response.json({ status: 'success', data: { resultType: 'matrix', result: [] } })
        if (query.includes('count({__name__')) return vector([[{ figure: '0' }, 3]])
        if (query.includes('increase(')) return vector([[{ marked: 'yes' }, 1]])
        this.asked++
        return (await this.answer?.()) ?? this.figures()
      },
    })
  }

  /** Its own clock, in s: nobody sets it. */
  #now(): number {
    return (this.#start + (this.#rehearsal?.clock.monotonic() ?? 0)) / 1000
  }

  /** The pods that there are now; those that are new have counted nothing. */
  #scrape(): void {
    const there = new Map(
      this.#rehearsal?.cluster.all('Pod').map(({ metadata: { name, labels } }) => [name, labels?.['color']]),
    )
    for (const name of this.#pods.keys()) if (!there.has(name)) this.#pods.delete(name)
    for (const [name, color = ''] of there)
      if (!this.#pods.has(name)) this.#pods.set(name, { color, total: 0, bad: 0, began: this.#now() })
  }
}
