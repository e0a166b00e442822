/** Which records are kept. */
import { key } from '../app/color.ts'
import { remove } from '../cluster/commands.ts'
import type { World } from '../cluster/world.ts'
import { sentence } from '../errors.ts'
import { recordForm, recordName, type DeploymentRecord } from './record.ts'
import { newestFirst } from './store.ts'

/** How many go at a time: what has piled up goes little by little, so that no run waits long for it. */
const AT_ONCE = 100

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

/**
 * Removes old records at the end of a run, whatever came of it: two commands, each tried once, the oldest
 * hundred at the most. Never throws, and does nothing for a run that was told to stop: what stays now goes the
 * next time.
 */
export async function prune(world: World, inUse: readonly string[]): Promise<void> {
  const { environment, kubectl, log, signal } = world
  if (signal.aborted) return
  try {
    const listed = await kubectl.ask(listing(environment.app))
    if (listed.exitCode !== 0) return log.info(`Old records stay for now: ${lastLine(listed.stderr)}`)
    const past = pastOf(environment.app, listed.stdout)
    const old = superfluous(past, environment.history, inUse).slice(-AT_ONCE)
    if (old.length === 0) return
    const found = old.map((id) => recordName(environment.app, id))
    const { exitCode, stderr } = await kubectl.ask(remove('configmap', found, '--wait=false'))
    if (exitCode !== 0) log.info(`Old records stay for now: ${lastLine(stderr)}`)
  } catch (error) {
    log.info(`Old records stay for now: ${sentence(error)}`)
  }
}

/** Names, ages and labels: what the records hold is not parsed, so one that cannot be read is no obstacle. */
const listing = (app: string) =>
  [
    'kubectl',
    'get',
    'configmaps',
    `--selector=${key.record}=${app}`,
    '-o',
    'jsonpath={range .items[*]}{.metadata.name} {.metadata.creationTimestamp} {.metadata.labels.deploy-scripts/outcome}{"\\n"}{end}',
  ] as const

/** A record whose outcome is not known is open: newer scripts may be at work on it. */
function pastOf(app: string, listed: string): Pick<DeploymentRecord, 'id' | 'outcome'>[] {
  const prefix = recordName(app, '')
  return listed
    .split('\n')
    .filter((line) => line.startsWith(prefix))
    .map((line) => {
      const [name = '', created = '', label] = line.split(' ')
      const outcome = recordForm.shape.outcome.safeParse(label)
      return {
        id: name.slice(prefix.length),
        created,
        outcome: outcome.success ? outcome.data : 'open',
      } as const
    })
    .toSorted(newestFirst)
}

const lastLine = (text: string): string => text.trim().split('\n').at(-1) ?? ''
