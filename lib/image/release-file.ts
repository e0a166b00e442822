/**
 * `reports/release.json`: what an image is, and the results of the stages that it went through; no more of a
 * result than its verdict, its checksum and, of a scan, what it would have failed on. It travels with the digest,
 * beside the image in the registry (beside.ts): inside, it would give the image another digest with every run.
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { DeployError, Exit } from '../errors.ts'
import { parseJson } from '../json.ts'
import { severities } from '../settings/gates.ts'
import { artifactOf, REPORTS } from '../stages/stage.ts'

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
  /** Of a scan: the least severity that fails it, and how many it found of each. */
  failOn: z.enum(severities).optional(),
  counts: z.record(tag, z.int().nonnegative()).optional(),
})

/** What every stage's result has in common. */
const result = z.object({
  stage: z.string(),
  passed: z.boolean(),
  commit: z.string(),
  startedAt: z.iso.datetime(),
  skipped: z.array(z.object({ scanner: tag })).default([]),
  failOn: z.enum(severities).optional(),
  counts: z.record(z.string(), z.number()).optional(),
})

export const release = z.strictObject({
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

/** The results that the stages of this folder left, or one of them. @throws DeployError (1) at one that cannot be read */
export function stageResults(folder = REPORTS, stage = '*'): Release['stages'] {
  const files = globSync(`${stage}/result.json`, { cwd: folder }).toSorted()
  return Object.fromEntries(
    files.map((name) => {
      const file = join(folder, name)
      const content = readFileSync(file)
      const parsed = result.safeParse(parseJson(content.toString()))
      if (!parsed.success) throw new DeployError(`${file} is no stage's result`)
      const { stage, passed, commit, startedAt, skipped, failOn, counts } = parsed.data
      const { sha256 } = artifactOf(file, content)
      const without = skipped.map(({ scanner }) => scanner)
      const scan = failOn && { failOn, ...(counts && { counts }), ...(without.length > 0 && { without }) }
      return [stage, { passed, commit, startedAt, file, sha256, ...scan }]
    }),
  )
}
