import type { Clock } from './clock.ts'
import type { Environment } from './settings/file.ts'
import type { Kubectl } from './kubectl.ts'
import type { Lock } from './lock.ts'
import { endStep, type Journal } from './record.ts'

/** What a procedure is handed: everything it may touch. Tests hand over their own. */
export interface World {
  environment: Environment
  kubectl: Kubectl
  clock: Clock
  log: Log
  /** Aborted by SIGINT and SIGTERM, and when the lock is lost; its reason says which. */
  signal: AbortSignal
  /** Who deploys, as the records tell it. */
  by: string
  /** The folder for renderings and evidence: each record has a folder of its own in it. */
  reports: string
}

/** People's output. A step lasts until the next one begins; its end says how long it took. */
export interface Log {
  step(name: string): void
  /** What the step is waiting for; on a terminal in place, elsewhere a line for each change. */
  progress(state: string): void
  info(line: string): void
  warn(line: string): void
  /** The text of logs, diffs and events: as it is. */
  block(title: string, text: string): void
  /** Ends the last step. */
  done(): void
}

/** The same world, which also stops when the lock is lost. */
export function lockedBy(world: World, lock: Lock): World {
  const signal = AbortSignal.any([world.signal, lock.lost])
  return { ...world, signal, kubectl: world.kubectl.until(signal) }
}

/** The same world, in which each step is also entered into the record. */
export function journalled(world: World, journal: Journal): World {
  const { clock, log } = world
  const { entry } = journal
  const step = (name: string): void => {
    log.step(name)
    endStep(entry, clock.now())
    entry.steps.push({ name, at: new Date(clock.now()).toISOString() })
    journal.save()
  }
  return { ...world, log: { ...log, step } }
}
