/** A failed deployment ends with where to look first. It is told, and changes nothing of how the run ended. */
import type { World } from '../cluster/world.ts'
import { DeployError, Exit } from '../errors.ts'

/** How long a run that has failed may go on for it, in ms. */
const PATIENCE = 6000

/** What failed for another reason than the release or the cluster has nothing to be looked for. */
const KNOWN: readonly number[] = [Exit.usage, Exit.locked, Exit.refused, Exit.interrupted]

const MOVED: readonly number[] = [Exit.rolledBack, Exit.needsPerson]

/**
 * Calls `work`; where it fails after it had begun to change something, its error also says where to look first.
 * Not after an interrupt: whoever stops a run waits for its end.
 * @throws what `work` throws
 */
export async function withFirstLook<T>(world: World, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof DeployError && error.record !== undefined && !KNOWN.includes(error.exitCode)) {
      const line = await firstLook(world, error.record)
      // Once users were moved, where they are now is the last word.
      if (line && MOVED.includes(error.exitCode)) world.log.warn(line)
      else if (line) error.message += `\n${line}`
    }
    throw error
  }
}

async function firstLook(outer: World, record: unknown): Promise<string> {
  if (outer.signal.aborted) return ''
  const signal = AbortSignal.any([outer.signal, AbortSignal.timeout(PATIENCE)])
  const world = { ...outer, signal, kubectl: outer.kubectl.until(signal) }
  const late = new Promise<string>((done) => {
    signal.addEventListener('abort', () => done(''), { once: true })
  })
  return await Promise.race([late, told(world, record).catch(() => '')])
}

async function told(world: World, record: unknown): Promise<string> {
  const [{ diagnosed }, { firstLine }, { look }, { lastRecord }, { redactor }] = await Promise.all([
    import('./diagnose.ts'),
    import('./lines.ts'),
    import('./look.ts'),
    import('./seen.ts'),
    import('../text.ts'),
  ])
  const last = lastRecord.safeParse(record).data
  const line = firstLine(diagnosed(await look(world, { last, redact: redactor(process.env) })))
  return line ?? ''
}
