/** All that is known of an environment's attempts: the cluster's records, and those that outlived them. */
import type { World } from '../cluster/world.ts'
import { sentence } from '../errors.ts'
import type { DeploymentRecord } from '../history/record.ts'
import { archive, isLasting, readArchive, type Archived } from './archive.ts'
import { sourceOf } from './commits.ts'

/** Images that the registry is asked for the commit of, the newest: what an archive keeps need not be asked. */
const ASKED = 40
/** ms for all of them together. */
const PATIENCE = 5_000

/**
 * What the cluster has and the archive has not, or has otherwise, goes there: also of a run that was killed before it
 * could. The cluster's word on a record counts, since it may have been taken back meanwhile; the archive's, on what it was
 * built of. Those that began before `since` (ms) are asked nothing.
 */
export async function known(
  { environment: { name }, shell, clock, signal }: Pick<World, 'environment' | 'shell' | 'clock' | 'signal'>,
  kept: readonly DeploymentRecord[],
  folder: string | undefined,
  since: number,
): Promise<{ found: Archived[]; notes: string[] }> {
  const { found, unread } = folder === undefined ? { found: [], unread: [] } : readArchive(folder, name)
  const all = new Map(found.map((one) => [one.record.id, one]))
  for (const record of kept) {
    const { id, unreadable } = record
    if (unreadable === undefined || !all.has(id)) all.set(id, { ...all.get(id), record })
  }
  const images = [...all.values()]
    .filter(({ record, source }) => !source && Date.parse(record.startedAt) >= since)
    .toSorted((a, b) => Date.parse(b.record.startedAt) - Date.parse(a.record.startedAt))
    .map(({ record }) => record.to.image)
  const asked = [...new Set(images)].slice(0, ASKED)
  const sources = new Map<string, Archived['source']>()
  const asking = Promise.all(asked.map(async (image) => sources.set(image, await sourceOf(image, shell))))
  const over = new AbortController()
  const late = clock.sleep(PATIENCE, AbortSignal.any([signal, over.signal])).catch(() => undefined)
  await Promise.race([asking, late])
  over.abort()
  const whole = [...all.values()].map(({ record, source }) => ({
    record,
    source: source ?? sources.get(record.to.image),
  }))
  const notes = unread.map((file) => `${file} is no record: it is left out.`)
  if (folder !== undefined) notes.push(...keep(folder, whole, new Set(kept.map(({ id }) => id))))
  return { found: whole, notes }
}

/** @returns why it could not be done, once */
function keep(folder: string, all: readonly Archived[], wanted: ReadonlySet<string>): string[] {
  try {
    for (const one of all) if (wanted.has(one.record.id) && isLasting(one.record)) archive(folder, one)
    return []
  } catch (error) {
    return [`The archive could not be written: ${sentence(error)}.`]
  }
}
