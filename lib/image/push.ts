/**
 * From a folder to an image in the registry: build, name, push, and ask the registry what it has now. Docker's
 * word is taken for nothing but the content of its own store.
 */
import { z } from 'zod'
import * as docker from './docker.ts'
import { seconds } from '../clock.ts'
import { commandLine, type Command } from '../command.ts'
import { DeployError, Exit } from '../errors.ts'
import { parseJson } from '../json.ts'
import type { Outcome, StageWorld } from '../stages/stage.ts'
import type { ImagePlan } from './plan.ts'
import { findDigest, findLabels, pushManifest, readManifest } from './registry.ts'
import { isFixed } from './tags.ts'

export interface ImageWorld extends StageWorld {
  warn(line: string): void
  /** Told the build's command and how it ended. */
  outcome: Pick<Outcome, 'command' | 'exitCode'>
}

/** Builds the image into docker's own store, and leaves every registry as it is. @returns the name that it has there */
export async function buildOnly(plan: ImagePlan, world: ImageWorld): Promise<string> {
  const cache = { from: plan.build.cache.from, to: [] }
  return await buildHere({ ...plan, build: { ...plan.build, cache } }, world, plan.tags.at(-1))
}

async function buildHere(plan: ImagePlan, world: ImageWorld, tag: string | undefined): Promise<string> {
  const buildx = await hasBuildx(world)
  const name = nameOf(plan, tag)
  if (plan.platforms.length > 0) world.warn(`Built for this machine's platform only: ${whyOne(buildx)}`)
  await build(docker.buildImage(plan.build, name, buildx), plan, world)
  return name
}

/** What is in the registry now. */
export interface Pushed {
  digest: string
  /** What the image is called; the last one is its commit's own. */
  tags: string[]
}

/**
 * Builds the image and pushes it: by its commit's name, then `bind` is told what it is, and leaves the proof beside
 * it; the names that people use come last. What broke off after the first of these is taken up again: an image
 * of this commit and version that is there is not built anew, which would give it another digest.
 * @returns it with the names that it has; where the registry does not move one, it is told and left out
 * @throws DeployError 6 when a version is there already with other content; nothing is built or pushed then
 */
export async function buildAndPush<T>(
  plan: ImagePlan,
  world: ImageWorld,
  bind: (pushed: Pushed) => Promise<T>,
): Promise<Pushed & { bound: T }> {
  const { tags, there } = await lookUp(plan, world)
  await refuseTaken(plan, there, world)
  if (there !== undefined) world.warn(`Nothing is built: ${there} is there, of this commit and version`)
  const digest = there ?? (await pushFirst(plan, tags.at(-1), world))
  const bound = await bind({ digest, tags })
  return { digest, tags: await giveNames({ ...plan, tags }, digest, world), bound }
}

/** The image of this commit and version that the registry has, and what it is called or will be. */
async function lookUp(plan: ImagePlan, { shell }: ImageWorld): Promise<{ tags: string[]; there?: string }> {
  const others = plan.tags.slice(0, -1)
  const [own = 'latest'] = plan.tags.slice(-1)
  // Of changed files nobody knows what they were.
  if (plan.commit.endsWith('-dirty')) return { tags: plan.tags }
  // The commit's name may be that of its branch's image, which holds another version.
  for (const last of [own, `${own}-${plan.version}`.slice(0, 128)]) {
    const tags = [...others, last]
    for (const tag of tags.filter((one) => one === last || isFixed(one))) {
      const found = await findLabels(nameOf(plan, tag), shell, { push: true })
      if (found && isOf(plan, found.labels)) return { tags, there: found.digest }
      if (!found && tag === last) return { tags }
    }
  }
  return { tags: plan.tags }
}

function isOf({ build }: ImagePlan, labels: Readonly<Record<string, string>>): boolean {
  return ['version', 'revision'].every((name) => {
    const key = `org.opencontainers.image.${name}`
    return build.labels[key] !== undefined && labels[key] === build.labels[key]
  })
}

async function refuseTaken(
  plan: ImagePlan,
  digest: string | undefined,
  { shell }: ImageWorld,
): Promise<void> {
  for (const tag of plan.tags.filter(isFixed)) {
    const other = await findDigest(nameOf(plan, tag), shell, { push: true })
    if (other !== undefined && other !== digest) throw taken(plan, tag, other)
  }
}

