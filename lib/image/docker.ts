/** Commands of docker, as values. Every value is one word with its flag, so that none can become a flag itself. */
import { join } from 'node:path'
import type { Command } from '../command.ts'
import { revision, type Source } from '../stages/git.ts'

export interface ImageBuild {
  /** Absolute: a relative one could begin with a dash. */
  context: string
  dockerfile: string
  labels: Readonly<Record<string, string>>
  buildArgs: Readonly<Record<string, string>>
  cache: { from: readonly string[]; to: readonly string[] }
}

/** An image for this machine's platform, into the local store. The classic builder knows no cache elsewhere. */
export function buildImage(build: ImageBuild, image: string, buildx: boolean): Command {
  const builder = buildx ? ['buildx', 'build', '--load', ...cacheFlags(build)] : ['build']
  return ['docker', ...builder, `--tag=${image}`, ...contentFlags(build), build.context]
}

/** One image for several platforms. No local store can hold it, so it is pushed as it is built. */
export function buildAndPush(build: ImageBuild, image: string, platforms: readonly string[]): Command {
  const where = ['--push', `--platform=${platforms.join(',')}`, ...cacheFlags(build)]
  return ['docker', 'buildx', 'build', ...where, `--tag=${image}`, ...contentFlags(build), build.context]
}

/** An image that is one label and nothing else; its Dockerfile, `FROM scratch`, goes to standard input. */
export function buildLabel(image: string, name: string, value: string, buildx: boolean): Command {
  const builder = buildx ? ['buildx', 'build', '--load'] : ['build']
  return ['docker', ...builder, `--tag=${image}`, `--label=${name}=${value}`, '-']
}

function contentFlags({ context, dockerfile, labels, buildArgs }: ImageBuild): string[] {
  return [
    `--file=${join(context, dockerfile)}`,
    ...Object.entries(labels).map(([name, value]) => `--label=${name}=${value}`),
    ...Object.entries(buildArgs).map(([name, value]) => `--build-arg=${name}=${value}`),
  ]
}

function cacheFlags({ cache }: ImageBuild): string[] {
  return [...cache.from.map((from) => `--cache-from=${from}`), ...cache.to.map((to) => `--cache-to=${to}`)]
}

export const buildxVersion: Command = ['docker', 'buildx', 'version']

export function tagImage(image: string, name: string): Command {
  return ['docker', 'tag', image, name]
}

/** Gives an image that is in the registry further names there. */
export function tagInRegistry(image: string, names: readonly string[]): Command {
  return ['docker', 'buildx', 'imagetools', 'create', ...names.map((name) => `--tag=${name}`), image]
}

export function pushImage(name: string): Command {
  return ['docker', 'push', name]
}

export function pullImage(name: string): Command {
  return ['docker', 'pull', name]
}

/** Answers `{Id, RepoDigests}`, among much else. */
export function inspectImage(name: string): Command {
  return ['docker', 'image', 'inspect', '--format={{json .}}', name]
}

/** The password goes to standard input. */
export function login(registry: string, username: string): Command {
  return ['docker', 'login', `--username=${username}`, '--password-stdin', registry]
}

/**
 * The OCI annotations that metadata-action sets. `created` is the commit's time, not this moment's: the same
 * commit then makes the same image, as SOURCE_DATE_EPOCH has it.
 */
export function imageLabels(source: Source, version: string, title: string): Record<string, string> {
  const { url, committedAt } = source
  const labels = {
    title,
    version,
    revision: revision(source),
    created: committedAt,
    ...(url !== undefined && { url, source: url }),
  }
  return Object.fromEntries(
    Object.entries(labels).map(([name, value]) => [`org.opencontainers.image.${name}`, inert(value)]),
  )
}

/** On one line, without what steers a terminal or a runner, and not longer than anybody reads. */
function inert(value: string): string {
  return value.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').slice(0, 1024)
}
