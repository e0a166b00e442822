/**
 * `switch: gradual`: a control group on plain Kubernetes. The new color, verified with all of its pods, is scaled down to
 * a few while nobody is sent to it; then the live Service selects both colors, and a judge looks; then the new color gets
 * all of its pods, and the judge looks again; then the Service selects the new color alone. The live color keeps all that
 * it has, so there is never less capacity than before. What fails on the way, whatever it is, sends users back to the
 * color that was live.
 */
import { holdBounds } from '../app/autoscaler.ts'
import type { Color } from '../app/color.ts'
import { scaleColor } from '../app/fenced.ts'
import { capacity, isOverlap, obstacles } from '../app/live.ts'
import { observe, type ColorState, type Observed } from '../app/observe.ts'
import { keepPace } from '../app/rollout.ts'
import { waitUntil } from '../clock.ts'
import { isEnding } from '../cluster/objects.ts'
import { Exit, sentence } from '../errors.ts'
import { isLockLoss } from '../history/lock.ts'
import { store } from '../history/store.ts'
import { watchLive } from '../traffic/proof.ts'
import type { Attempt } from './attempt.ts'
import { ensureLive, isOurs } from './fence.ts'
import { AfterSwitch, named, overtaken, repairLater } from './settle.ts'
import { byWitness, share, stillShared, type GradualChange, type Watch } from './share.ts'
import { decide, lookBefore, switchOver, type Change, type Underway } from './switchover.ts'
import { goBack } from './way-back.ts'

/**
 * Opens a color to users step by step, where that is asked for and somebody is served already; else in one.
 * @throws as `switchOver`
 */
export async function openGradually(
  attempt: Attempt,
  change: Change,
  watch: Watch = byWitness,
): Promise<Underway> {
  const { environment } = attempt
  const { from, to } = change
  if (environment.switch !== 'gradual' || !from) return await switchOver(attempt, change)
  const way = { ...change, from }
  const { gradual } = environment
  const { full, ready } = await capacities(attempt, way)
  const few = gradual.first < full
  if (few) await shrink(attempt, way, gradual.first)
  const witness = await watchLive(attempt)
  let shared = false
  const course = { attempt, change: way, witness, watch, onShared: () => void (shared = true) }
  const alone = () => ensureLive(attempt, from)
  const both = () => stillShared(attempt)
  try {
    // Whoever leaves a color in need does not ask whether it answers.
    if (change.kind === 'deploy') await lookBefore(attempt, witness, ready)
    if (few) await share(course, { name: 'first', pods: gradual.first, hold: gradual.hold, before: alone })
    await share(course, { name: 'full', pods: full, hold: gradual.full, before: few ? both : alone })
    await keepPace(attempt, { color: to, live: from, atLeast: full }, both)
    await witness.stop()
    return await switchOver(attempt, { ...change, atLeast: full })
  } catch (error) {
    await witness.stop()
    throw shared ? await sentBack(attempt, way, error) : error
  }
}

/**
 * How many pods the new color has in the end: what it was verified with, and no fewer than the live one; and how many
 * of the live one are ready.
 * @throws DeployError (1) when it could not take all users over as it is (S1)
 */
async function capacities(attempt: Attempt, change: GradualChange): Promise<{ full: number; ready: number }> {
  const { colors, ...observed } = await observe(attempt.environment.app, attempt.kubectl)
  decide(attempt, { colors, ...observed }, change)
  const full = Math.max(
    change.atLeast,
    capacity(colors[change.from]),
    colors[change.to].deployment?.spec.replicas ?? 1,
  )
  return { full, ready: colors[change.from].ready.length }
}

/** Nobody is sent to the color yet: this is the one time at which pods of it may go. Waits until they have. */
async function shrink(attempt: Attempt, { from, to }: GradualChange, pods: number): Promise<void> {
  const { environment, clock, log, signal } = attempt
  log.step(`Scale ${to} down to ${pods} before anybody is sent there`)
  const { colors } = await ensureLive(attempt, from)
  await noteBounds(attempt, colors[to])
  await holdBounds(attempt, colors[to], { minReplicas: pods, maxReplicas: pods })
  await scaleColor(attempt, colors[to], pods)
  const look = async (): Promise<{ done: undefined } | string> => {
    const observed = await ensureLive(attempt, from)
    const missing = [...obstacles(observed.colors[to], pods), ...tooMany(observed, to, pods)]
    return missing.length === 0 ? { done: undefined } : missing.join('; ')
  }
  const progress = (state: string) => log.progress(state)
  const within = environment.timeouts.rollout
  const what = `${to} did not come down to ${pods}`
  await waitUntil(look, { clock, signal, within, every: 200, progress, what })
}

/** Pods that have yet to go would serve users in passing, and fail them. */
function tooMany({ colors, pods }: Observed, color: Color, wanted: number): string[] {
  const ending = pods.filter((pod) => pod.metadata.labels.color === color && isEnding(pod))
  const leaving = Math.max(0, colors[color].own.length - wanted) + ending.length
  return leaving > 0 ? [`pods of ${color} still to go: ${leaving}`] : []
}

/** A deployment's record knows from the start what an autoscaler gets back; that of a switch alone must be told (S4). */
async function noteBounds({ journal, kubectl }: Attempt, { autoscaler }: ColorState): Promise<void> {
  const { entry } = journal
  if (!autoscaler || entry.temporary.autoscaler) return
  const { minReplicas, maxReplicas } = autoscaler.spec
  entry.temporary.autoscaler = { name: autoscaler.metadata.name, minReplicas, maxReplicas }
  await store(kubectl.unstoppable(), entry)
}

/** Users of the new color go back, unless the run was stopped, or somebody else has decided where users are. */
async function sentBack(attempt: Attempt, { from, to }: GradualChange, error: unknown): Promise<unknown> {
  const { signal } = attempt
  if (error instanceof AfterSwitch) return error
  if (signal.aborted) return await stopped(attempt, { from, to }, signal.reason)
  if (isLockLoss(error)) return await stopped(attempt, { from, to }, error)
  const elsewhere = await decidedByHand(attempt, from)
  if (!elsewhere) return await goBack(attempt, { from: to, to: from }, sentence(error))
  const message = `${sentence(error)}. Users are left where somebody has sent them: ${elsewhere}`
  return new AfterSwitch(message, Exit.needsPerson, { outcome: 'needs-person', message })
}

/** Both colors stay selected: the record stays open, and whoever comes next sends users back, or has done so. */
async function stopped(
  attempt: Attempt,
  { from, to }: { from: Color; to: Color },
  why: unknown,
): Promise<AfterSwitch> {
  const { journal, environment } = attempt
  const between = `Users are on ${named(journal, from)} and in part on ${named(journal, to)}: ${sentence(why)}`
  const next = `${repairLater(environment)} sends them back to ${from}`
  const successor = await overtaken(attempt, sentence(why))
  return successor ?? new AfterSwitch(`${between}. ${next}`, Exit.needsPerson)
}

/** What the live Service selects, where that is neither both colors nor the one to go back to, and the lock is ours. */
async function decidedByHand(
  { environment, kubectl, lock }: Attempt,
  from: Color,
): Promise<string | undefined> {
  const observed = await observe(environment.app, kubectl).catch(() => undefined)
  const selector = observed?.service?.spec.selector
  if (!observed || !selector || !isOurs(observed, lock)) return undefined
  if (isOverlap(environment.app, selector) || selector.color === from) return undefined
  return JSON.stringify(selector)
}
