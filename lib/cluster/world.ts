/** What a procedure is handed. */
import type { Shell } from '../command.ts'
import type { Clock } from '../clock.ts'
import type { Log } from '../log.ts'
import type { Environment } from '../settings/file.ts'
import type { Kubectl } from './kubectl.ts'

/** What a procedure is handed: everything it may touch. Tests hand over their own. */
export interface World {
  environment: Environment
  kubectl: Kubectl
  /** For programs beside kubectl, and what serves until it is stopped. */
  shell: Shell
  clock: Clock
  log: Log
  /** Aborted by SIGINT and SIGTERM, and when the lock is lost; its reason says which. */
  signal: AbortSignal
  /** Who deploys, as the records tell it. */
  by: string
  /** The folder for renderings and evidence: each record has a folder of its own in it. */
  reports: string
  /** Each record that this run has written to: what is made of them is made at its end. */
  written?: Set<unknown> | undefined
}
