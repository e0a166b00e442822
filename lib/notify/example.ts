/** A marked example for each channel: how somebody finds out on day one that theirs works. Nothing has happened. */
import type { Clock } from '../clock.ts'
import { newId, type DeploymentRecord } from '../history/record.ts'
import type { Environment } from '../settings/file.ts'
import { declared, open, type Variables } from './channels.ts'
import { messageOf, type Message } from './message.ts'
import type { Result } from './post.ts'
import type { Subject } from './states.ts'

export interface Tried {
  channel: string
  kind: string
  /** How long the receiver took, in ms */
  ms: number
  /** What it said; undefined where it did not take it. */
  sent?: string
  failure?: string
}

interface Means {
  channel: string | undefined
  variables: Variables
  clock: Clock
  signal: AbortSignal
}

/** Tried once each, side by side: whoever tries a channel out wants to know what it says, not to be patient. */
export async function sendExamples(environment: Environment, means: Means): Promise<Tried[]> {
  const { channel: only, variables, clock, signal } = means
  const subject = exampleOf(environment, clock.now())
  const message = exampleMessage(subject, environment.reportUrl)
  const wanted = declared(environment.notify).filter(([name]) => only === undefined || name === only)
  return await Promise.all(
    wanted.map(async ([name, channel]) => {
      const began = clock.monotonic()
      const opened = open(channel, variables, { subject, url: environment.url })
      const around = { signal, ref: undefined, now: clock.now(), repeated: false }
      const result: Result =
        'problem' in opened
          ? { failure: opened.problem, again: false }
          : await opened.sender.send(message, around)
      const about = { channel: name, kind: channel.kind, ms: clock.monotonic() - began }
      return 'sent' in result ? { ...about, sent: result.sent } : { ...about, failure: result.failure }
    }),
  )
}

export const exampleMessage = (subject: Subject, reportUrl?: string): Message => ({
  ...messageOf(subject, { state: 'rolled-back', at: subject.finishedAt ?? subject.startedAt }, { reportUrl }),
  example: true,
})

/** A deployment that was rolled back: what is told of it shows all that a message may hold. */
export function exampleOf(
  { app, name, image }: Pick<Environment, 'app' | 'name' | 'image'>,
  now: number,
): DeploymentRecord {
  const at = (ms: number): string => new Date(now - 300_000 + ms).toISOString()
  const id = newId(now)
  const side = (color: 'blue' | 'green', version: string, letter: string) => ({
    color,
    version,
    release: id,
    image: `${image}@sha256:${letter.repeat(64)}`,
  })
  const lost = { converged: 210, firstNew: 190, requests: 412, failures: 37, failuresBefore: 0 }
  const back = { converged: 180, firstNew: 150, requests: 120, failures: 0, failuresBefore: 0 }
  const connections = { onNewConnections: 20, onKeptConnections: 17 }
  return {
    id,
    kind: 'deploy',
    app,
    environment: name,
    strategy: 'blue-green',
    by: 'nobody@example',
    reason: 'to see whether this channel works: nothing was deployed',
    startedAt: at(0),
    finishedAt: at(214_000),
    from: side('blue', '1.4.1', 'a'),
    to: side('green', '1.4.2', 'b'),
    temporary: {},
    steps: [
      { name: 'Switch blue → green', at: at(180_000), ms: 9_000 },
      { name: 'Verify through the live URL', at: at(189_000), ms: 6_000 },
      { name: 'Roll back to blue', at: at(195_000), ms: 4_000 },
    ],
    checks: [
      {
        gate: 'smoke',
        name: 'its database and dependencies answer',
        verdict: 'failed',
        ms: 40,
        expected: 'status 200 within 5 s',
        seen: 'status 503: {"database":"refused"}',
        evidence: ['smoke/ready.json'],
      },
    ],
    switches: [
      { ...lost, ...connections },
      { ...back, onNewConnections: 0, onKeptConnections: 0 },
    ],
    outcome: 'rolled-back',
    message: '1 of 4 checks did not pass through the live URL: its database and dependencies answer',
  }
}
