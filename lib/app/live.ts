/** Which color users are on, and whether traffic may go to the other one (S1). Pure: decided from one reading. */
import { DeployError } from '../errors.ts'
import { colors, type Color } from './color.ts'
import type { ColorState, Observed } from './observe.ts'

/**
 * The color that users are on. While both are selected in an overlap switch, it is the one being left.
 * @throws DeployError where the Service is missing or selects anything but one color; never guesses
 */
export function liveColor(app: string, observed: Observed): Color {
  const { service, switch: last } = observed
  if (!service || isUnused(observed)) {
    throw new DeployError(`No release of ${app} has been opened to users here yet: deploy a first one`)
  }
  const { selector } = service.spec
  const left = colors.find((candidate) => last?.overlap && last.from?.color === candidate)
  if (isOverlap(app, selector) && left) return left
  const color = colors.find((candidate) => selector.color === candidate)
  if (color && selector.app === app && Object.keys(selector).length === 2) return color
  throw new DeployError(
    `Service ${app} selects ${JSON.stringify(selector)}, not {app: ${app}, color: blue or green}. ` +
      `Look at who changed it (kubectl get service ${app} -o yaml --show-managed-fields), then point it at one color: ` +
      `kubectl patch service ${app} --type=json -p '[{"op":"replace","path":"/spec/selector","value":${JSON.stringify({ app, color: 'blue' })}}]'`,
  )
}

/** Nobody is served yet: no live Service, or one that has never selected anything. */
export function isUnused({ service, switch: last }: Observed): boolean {
  return !service || (Object.keys(service.spec.selector).length === 0 && !last)
}

export function isOverlap(app: string, selector: Record<string, string>): boolean {
  return selector.app === app && Object.keys(selector).length === 1
}

/** A change of traffic that no script made: what the scripts last did, and what is there now (S5). */
export function drift(app: string, observed: Observed): string | undefined {
  const { service, switch: last } = observed
  if (!service || !last || isOverlap(app, service.spec.selector)) return undefined
  const live = service.spec.selector.color
  if (live === last.to.color) return undefined
  return `traffic is on ${live ?? 'no color'}, but the last switch by these scripts went to ${last.to.color} (${last.id}, ${last.by}, ${last.at}): somebody changed the selector by hand`
}

/** How many pods the other color must have before traffic may move away from this one. */
export const capacity = ({ ready }: ColorState): number => Math.max(1, ready.length)

/** What still keeps traffic from going to a color (S1). Empty means it may. */
export function obstacles(state: ColorState, atLeast: number): string[] {
  const { color, deployment, pods, own, ready } = state
  if (!deployment) return [`${color} has no Deployment`]
  const { spec, status, metadata } = deployment
  const found: string[] = []
  const images = spec.template.spec.containers.map(({ image }) => image)
  if (state.release && images.length > 0 && !images.includes(state.release.image)) {
    found.push(`Deployment ${metadata.name} runs ${images.join(', ')}, which somebody put there by hand`)
  }
  const strays = pods.filter((pod) => !own.includes(pod))
  if (strays.length > 0) {
    const list = strays.map((pod) => pod.metadata.name).join(', ')
    found.push(`${list} carry ${color}'s labels but do not belong to Deployment ${metadata.name}`)
  }
  if (ready.length < atLeast) found.push(`${ready.length} of ${atLeast} pods ready`)
  else if (ready.length < own.length) found.push(`${ready.length} of ${own.length} pods ready`)
  if (status.observedGeneration < metadata.generation) found.push('its rollout has not begun')
  else if (status.updatedReplicas < spec.replicas || status.replicas > status.updatedReplicas) {
    found.push(`its rollout is under way (${status.updatedReplicas} of ${spec.replicas} pods updated)`)
  }
  return found
}
