/**
 * The names that an image gets, by the rules of docker/metadata-action (v6: `type=ref` for branches and pull
 * requests, `type=semver` with version, major.minor and major, `type=sha`). Two things it leaves undone are
 * done: a tag is cut to 128 characters and never begins with a dot or a dash. A branch that is called like a version
 * is told from it. There is no `latest`: what is deployed is a digest.
 */
import semver from 'semver'
import type { Source } from '../stages/git.ts'

/** Highest priority first; the first one is the image's version. */
export function imageTags(
  source: Pick<Source, 'commit' | 'branch' | 'tag' | 'pullRequest' | 'dirty'>,
): string[] {
  const { commit, branch, tag, pullRequest, dirty } = source
  const tags = [
    ...(tag === undefined ? [] : versionTags(tag)),
    ...(branch === undefined ? [] : [branchTag(branch)]),
    ...(pullRequest === undefined ? [] : [`pr-${pullRequest}`]),
    `sha-${commit.slice(0, 7)}${dirty ? '-dirty' : ''}`,
  ]
  return [...new Set(tags)].filter(Boolean)
}

/** `v1.2.3` → `1.2.3`, `1.2`, `1`. A pre-release is only itself, `0` promises nothing, `+build` is in no tag. */
function versionTags(tag: string): string[] {
  const version = semver.parse(tag)
  if (version === null) return []
  const { major, minor, prerelease } = version
  const full = sanitised(version.version)
  if (prerelease.length > 0) return [full]
  return [full, `${major}.${minor}`, ...(major === 0 ? [] : [`${major}`])]
}

/** It may be built again and again, which a version may not. */
function branchTag(branch: string): string {
  const tag = sanitised(branch)
  return isFixed(tag) ? `branch-${tag}`.slice(0, 128) : tag
}

/** Whether a tag must never lead to another image: a full version, whatever it was made of. */
export function isFixed(tag: string): boolean {
  return /^\d+\.\d+\.\d+/.test(tag)
}

function sanitised(name: string): string {
  return name
    .replace(/[^a-zA-Z0-9._-]+/g, '-')
    .replace(/^[.-]+/, '')
    .slice(0, 128)
}
