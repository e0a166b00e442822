/** Which color users are on, and whether traffic may go to the other one (S1). Pure: decided from one reading. */
import { commandLine } from '../command.ts'
import { patchService } from '../cluster/commands.ts'
import { isActive } from '../cluster/objects.ts'
import { DeployError } from '../errors.ts'
import type { Environment } from '../settings/file.ts'
import { colors, key, names, type Color, type Release } from './color.ts'
import { side, type ColorState, type Observed } from './observe.ts'

/** Where an application is, as a command that somebody pastes must say it. */
export type Site = Pick<Environment, 'app' | 'context' | 'namespace'>

/**
 * The color that users are on. While both are selected in an overlap switch, it is the one being left.
 * @throws DeployError where the Service is missing or selects anything but one color; never guesses
 */
export function liveColor(site: Site, observed: Observed): Color {
  const { app } = site
  const { service, switch: last } = observed
  if (!service || isUnused(observed)) {
    throw new DeployError(`No release of ${app} has been opened to users here yet: deploy a first one`)
  }
  const { selector } = service.spec
  const left = colors.find((candidate) => last?.overlap && last.from?.color === candidate)
  if (isOverlap(app, selector) && left) return left
  const color = colors.find((candidate) => selector.color === candidate)
  if (color && selector.app === app && Object.keys(selector).length === 2) return color
  const what = `Service ${app} selects ${JSON.stringify(selector)}, not {app: ${app}, color: blue or green}`
  throw new DeployError(`${what}. ${whatToDo(site, observed)}`)
}

/** Only what has ready pods is ever suggested. */
function whatToDo(site: Site, observed: Observed): string {
  const { app, context, namespace } = site
  const { plain } = observed.colors
  const color = readyColor(observed)
  if (color) {
    const look = `kubectl --context=${context} --namespace=${namespace} get service ${app} -o yaml --show-managed-fields`
    return `Look at who changed it:\n  ${look}\nThen send users to ${color}, whose pods are ready:\n  ${byHand(site, color)}`
  }
  if (plain.ready.length > 0)
    return `Its pods have no color yet: docs/kubernetes-configuration-guide.md, "Adopting an application", says how they get one`
  return 'No color has a ready pod, so there is nowhere to send users'
}

/** Where users can be served: by what the last switch went to, else by what the selector names, else by any. */
function readyColor({ service, switch: last, colors: states }: Observed): Color | undefined {
  const order = [last?.to.color, service?.spec.selector.color, ...colors]
  return order
    .flatMap((name) => colors.filter((color) => color === name))
    .find((color) => states[color].ready.length > 0)
}

/** What a person runs when nothing else is left: the selector as it should be, complete with context and namespace. */
export function byHand({ app, context, namespace }: Site, color: Color): string {
  const selector = { op: 'replace', path: '/spec/selector', value: { app, color } } as const
  const [program, ...words] = patchService(names(app).live, [selector])
  const wanted = words.filter(
    (word, i) =>
      !['-o', 'json'].includes(word) && words[i - 1] !== '-o' && !word.startsWith('--field-manager'),
  )
  return commandLine([program, `--context=${context}`, `--namespace=${namespace}`, ...wanted])
}

/** Nobody is served yet: no live Service, or one that has never selected anything. */
export function isUnused({ service, switch: last }: Observed): boolean {
  return !service || (Object.keys(service.spec.selector).length === 0 && !last)
}

export function isOverlap(app: string, selector: Record<string, string>): boolean {
  return selector.app === app && Object.keys(selector).length === 1
}

/** A change of traffic that no script made: what the scripts last did, and what is there now (S5). */
export function movedByHand(app: string, { service, switch: last }: Observed): string | undefined {
  if (!service || !last || isOverlap(app, service.spec.selector)) return undefined
  const live = service.spec.selector.color
  if (live === last.to.color) return undefined
  const made = `(${last.id}, ${last.by}, ${last.at})`
  return `traffic is on ${live ?? 'no color'}, but the last switch by these scripts went to ${last.to.color} ${made}: somebody changed the selector by hand`
}

