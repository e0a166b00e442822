/** What an image is to be: of which folder, by which names, with which labels. Pure. */
import { join } from 'node:path'
import type { Pipeline } from '../cli/stage.ts'
import { DeployError, Exit } from '../errors.ts'
import type { DockerSettings } from '../settings/stages.ts'
import { revision, type Source } from '../stages/git.ts'
import { imageLabels, type ImageBuild } from './docker.ts'
import { parseReference } from './reference.ts'
import { imageTags, isFixed } from './tags.ts'

export interface ImagePlan {
  build: ImageBuild
  /** Without a tag. */
  image: string
  /** Where it is. */
  registry: string
  /** Highest priority first; the last one belongs to the commit alone. */
  tags: string[]
  version: string
  commit: string
  platforms: readonly string[]
  /** ms, for each command */
  timeout: number
}

/** `now` is in ms. @throws DeployError 2 when the image's name is none; 6 when a version would hold what its commit does not */
export function planImage(
  { app, image, folder }: Pick<Pipeline, 'app' | 'image' | 'folder'>,
  settings: DockerSettings,
  source: Source,
  now: number,
): ImagePlan {
  const name = image.toLowerCase()
  const { registry, tag, digest } = parseReference(name)
  if (tag !== undefined || digest !== undefined) {
    throw new DeployError(`"${image}" is to be an image's name without a tag`, Exit.usage)
  }
  const tags = imageTags(source)
  const [version = ''] = tags
  if (source.dirty && tags.some(isFixed)) {
    throw new DeployError(
      `${version} would not be what its commit holds: commit or stash the changes`,
      Exit.refused,
    )
  }
  const commit = revision(source)
  const buildArgs = Object.entries(settings.buildArgs).map(([key, value]) => [
    key,
    value.replaceAll('{version}', () => version).replaceAll('{commit}', () => commit),
  ])
  return {
    build: {
      context: join(folder, settings.context),
      dockerfile: settings.dockerfile,
      labels: imageLabels(source, { version, title: app, at: new Date(now).toISOString() }),
      buildArgs: Object.fromEntries(buildArgs),
      cache: settings.cache,
    },
    image: name,
    registry,
    tags,
    version,
    commit,
    platforms: settings.platforms,
    timeout: settings.timeout,
  }
}
