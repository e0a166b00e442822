/**
 * Which commit this is, and by which names it goes. In GitHub Actions the names are those of the event that
 * started the run; elsewhere git is asked. Nothing that is read here is ever part of a command line as it is.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import semver from 'semver'
import type { Shell } from '../command.ts'
import { DeployError, Exit } from '../errors.ts'
import { plain } from '../text.ts'

export interface Names {
  branch?: string
  tag?: string
  pullRequest?: number
}

export interface Source extends Names {
  commit: string
  /** Something is in the folder that is not in the commit. */
  dirty: boolean
  /** Where the repository can be looked at, without credentials. */
  url?: string
}

type Variables = Readonly<Record<string, string | undefined>>

/** @throws DeployError (2) when the folder belongs to no commit, or to another than the one the run is for */
export async function readSource(folder: string, shell: Shell, variables: Variables): Promise<Source> {
  const run = async (...args: string[]) => await shell.read(['git', '-C', folder, ...args])
  const must = async (...args: string[]): Promise<string> => {
    const { stdout, stderr, exitCode } = await run(...args)
    if (exitCode === 0) return stdout.trimEnd()
    const why = stderr.trim().split('\n')[0]
    throw new DeployError(`git names no commit for ${folder}, which a stage records: ${why}`, Exit.usage)
  }
  const git = async (...args: string[]): Promise<string | undefined> => {
    const { stdout, exitCode } = await run(...args)
    return exitCode === 0 ? stdout.trimEnd() : undefined
  }
  const commit = await must('log', '-1', '--format=%H', 'HEAD')
  const status = await must('status', '--porcelain')
  const inActions = variables.GITHUB_ACTIONS === 'true'
  if (inActions && variables.GITHUB_SHA !== commit) {
    const { GITHUB_SHA } = variables
    throw new DeployError(`${commit} is checked out, but the run is for ${GITHUB_SHA}`, Exit.usage)
  }
  const names = inActions
    ? namesOfRef(variables.GITHUB_REF ?? '')
    : localNames(
        await git('symbolic-ref', '--quiet', '--short', 'HEAD'),
        await git('tag', '--points-at', 'HEAD'),
      )
  const url = inActions
    ? browsable(`${variables.GITHUB_SERVER_URL}/${variables.GITHUB_REPOSITORY}`)
    : browsable((await git('remote', 'get-url', 'origin')) ?? '')
  return { commit, dirty: status !== '', ...names, ...(url !== undefined && { url }) }
}

/** What a result or an image names as its source; the commit's own name only if there is nothing beside it. */
export function revision({ commit, dirty }: Pick<Source, 'commit' | 'dirty'>): string {
  return dirty ? `${commit}-dirty` : commit
}

/**
 * Writes the files of a commit into a folder that is empty; nothing in the repository changes.
 * @param folder one of the working tree
 * @returns where the files of `folder` are in it
 * @throws DeployError (2) when the repository does not have the commit
 */
export async function checkOut(commit: string, folder: string, into: string, shell: Shell): Promise<string> {
  const env = { GIT_INDEX_FILE: join(into, '.index') }
  const git = async (at: string, ...args: string[]): Promise<string> => {
    const { stdout, stderr, exitCode } = await shell.read(['git', '-C', at, ...args], { env })
    if (exitCode === 0) return stdout.trimEnd()
    const why = `git does not give the files of commit ${commit}: ${stderr.trim().split('\n')[0]}`
    throw new DeployError(`${why}. If it is not here yet: git fetch origin ${commit}`, Exit.usage)
  }
  if (!/^[0-9a-f]{40,64}$/.test(commit))
    throw new DeployError(`"${plain(commit, 80)}" is no commit whose files git has`, Exit.usage)
  const prefix = await git(folder, 'rev-parse', '--show-prefix')
  const top = await git(folder, 'rev-parse', '--show-toplevel')
  await git(top, 'read-tree', commit)
  await git(top, 'checkout-index', '--all', `--prefix=${join(into, '/')}`)
  rmSync(env.GIT_INDEX_FILE)
  return join(into, prefix)
}

/** `refs/heads/…`, `refs/tags/…` or `refs/pull/N/merge`; any other ref gives no name. */
export function namesOfRef(ref: string): Names {
  const [, kind, name = ''] = /^refs\/(heads|tags|pull)\/([^]+)$/.exec(ref) ?? []
  const number = /^(\d+)\/(merge|head)$/.exec(name)?.[1]
  if (kind === 'heads') return { branch: name }
  if (kind === 'tags') return { tag: name }
  return number === undefined ? {} : { pullRequest: Number(number) }
}

/** Of several tags on one commit, the highest version. */
export function localNames(branch: string | undefined, tags: string | undefined): Names {
  const [tag] = (tags ?? '').split('\n').filter(Boolean).toSorted(newestFirst)
  return { ...(branch && { branch }), ...(tag !== undefined && { tag }) }
}

function newestFirst(a: string, b: string): number {
  if (semver.valid(a) && semver.valid(b)) return semver.rcompare(a, b)
  return Number(Boolean(semver.valid(b))) - Number(Boolean(semver.valid(a)))
}

/** `git@host:owner/name.git` and `https://user:token@host/owner/name.git` → `https://host/owner/name` */
function browsable(remote: string): string | undefined {
  const address = remote.replace(/^(?:ssh:\/\/)?git@([\w.-]+)[:/]/, 'https://$1/')
  if (!URL.canParse(address)) return undefined
  const { protocol, host, pathname } = new URL(address)
  return /^https?:$/.test(protocol) ? `${protocol}//${host}${pathname.replace(/\.git$/, '')}` : undefined
}