/** What no script did: traffic that was moved, or a live color that holds something else than users were sent to (S5). */
export function drift(app: string, observed: Observed): string | undefined {
  const moved = movedByHand(app, observed)
  const last = observed.switch
  const color = colors.find((name) => name === last?.to.color)
  if (moved || !last || !color || isOverlap(app, observed.service?.spec.selector ?? {})) return moved
  const made = `(${last.id}, ${last.by}, ${last.at})`
  const state = observed.colors[color]
  const now = side(state)
  if (state.deployment && now.release !== last.to.release)
    return `${color} runs ${now.version}, but users were sent there for ${last.to.version} ${made}: what is live was overwritten`
  const images = foreignImages(state)
  return images && `${color} runs ${images}, which somebody put there by hand in place of ${now.version}`
}

/** What a color's pods are made of, where it is not what its release says. */
function foreignImages({ deployment, release }: ColorState): string | undefined {
  const images = deployment?.spec.template.spec.containers.map(({ image }) => image) ?? []
  return release && images.length > 0 && !images.includes(release.image) ? images.join(', ') : undefined
}

/** How many pods the other color must have before traffic may move away from this one. */
export const capacity = ({ ready }: ColorState): number => Math.max(1, ready.length)

/**
 * Pods which an overlap would send users to (it selects every pod of the app) although they are no color's: a
 * debug copy, or what ran here before there were colors.
 */
export function strangers({ pods, colors: { blue, green } }: Observed): string[] {
  const owned = new Set([...blue.own, ...green.own])
  return pods.filter((pod) => isActive(pod) && !owned.has(pod)).map(({ metadata }) => metadata.name)
}

/** What still keeps traffic from going to a color (S1). Empty means it may. */
export function obstacles(state: ColorState, atLeast: number): string[] {
  const { color, deployment, own, ready } = state
  if (!deployment) return [`${color} has no Deployment`]
  const { spec, status, metadata } = deployment
  const found: string[] = []
  found.push(...impostors(state))
  if (ready.length < atLeast) found.push(`${ready.length} of ${atLeast} pods ready`)
  else if (ready.length < own.length) found.push(`${ready.length} of ${own.length} pods ready`)
  if (status.observedGeneration < metadata.generation) found.push('its rollout has not begun')
  else if (status.updatedReplicas < spec.replicas || status.replicas > status.updatedReplicas) {
    found.push(`its rollout is under way (${status.updatedReplicas} of ${spec.replicas} pods updated)`)
  }
  return found
}

/**
 * What keeps users from going back to a color (S9): that none of its pods is ready, or that what is there is not
 * what they were on. How many pods it has is no reason to leave them where they are. Empty means they may.
 */
export function obstaclesBack(state: ColorState): string[] {
  const { color, deployment, ready, release } = state
  if (!deployment) return [`${color} has no Deployment`]
  // In the middle of a rollout the pods of the release before would answer users as well.
  const others = ready.filter(({ metadata: { annotations } }) => isOther(annotations[key.release], release))
  return [
    ...impostors(state),
    ...(others.length > 0 ? [`${others.length} ready pods of ${color} are of another release`] : []),
    ...(ready.length === 0 ? [`no pod of ${color} is ready`] : []),
  ]
}

const isOther = (of: string | undefined, release: Release | undefined): boolean =>
  of !== undefined && release !== undefined && of !== release.release

/** What would answer users behind a color's labels without being its release. */
export function impostors(state: ColorState): string[] {
  const { color, deployment, pods, own } = state
  const name = deployment?.metadata.name
  const images = foreignImages(state)
  const strays = pods.filter((pod) => !own.includes(pod)).map((pod) => pod.metadata.name)
  return [
    ...(images ? [`Deployment ${name} runs ${images}, which somebody put there by hand`] : []),
    ...(strays.length > 0
      ? [`${strays.join(', ')} carry ${color}'s labels but do not belong to Deployment ${name}`]
      : []),
  ]
}
