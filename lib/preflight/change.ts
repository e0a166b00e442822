/** What a release changes: the commits of what is live and of what is to be, and the files between them. */
import { Glob } from 'bun'
import type { Shell } from '../command.ts'
import { DeployError } from '../errors.ts'
import { findRelease } from '../image/beside.ts'
import { findLabels } from '../image/registry.ts'
import { plain } from '../text.ts'

export interface Change {
  from: string
  to: string
  files: { path: string; status: 'added' | 'changed' | 'removed' }[]
}

/** ms */
const TIMEOUT = 20_000

/**
 * The commit that an image was built of: as its release beside it says, or else its label.
 * @throws DeployError when none is known
 */
export async function commitOf(image: string, shell: Shell): Promise<string> {
  const release = await findRelease(image, shell).catch(() => undefined)
  const labels = release ? undefined : await findLabels(image, shell)
  const commit = release?.commit ?? labels?.labels['org.opencontainers.image.revision'] ?? ''
  if (/^[0-9a-f]{40,64}$/.test(commit)) return commit
  const dirty = commit.endsWith('-dirty') && 'it was built of more than its commit holds'
  const [name = ''] = image.replace(/^.*\//, '').split('@')
  throw new DeployError(
    `which commit ${name} was built of is not known: ${dirty || 'neither a release beside it nor a label says so'}`,
  )
}

/** @throws DeployError where this folder's repository does not have both commits */
export async function readChange(from: string, to: string, shell: Shell): Promise<Change> {
  const listing = await git(shell, 'diff', '--name-status', '--no-renames', '-z', from, to, '--')
  const words = listing.split('\0')
  const files = words.flatMap((status, i) => {
    const path = words[i + 1]
    if (i % 2 === 1 || path === undefined || status === '') return []
    const known = { A: 'added', D: 'removed' } as const
    return [{ path, status: status === 'A' || status === 'D' ? known[status] : ('changed' as const) }]
  })
  return { from, to, files }
}

/** @throws DeployError where the commit has no such file */
export async function fileAt(commit: string, path: string, shell: Shell): Promise<string> {
  return await git(shell, 'show', `${commit}:${path}`)
}

async function git(shell: Shell, ...args: string[]): Promise<string> {
  const top = await shell.read(['git', 'rev-parse', '--show-toplevel'], { timeout: TIMEOUT })
  const command = ['git', '-C', top.stdout.trim() || '.', ...args] as const
  const { stdout, stderr, exitCode } = await shell.read(command, { timeout: TIMEOUT })
  if (exitCode === 0) return stdout
  const why = plain(stderr.trim().split('\n')[0] ?? '', 160)
  throw new DeployError(`git ${args[0]}: ${why}. In CI, fetch the whole history (fetch-depth: 0)`)
}

/** Those of a change's files that one of the patterns matches. */
export function matching({ files }: Change, patterns: readonly string[]): Change['files'] {
  const globs = patterns.map((pattern) => new Glob(pattern))
  return files.filter(({ path }) => globs.some((glob) => glob.match(path)))
}

export const short = (commit: string): string => commit.slice(0, 7)
