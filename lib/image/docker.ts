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

export function pushImage(name: string): Command {
  return ['docker', 'push', name]
}

/** Answers `{RepoDigests}`, among much else. */
export function inspectImage(name: string): Command {
  return ['docker', 'image', 'inspect', '--format={{json .}}', name]
}

/** The password goes to standard input. */
export function login(registry: string, username: string): Command {
  return ['docker', 'login', `--username=${username}`, '--password-stdin', registry]
}

/**
 * The OCI annotations that metadata-action sets, as labels.
 * @param at when it is built, ISO 8601
 */
export function imageLabels(
  source: Source,
  { version, title, at }: { version: string; title: string; at: string },
): Record<string, string> {
  const { url } = source
  const labels = {
    title,
    version,
    revision: revision(source),
    created: at,
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
