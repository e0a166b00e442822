/**
 * The witness stands in for users across a switch: a constant rate of requests, half on new connections, half
 * on connections that are kept alive, each one counted. It is not marked as a check: what happens to users
 * must happen to it. A probe that only kept connections alive would miss an outage for new ones, and one that
 * only opened new ones would not see who is still served by the old color (both measured).
 */
import type { Clock } from '../clock.ts'
import { field, parseJson } from '../json.ts'
import type { WitnessSettings } from '../settings/file.ts'

export interface Sample {
  /** When the request was due, in ms of the monotonic clock; its latency counts from here. */
  due: number
  done: number
  /** On a connection of its own, or on one that is kept. */
  connection: 'new' | 'kept'
  /** Which of those that are kept. */
  client?: number
  /** The answer's status, if there was one. */
  status?: number
  /** What went wrong; undefined for an answer below 500. */
  failure?: string
  /** The color that answered, where the application names it. */
  color?: string
}

export interface Witness {
  samples: readonly Sample[]
  /** How many connections it keeps. */
  connections: number
  /** Requests that were due and never asked, as this process was stopped or had no time for them. */
  readonly skipped: number
  /** Resolves when one more request has been answered, or has failed: however slow this machine is. */
  next(): Promise<void>
  /** Stops asking, waits for the answers under way, and gives all samples. */
  stop(): Promise<readonly Sample[]>
}

/** How often due requests are sent, in ms; a request is at most this late, and its latency says so. */
const tickOf = (rate: number): number => Math.max(5, 50 / rate)

/**
 * What is overdue by more than this (ms) is not asked any more: after a Ctrl-Z of a minute, or a laptop's night,
 * the application would meet all of it at once. What is less overdue is: it is what users would have asked.
 */
const OVERDUE = 1000

/**
 * Starts asking at once. Connections are opened as the first requests need them.
 * @param headers by which an application tells it from users, where it does not stand in for them
 */
export async function startWitness(
  url: string,
  settings: WitnessSettings,
  clock: Clock,
  headers: Record<string, string> = {},
): Promise<Witness> {
  // 95 ms of loading that only a switch needs. The bare name "undici" is a stub under Bun.
  const { Agent, Client } = await import('undici/index.js')
  const limits = {
    headersTimeout: settings.timeout,
    bodyTimeout: settings.timeout,
    connect: { timeout: settings.timeout },
  }
  const target = new URL(settings.path, url)
  const fresh = new Agent({ ...limits, pipelining: 0 })
  const kept = Array.from({ length: settings.connections }, () => new Client(target.origin, limits))
  const samples: Sample[] = []
  const underway = new Set<Promise<void>>()
  const start = clock.monotonic()
  let [sent, skipped] = [0, 0]
  let settled = Promise.withResolvers<void>()

  const ask = async (due: number, connection: Sample['connection'], index: number): Promise<void> => {
    const client = index % kept.length
    const dispatcher = connection === 'new' ? fresh : (kept[client] ?? fresh)
    const about = { due, connection, ...(connection === 'kept' && { client }) }
    try {
      const answer = await dispatcher.request({
        origin: target.origin,
        path: target.pathname + target.search,
        method: 'GET',
        reset: connection === 'new',
        // From here on, also while it waits for its turn: users do not queue behind one that hangs.
        signal: AbortSignal.timeout(settings.timeout),
        headers: { 'user-agent': 'deploy-scripts-witness', ...headers },
      })
      const text = await answer.body.text()
      const color = colorOf(text, settings.color)
      const failure = answer.statusCode < 500 ? undefined : `status ${answer.statusCode}`
      samples.push({
        ...about,
        done: clock.monotonic(),
        status: answer.statusCode,
        ...(color && { color }),
        ...(failure && { failure }),
      })
    } catch (error) {
      samples.push({ ...about, done: clock.monotonic(), failure: reason(error) })
    }
  }
  const timer = setInterval(() => {
    const passed = clock.monotonic() - start
    const owed = Math.floor((passed / 1000) * settings.rate)
    const oldest = Math.ceil(((passed - OVERDUE) / 1000) * settings.rate)
    skipped += Math.max(0, oldest - sent)
    sent = Math.max(sent, oldest)
    for (; sent <= owed; sent++) {
      const due = start + (sent * 1000) / settings.rate
      const asked = ask(due, sent % 2 === 0 ? 'new' : 'kept', sent >> 1).finally(() => {
        underway.delete(asked)
        settled.resolve()
        settled = Promise.withResolvers()
      })
      underway.add(asked)
    }
  }, tickOf(settings.rate))

  return {
    samples,
    connections: kept.length,
    get skipped() {
      return skipped
    },
    next: () => settled.promise,
    stop: async () => {
      clearInterval(timer)
      await Promise.all(underway)
      await Promise.all([fresh.destroy(), ...kept.map((client) => client.destroy())])
      return samples
    },
  }
}

