/**
 * `reports/release.json`: what an image is, and the results of the stages that it went through; no more of a
 * result than its verdict and its checksum. It travels with the digest, as the label of an image without content
 * beside it in the registry: a label of the image itself would give it another digest with every run.
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import type { Shell } from '../command.ts'
import { DeployError, Exit } from '../errors.ts'
import { parseJson } from '../json.ts'
import { artifactOf, REPORTS } from '../stages/stage.ts'
import { findLabel } from './registry.ts'

const tag = z.string().regex(/^\w[\w.-]{0,127}$/)

const sha256 = z.string().regex(/^[0-9a-f]{64}$/)

const stage = z.strictObject({
  passed: z.boolean(),
  commit: z.string(),
  startedAt: z.iso.datetime(),
  file: z.string(),
  sha256,
  /** Scanners that somebody left out. */
  without: z.array(tag).optional(),
})

/** What every stage's result has in common. */
const result = z.object({
  stage: z.string(),
  passed: z.boolean(),
  commit: z.string(),
  startedAt: z.iso.datetime(),
  skipped: z.array(z.object({ scanner: tag })).default([]),
})

const release = z.strictObject({
  /** Without tag and digest. */
  image: z.string().min(1),
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  tags: z.array(tag).min(1),
  version: tag,
  commit: z.string().min(1),
  builtAt: z.iso.datetime(),
  /** CycloneDX */
  sbom: z.strictObject({ file: z.string(), sha256, bytes: z.number() }),
  stages: z.record(z.string(), stage),
})

export type Release = z.infer<typeof release>

export const RELEASE = join(REPORTS, 'release.json')

export function writeRelease(value: Release, file = RELEASE): void {
  writeFileSync(file, `${JSON.stringify(release.parse(value), undefined, 2)}\n`)
}

/** @throws DeployError (2) when there is none, or it is not one */
export function readRelease(file = RELEASE): Release {
  const parsed = release.safeParse(parseJson(read(file)))
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new DeployError(`${file} is no release file: ${issue?.path.join('.')}: ${issue?.message}`, Exit.usage)
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const why = `There is no release file ${file}: docker-build.ts writes it`
    throw new DeployError(why, Exit.usage, { cause: error })
  }
}

/** Of the image beside another one. */
export const RELEASE_LABEL = 'deploy-scripts.release'

/** Where the release of a digest is kept: a tag made of it, as cosign has it for signatures. */
export function besideOf(image: string, digest: string): string {
  return `${image}:${digest.replace(':', '-')}.release`
}

/**
 * What the registry keeps as the release of an image, which is given by digest. Whoever may push there may have
 * written it.
 * @returns undefined when it keeps none
 * @throws DeployError (1) when it does not answer, or what it keeps is no release of this digest
 */
export async function findRelease(byDigest: string, shell: Shell): Promise<Release | undefined> {
  const [image = '', digest = ''] = byDigest.split('@')
  const text = await findLabel(besideOf(image, digest), RELEASE_LABEL, shell)
  if (text === undefined) return undefined
  const { data } = release.safeParse(parseJson(text))
  if (data?.digest === digest) return data
  throw new DeployError(
    `what the registry keeps beside it is ${data ? "another digest's" : 'no release file'}`,
  )
}

/** The results that the stages of this folder left. @throws DeployError (1) at one that cannot be read */
export function stageResults(folder = REPORTS): Release['stages'] {
  const files = globSync('*/result.json', { cwd: folder }).toSorted()
  return Object.fromEntries(
    files.map((name) => {
      const file = join(folder, name)
      const content = readFileSync(file)
      const parsed = result.safeParse(parseJson(content.toString()))
      if (!parsed.success) throw new DeployError(`${file} is no stage's result`)
      const { stage, passed, commit, startedAt, skipped } = parsed.data
      const without = skipped.map(({ scanner }) => scanner)
      const { sha256 } = artifactOf(file, content)
      return [stage, { passed, commit, startedAt, file, sha256, ...(without.length > 0 && { without }) }]
    }),
  )
}
