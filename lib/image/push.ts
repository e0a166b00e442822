/**
 * From a folder to an image in the registry: build, name, push, and ask the registry what it has now. Docker's
 * word is taken for nothing but the content of its own store.
 */
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import * as docker from './docker.ts'
import { seconds } from '../clock.ts'
import { commandLine, type Command, type RunOptions } from '../command.ts'
import { DeployError, Exit } from '../errors.ts'
import { parseJson } from '../json.ts'
import type { Outcome, StageWorld } from '../stages/stage.ts'
import type { ImagePlan } from './plan.ts'
import { findDigest } from './registry.ts'
import { besideOf, findRelease, RELEASE_LABEL, type Release } from './release-file.ts'
import { isFixed } from './tags.ts'

export interface ImageWorld extends StageWorld {
  warn(line: string): void
  /** Told the build's command and how it ended. */
  outcome: Pick<Outcome, 'command' | 'exitCode'>
}

/** Builds the image into docker's own store. @returns the name that it has there */
export async function buildOnly(plan: ImagePlan, world: ImageWorld): Promise<string> {
  const buildx = await hasBuildx(world)
  const name = nameOf(plan, plan.tags.at(-1))
  if (plan.platforms.length > 0) world.warn(`Built for this machine's platform only: ${whyOne(buildx)}`)
  await build(docker.buildImage(plan.build, name, buildx), plan, world)
  return name
}

/**
 * Builds the image and pushes it by all its tags.
 * @returns the digest that the registry gives for each of them
 * @throws DeployError 6 when a version is there already with other content; no name has been moved then but, for
 *   several platforms, the commit's own
 */
export async function buildAndPush(plan: ImagePlan, world: ImageWorld): Promise<string> {
  const several = plan.platforms.length > 0 && (await hasBuildx(world))
  return several ? await pushSeveral(plan, world) : await pushOne(plan, world)
}

/** Nothing but the commit's own name is given before it is known that the others may be. */
async function pushOne(plan: ImagePlan, world: ImageWorld): Promise<string> {
  const built = await buildOnly(plan, world)
  const { Id } = await inspect(built, world)
  for (const tag of plan.tags.filter(isFixed)) {
    const there = await findDigest(nameOf(plan, tag), world.shell)
    if (there === undefined) continue
    const image = `${plan.image}@${there}`
    await must(docker.pullImage(image), plan, world)
    if ((await inspect(image, world)).Id !== Id) throw taken(plan, tag, there)
  }
  for (const name of plan.tags.map((tag) => nameOf(plan, tag))) {
    if (name !== built) await must(docker.tagImage(built, name), plan, world)
    await must(docker.pushImage(name), plan, world)
  }
  const digest = await readBack(plan, world)
  const { RepoDigests } = await inspect(built, world)
  if (RepoDigests.some((pushed) => pushed.endsWith(`@${digest}`))) return digest
  throw new DeployError(
    `The registry has ${digest}, but docker pushed ${RepoDigests.join(', ') || 'nothing'}`,
  )
}

/** Only the registry can hold an image for several platforms: the commit's name first, then the others there. */
async function pushSeveral(plan: ImagePlan, world: ImageWorld): Promise<string> {
  const own = nameOf(plan, plan.tags.at(-1))
  await build(docker.buildAndPush(plan.build, own, plan.platforms), plan, world)
  const digest = await findDigest(own, world.shell)
  if (digest === undefined) throw new DeployError(`The registry has no ${own}, which was pushed just now`)
  for (const tag of plan.tags.filter(isFixed)) {
    const there = await findDigest(nameOf(plan, tag), world.shell)
    if (there !== undefined && there !== digest) throw taken(plan, tag, there)
  }
  const others = plan.tags.slice(0, -1).map((tag) => nameOf(plan, tag))
  if (others.length > 0) await must(docker.tagInRegistry(`${plan.image}@${digest}`, others), plan, world)
  return await readBack(plan, world)
}

/** Bytes: Linux gives an argument no more than 128 kB. */
const LONGEST_LABEL = 100_000

/**
 * Pushes the release of an image to where whoever deploys its digest finds it, over the one of an earlier run.
 * @throws DeployError (1) when the registry does not have it afterwards
 */
export async function pushRelease(release: Release, plan: ImagePlan, world: ImageWorld): Promise<void> {
  const { image, digest } = release
  const name = besideOf(image, digest)
  const text = JSON.stringify(release)
  if (Buffer.byteLength(text) > LONGEST_LABEL)
    throw new DeployError(`The release of ${image}@${digest} is too long for a label`)
  // Attestations would make an index of it.
  const env = { BUILDX_NO_DEFAULT_ATTESTATIONS: '1' }
  const command = docker.buildLabel(name, RELEASE_LABEL, text, await hasBuildx(world))
  await must(command, plan, world, { input: 'FROM scratch\n', env })
  await must(docker.pushImage(name), plan, world)
  const there = await findRelease(`${image}@${digest}`, world.shell)
  if (!isDeepStrictEqual(there, release))
    throw new DeployError(`${name} is not what was pushed, so another push was at work: run it again`)
}

/** What the registry gives for each name now: somebody else may have pushed in between. */
async function readBack(plan: ImagePlan, { shell }: ImageWorld): Promise<string> {
  const found = new Map<string, string[]>()
  for (const tag of plan.tags) {
    const digest = (await findDigest(nameOf(plan, tag), shell)) ?? 'nothing'
    found.set(digest, [...(found.get(digest) ?? []), tag])
  }
  const [digest = 'nothing', ...others] = found.keys()
  if (others.length === 0 && digest !== 'nothing') return digest
  const said = [...found].map(([digest, tags]) => `${tags.join(', ')} → ${digest}`).join('; ')
  throw new DeployError(`What was pushed is not what the registry has, so another push was at work: ${said}`)
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

const inspected = z.object({ Id: z.string().min(1), RepoDigests: z.array(z.string()).nullish() })

async function inspect(name: string, { shell }: ImageWorld): Promise<{ Id: string; RepoDigests: string[] }> {
  const { stdout, stderr } = await shell.read(docker.inspectImage(name))
  const { data } = inspected.safeParse(parseJson(stdout))
  if (!data) throw new DeployError(`docker does not tell what ${name} is: ${stderr.trim()}`)
  return { Id: data.Id, RepoDigests: data.RepoDigests ?? [] }
}

async function build(command: Command, plan: ImagePlan, world: ImageWorld): Promise<void> {
  world.outcome.command = [...command]
  await must(command, plan, world, { ended: (exitCode) => (world.outcome.exitCode = exitCode) })
}

async function must(
  command: Command,
  { timeout }: ImagePlan,
  { shell, signal, now }: ImageWorld,
  { ended, ...options }: Pick<RunOptions, 'input' | 'env'> & { ended?: (exitCode: number) => void } = {},
): Promise<void> {
  const started = now()
  const { exitCode } = await shell.write(command, { ...options, live: true, timeout, signal })
  ended?.(exitCode)
  signal.throwIfAborted()
  const [, verb = ''] = command
  if (now() - started >= timeout) {
    throw new DeployError(`docker ${verb} did not end within ${seconds(timeout)}`, Exit.timedOut)
  }
  if (exitCode !== 0) throw new DeployError(`${commandLine(command)} exited with ${exitCode}`)
}
