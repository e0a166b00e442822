/**
 * The names that an image gets, by the rules of docker/metadata-action (v6: `type=ref` for branches and pull
 * requests, `type=semver` with version, major.minor and major, `type=sha`). Two things it leaves undone are
 * done: a tag is cut to 128 characters and never begins with a dot or a dash. There is no `latest`: what is
 * deployed is a digest.
 */
import type { Source } from '../stages/git.ts'

/** Semantic Versioning 2.0.0 (semver.org), with the `v` that tags have in front. */
const VERSION =
  /^v?(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-z-][\da-z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-z-][\da-z-]*))*))?(?:\+([\da-z-]+(?:\.[\da-z-]+)*))?$/i

/** Highest priority first; the first one is the image's version. */
export function imageTags(
  source: Pick<Source, 'commit' | 'branch' | 'tag' | 'pullRequest' | 'dirty'>,
): string[] {
  const { commit, branch, tag, pullRequest, dirty } = source
  const tags = [
    ...(tag === undefined ? [] : versionTags(tag)),
    ...(branch === undefined ? [] : [sanitised(branch)]),
    ...(pullRequest === undefined ? [] : [`pr-${pullRequest}`]),
    `sha-${commit.slice(0, 7)}${dirty ? '-dirty' : ''}`,
  ]
  return [...new Set(tags)].filter(Boolean)
}

/** `v1.2.3` → `1.2.3`, `1.2`, `1`. A pre-release is only itself, and `0` promises nothing. */
function versionTags(tag: string): string[] {
  const [version, major, minor, , preRelease] = VERSION.exec(tag) ?? []
  if (version === undefined) return []
  const full = sanitised(version.replace(/^v/, ''))
  if (preRelease !== undefined) return [full]
  return [full, `${major}.${minor}`, ...(major === '0' ? [] : [`${major}`])]
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
