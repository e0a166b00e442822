/** Which image a command line names. */
import { text } from '../cli/cli.ts'
import { DeployError, Exit } from '../errors.ts'
import { readRelease } from './release-file.ts'

type Flags = Readonly<Record<string, string | boolean | undefined>>

/**
 * Which image, and what people call it. A release file names a digest; what else it says is not believed.
 * @throws DeployError (2)
 */
export function namedImage(flags: Flags, repository: string): { image: string; version: string } {
  const [version, reference, file] = ['version', 'image', 'release'].map((name) => text(flags, name))
  const named = reference ?? (version && `${repository}:${version}`)
  if (file === undefined) {
    if (named) return { image: named, version: version ?? versionOf(named) }
    throw new DeployError('--version or --image is required, or --release', Exit.usage)
  }
  if (named) throw new DeployError('--release names the image: leave out --version and --image', Exit.usage)
  const release = readRelease(file)
  return { image: `${release.image}@${release.digest}`, version: release.version }
}

/** What people call an image that was named without `--version`: its tag, or the start of its digest. */
export function versionOf(reference: string): string {
  const [name = '', digest] = reference.split('@')
  return /:([^:/]+)$/.exec(name)?.[1] ?? digest?.slice('sha256:'.length, 'sha256:'.length + 12) ?? 'latest'
}
