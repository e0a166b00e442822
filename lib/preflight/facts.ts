/** What the boxes are judged by. What has to be asked for is a promise: all are asked at once. */
import type { ColorState, Observed } from '../app/observe.ts'
import type { Manifest } from '../cluster/objects.ts'
import type { World } from '../cluster/world.ts'
import type { DeploymentRecord } from '../history/record.ts'
import type { PreflightSettings } from '../settings/preflight.ts'
import type { Change } from './change.ts'

/** What is known of an image, as `requires` judges it; a sentence each. */
export interface Proof {
  held: string[]
  missing: string[]
}

/** What is going to run. */
export interface Planned {
  observed: Observed
  painted: readonly Manifest[]
  shared: readonly Manifest[]
  replicas: number
  /** Where it is going to run; without one, where it runs already. */
  idle: ColorState | undefined
}

export interface Facts {
  world: World
  settings: PreflightSettings
  planned: Promise<Planned>
  /** Rejects with what the credentials may not do. */
  access: Promise<void>
  /** Of the image: the stages of its commit, its scan, and the environment before; undefined where none is named. */
  tests: Promise<Proof>
  scan: Promise<Proof>
  staging: Promise<Proof> | undefined
  /** That the image was built of. Rejects where it is not known. */
  commit: Promise<string>
  /** What the release changes; undefined where nothing is live yet. Rejects where it is not known. */
  change: Promise<Change | undefined>
  /** Of this environment and of the one before, newest first. */
  records: Promise<DeploymentRecord[]>
  /** How many ways there are to tell the team. */
  channels: readonly string[]
  variables: Readonly<Record<string, string | undefined>>
}
