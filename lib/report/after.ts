/** Loaded with every script that may write to a record; what makes reports is loaded when there is one to make. */
import type { World } from '../cluster/world.ts'

/** For `main`: reports of what the run has written to. Never throws, and changes no exit code. */
export async function reported(world: World): Promise<void> {
  try {
    const { reportRun } = await import('./write.ts')
    await reportRun(world)
  } catch {
    world.log.warn('The report could not be written: what makes it could not be loaded')
  }
}
