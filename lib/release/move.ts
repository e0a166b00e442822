/** One change of traffic as an attempt decides on it, and as people are told of it. */
import type { Color, Switch } from '../app/color.ts'
import { strangers } from '../app/live.ts'
import { side, uids, type Observed } from '../app/observe.ts'
import { seconds } from '../clock.ts'
import type { World } from '../cluster/world.ts'
import { DeployError } from '../errors.ts'
import type { Proof } from '../history/record.ts'
import type { Move } from '../traffic/patch.ts'
import type { Attempt } from './attempt.ts'

/** The token of a lock that is held, as it stands on the Service before and after. */
export const ours = ({ lock: { token } }: Attempt): Move['token'] => ({ expected: token, next: token })

/** Pure but for the clock: one change of traffic with all that its patch tests and writes. */
export function moveOf(
  { environment, clock, by, journal }: World & Pick<Attempt, 'journal'>,
  observed: Observed,
  { kind, from, to, atLeast }: { kind: Switch['kind']; from: Color | undefined; to: Color; atLeast: number },
  token: Move['token'],
): Move {
  const { service, colors } = observed
  if (!service) throw new DeployError(`There is no Service ${environment.app}`)
  const intent: Switch = {
    id: journal.entry.id,
    kind,
    ...(from && { from: { ...side(colors[from]), ready: colors[from].ready.length } }),
    to: side(colors[to]),
    by,
    at: new Date(clock.now()).toISOString(),
    ...(journal.entry.reason !== undefined && { reason: journal.entry.reason }),
  }
  // Users who leave are not sent past what is no color's (S9).
  const direct = kind !== 'deploy' && strangers(observed).length > 0
  const about = { intent, to: { ...intent.to, color: to }, service, token, atLeast }
  return { ...about, own: uids(colors[to]), ...(direct && { direct }) }
}

/** What the switch did, in two lines. */
export function reportProof({ log }: World, proof: Proof): void {
  const times = [
    proof.firstNew !== undefined && `first new answer ${seconds(proof.firstNew)}`,
    proof.lastOldOnNew !== undefined && `last old answer on a new connection ${seconds(proof.lastOldOnNew)}`,
  ].filter((text) => text !== false)
  log.info(
    `endpoints converged ${seconds(proof.converged)} after the patch; ${times.join(', ') || 'colors not named'}`,
  )
  log.info(`${proof.requests} requests by the witness, ${proof.failures} failed`)
}
