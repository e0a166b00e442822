/**
 * Writes to a color that the API server itself refuses once somebody else has come (S3). Whoever moves users to a
 * color puts his token on all of its objects; a write that was decided on before that tests what it has read. A
 * run that was paused, cut off or slow can reach its own color, and never one that has become somebody else's.
 */
import {
  FIELD_MANAGER,
  annotate,
  apply,
  getNamed,
  patch,
  pointer,
  type JsonPatch,
} from '../cluster/commands.ts'
import { deployment, stored, type Deployment, type Manifest } from '../cluster/objects.ts'
import { isConflict, KubectlError } from '../cluster/refusal.ts'
import type { World } from '../cluster/world.ts'
import { DeployError } from '../errors.ts'
import { key, type Color } from './color.ts'
import type { ColorState } from './observe.ts'

/** Objects of a color whose writes are fenced beside its Deployment. */
const FENCED = ['deployments', 'horizontalpodautoscalers', 'configmaps', 'poddisruptionbudgets']

/** What must still be there for a write that was decided on by it: the token; without one, the version. Pure. */
export function unchanged({ metadata }: Deployment): JsonPatch {
  const value = metadata.annotations[key.lock]
  return value === undefined
    ? { op: 'test', path: pointer('metadata', 'resourceVersion'), value: metadata.resourceVersion }
    : { op: 'test', path: pointer('metadata', 'annotations', key.lock), value }
}

/** Sets a color's number of pods. @throws KubectlError (TestFailed) when the color is somebody else's by now */
export async function scaleColor(world: World, state: ColorState, replicas: number): Promise<void> {
  await patchColor(world, state, { op: 'replace', path: '/spec/replicas', value: replicas })
}

/** Replaces a color's pods one after the other, as `kubectl rollout restart` does. @throws as `scaleColor` */
export async function restartColor(world: World, state: ColorState): Promise<void> {
  const annotations = pointer('spec', 'template', 'metadata', 'annotations')
  const at = new Date(world.clock.now()).toISOString()
  const restarted = 'kubectl.kubernetes.io/restartedAt'
  const has = state.deployment && Object.keys(state.deployment.spec.template.metadata.annotations).length > 0
  await patchColor(
    world,
    state,
    has
      ? { op: 'add', path: `${annotations}${pointer(restarted)}`, value: at }
      : { op: 'add', path: annotations, value: { [restarted]: at } },
  )
}

async function patchColor(world: World, state: ColorState, change: JsonPatch): Promise<void> {
  const { color, deployment: found } = state
  if (!found) throw new DeployError(`${color} has no Deployment`)
  const operations = [unchanged(found), change]
  const command = patch('deployment', found.metadata.name, operations, `--field-manager=${FIELD_MANAGER}`)
  try {
    await world.kubectl.change(command, deployment)
  } catch (error) {
    if (!(error instanceof KubectlError) || error.refusal !== 'TestFailed') throw error
    const what = 'somebody else has written to it since it was looked at, so it is left as it is'
    throw new KubectlError('TestFailed', `${color}: ${what}`)
  }
}

/**
 * Puts a token on all objects of a color: what was decided on before is refused from here on. Idempotent.
 * @throws KubectlError
 */
export async function claimColor(world: World, color: Color, token: string): Promise<void> {
  const { app } = world.environment
  const label = `--selector=app=${app},color=${color}`
  await world.kubectl.read(annotate(FENCED, label, `${key.lock}=${token}`))
}

/** How often an apply is decided on anew, where an object has changed since it was read (its status counts). */
const TRIES = 5

/**
 * No object has this version. Sent along with one that was not there when it was read, it lets the server
 * create it, and refuse it if somebody else has done so since (tried on 1.20).
 */
const NEVER = '1'

/**
 * Server-side apply of a color's objects, each only as it was read: `stillMine` is asked between reading and
 * applying. After it the objects carry the token.
 * @throws what `stillMine` throws; KubectlError
 */
export async function applyColor(
  world: World,
  objects: readonly Manifest[],
  token: string,
  stillMine: () => Promise<unknown>,
): Promise<void> {
  const marked = objects.map((object) => withMetadata(object, { annotations: { [key.lock]: token } }))
  const kinds = objects.map(({ kind, metadata: { name } }) => `${kind.toLowerCase()}/${name}`)
  let absentBefore = new Set<string>()
  for (let tries = 1; ; tries++) {
    const found = await world.kubectl.objects(getNamed(...kinds), stored)
    await stillMine()
    const versions = new Map(found.map((object) => [idOf(object), object.metadata.resourceVersion]))
    // A server that lets nothing be created under a version is asked without one.
    const versioned = marked.map((object) => {
      const version = versions.get(idOf(object)) ?? (absentBefore.has(idOf(object)) ? undefined : NEVER)
      return version === undefined ? object : withMetadata(object, { resourceVersion: version })
    })
    try {
      await world.kubectl.write(apply(), { input: listOf(versioned) })
      return
    } catch (error) {
      if (!isConflict(error) || tries === TRIES) throw error
      absentBefore = new Set(marked.map(idOf).filter((id) => !versions.has(id)))
    }
  }
}

const idOf = ({ kind, metadata }: { kind: string; metadata: { name: string } }): string =>
  `${kind}/${metadata.name}`

function withMetadata(
  object: Manifest,
  { annotations, ...more }: { annotations?: Record<string, string>; resourceVersion?: string },
): Manifest {
  const { metadata } = object
  const both = { ...metadata.annotations, ...annotations }
  return { ...object, metadata: { ...metadata, ...more, ...(annotations && { annotations: both }) } }
}

/** Objects as `kubectl apply -f -` takes them. */
export const listOf = (items: readonly Manifest[]): string =>
  JSON.stringify({ apiVersion: 'v1', kind: 'List', items })
