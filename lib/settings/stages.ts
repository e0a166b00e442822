/**
 * How the application is linted, tested and built, and how an image is made of it: the `stages:` of deploy.yaml.
 * They are the same for all environments, since what is deployed is built once.
 */
import { z } from 'zod'
import { duration } from './scalars.ts'

/** Program and arguments, as they are; no shell reads them. `REPORTS` in its environment is where reports go. */
const command = z.tuple([z.string().min(1)], z.string())

/** A path that stays inside the folder it is relative to. */
const inside = z
  .string()
  .min(1)
  .refine((path) => !path.startsWith('/') && !path.split('/').includes('..'), {
    error: 'expected a path inside the folder: relative, without ..',
  })

const lint = z.strictObject({
  command,
  timeout: duration.prefault('10m'),
  /** ESLint's JSON, in `$REPORTS`. `false`: the linter leaves none, and its exit code is all there is. */
  report: z.union([z.literal(false), inside]).default('eslint.json'),
})

const coverage = z.strictObject({
  /** lcov files in `$REPORTS`; a line is covered when it is in one of them. */
  files: z.array(inside).min(1),
  /** Only files under this path, as the reports name them; those in it that no test loads are not covered. */
  of: z.string().default(''),
  /** The least share of lines, in percent. */
  floor: z.number().min(0).max(100),
})
export type CoverageSettings = z.infer<typeof coverage>

const test = z.strictObject({
  command,
  timeout: duration.prefault('30m'),
  /** JUnit XML in `$REPORTS`, by the name of the suite that writes it: unit, integration, end-to-end. */
  reports: z
    .record(z.string().regex(/^[\w-]+$/), inside)
    .refine((all) => Object.keys(all).length > 0, 'expected at least one report'),
  coverage: z.union([z.literal(false), coverage]),
})
export type TestSettings = z.infer<typeof test>

const build = z.strictObject({
  command,
  timeout: duration.prefault('15m'),
  /** Globs of the files that the build leaves, from the stages' folder. */
  artifacts: z.array(inside).min(1),
})

const docker = z.strictObject({
  /** From the stages' folder; the Dockerfile's path is from the context. */
  context: inside.default('.'),
  dockerfile: inside.default('Dockerfile'),
  /** `{version}` and `{commit}` stand for the release's. Not for secrets: they are in the image's history. */
  buildArgs: z.record(z.string().regex(/^[A-Za-z_]\w*$/), z.string()).default({}),
  /** Such as linux/amd64; needs buildx. Without any, this machine's. */
  platforms: z.array(z.string().regex(/^[a-z0-9]+(\/[a-z0-9]+){1,2}$/)).default([]),
  /**
   * What buildx takes after `--cache-from` and `--cache-to`, such as type=registry,ref=ghcr.io/team/chat:cache; without
   * a push nothing is written there. Docker's own builder has no cache elsewhere: docker buildx create --use makes one
   * that has. type=gha needs variables that only actions are given, not the steps of a job.
   */
  cache: z
    .strictObject({
      from: z.array(z.string().min(1)).default([]),
      to: z.array(z.string().min(1)).default([]),
    })
    .prefault({}),
  /** bun.lock or package-lock.json, from the stages' folder: what the bill of materials is made of. */
  lockfiles: z.array(inside.regex(/(^|\/)(bun\.lock|package-lock\.json)$/)).min(1),
  timeout: duration.prefault('30m'),
})
export type DockerSettings = z.infer<typeof docker>

export const stages = z.strictObject({
  /** Where the commands run, from where deploy.yaml is. */
  folder: z.string().min(1).default('.'),
  lint: lint.optional(),
  test: test.optional(),
  build: build.optional(),
  docker: docker.optional(),
})
export type StagesSettings = z.infer<typeof stages>
