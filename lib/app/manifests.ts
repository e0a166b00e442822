/** Manifests that are rendered: applied, judged by the server, compared with what is there. */
import { z } from 'zod'
import { apply, diff } from '../cluster/commands.ts'
import type { Manifest } from '../cluster/objects.ts'
import type { World } from '../cluster/world.ts'
import { missingProgram } from '../command.ts'
import { DeployError, Exit } from '../errors.ts'
import { listOf } from './fenced.ts'

/** Sets the number of pods alone, where an autoscaler would only be disturbed by the declared one. */
export function withReplicas(objects: readonly Manifest[], replicas: number): Manifest[] {
  return objects.map((object) =>
    object.kind === 'Deployment' ? { ...object, spec: { ...object.spec, replicas } } : object,
  )
}

/** How many pods the manifests ask for. */
export function declaredReplicas(objects: readonly Manifest[]): number {
  const deployment = objects.find(({ kind }) => kind === 'Deployment')
  return z.object({ replicas: z.number().default(1) }).parse(deployment?.spec ?? {}).replicas
}

/** Server-side apply, after which the objects' fields are ours; of the Services, all but the selector. */
export async function applyAll(world: World, objects: readonly Manifest[]): Promise<void> {
  await world.kubectl.write(apply(), { input: listOf(objects) })
}

/** Lets the server judge every object, storing nothing. @throws DeployError naming the object it refuses */
export async function dryRun(world: World, objects: readonly Manifest[]): Promise<void> {
  await world.kubectl.read([...apply('--dry-run=server'), '--output=name'], { input: listOf(objects) })
}

/** What would change in the cluster, as `kubectl diff` tells it; empty when nothing would. */
export async function difference(world: World, objects: readonly Manifest[]): Promise<string> {
  if (objects.length === 0) return ''
  const { stdout, stderr: said, exitCode } = await world.kubectl.ask(diff(), { input: listOf(objects) })
  const stderr = said.replace(/^Warning: .*$/gm, '').trim()
  if (exitCode <= 1 && stderr === '') return stdout
  if (/"diff": executable file not found/.test(stderr))
    throw new DeployError(missingProgram('diff'), Exit.usage)
  throw new DeployError(`kubectl diff: ${stderr || `exit code ${exitCode}`}`)
}
