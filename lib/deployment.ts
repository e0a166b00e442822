/** From a request to a plan that is shown, and from there, once it is agreed to, to the record of how it went. */
import { checkAccess, checkContext, needs } from './access.ts'
import { deploy, planDeployment, refuseFailedDigest, type Plan, type Request } from './blue-green.ts'
import type { Gates } from './check.ts'
import { key, type ColorState } from './color.ts'
import type { Shell } from './command.ts'
import { seconds } from './clock.ts'
import { overridden, proofLines, prove, type Proof } from './promotion.ts'
import { release, unfinished, type DeploymentRecord } from './record.ts'
import { leftBehind } from './repair.ts'
import type { Manifest } from './objects.ts'
import { planRolling, roll, type RollingPlan } from './rolling.ts'
import type { World } from './world.ts'

export interface Terms {
  /** `--context`, where it was given. */
  context: string | undefined
  /** The whole difference, not only the lines that change. */
  verbose: boolean
  /** Why an image is deployed that lacks what the environment requires. */
  override?: string | undefined
  /** Asked once the plan is on the screen; false ends the run with nothing touched. */
  proceed(): Promise<boolean>
}

const NOTHING_REQUIRED: Proof = { held: [], missing: [] }

/**
 * @returns undefined when the plan was not agreed to
 * @throws DeployError (6) once the plan has been shown, when the image lacks what the environment requires
 */
export async function run(
  world: World,
  shell: Shell,
  request: Request,
  gates: Gates,
  terms: Terms,
): Promise<DeploymentRecord | undefined> {
  const { environment, kubectl, log } = world
  const rolling = environment.strategy === 'rolling'
  log.step('Check access, render, compare')
  const context = checkContext(environment, terms.context, kubectl)
  const access = checkAccess(
    kubectl,
    environment.previewUrl ? needs.deploy : [...needs.deploy, needs.forward],
  )
  const records = unfinished(environment.app, kubectl)
  const planned = rolling ? planRolling(world, request) : planDeployment(world, request)
  // Going back to what was live is never refused.
  const requires = request.kept ? undefined : environment.requires
  const proving = requires ? prove(world, shell, requires, request.image) : NOTHING_REQUIRED
  // All at once; but the first reason that is told is the first in this order, not the first in time.
  await Promise.allSettled([context, access, records, planned, proving])
  await context
  await access
  const past = await records
  const plan = await planned
  const proof = await proving
  log.done()
  const failed = refuseFailedDigest(request, past)
  for (const left of leftBehind(
    plan.observed,
    past.filter(({ outcome }) => outcome === 'open'),
  )) {
    log.warn(`If its lock is free, ${left} and is finished or undone first`)
  }
  for (const line of 'to' in plan ? showPlan(world, plan, gates) : showRolling(world, plan, gates))
    log.info(line)
  for (const line of proofLines(proof)) log.info(line)
  const changes = terms.verbose ? plan.difference : changedLines(plan.difference)
  if (changes) log.block('changes to what is live', changes)
  const shared = sharedChanges(plan.difference, plan.rendered.shared)
  if (shared.length > 0)
    log.warn(`${shared.join(', ')} is shared: users meet its change before any gate has passed`)
  const override = overridden(proof, environment.name, terms.override)
  if (override) log.warn(`${environment.name} requires what this image lacks: overridden, and recorded`)

  if (!(await terms.proceed())) return undefined
  const agreed = { ...request, override }
  const record =
    'to' in plan ? await deploy(world, shell, agreed, plan, gates) : await roll(world, agreed, plan, gates)
  for (const entry of failed) await release(kubectl, entry)
  return record
}

function showPlan({ environment }: World, plan: Plan, gates: Gates): string[] {
  const { from, to, release: next, observed, replicas } = plan
  const { drain, afterSwitch } = environment
  const live = from ? stateLine(observed.colors[from]) : 'nothing yet: this is the first release'
  return [
    ...(plan.drift ? [`drift    ${plan.drift}`] : []),
    `live     ${live}`,
    `deploy   ${to}  ${next.version}  ${shortImage(next.image)}`,
    `pods     ${replicas}${from ? `, as many as ${from} has or the manifests say` : ''}`,
    `gates    ${gates.names.join(', ')}`,
    ...(from ? [`after    drain ${seconds(drain)}, then ${afterSwitch} ${from}`] : []),
    `undo     bun scripts/rollback-deployment.ts --env ${environment.name}`,
  ]
}

function showRolling(
  { environment }: World,
  { from, release: next, observed }: RollingPlan,
  gates: Gates,
): string[] {
  return [
    `live     ${from ? stateLine(observed.colors.plain) : 'nothing yet: this is the first release'}`,
    `roll out ${next.version}  ${shortImage(next.image)}`,
    `gates    ${gates.names.join(', ')}`,
    `undo     bun scripts/rollback-deployment.ts --env ${environment.name}`,
  ]
}

/** `blue  1.4.1  3 of 3 pods ready  chatbot-platform@sha256:edf664ce48a8` */
export function stateLine({ color, release: running, deployment, ready }: ColorState): string {
  if (!deployment) return `${color}  empty`
  const pods = `${ready.length} of ${deployment.spec.replicas} pods ready`
  if (!running) return `${color}  ${pods}, not made by these scripts`
  return `${color}  ${running.version}  ${pods}  ${shortImage(running.image)}`
}

/** Enough of an image to tell it by; the record has all of it. */
const shortImage = (image: string): string => image.replace(/^.*\//, '').replace(/(@sha256:\w{12})\w+$/, '$1')

/** Which of the objects that both colors share would change, by a `kubectl diff`. Pure. */
export function sharedChanges(difference: string, shared: readonly Manifest[]): string[] {
  const changed = changedLines(difference).split('\n')
  return shared
    .filter(({ kind, metadata }) =>
      changed.some((line) => line.includes(`.${kind}.`) && line.endsWith(`.${metadata.name}`)),
    )
    .map(({ kind, metadata }) => `${kind} ${metadata.name}`)
}

/** The lines of a `kubectl diff` that say what changes; server bookkeeping left out. Pure. */
export function changedLines(difference: string): string {
  const noise = new RegExp(`^[+-]\\s+(generation|resourceVersion|${key.release}|time|manager|f:.*):`)
  return difference
    .split('\n')
    .filter((line) => line.startsWith('diff ') || (/^[+-](?![+-]{2} )/.test(line) && !noise.test(line)))
    .map((line) => (line.startsWith('diff ') ? (line.split('/').at(-1) ?? line) : line))
    .filter((line, i, all) => /^[+-]/.test(line) || /^[+-]/.test(all[i + 1] ?? ''))
    .join('\n')
}
