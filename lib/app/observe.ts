/** The application as it is now, from one reading of the cluster: both colors, the Services, the lock. */
import { z } from 'zod'
import { getApp, getNamed } from '../cluster/commands.ts'
import type { Kubectl } from '../cluster/kubectl.ts'
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
} from '../cluster/objects.ts'
import { DeployError } from '../errors.ts'
import { parseJson } from '../json.ts'
import { key, names, switchForm, type Place, type Release, type Side, type Switch } from './color.ts'

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
  /** Why the API server takes no pods of its present release, in its words. */
  refused?: string
}

/** Deployments are held up: by whom, since when, why, and until when, as somebody wrote it. */
export interface Hold {
  by: string
  since: string
  reason: string
  /** ISO; without it, until somebody releases it. */
  until?: string
}

export interface Observed {
  service?: Service
  preview?: Service
  lease?: Lease
  /** Also one whose time has passed: `refuseHeld` judges that. */
  hold?: Hold
  colors: Record<Place, ColorState>
  /** The last switch that the scripts made. */
  switch?: Switch
  pods: Pod[]
  replicaSets: ReplicaSet[]
}

/** One `kubectl get` for everything that decides: both Services, both colors, the lock. */
export async function observe(app: string, kubectl: Kubectl): Promise<Observed> {
  const found = await kubectl.objects(getApp(app), watched)
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
  const holding = found.find((object) => object.kind === 'Lease' && object.metadata.name === name.hold)
  const hold = holding?.kind === 'Lease' && holdOf(holding)
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
      ...(deployment?.kind === 'Deployment' && {
        deployment,
        ...release(deployment),
        ...refusal(deployment, replicaSets),
      }),
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
    ...(hold && { hold }),
    ...(last && { switch: last }),
  }
}

/** A hold that was released is a Lease without a holder: a deployer may not delete Leases. */
export function holdOf({ spec, metadata: { annotations } }: Lease): Hold | undefined {
  if (!spec.holderIdentity) return undefined
  const until = annotations[key.until]
  return {
    by: spec.holderIdentity,
    since: spec.acquireTime,
    reason: annotations[key.reason] ?? 'no reason given',
    ...(until && { until }),
  }
}

function release({ metadata: { annotations } }: Deployment): { release?: Release } {
  const id = annotations[key.release]
  if (!id) return {}
  return {
    release: { release: id, version: annotations[key.version] ?? '?', image: annotations[key.image] ?? '?' },
  }
}

/** Asked of the release's own ReplicaSet: the Deployment's condition may tell of an older one's. */
function refusal({ metadata }: Deployment, replicaSets: readonly ReplicaSet[]): { refused?: string } {
  const wanted = metadata.annotations[key.release]
  const failure = ownSets(metadata.uid, replicaSets)
    .filter(({ spec }) => wanted === undefined || spec.template.metadata.annotations[key.release] === wanted)
    .flatMap(({ status }) => status.conditions)
    .find(({ type, status }) => type === 'ReplicaFailure' && status === 'True')
  return failure ? { refused: failure.message } : {}
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
  return (
    deployment !== undefined &&
    ownSets(deployment, replicaSets).some(({ metadata }) => controllers.includes(metadata.uid))
  )
}

const ownSets = (deployment: string, replicaSets: readonly ReplicaSet[]): ReplicaSet[] =>
  replicaSets.filter(({ metadata }) => metadata.ownerReferences.some(({ uid }) => uid === deployment))

export function side({ color, release }: ColorState): Side {
  return { color, ...(release ?? { release: 'unknown', version: 'unknown', image: 'unknown' }) }
}

/** The uids by which endpoints name a color's pods. */
export const uids = ({ own }: ColorState): string[] => own.map(({ metadata }) => metadata.uid)
