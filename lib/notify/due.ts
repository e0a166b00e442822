/** What earlier runs could not say: their receiver was away, or they were killed. The next command says it. */
import { key, names } from '../app/color.ts'
import { getNamed } from '../cluster/commands.ts'
import { lease, type ConfigMap, type Lease } from '../cluster/objects.ts'
import type { World } from '../cluster/world.ts'
import { recordForm } from '../history/record.ts'
import { parseJson } from '../json.ts'
import type { State } from '../settings/notify.ts'
import type { Variables } from './channels.ts'
import { courier, newLine } from './courier.ts'
import { openLedger } from './ledger.ts'
import { CUT_OFF, noticesOf, outstanding, type Notices } from './notices.ts'
import { stateOf, type Subject } from './states.ts'

export interface Wish {
  /** Of this record alone. */
  record?: string | undefined
  /** To this channel alone. */
  channel?: string | undefined
  /** Not of this one: whoever asks sees to it. */
  except?: string | undefined
  /** Runs that were killed, and whose records nobody has closed yet, are told of too. */
  left?: boolean
  /** ms for all of it */
  within: number
  /** Aborted when there is less. */
  until?: AbortSignal
  variables?: Variables
}

export interface Outcome {
  record: string
  state: State
  channel: string
  /** What the receiver said; undefined where it is still due, or given up. */
  sent: string | undefined
  failure: string | undefined
}

/** @returns what was due, and what came of it @throws KubectlError when the history cannot be read */
export async function sendDue(world: World, wish: Wish): Promise<Outcome[]> {
  const { environment, clock } = world
  const kubectl = world.kubectl.unstoppable()
  const [found, holder] = await Promise.all([
    outstanding(kubectl, environment.app),
    wish.left ? readLease(world) : undefined,
  ])
  const patient = AbortSignal.any([AbortSignal.timeout(wish.within), ...(wish.until ? [wish.until] : [])])
  const line = newLine()
  const told = found.map(async (configMap) => {
    const subject = subjectOf(configMap)
    if (!subject || !isMeant(subject, wish)) return []
    const stored = noticesOf(configMap)
    const ledger = await openLedger(world, subject.id, stored)
    const by = courier(world, Promise.resolve(ledger), {
      variables: wish.variables ?? process.env,
      patient,
      line,
    })
    const before = structuredClone(ledger.notices)
    const untold = untoldOf(subject, ledger.notices, clock.now(), wish.left ? { holder } : undefined)
    if (untold) {
      const at = subject.finishedAt ?? new Date(clock.now()).toISOString()
      await by.tell(subject, { ...untold, at }, true)
    }
    const { notices } = await by.sendDue(subject, wish.channel)
    return outcomesOf(subject.id, before, notices, wish)
  })
  return (await Promise.all(told)).flat()
}

const isMeant = ({ id }: Subject, { record, except }: Wish): boolean =>
  id !== except && (record === undefined || record === id)

async function readLease({ kubectl, environment }: World): Promise<Lease | undefined> {
  const [found] = await kubectl.objects(getNamed(`lease/${names(environment.app).lease}`), lease)
  return found
}

/** Undefined for a record that newer scripts wrote: what it says is not known here. */
function subjectOf({ data, metadata }: ConfigMap): Subject | undefined {
  const parsed = recordForm.safeParse(parseJson(data.record ?? ''))
  const outcome = recordForm.shape.outcome.safeParse(metadata.labels[key.outcome])
  if (!parsed.success) return undefined
  return { ...parsed.data, ...(outcome.success && { outcome: outcome.data }) }
}

/**
 * How it ended, where its run was killed before it could say so; `now` in ms. A run that has just ended is about to.
 * @param left with who holds the lock: a record that is open without a run is told of too
 */
export function untoldOf(
  subject: Subject,
  { notices }: Notices,
  now: number,
  left?: { holder: Lease | undefined },
): { state: State; about?: string } | undefined {
  const { outcome, finishedAt, startedAt, by, to, environment } = subject
  const known = (state: State): boolean => notices.some((notice) => notice.state === state)
  const quiet = now - Date.parse(finishedAt ?? startedAt) > CUT_OFF
  if (!quiet) return undefined
  if (outcome !== 'open') {
    const state = stateOf(subject)
    return known(state) ? undefined : { state }
  }
  if (!left || isAlive(left.holder, now) || known('needs-person')) return undefined
  const mend = `bun scripts/deployment-status.ts --env ${environment} --repair finishes or undoes it`
  return {
    state: 'needs-person',
    about: `The run of ${by} for ${to.version} has stopped in the middle: ${mend}`,
  }
}

/** By the clocks of two machines, which may differ by a minute: it is told of here, and nothing else. */
function isAlive(holder: Lease | undefined, now: number): boolean {
  if (!holder?.spec.holderIdentity) return false
  const { renewTime, leaseDurationSeconds } = holder.spec
  return now - Date.parse(renewTime) < leaseDurationSeconds * 1000 + 60_000
}

function outcomesOf(record: string, before: Notices, after: Notices, { channel: only }: Wish): Outcome[] {
  return after.notices.flatMap(({ state, to }) => {
    const earlier = before.notices.find((notice) => notice.state === state)
    return Object.entries(to).flatMap(([channel, { sent, failure, over }]) => {
      const was = earlier?.to[channel]
      const settled = was !== undefined && (was.sent !== undefined || was.over !== undefined)
      if (settled || (only !== undefined && only !== channel)) return []
      return [{ record, state, channel, sent, failure: over ?? failure }]
    })
  })
}
