/** Which records are kept. */
import { z } from 'zod'
import { key } from '../app/color.ts'
import { remove } from '../cluster/commands.ts'
import type { World } from '../cluster/world.ts'
import { outcomes, type DeploymentRecord } from './record.ts'
import { recordName } from './store.ts'

/**
 * Which records go: all but the newest `keep`, and never one that is open, that made a color's present
 * release, or that is the last good one. Pure.
 */
export function superfluous(
  newestFirst: readonly Pick<DeploymentRecord, 'id' | 'outcome'>[],
  keep: number,
  inUse: readonly string[],
): string[] {
  const lastGood = newestFirst.find(({ outcome }) => outcome === 'succeeded')?.id
  return newestFirst
    .slice(keep)
    .filter(({ id, outcome }) => outcome !== 'open' && id !== lastGood && !inUse.includes(id))
    .map(({ id }) => id)
}

/** Removes old records, reading only names and labels: the cost does not grow with what they hold. */
export async function prune(world: World, inUse: readonly string[]): Promise<void> {
  const { kubectl, environment } = world
  const metadata =
    'jsonpath={range .items[*]}{.metadata.name} {.metadata.labels.deploy-scripts/outcome}{"\\n"}{end}'
  const listed = await kubectl.read([
    'kubectl',
    'get',
    'configmaps',
    `--selector=${key.record}=${environment.app}`,
    '-o',
    metadata,
  ])
  const newestFirst = listed
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [name = '', outcome = 'open'] = line.split(' ')
      return {
        id: name.slice(recordName(environment.app, '').length),
        outcome: z.enum(outcomes).parse(outcome),
      }
    })
    .toSorted((a, b) => (a.id < b.id ? 1 : -1))
  const old = superfluous(newestFirst, environment.history, inUse)
  if (old.length === 0) return
  await kubectl.ask(
    remove(
      'configmap',
      old.map((id) => recordName(environment.app, id)),
      '--wait=false',
    ),
  )
}
