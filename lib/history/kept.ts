/** Releases that can be started again from their records. */
import { observe } from '../app/observe.ts'
import type { World } from '../cluster/world.ts'
import { DeployError } from '../errors.ts'
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
  const { environment, kubectl } = world
  const { app } = environment
  const id = 'version' in wanted ? await newestGood(world, wanted.version) : wanted.release.release
  const found = id === undefined ? undefined : await readRecord(app, kubectl, id)
  if (found && found.manifests.length > 0) return found
  const what = 'version' in wanted ? `version ${wanted.version}` : `release ${wanted.release.release}`
  const hint = `bun scripts/deployment-history.ts --env ${environment.name} lists what is`
  throw new DeployError(`No record with manifests is kept of ${what}, so it cannot be started again; ${hint}`)
}

async function newestGood(world: World, version: string): Promise<string | undefined> {
  const records = await history(world.environment.app, world.kubectl)
  // Not the record's own id: one that only moved traffic back to a release keeps no manifests of it.
  return records.find(({ to, outcome }) => to.version === version && outcome === 'succeeded')?.to.release
}

/** Under `strategy: rolling`: the named version, or the newest good release that is not the running one. */
export async function previousRolling(world: World, version: string | undefined): Promise<Kept> {
  if (version !== undefined) return await findKept(world, { version })
  const { environment, kubectl } = world
  const [observed, records] = await Promise.all([
    observe(environment.app, kubectl),
    history(environment.app, kubectl),
  ])
  const running = observed.colors.plain.release
  const current = records.findIndex(({ id }) => id === running?.release)
  const before = records
    .slice(current + 1)
    .find(({ outcome, to }) => outcome === 'succeeded' && to.image !== running?.image)
  if (!before)
    throw new DeployError(`There is nothing to roll ${environment.app} back to: no earlier release is kept`)
  return await findKept(world, { release: { release: before.id } })
}
