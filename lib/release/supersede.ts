/** A watch is ended for the sake of another release: a hotfix does not wait for it. */
import { observe, type Observed } from '../app/observe.ts'
import { DeployError, Exit } from '../errors.ts'
import { journal } from '../history/journal.ts'
import type { DeploymentRecord } from '../history/record.ts'
import { tell } from '../notify/tell.ts'
import { timeOf } from '../monitor/bake.ts'
import { giveBack } from './attempt.ts'
import type { Request } from './plan.ts'
import type { Found, Held } from './under-lock.ts'

/** The deployment whose release is being watched, if there is one: users are on it, and nothing is left to do but to look. */
export function watched(observed: Observed, past: readonly DeploymentRecord[]): DeploymentRecord | undefined {
  const last = [observed.switch?.id, observed.colors.plain.release?.release]
  return past.find(
    ({ id, outcome, bake }) => outcome === 'open' && bake && !bake.verdict && last.includes(id),
  )
}

/** What whoever is locked out by a watch may do. */
export function watchHint({ to, bake }: DeploymentRecord): string {
  return (
    `${to.version} is watched until ${timeOf(bake?.until)} UTC, ${timeOf(bake?.latest)} at the latest: ` +
    `--wait-for-lock waits for that, and --supersede "<why>" ends it`
  )
}

/** @throws DeployError (5) when somebody holds the lock who does more than watch: that is not ended from outside */
export function refuseUnlessWatching(observed: Observed, past: readonly DeploymentRecord[]): void {
  if (!observed.lease?.spec.holderIdentity || watched(observed, past)) return
  const [open] = past.filter(({ outcome }) => outcome === 'open')
  const step = open?.steps.at(-1)?.name
  throw new DeployError(
    `Nothing is being watched that could be superseded: ${open ? `the ${open.kind} of ${open.to.version} is at "${step}"` : 'the lock is held'}. Wait for it (--wait-for-lock), or roll back`,
    Exit.locked,
  )
}

type ClearUp = (held: Held, found: Omit<Found, 'repaired'>) => Promise<boolean>

/** Closes the watch that is superseded, if that is asked for, and clears up whatever else is open. */
export function superseding(
  { id, supersede: reason }: Pick<Request, 'id' | 'supersede'>,
  clearUp: ClearUp,
): ClearUp {
  if (reason === undefined) return clearUp
  return async (held, found) => {
    const ended = watched(found.observed, found.past)
    if (!ended) return await clearUp(held, found)
    held.log.warn(`The watch of ${ended.to.version} (${ended.id}, by ${ended.by}) is superseded`)
    const at = new Date(held.clock.now()).toISOString()
    ended.superseded = { by: held.by, at, record: id, reason }
    if (ended.bake) {
      ended.bake.verdict = 'superseded'
      delete ended.bake.last
    }
    await giveBack(held, ended)
    const record = journal(held, ended)
    await record.close('superseded', `superseded by ${id} of ${held.by}: ${reason}`)
    tell({ ...held, journal: record }, 'superseded')
    const others = found.past.filter(({ id: other }) => other !== ended.id)
    await clearUp(held, { observed: await observe(held.environment.app, held.kubectl), past: others })
    return true
  }
}