/** Builds it and pushes it by one name. Only the registry can hold an image for several platforms. */
async function pushFirst(plan: ImagePlan, tag: string | undefined, world: ImageWorld): Promise<string> {
  const name = nameOf(plan, tag)
  const several = plan.platforms.length > 0 && (await hasBuildx(world))
  if (several) await build(docker.buildAndPush(plan.build, name, plan.platforms), plan, world)
  else {
    await buildHere(plan, world, tag)
    await must(docker.pushImage(name), plan, world)
  }
  const digest = await findDigest(name, world.shell)
  if (digest === undefined) throw new DeployError(`The registry has no ${name}, which was pushed just now`)
  if (several) return digest
  const pushed = await repoDigests(name, world)
  if (pushed.some((one) => one.endsWith(`@${digest}`))) return digest
  throw new DeployError(`The registry has ${digest}, but docker pushed ${pushed.join(', ') || 'nothing'}`)
}

/** In the registry, by the manifest that is there. @returns the names that it has then */
async function giveNames(plan: ImagePlan, digest: string, world: ImageWorld): Promise<string[]> {
  const { shell } = world
  const manifest = await readManifest(`${plan.image}@${digest}`, shell)
  if (!manifest) throw new DeployError(`The registry has no ${plan.image}@${digest} any more`)
  await refuseTaken(plan, digest, world)
  const given: string[] = []
  for (const tag of [...plan.tags.slice(-1), ...plan.tags.slice(0, -1)]) {
    const there = await findDigest(nameOf(plan, tag), shell)
    const named = there === digest ? there : await pushManifest(nameOf(plan, tag), manifest, shell)
    if (named === digest) given.push(tag)
    else if (isFixed(tag)) throw taken(plan, tag, named)
    else world.warn(`The registry does not move ${tag}: it stays ${named}`)
  }
  // Somebody else may have pushed in between.
  for (const tag of given) {
    const there = (await findDigest(nameOf(plan, tag), shell)) ?? 'nothing'
    if (there === digest) continue
    throw new DeployError(
      `What was pushed is not what the registry has, so another push was at work: ${tag} → ${there}, not ${digest}`,
    )
  }
  return plan.tags.filter((tag) => given.includes(tag))
}

function taken(plan: ImagePlan, tag: string, digest: string): DeployError {
  return new DeployError(
    `${nameOf(plan, tag)} is another image already (${digest}), and a version never changes: ` +
      `deploy that one, or tag the commit with a new version`,
    Exit.refused,
  )
}

const nameOf = ({ image }: ImagePlan, tag = 'latest'): string => `${image}:${tag}`

const whyOne = (buildx: boolean): string =>
  buildx
    ? 'what is not pushed has to fit into the local store'
    : 'several need docker buildx, which is not here'

async function hasBuildx({ shell }: ImageWorld): Promise<boolean> {
  const { exitCode } = await shell.read(docker.buildxVersion)
  if (exitCode === 127) {
    throw new DeployError(
      'docker is not on PATH. Install it: https://docs.docker.com/engine/install',
      Exit.usage,
    )
  }
  return exitCode === 0
}

const inspected = z.object({ RepoDigests: z.array(z.string()).nullish() })

async function repoDigests(name: string, { shell }: ImageWorld): Promise<string[]> {
  const { stdout, stderr } = await shell.read(docker.inspectImage(name))
  const { data } = inspected.safeParse(parseJson(stdout))
  if (!data) throw new DeployError(`docker does not tell what ${name} is: ${stderr.trim()}`)
  return data.RepoDigests ?? []
}

async function build(command: Command, plan: ImagePlan, world: ImageWorld): Promise<void> {
  world.outcome.command = [...command]
  await must(command, plan, world, (exitCode) => (world.outcome.exitCode = exitCode))
}

async function must(
  command: Command,
  { timeout }: ImagePlan,
  { shell, signal, now }: ImageWorld,
  ended?: (exitCode: number) => void,
): Promise<void> {
  const started = now()
  const { exitCode } = await shell.write(command, { live: true, timeout, signal })
  ended?.(exitCode)
  signal.throwIfAborted()
  const [, verb = ''] = command
  if (now() - started >= timeout) {
    throw new DeployError(`docker ${verb} did not end within ${seconds(timeout)}`, Exit.timedOut)
  }
  if (exitCode !== 0) throw new DeployError(`${commandLine(command)} exited with ${exitCode}`)
}
