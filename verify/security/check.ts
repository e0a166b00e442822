/** What a check of the catalogue is, and what it may come to. */
import type { Severity } from '../../lib/settings/gates.ts'
import type { Answer } from './client.ts'
import type { Site } from './site.ts'

export interface Check {
  /** Stable: results, waivers and docs/security-checks.md name it. */
  id: string
  /** Of its findings, unless one says otherwise. */
  severity: Severity
  expected: string
  fix: string
  reference: string
  /** A few GET requests without an account: may also be asked of what users see. */
  passive?: true
  /**
   * It belongs to the address that users reach, and is asked there before they are moved: the way to it, or what is
   * answered there, by what is live.
   */
  address?: 'way' | 'answers'
  /** Whether a release brings itself what users' address lacks. @throws Unanswered */
  mends?: (site: Site) => Promise<boolean>
  /** Only when all others are done: it may lock this address out. */
  last?: true
  /** @throws NotApplicable, Unanswered, or what the run was aborted with */
  probe: (site: Site) => Promise<Outcome>
}

export interface Exchange {
  method: string
  path: string
  sent: string
  back: string
}

/** One weakness in one place. Holds nothing of a body but what is known to be no secret. */
export interface Observation extends Exchange {
  /** Follows the request in a sentence: "answered 200 without a session". */
  problem: string
  severity?: Severity | undefined
}

export interface Outcome {
  /** What was looked at. */
  seen: string
  observations: Observation[]
  /** Questions without an answer: with one of them, nothing found is no pass. */
  unanswered: string[]
}

/** A check that has nothing to look at here: nothing is declared, or there is no TLS. */
export class NotApplicable extends Error {}

/** A question that should have been answered and was not: no connection, no account, a 500. */
export class Unanswered extends Error {}

/** Nobody said anything in time, not even no. */
export class Silent extends Unanswered {}

/** What a judge says of an answer: nothing, what is wrong, or also how bad this one is. */
export type Fault = string | { problem: string; severity?: Severity | undefined } | undefined

export function observed(exchange: Exchange, fault: Fault): Observation[] {
  if (fault === undefined) return []
  const { problem, severity } = typeof fault === 'string' ? { problem: fault } : fault
  return [{ ...exchange, problem, severity }]
}

/** The same for an HTTP answer, of which only status, type and size are told. */
export function found(answer: Answer, fault: Fault): Observation[] {
  const { method, path, note, status } = answer
  const type = answer.header('content-type') ?? 'no content-type'
  const sent = note ? `${method} ${path} (${note})` : `${method} ${path}`
  return observed({ method, path, sent, back: `${status}, ${type}, ${answer.bytes} bytes` }, fault)
}

/**
 * Looks at each one. One that gives no answer does not hide what is found in the others.
 * @param what one of them; several are told with an s
 */
export async function each<T>(
  what: string,
  items: readonly T[],
  look: (item: T) => Promise<Observation[]>,
): Promise<Outcome> {
  const settled = await Promise.allSettled(items.map(look))
  const unanswered: string[] = []
  for (const one of settled) {
    if (one.status === 'fulfilled') continue
    if (!(one.reason instanceof Unanswered)) throw one.reason
    unanswered.push(one.reason.message)
  }
  const observations = settled.flatMap((one) => (one.status === 'fulfilled' ? one.value : []))
  if (items.length === 0) unanswered.push(`there is no ${what} to look at`)
  return { seen: counted(items.length, what), observations, unanswered }
}

export function counted(count: number, what: string): string {
  return count === 1 ? `1 ${what}` : `${count} ${what}s`
}

export function merged(seen: string, outcomes: readonly Outcome[]): Outcome {
  return {
    seen,
    observations: outcomes.flatMap(({ observations }) => observations),
    unanswered: outcomes.flatMap(({ unanswered }) => unanswered),
  }
}

/** An answer that tells nothing about what was asked: the server was busy failing. */
export function answered(answer: Answer): Answer {
  if (answer.status < 500 || answer.status === 501) return answer
  throw new Unanswered(`${answer.method} ${answer.shown} answered ${answer.status}`)
}

/** For what secrets have been taken out of: half of one is no longer known for one. */
export function shortened(text: string, longest = 60): string {
  return text.length > longest ? `${text.slice(0, longest)}…` : text
}
