/** A release's objects are put into the idle color, as many pods as users need. */
import { atCapacity } from '../app/autoscaler.ts'
import { applyColor, scaleColor } from '../app/fenced.ts'
import { pruneAutoscaler } from '../app/prune.ts'
import type { Attempt } from './attempt.ts'
import { ensureLive } from './fence.ts'
import type { Plan } from './plan.ts'

/**
 * Applies the color's objects, fenced. An autoscaler that the release does not have any more is taken away before its
 * pods are waited for: it would hold them at bounds of its own.
 * @throws DeployError (5) when the lock was taken over, (1) when users were moved meanwhile
 */
export async function paintColor(attempt: Attempt, { from, to, rendered, replicas }: Plan): Promise<void> {
  const stillMine = () => ensureLive(attempt, from)
  const painted = atCapacity(rendered.painted, replicas)
  await applyColor(attempt, painted, attempt.lock.token, stillMine)
  if (!(await pruneAutoscaler(attempt, to, painted))) return
  const { colors } = await stillMine()
  if (colors[to].deployment?.spec.replicas !== replicas) await scaleColor(attempt, colors[to], replicas)
}
