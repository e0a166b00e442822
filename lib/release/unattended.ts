/** What nobody attends to: for whoever looks by the clock (cron, a scheduled workflow). */
import { isUnused, drift } from '../app/live.ts'
import { observe, type Observed } from '../app/observe.ts'
import { waitUntil } from '../clock.ts'
import type { World } from '../cluster/world.ts'
import type { DeploymentRecord } from '../history/record.ts'
import { leftBehind } from './repair.ts'

/**
 * Records that are open although nobody renews the lock they were made under, and traffic that no record explains; a
 * clause each. Whether a holder lives is judged by watching him for as long as his lock lasts, as those who wait for it do.
 */
export async function unattended(
  world: World,
  observed: Observed,
  past: readonly DeploymentRecord[],
): Promise<string[]> {
  const { environment } = world
  const open = past.filter(({ outcome }) => outcome === 'open')
  const left = open.length > 0 && !(await isRenewed(world, observed)) ? leftBehind(observed, open) : []
  const moved = drift(environment.app, observed)
  const unexplained = environment.strategy === 'blue-green' && !isUnused(observed) && !observed.switch
  return [
    ...left.map((what) => `${what}, and nobody goes on with it (--repair does)`),
    ...(moved ? [moved] : []),
    ...(unexplained ? [`no record says who sent users to ${observed.service?.spec.selector.color}`] : []),
  ]
}

async function isRenewed(
  { environment, kubectl, clock, signal, log }: World,
  { lease }: Observed,
): Promise<boolean> {
  if (!lease?.spec.holderIdentity) return false
  const { resourceVersion } = lease.metadata
  const ends = clock.monotonic() + lease.spec.leaseDurationSeconds * 1000
  return await waitUntil<boolean>(
    async () => {
      const now = (await observe(environment.app, kubectl)).lease
      if (now?.metadata.resourceVersion !== resourceVersion)
        return { done: Boolean(now?.spec.holderIdentity) }
      return clock.monotonic() >= ends ? { done: false } : 'whether the lock is renewed'
    },
    {
      clock,
      signal,
      within: lease.spec.leaseDurationSeconds * 2000,
      every: 1000,
      what: 'the lock was not watched',
      progress: (state) => log.progress(state),
    },
  )
}
