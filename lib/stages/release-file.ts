/**
 * `reports/release.json`: what an image is, and the results of the stages that it went through. Whoever deploys
 * the digest reads it; it holds no more of a result than its verdict and its checksum.
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { DeployError } from '../errors.ts'
import { parseJson } from '../json.ts'
import { artifactOf, REPORTS } from './stage.ts'

const sha256 = z.string().regex(/^[0-9a-f]{64}$/)
const stage = z.strictObject({
  passed: z.boolean(),
  commit: z.string(),
  startedAt: z.iso.datetime(),
  file: z.string(),
  sha256,
})

/** What every stage's result has in common. */
const result = z.object({
  stage: z.string(),
  passed: z.boolean(),
  commit: z.string(),
  startedAt: z.iso.datetime(),
})

const release = z.strictObject({
  /** Without tag and digest. */
  image: z.string().min(1),
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  tags: z.array(z.string()).min(1),
  version: z.string().min(1),
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

/** @throws DeployError (1) when there is none, or it is not one */
export function readRelease(file = RELEASE): Release {
  const parsed = release.safeParse(parseJson(read(file)))
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new DeployError(`${file} is no release file: ${issue?.path.join('.')}: ${issue?.message}`)
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new DeployError(`There is no release file ${file}: docker-build.ts writes it`, 1, { cause: error })
  }
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
      const { stage, passed, commit, startedAt } = parsed.data
      return [stage, { passed, commit, startedAt, file, sha256: artifactOf(file, content).sha256 }]
    }),
  )
}
