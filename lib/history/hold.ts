/**
 * Deployments held up by a person: a Lease beside the lock's, in the same one reading. It stops what would move
 * traffic forward; going back is never held up.
 */
import { key, names } from '../app/color.ts'
import { holdOf, type Hold, type Observed } from '../app/observe.ts'
import { create, getNamed, patch, type JsonPatch } from '../cluster/commands.ts'
import { lease } from '../cluster/objects.ts'
import { KubectlError } from '../cluster/refusal.ts'
import type { World } from '../cluster/world.ts'
import { DeployError, Exit } from '../errors.ts'

/** Whether it still holds, at `now` in ms. An end that cannot be read has not come: nobody let it go. */
export const holds = ({ until }: Hold, now: number): boolean =>
  until === undefined || !(Date.parse(until) <= now)

/** `alice@laptop since 2026-11-23T08:00:00Z: the fair is on, until 2026-11-24T08:00:00Z` */
export function holdLine({ by, since, reason, until }: Hold): string {
  return `${by} since ${short(since)}: ${reason}${until ? `, until ${short(until)}` : ''}`
}

const short = (time: string): string => time.replace(/\.\d+Z$/, 'Z')

/**
 * For what moves users forward. Pure; `now` in ms.
 * @throws DeployError (5) saying who holds deployments up, why, until when, and how that is ended
 */
export function refuseHeld(
  { hold }: Pick<Observed, 'hold'>,
  now: number,
  { app, name }: { app: string; name: string },
): void {
  if (!hold || !holds(hold, now)) return
  throw new DeployError(
    `${app} in ${name} is on hold by ${holdLine(hold)}. ` +
      `To release it: bun scripts/lock.ts --env ${name} --release. A rollback is not held up`,
    Exit.locked,
  )
}

/** The hold, unless its time has passed. */
export async function readHold({ environment, kubectl, clock }: World): Promise<Hold | undefined> {
  const [found] = await kubectl.objects(getNamed(`lease/${names(environment.app).hold}`), lease)
  const hold = found && holdOf(found)
  return hold && holds(hold, clock.now()) ? hold : undefined
}

/** Holds deployments up, in the place of whoever did before. `until` in ms. */
export async function placeHold(world: World, reason: string, until: number | undefined): Promise<Hold> {
  const { environment, kubectl, by, clock } = world
  const name = names(environment.app).hold
  const annotations = {
    [key.reason]: reason,
    ...(until !== undefined && { [key.until]: new Date(until).toISOString() }),
  }
  const acquireTime = new Date(clock.now()).toISOString().replace('Z', '000Z')
  const spec = { holderIdentity: by, acquireTime }
  const metadata = { name, labels: { app: environment.app }, annotations }
  const input = JSON.stringify({ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec })
  const instead: JsonPatch[] = [
    { op: 'add', path: '/metadata/annotations', value: annotations },
    { op: 'add', path: '/spec', value: spec },
  ]
  try {
    await kubectl.change(create(), lease, { input })
  } catch (error) {
    if (!(error instanceof KubectlError) || error.refusal !== 'AlreadyExists') throw error
    await kubectl.change(patch('lease', name, instead), lease)
  }
  return {
    by,
    since: acquireTime,
    reason,
    ...(until !== undefined && { until: new Date(until).toISOString() }),
  }
}

/** Lets deployments go on. A deployer may not delete Leases, so its holder is emptied. */
export async function releaseHold({ environment, kubectl }: World): Promise<undefined> {
  const free: JsonPatch[] = [{ op: 'add', path: '/spec/holderIdentity', value: '' }]
  await kubectl.change(patch('lease', names(environment.app).hold, free), lease)
}
