/** Releases that can be started again from their records. */
import { observe } from '../app/observe.ts'
import type { World } from '../cluster/world.ts'
import { DeployError, Exit } from '../errors.ts'
import type { DeploymentRecord } from './record.ts'
import { history, readRecord } from './store.ts'

type Kept = NonNullable<Awaited<ReturnType<typeof readRecord>>>

/**
 * The record of a release, by its id or by the newest that made its version live.
 * @throws DeployError (1) when none is kept with its manifests
 */
export async function findKept(
  world: World,
  wanted: { version: string } | { release: { release: string } },
): Promise<Kept> {
  const { environment } = world
  const id = 'version' in wanted ? await newestGood(world, wanted.version) : wanted.release.release
  const found = id === undefined ? undefined : await readRecord(world, id)
  if (found && found.manifests.length > 0) return found
  const what = 'version' in wanted ? `version ${wanted.version}` : `release ${wanted.release.release}`
  const hint = `bun scripts/deployment-history.ts --env ${environment.name} lists what is`
  throw new DeployError(`No record with manifests is kept of ${what}, so it cannot be started again; ${hint}`)
}

/** What was taken back went well before that: a person who names it may have it. */
const WENT_WELL: readonly DeploymentRecord['outcome'][] = ['succeeded', 'taken-back']

async function newestGood(world: World, version: string): Promise<string | undefined> {
  const records = await history(world)
  // Not the record's own id: one that only moved traffic back to a release keeps no manifests of it.
  return records.find(({ to, outcome }) => to.version === version && WENT_WELL.includes(outcome))?.to.release
}

/**
 * Under `strategy: rolling`: the named version, or the newest good release before the running one.
 * @throws DeployError (1) when none is kept, (6) when it is what was rolled back from and is not named
 */
export async function previousRolling(world: World, version: string | undefined): Promise<Kept> {
  if (version !== undefined) return await findKept(world, { version })
  const { environment, kubectl } = world
  const [observed, records] = await Promise.all([observe(environment.app, kubectl), history(world)])
  const running = observed.colors.plain.release
  const current = records.findIndex(({ id }) => id === running?.release)
  const before = records
    .slice(current + 1)
    .filter(({ outcome, to }) => WENT_WELL.includes(outcome) && to.image !== running?.image)
  refuseWhatWasLeft(records[current], before[0])
  const target = before.find(({ outcome }) => outcome === 'succeeded')
  if (!target)
    throw new DeployError(`There is nothing to roll ${environment.app} back to: no earlier release is kept`)
  return await findKept(world, { release: { release: target.id } })
}

/** Rolling back twice must not lead to the bad release again. */
function refuseWhatWasLeft(current: DeploymentRecord | undefined, next: DeploymentRecord | undefined): void {
  if (current?.kind !== 'rollback' || !next || current.from?.image !== next.to.image) return
  const { version } = next.to
  throw new DeployError(
    `${version} is what was rolled back from (${current.startedAt}, ${current.by}). ` +
      `To go there all the same: --to-version ${version}`,
    Exit.refused,
  )
}
