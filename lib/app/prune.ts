/**
 * What left the overlay leaves the color too: an apply only adds. What these scripts applied names its release, so
 * what is of another one and is not in the manifests any more was left behind by it.
 */
import { z } from 'zod'
import { get, removeRaw } from '../cluster/commands.ts'
import { stored, type Manifest } from '../cluster/objects.ts'
import { isConflict, isMissing, KubectlError } from '../cluster/refusal.ts'
import type { World } from '../cluster/world.ts'
import { key, names, type Place } from './color.ts'

const found = stored.extend({ apiVersion: z.string() })

type Found = z.infer<typeof found>

/** Never the Deployment: it is what a color is. Never a Secret: none is ever painted, and nobody may list them. */
const PRUNED: ReadonlyMap<string, string> = new Map([
  ['HorizontalPodAutoscaler', 'horizontalpodautoscalers'],
  ['PodDisruptionBudget', 'poddisruptionbudgets'],
  ['CronJob', 'cronjobs'],
  ['Ingress', 'ingresses'],
  ['NetworkPolicy', 'networkpolicies'],
  ['Service', 'services'],
  ['ServiceAccount', 'serviceaccounts'],
  ['ConfigMap', 'configmaps'],
])

/**
 * Deletes an autoscaler that was left behind, which would hold the release at its own bounds. Between the apply and
 * the wait for its pods. What may not be done is told, and fails nothing.
 * @returns whether there was one: it may have resized the Deployment since that was applied
 */
export async function pruneAutoscaler(
  world: World,
  place: Place,
  painted: readonly Manifest[],
): Promise<boolean> {
  return await prune(world, place, painted, ['horizontalpodautoscalers'])
}

/**
 * Deletes all that an earlier release left in the color, once nothing runs there any more that might still use it.
 * What may not be done is told, and fails nothing.
 */
export async function pruneLeftovers(
  world: World,
  place: Place,
  painted: readonly Manifest[],
): Promise<void> {
  await prune(world, place, painted, [...PRUNED.values()])
}

async function prune(
  world: World,
  place: Place,
  painted: readonly Manifest[],
  among: readonly string[],
): Promise<boolean> {
  const { environment, kubectl, log } = world
  const selector = `app=${environment.app},${place === 'plain' ? '!color' : `color=${place}`}`
  // The Deployment comes last: what was read before it is no newer than the release that it names.
  const resources = [...among, 'deployments']
  try {
    for (let tries = 1; ; tries++) {
      const present = await kubectl.objects(get(resources, `--selector=${selector}`), found)
      const old = leftovers(environment.app, place, painted, present)
      let all = true
      for (const object of old) all = (await removeUnchanged(world, object)) && all
      if (all || tries === TRIES) return old.length > 0 || tries > 1
    }
  } catch (error) {
    if (!(error instanceof KubectlError)) throw error
    log.warn(`Nothing more was pruned from ${place}: ${error.message}. k8s/rbac/ holds the Role for it`)
    return false
  }
}

/** How often an object that has changed since it was read is looked at anew: an autoscaler's status counts. */
const TRIES = 3

/**
 * What an earlier release left in a color; nothing where the color is not the present release's (any more). Releases'
 * ids sort by time: what a later one has applied is never ours to delete (S3). Pure.
 */
export function leftovers(
  app: string,
  place: Place,
  painted: readonly Manifest[],
  present: readonly Found[],
): Found[] {
  const { deployment, live, preview } = names(app)
  const id = ({ kind, metadata: { name } }: Found | Manifest): string => `${kind}/${name}`
  const own = `Deployment/${deployment(place)}`
  const release = painted.find((object) => id(object) === own)?.metadata.annotations?.[key.release]
  const running = present.find((object) => id(object) === own)?.metadata.annotations[key.release]
  if (release === undefined || release !== running) return []
  const kept = new Set([...painted.map(id), `Service/${live}`, `Service/${preview}`])
  return present.filter((object) => {
    const { annotations, deletionTimestamp, ownerReferences } = object.metadata
    const of = annotations[key.release]
    const isEarlier = of !== undefined && of < release && ownerReferences.length === 0
    return PRUNED.has(object.kind) && isEarlier && !kept.has(id(object)) && !deletionTimestamp
  })
}

/** Deletes an object as it was read. @returns false where it has changed since (S3) */
async function removeUnchanged(
  { kubectl, log }: World,
  { apiVersion, kind, metadata }: Found,
): Promise<boolean> {
  const { name, uid, resourceVersion, annotations } = metadata
  log.info(`${kind} ${name} came with ${annotations[key.version]} and has left the manifests: it is deleted`)
  const root = apiVersion === 'v1' ? '/api/v1' : `/apis/${apiVersion}`
  const path = `${root}/namespaces/${kubectl.scope.namespace}/${PRUNED.get(kind)}/${name}`
  const options = {
    apiVersion: 'v1',
    kind: 'DeleteOptions',
    propagationPolicy: 'Background',
    preconditions: { uid, resourceVersion },
  }
  try {
    await kubectl.write(removeRaw(path), { input: JSON.stringify(options) })
    return true
  } catch (error) {
    if (isMissing(error)) return true
    if (isConflict(error)) return false
    throw error
  }
}
