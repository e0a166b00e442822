/**
 * The two colors of an application as they are now: which one is live, what runs in each, and whether
 * traffic may go there (S1). Everything here is decided from one reading of the cluster.
 */
import { z } from 'zod'
import { DeployError } from './errors.ts'
import { get, getNamed, type Kubectl } from './kubectl.ts'
import { parseJson } from './json.ts'
import {
  isActive,
  isReady,
  lease,
  service,
  watched,
  type Autoscaler,
  type Deployment,
  type Lease,
  type Pod,
  type ReplicaSet,
  type Service,
} from './objects.ts'

export const colors = ['blue', 'green'] as const
export type Color = (typeof colors)[number]

/** Where a release runs: in a color, or without one. */
export type Place = Color | 'plain'

export const other = (color: Color): Color => (color === 'blue' ? 'green' : 'blue')

/** Annotations and labels that the project writes. All of its state is in these, in Leases and in ConfigMaps. */
export const key = {
  /** On the live Service: the token of whoever holds the lock; every switch tests it (S3). */
  lock: 'deploy-scripts/lock',
  /** On the live Service: the last switch, written by the very patch that moves traffic (S5). */
  switch: 'deploy-scripts/switch',
  /** On a color's Deployment and its pods: the record that made it. */
  release: 'deploy-scripts/release',
  version: 'deploy-scripts/version',
  image: 'deploy-scripts/image',
  /** On a record: whose it is, and how it went. */
  record: 'deploy-scripts/record',
  outcome: 'deploy-scripts/outcome',
} as const

export const names = (app: string) => ({
  live: app,
  preview: `${app}-preview`,
  lease: `${app}-deploy`,
  deployment: (place: Place) => (place === 'plain' ? app : `${app}-${place}`),
})

/** What a color runs. `release` is the id of the record that put it there. */
export interface Release {
  release: string
  version: string
  image: string
}

const releaseForm = z.object({ release: z.string(), version: z.string(), image: z.string() })

const sideForm = releaseForm.extend({ color: z.enum([...colors, 'plain']) })

/** One end of a switch: a color, and what it ran. */
export type Side = z.infer<typeof sideForm>

/** The last change of traffic, as the live Service tells it. */
export const switchForm = z.object({
  id: z.string(),
  kind: z.enum(['deploy', 'rollback', 'switch', 'automatic-rollback', 'repair']),
  from: sideForm.optional(),
  to: sideForm,
  by: z.string(),
  at: z.string(),
  reason: z.string().optional(),
  /** The selector holds both colors for a while, on the way from `from` to `to`. */
  overlap: z.boolean().optional(),
})
export type Switch = z.infer<typeof switchForm>

export interface ColorState {
  /** `plain` is the app without a color, as `strategy: rolling` runs it. */
  color: Place
  deployment?: Deployment
  /** Active pods that the selector `{app, color}` matches, whoever owns them. */
  pods: Pod[]
  /** Those of them that this color's Deployment owns. */
  own: Pod[]
  ready: Pod[]
  autoscaler?: Autoscaler
  release?: Release
}

export interface Observed {
  service?: Service
  preview?: Service
  lease?: Lease
  colors: Record<Place, ColorState>
  /** The last switch that the scripts made. */
  switch?: Switch
  pods: Pod[]
  replicaSets: ReplicaSet[]
}

/** One `kubectl get` for everything that decides: both Services, both colors, the lock. */
export async function observe(app: string, kubectl: Kubectl): Promise<Observed> {
  const kinds = ['services', 'deployments', 'replicasets', 'pods', 'horizontalpodautoscalers', 'leases']
  const found = await kubectl.objects(get(kinds, `--selector=app=${app}`), watched)
  const name = names(app)
  // A Service that somebody made by hand may lack the label that the scripts put on theirs.
  if (!found.some(({ kind, metadata }) => kind === 'Service' && metadata.name === name.live)) {
    const byName = getNamed(`service/${name.live}`, `service/${name.preview}`, `lease/${name.lease}`)
    found.push(...(await kubectl.objects(byName, z.discriminatedUnion('kind', [service, lease]))))
  }
  return arrange(app, found)
}

/** From a heap of objects to what they mean. Pure. */
export function arrange(app: string, found: readonly z.infer<typeof watched>[]): Observed {
  const name = names(app)
  const services = found.filter((object) => object.kind === 'Service')
  const pods = found.filter((object) => object.kind === 'Pod')
  const replicaSets = found.filter((object) => object.kind === 'ReplicaSet')
  const live = services.find(({ metadata }) => metadata.name === name.live)
  const preview = services.find(({ metadata }) => metadata.name === name.preview)
  const held = found.find((object) => object.kind === 'Lease' && object.metadata.name === name.lease)
  const last = live && lastSwitch(live)

  const colorState = (color: Place): ColorState => {
    const deployment = found.find(
      (object) => object.kind === 'Deployment' && object.metadata.name === name.deployment(color),
    )
    const label = color === 'plain' ? undefined : color
    const selected = pods.filter((pod) => pod.metadata.labels.color === label && isActive(pod))
    const own = selected.filter((pod) => ownedBy(pod, deployment?.metadata.uid, replicaSets))
    const autoscaler = found.find(
      (object) =>
        object.kind === 'HorizontalPodAutoscaler' &&
        object.spec.scaleTargetRef.name === name.deployment(color),
    )
    return {
      color,
      pods: selected,
      own,
      ready: own.filter(isReady),
      ...(deployment?.kind === 'Deployment' && { deployment, ...release(deployment) }),
      ...(autoscaler?.kind === 'HorizontalPodAutoscaler' && { autoscaler }),
    }
  }
  return {
    colors: { blue: colorState('blue'), green: colorState('green'), plain: colorState('plain') },
    pods,
    replicaSets,
    ...(live && { service: live }),
    ...(preview && { preview }),
    ...(held?.kind === 'Lease' && { lease: held }),
    ...(last && { switch: last }),
  }
}

function release({ metadata: { annotations } }: Deployment): { release?: Release } {
  const id = annotations[key.release]
  if (!id) return {}
  return {
    release: { release: id, version: annotations[key.version] ?? '?', image: annotations[key.image] ?? '?' },
  }
}

function lastSwitch({ metadata }: Service): Switch | undefined {
  const text = metadata.annotations[key.switch]
  if (!text) return undefined
  const parsed = switchForm.safeParse(parseJson(text))
  if (parsed.success) return parsed.data
  throw new DeployError(`The annotation ${key.switch} of Service ${metadata.name} cannot be read: ${text}`)
}

/** Pods are owned by a ReplicaSet, which the Deployment owns; anything else behind the selector is a stray. */
function ownedBy(pod: Pod, deployment: string | undefined, replicaSets: readonly ReplicaSet[]): boolean {
  const controllers = pod.metadata.ownerReferences
    .filter(({ controller }) => controller)
    .map(({ uid }) => uid)
  const mine = replicaSets.filter(({ metadata }) =>
    metadata.ownerReferences.some(({ uid }) => uid === deployment),
  )
  return deployment !== undefined && mine.some(({ metadata }) => controllers.includes(metadata.uid))
}

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

export function side({ color, release }: ColorState): Side {
  return { color, ...(release ?? { release: 'unknown', version: 'unknown', image: 'unknown' }) }
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

/** The uids by which endpoints name a color's pods. */
export const uids = ({ own }: ColorState): string[] => own.map(({ metadata }) => metadata.uid)
