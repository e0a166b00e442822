/** What the tests of the procedures start from: a plan without its calls of kubectl, records, and others who come between. */
import { key, other, type Color } from '../../../lib/app/color.ts'
import { claimColor } from '../../../lib/app/fenced.ts'
import type { Manifest } from '../../../lib/cluster/objects.ts'
import { openRecord } from '../../../lib/history/journal.ts'
import { newEntry, type DeploymentRecord } from '../../../lib/history/record.ts'
import type { Plan, Request } from '../../../lib/release/plan.ts'
import { APP, autoscaler, deployment, live, made, service } from '../objects.ts'
import type { Rehearsal } from '../world.ts'

export const next = made('1.1.0')

export const request: Request = {
  id: next.release,
  image: next.image,
  version: next.version,
  reason: 'a feature',
}

/** What `planDeployment` makes of a cluster in which `from` is live. */
export async function planned(
  { observed }: Rehearsal,
  from: Color = 'blue',
  { release = next, replicas = 2 } = {},
): Promise<Plan> {
  const to = other(from)
  const painted = [deployment(to, release), autoscaler(to, 1, 4)]
  const shared = [service(APP), service(`${APP}-preview`)]
  const kept = [deployment('plain', release)]
  const rendered = { painted, shared, kept, compared: [], migration: [] }
  return {
    release,
    from,
    to,
    replicas,
    observed: await observed(),
    rendered,
    difference: '',
    notes: [],
    drift: undefined,
  }
}

/** The record of the deployment that made a version, as it ended; not among what is written. */
export async function recordOf(
  { world, cluster }: Rehearsal,
  version: string,
  about: Partial<DeploymentRecord> = {},
  manifests: readonly Manifest[] = [],
): Promise<void> {
  const to = { color: 'green' as const, ...made(version) }
  const entry = newEntry(world, { id: to.release, kind: 'deploy', to, outcome: 'succeeded', ...about })
  await openRecord(world, entry, manifests)
  cluster.writes.length = 0
}

/** The one record of that id, as it is stored. */
export function stored({ cluster }: Rehearsal, id: string): DeploymentRecord {
  return JSON.parse(cluster.object('ConfigMap', `${APP}-deploy-${id}`).data?.record ?? '')
}

/** Somebody goes back to a color, as `rollBack` does it: his patch of the Service, his token on the color. */
export async function wentBack({ world, cluster }: Rehearsal, color: Color): Promise<void> {
  const before = cluster.object('Service', APP)
  const annotations = { ...before.metadata.annotations, [key.lock]: 'somebody else' }
  cluster.put({ ...before, metadata: { ...before.metadata, annotations }, spec: { selector: live(color) } })
  await claimColor({ ...world, kubectl: world.kubectl.unstoppable() }, color, 'somebody else')
}
