/** What a blue/green deployment is going to do, from one reading of the cluster. Changes nothing. */
import { atCapacity } from '../app/autoscaler.ts'
import { other, type Color, type Release } from '../app/color.ts'
import { capacity, drift, isUnused, liveColor } from '../app/live.ts'
import { declaredReplicas, difference, dryRun } from '../app/manifests.ts'
import { observe, type Observed } from '../app/observe.ts'
import { render, type Rendered } from '../app/paint.ts'
import { checkQuota } from '../app/quota.ts'
import type { KeptCheck } from '../check.ts'
import type { Manifest } from '../cluster/objects.ts'
import type { World } from '../cluster/world.ts'
import { DeployError, Exit } from '../errors.ts'
import type { DeploymentRecord } from '../history/record.ts'

export interface Request {
  id: string
  /** The image by digest, and what people call it. */
  image: string
  version: string
  reason: string | undefined
  /** What made it necessary, such as an incident: rework. */
  because?: string | undefined
  /** Why a digest that was rolled back automatically may be tried again. */
  allowFailedDigest?: string | undefined
  /** What it lacks of what the environment requires, and why it is deployed all the same. */
  override?: DeploymentRecord['override']
  /** Boxes of the checklist that somebody answers for. */
  acknowledged?: DeploymentRecord['acknowledged']
  /** Scale the new color down again when the deployment fails before the switch. */
  clean?: boolean
  /** Manifests that an earlier release's record kept, instead of the overlay's. */
  kept?: readonly Manifest[]
  /** Why somebody's watch is ended for the sake of this release. */
  supersede?: string | undefined
  /** Leaves the verified color, and its record, for `resume`. */
  until?: 'verified' | undefined
  /** How long somebody else's lock is waited for, in ms; without it, not at all. */
  waitFor?: number | undefined
  /** The checks that the kept release went live with. */
  smoke?: readonly KeptCheck[] | undefined
}

/** What is going to be done, and all that was read to decide it. */
export interface Plan {
  release: Release
  /** The color that users are on; undefined on a first deployment. */
  from: Color | undefined
  to: Color
  /** Pods that the new color gets: what the live one has now, and no fewer than the manifests say. */
  replicas: number
  observed: Observed
  rendered: Rendered
  /** How what is live would change, as `kubectl diff` tells it. */
  difference: string
  drift: string | undefined
  /** What cannot be known of it beforehand, a sentence each. */
  notes: string[]
}

/** Reads, renders, and lets the server judge every object; changes nothing. */
export async function planDeployment(world: World, request: Request): Promise<Plan> {
  const { environment, kubectl } = world
  const { app } = environment
  const observed = await observe(app, kubectl)
  const from = isUnused(observed) ? undefined : liveColor(environment, observed)
  const to = from ? other(from) : 'blue'
  const { id: release, version, image, kept } = request
  const live = from && { color: from, release: observed.colors[from].release ?? { release, version, image } }
  const painting = {
    release: { release, version, image },
    color: to,
    ...(live && { live }),
    ...(kept && { kept }),
  }
  const rendered = await render(world, painting)
  const replicas = replicasFor(rendered.painted, observed, from)
  const painted = atCapacity(rendered.painted, replicas)
  const deployment = painted.find(({ kind }) => kind === 'Deployment')
  const [changes, , notes] = await Promise.all([
    difference(world, from ? [...atCapacity(rendered.compared, replicas), ...rendered.shared] : []),
    dryRun(world, [...painted, ...rendered.shared]),
    // A quota never keeps users where they are: whoever goes back is told by the cluster, if it must be.
    deployment && !kept && checkQuota(kubectl, deployment, replicas, observed.colors[to]),
  ])
  const plan = { release: painting.release, from, to, replicas, observed, rendered }
  return { ...plan, difference: changes, drift: drift(app, observed), notes: notes || [] }
}

/** The live color's present number, so that the switch does not cost capacity (S1), and the declared one. */
function replicasFor(
  painted: readonly Manifest[],
  { colors: states }: Observed,
  from: Color | undefined,
): number {
  const declared = declaredReplicas(painted)
  if (!from) return declared
  return Math.max(declared, capacity(states[from]), states[from].deployment?.spec.replicas ?? 0)
}

/** @throws DeployError (6) for a digest that was rolled back, by these scripts or by a person, unless it is allowed with a reason */
export function refuseFailedDigest(
  { image, allowFailedDigest, kept }: Pick<Request, 'image' | 'allowFailedDigest' | 'kept'>,
  past: readonly DeploymentRecord[],
): DeploymentRecord[] {
  // A rollback that ended badly says nothing of where it went; that somebody left it, whatever put it there, does.
  const failed = past.filter(
    ({ kind, outcome, to }) =>
      to.image === image && (outcome === 'taken-back' || (outcome === 'rolled-back' && kind === 'deploy')),
  )
  const [newest] = failed
  if (newest === undefined || allowFailedDigest !== undefined || kept) return failed
  const { takenBack, finishedAt, message } = newest
  const who =
    takenBack && `taken back by ${takenBack.by} at ${takenBack.at} (${takenBack.reason ?? 'no reason given'})`
  throw new DeployError(
    `${image} was ${who ?? `rolled back automatically at ${finishedAt} (${message})`}. ` +
      'If it is not to blame: --allow-failed-digest "<reason>"',
    Exit.refused,
  )
}
