/**
 * From the app's overlay to the objects that are applied: `kubectl kustomize` over a generated kustomization
 * paints the color, the digest and the release in. The overlay itself knows nothing of colors.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { z } from 'zod'
import { kustomize } from '../cluster/commands.ts'
import { manifest, type Manifest } from '../cluster/objects.ts'
import type { World } from '../cluster/world.ts'
import { DeployError, Exit } from '../errors.ts'
import { temporaryFolder } from '../temporary.ts'
import { key, names, type Color, type Release } from './color.ts'
import { parseObjects, quoted } from './kustomize.ts'

export interface Rendered {
  /** The app in the color that is deployed; without a color under `strategy: rolling`. */
  painted: Manifest[]
  /** The same in the live color, to be compared with what is live. Empty on a first deployment. */
  compared: Manifest[]
  /** The same without a color: what a record keeps, so that any color can be painted from it later. */
  kept: Manifest[]
  shared: Manifest[]
  migration: Manifest[]
}

export interface Painting {
  release: Release
  color?: Color
  live?: { color: Color; release: Release }
  /** Manifests that a record kept, instead of the overlay's. */
  kept?: readonly Manifest[]
}

const PART = 'deploy-scripts/part'

/** @throws DeployError (2) when the overlay does not hold what it must */
export async function render(world: World, painting: Painting): Promise<Rendered> {
  using temporary = temporaryFolder()
  const folder = temporary.path
  const parts = kustomizations(world, painting, folder)
  for (const [part, content] of Object.entries(parts)) {
    mkdirSync(join(folder, part), { recursive: true })
    writeFileSync(join(folder, part, 'kustomization.yaml'), quoted(content))
  }
  writeFileSync(join(folder, 'kustomization.yaml'), quoted({ resources: Object.keys(parts) }))
  return sort(world, painting.release.image, parseObjects(await world.kubectl.read(kustomize(folder))))
}

/** One kustomization for each part, so that a single kubectl renders them all. */
function kustomizations(world: World, { release, color, live, kept }: Painting, folder: string) {
  const { app, namespace, manifests } = world.environment
  const from = (part: string) => relative(join(folder, part), join(manifests, partFolder(part)))
  if (!existsSync(join(manifests, 'painted'))) {
    throw new DeployError(
      `${manifests} holds no folder "painted": see docs/kubernetes-configuration-guide.md`,
      Exit.usage,
    )
  }
  if (kept) {
    mkdirSync(join(folder, 'source'), { recursive: true })
    writeFileSync(join(folder, 'source', 'objects.yaml'), quoted(...kept))
    writeFileSync(join(folder, 'source', 'kustomization.yaml'), quoted({ resources: ['objects.yaml'] }))
  }
  const source = (part: string) => (kept ? '../source' : from(part))
  const { name: newName, digest } = splitDigest(release.image)
  const common = (part: string) => ({
    namespace,
    commonAnnotations: { [PART]: part },
    ...(kept === undefined && { images: [{ name: app, newName, digest }] }),
  })
  const paint = (part: string, { release: id, version, image }: Release, in_?: Color) => ({
    ...common(part),
    resources: [source(part)],
    commonAnnotations: { [PART]: part, [key.release]: id, [key.version]: version, [key.image]: image },
    labels: [
      { pairs: { app } },
      { pairs: { 'app.kubernetes.io/version': labelValue(version) }, includeTemplates: true },
      ...(in_ ? [{ pairs: { color: in_ }, includeSelectors: true }] : []),
    ],
    ...(in_ && { nameSuffix: `-${in_}` }),
  })
  return {
    painted: paint('painted', release, color),
    ...(color && { kept: { ...common('kept'), resources: [source('kept')] } }),
    ...(live && { compared: paint('compared', live.release, live.color) }),
    ...(kept === undefined && {
      shared: { ...common('shared'), resources: [from('shared')], labels: [{ pairs: { app } }] },
    }),
    ...(kept === undefined &&
      existsSync(join(manifests, 'migration')) && {
        migration: { ...common('migration'), resources: [from('migration')] },
      }),
  }
}

const partFolder = (part: string): string => (part === 'shared' || part === 'migration' ? part : 'painted')

function sort(world: World, image: string, objects: readonly Manifest[]): Rendered {
  const { app, manifests } = world.environment
  const of = (part: string): Manifest[] =>
    objects
      .filter(({ metadata }) => metadata.annotations?.[PART] === part)
      .map((object) => withoutSelector(app, withoutPart(object)))
  const painted = of('painted')
  const kept = of('kept')
  const rendered = { painted, kept: kept.length > 0 ? kept : painted, compared: of('compared') }
  const deployments = rendered.kept.filter(({ kind }) => kind === 'Deployment')
  const found = deployments.map(({ metadata }) => metadata.name).join(', ')
  if (found !== app) {
    const problem = `must hold one Deployment, named ${app}; it holds ${found || 'none'}`
    throw new DeployError(`${manifests}/painted ${problem}`, Exit.usage)
  }
  if (painted.some(({ kind }) => kind === 'Secret')) {
    const problem =
      'must hold no Secret: the history keeps what is painted. Make it apart, and name it in the Deployment'
    throw new DeployError(`${manifests}/painted ${problem}`, Exit.usage)
  }
  if (!deployments.some((deployment) => images(deployment).includes(image))) {
    const problem = `no container has the image "${app}", in whose place ${image} would be put`
    throw new DeployError(`${manifests}/painted: ${problem}`, Exit.usage)
  }
  return { ...rendered, shared: of('shared'), migration: of('migration') }
}

const podTemplate = z.object({
  template: z.object({
    spec: z.object({ containers: z.array(z.object({ image: z.string().default('') })) }),
  }),
})

const images = ({ spec }: Manifest): string[] =>
  podTemplate.parse(spec).template.spec.containers.map(({ image }) => image)

function withoutPart(object: Manifest): Manifest {
  const text = JSON.stringify(object, (name, value: unknown) => (name === PART ? undefined : value))
  return manifest.parse(JSON.parse(text))
}

/** Which color gets traffic belongs to the switch alone: applying manifests never moves it (S2, design §4). */
function withoutSelector(app: string, object: Manifest): Manifest {
  const { live, preview } = names(app)
  if (object.kind !== 'Service' || ![live, preview].includes(object.metadata.name)) return object
  const { selector: _, ...spec } = object.spec ?? {}
  return { ...object, spec }
}

function splitDigest(image: string): { name: string; digest: string } {
  const [name = '', digest = ''] = image.split('@')
  return { name, digest }
}

/** A version as a label can hold it: 63 characters of a small alphabet. */
export function labelValue(text: string): string {
  return text
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .slice(0, 63)
    .replace(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, '')
}