/** The color that an answer names. An error page names none; its status is judged elsewhere. */
export function colorOf(text: string, path: string | undefined): string | undefined {
  const value = path && field(parseJson(text), path)
  return typeof value === 'string' ? value : undefined
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const code = 'code' in error && typeof error.code === 'string' ? `${error.code}: ` : ''
  return `${code}${error.message}`
}

/** What a switch did to users, counted from the moment the patch was asked for. */
export interface Tally {
  requests: number
  onNewConnections: number
  onKeptConnections: number
  failures: number
  /** Failures of requests that had been answered before the patch: the old color's. */
  failuresBefore: number
  requestsBefore: number
  /** ms from the patch to the first answer of the new color; undefined where the color is not named. */
  firstNew?: number
  /** ms from the patch to the last answer of the old color, on any connection. */
  lastOld?: number
  /** The same on new connections alone: when the cluster had moved. */
  lastOldOnNew?: number
  /** The same on kept connections alone: when nobody was left behind. */
  lastOldOnKept?: number
  /** What went wrong, most frequent first, at most five kinds. */
  reasons: string[]
}

/** Counts. Pure. */
export function tally(samples: readonly Sample[], patchedAt: number, to: string): Tally {
  const before = samples.filter(({ done }) => done < patchedAt)
  const after = samples.filter(({ done }) => done >= patchedAt)
  // A refusal that users met before is theirs to expect; one that came with the switch is not.
  const usual = new Set(before.map(({ status }) => status))
  const refused = ({ status = 0 }: Sample) => before.length > 0 && status >= 400 && !usual.has(status)
  const failed = after.filter((sample) => sample.failure !== undefined || refused(sample))
  const since = (sample: Sample | undefined) => sample && sample.done - patchedAt
  const byTime = after.filter(({ color }) => color !== undefined).toSorted((a, b) => a.done - b.done)
  const firstNew = since(byTime.find(({ color }) => color === to))
  const lastOld = since(byTime.findLast(({ color }) => color !== to))
  const lastOldOn = (kind: Sample['connection']) =>
    since(byTime.findLast(({ color, connection }) => color !== to && connection === kind))
  const [lastOldOnNew, lastOldOnKept] = [lastOldOn('new'), lastOldOn('kept')]
  return {
    requests: after.length,
    onNewConnections: after.filter(({ connection }) => connection === 'new').length,
    onKeptConnections: after.filter(({ connection }) => connection === 'kept').length,
    failures: failed.length,
    failuresBefore: before.filter(({ failure }) => failure !== undefined).length,
    requestsBefore: before.length,
    reasons: mostFrequent(failed.map(({ failure, status }) => failure ?? `status ${status}`)),
    ...(firstNew !== undefined && { firstNew }),
    ...(lastOld !== undefined && { lastOld }),
    ...(lastOldOnNew !== undefined && { lastOldOnNew }),
    ...(lastOldOnKept !== undefined && { lastOldOnKept }),
  }
}

/**
 * How many connections that were opened after `since` (ms of the monotonic clock) met another color than the one
 * that is meant: while there are any, that other one is not to be retired. Pure.
 */
export function stillMet(samples: readonly Sample[], since: number, color: string): number {
  return samples.filter(
    (sample) =>
      sample.connection === 'new' &&
      sample.due >= since &&
      sample.color !== undefined &&
      sample.color !== color,
  ).length
}

/**
 * The kept connections, of so many, whose last word since then was not another color's than the one that was
 * left: they are on it still, or have not said. Pure.
 */
export function leftBehind(
  samples: readonly Sample[],
  since: number,
  color: string,
  connections: number,
): number[] {
  const said = samples
    .filter((sample) => sample.done >= since && sample.color !== undefined)
    .toSorted((a, b) => a.done - b.done)
  return Array.from({ length: connections }, (_, client) => client).filter((client) => {
    const last = said.findLast((sample) => sample.client === client)
    return last === undefined || last.color === color
  })
}

function mostFrequent(reasons: readonly string[]): string[] {
  const counts = Map.groupBy(reasons, (text) => text)
  return [...counts]
    .toSorted(([, a], [, b]) => b.length - a.length)
    .slice(0, 5)
    .map(([text, { length }]) => `${length} × ${text}`)
}
