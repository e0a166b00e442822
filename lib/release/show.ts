/** A plan and a state as people read them. Pure. */
import type { DeploymentRecord } from '../history/record.ts'
import { key } from '../app/color.ts'
import type { ColorState } from '../app/observe.ts'
import type { Gates } from '../check.ts'
import { seconds } from '../clock.ts'
import type { Manifest } from '../cluster/objects.ts'
import type { World } from '../cluster/world.ts'
import type { Plan } from './plan.ts'
import type { RollingPlan } from './rolling.ts'

export function showPlan({ environment }: World, plan: Plan, gates: Gates): string[] {
  const { from, to, release: next, observed, replicas } = plan
  const { drain, afterSwitch } = environment
  const live = from ? stateLine(observed.colors[from]) : 'nothing yet: this is the first release'
  return [
    ...(plan.drift ? [`drift    ${plan.drift}`] : []),
    ...plan.notes.map((note) => `note     ${note}`),
    `live     ${live}`,
    `deploy   ${to}  ${next.version}  ${shortImage(next.image)}`,
    `pods     ${replicas}${from ? `, as many as ${from} has or the manifests say` : ''}`,
    `gates    ${gates.names.join(', ')}`,
    ...(from && environment.switch === 'gradual' ? [`switch   ${steps(environment, to, replicas)}`] : []),
    ...(from ? [`after    drain ${seconds(drain)}, then ${afterSwitch} ${from}`] : []),
    `watch    ${watchLine(environment, from)}`,
    `undo     bun scripts/rollback-deployment.ts --env ${environment.name}`,
  ]
}

/** How users are watched after the switch. */
function watchLine({ bake }: World['environment'], beside?: string): string {
  if (!bake) return 'none: nobody looks at what users meet after the switch (bake: false)'
  const first = beside && bake.first > 0 ? `${seconds(bake.first)} beside ${beside}, then ` : ''
  const by = bake.prometheus ? 'Prometheus' : "the pods' own /metrics"
  return `${first}${seconds(bake.time)} at the least, by ${by}`
}

function steps({ gradual }: World['environment'], to: string, replicas: number): string {
  const { first, hold, full } = gradual
  const few = first < replicas ? `${first} of ${replicas} pods of ${to} for ${seconds(hold)}, ` : ''
  return `gradual, beside all that is live: ${few}all of ${to} for ${seconds(full)}`
}

export function showRolling(
  { environment }: World,
  { from, release: next, observed, notes }: RollingPlan,
  gates: Gates,
): string[] {
  return [
    `live     ${from ? stateLine(observed.colors.plain) : 'nothing yet: this is the first release'}`,
    ...notes.map((note) => `note     ${note}`),
    `roll out ${next.version}  ${shortImage(next.image)}`,
    `gates    ${gates.names.join(', ')}`,
    `watch    ${watchLine(environment)}`,
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
  const noise = new RegExp(
    `^[+-]\\s+(generation|resourceVersion|${key.release}|${key.lock}|time|manager|f:.*):`,
  )
  return difference
    .split('\n')
    .filter((line) => line.startsWith('diff ') || (/^[+-](?![+-]{2} )/.test(line) && !noise.test(line)))
    .map((line) => (line.startsWith('diff ') ? (line.split('/').at(-1) ?? line) : line))
    .filter((line, i, all) => /^[+-]/.test(line) || /^[+-]/.test(all[i + 1] ?? ''))
    .join('\n')
}

/** `1.0.0 is live in production (blue), 230 ms after the patch; nobody is on green any more since 9.2 s after it`. */
export function broughtBack({ id, to, from, environment, switches }: DeploymentRecord): string {
  const proof = switches.at(-1)
  const when = proof && `, ${seconds(proof.firstNew ?? proof.converged)} after the patch`
  const emptied =
    proof?.emptied !== undefined && `; nobody is on ${from?.color} since ${seconds(proof.emptied)} after it`
  return `${to.version} is live in ${environment} (${to.color})${when ?? ''}${emptied || ''}. Record ${id}`
}
