/** Which commits a release brings, by the revisions that the images name in their labels and by the git that is here. */
import { findLabels } from '../image/registry.ts'
import type { DeploymentRecord } from '../history/record.ts'
import type { Shell } from '../command.ts'
import { plain } from '../text.ts'

export interface Commit {
  id: string
  by: string
  /** ISO 8601 */
  at: string
  subject: string
}

export type Commits =
  | { known: true; list: Commit[]; total: number; since: string | undefined }
  | { known: false; why: string }

/** Of an image: the commit that it was built of, and when that was made. */
export interface Source {
  revision: string
  /** ISO 8601; undefined where this git does not have it. */
  committedAt?: string | undefined
}

/** More are counted and not listed. */
const MOST = 50
const LABEL = 'org.opencontainers.image.revision'

/** The commit of an image, without the mark of an unclean tree; undefined where nobody says. Never throws. */
export async function sourceOf(image: string, shell: Shell): Promise<Source | undefined> {
  const found = await findLabels(image, shell).catch(() => undefined)
  const revision = commitOf(found?.labels[LABEL])
  if (revision === undefined) return undefined
  const { stdout, exitCode } = await git(shell, 'show', '--no-patch', '--format=%cI', revision)
  return { revision, ...(exitCode === 0 && { committedAt: stdout.trim() }) }
}

const commitOf = (label = ''): string | undefined => /^([0-9a-f]{40,64})(-dirty)?$/.exec(label)?.[1]

/** What came since the release before. Never throws. */
export async function commitsSince(
  { from }: Pick<DeploymentRecord, 'from'>,
  to: Source | undefined,
  before: Source | undefined,
  shell: Shell,
): Promise<Commits> {
  if (!to) return { known: false, why: 'the image names no commit, or its registry was not reached' }
  if (from && !before) return { known: false, why: `the image of ${from.version} names no commit` }
  const range = before ? `${before.revision}..${to.revision}` : to.revision
  const format = '--format=%H%x1f%an%x1f%cI%x1f%s'
  const [listed, counted] = await Promise.all([
    git(shell, 'log', `--max-count=${MOST}`, format, range),
    git(shell, 'rev-list', '--count', range),
  ])
  if (listed.exitCode !== 0 || counted.exitCode !== 0) {
    const missing = before ? `${short(before.revision)} and ${short(to.revision)}` : short(to.revision)
    return { known: false, why: `git here does not have ${missing}; git fetch may bring them` }
  }
  const list = listed.stdout.split('\n').filter(Boolean).map(parse)
  return { known: true, list, total: Number(counted.stdout), since: from?.version }
}

export const short = (revision: string): string => revision.slice(0, 10)

function parse(line: string): Commit {
  const [id = '', by = '', at = '', subject = ''] = line.split('\x1f')
  return { id, by: plain(by, 80), at, subject: plain(subject, 200) }
}

/** A git that cannot be started knows nothing, either. */
async function git(shell: Shell, ...args: string[]): Promise<{ stdout: string; exitCode: number }> {
  try {
    return await shell.read(['git', ...args])
  } catch {
    return { stdout: '', exitCode: 127 }
  }
}
