/** A release whose scan has grown old, or was a mild one: its proof is renewed, without a build. */
import { existsSync } from 'node:fs'
import type { Shell } from '../command.ts'
import { DeployError, Exit } from '../errors.ts'
import { findRelease, pushRelease } from './beside.ts'
import { loggedIn } from './docker-login.ts'
import { DIGEST, parseReference } from './reference.ts'
import { readRelease, stageResults, writeRelease } from './release-file.ts'

/**
 * Scans what a release was built of, and puts what was found into its proof, be it a pass or not; nothing where a
 * scanner that was asked did not answer.
 * @param named a release file, `IMAGE@sha256:…`, or the digest alone
 * @param image what the digest is of, where it is alone
 * @param scan leaves a result in the folder `reports`
 * @throws DeployError 2 when no image is named by digest, 1 when the registry keeps no release of it
 */
export async function renewScan<T extends { complete: boolean }>(
  { named, image, reports }: { named: string; image: () => string; reports: string },
  { shell, variables }: { shell: Shell; variables: Record<string, string | undefined> },
  scan: (commit: string) => Promise<T>,
): Promise<T> {
  const file = existsSync(named) ? readRelease(named) : undefined
  const byDigest = file ? `${file.image}@${file.digest}` : DIGEST.test(named) ? `${image()}@${named}` : named
  const { registry, digest } = parseReference(byDigest)
  if (digest === undefined)
    throw new DeployError(
      `--release ${named}: expected a release file, a digest, or IMAGE@DIGEST`,
      Exit.usage,
    )
  return await loggedIn({ registry, shell, variables }, async () => {
    const release = await findRelease(byDigest, shell)
    if (!release)
      throw new DeployError(`The registry keeps no release beside ${byDigest}: docker-build.ts pushes it`)
    const result = await scan(release.commit)
    if (!result.complete) return result
    const stages = { ...release.stages, ...stageResults(reports, 'security-scan') }
    await pushRelease({ ...release, stages }, shell)
    if (file) writeRelease({ ...release, stages }, named)
    return result
  })
}
