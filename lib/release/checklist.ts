/**
 * The checklist of an environment, inside a deployment and alone. It is never asked about a way back: what brings users
 * back to what served them has no time for it (S9).
 */
import { z } from 'zod'
import { isUnused, liveColor } from '../app/live.ts'
import { declaredReplicas } from '../app/manifests.ts'
import type { Observed } from '../app/observe.ts'
import type { World } from '../cluster/world.ts'
import type { Shell } from '../command.ts'
import { DeployError } from '../errors.ts'
import type { DeploymentRecord } from '../history/record.ts'
import { history } from '../history/store.ts'
import type { Box } from '../preflight/box.ts'
import { fill } from '../preflight/boxes.ts'
import { commitOf, readChange, type Change } from '../preflight/change.ts'
import type { Facts, Planned } from '../preflight/facts.ts'
import { planLines, readAcks, refuseMissing, tick } from '../preflight/tick.ts'
import type { Environment, Requires } from '../settings/file.ts'
import { boxIds, preflight, type BoxId, type PreflightSettings } from '../settings/preflight.ts'
import type { Answers } from './calendar.ts'
import type { Plan } from './plan.ts'
import { evidenceFor, judge, type Evidence } from './promotion.ts'
import type { RollingPlan } from './rolling.ts'

export interface Asked {
  planned: Promise<Plan | RollingPlan>
  access: Promise<void>
}

/** Which boxes a deployment asks for. Windows that are set hold, whatever else is asked for. */
export function boxesOf({ preflight: wanted, windows }: Pick<Environment, 'preflight' | 'windows'>): BoxId[] {
  if (!wanted) return windows ? ['windows'] : []
  return boxIds.filter((id) => !wanted.off.includes(id))
}

/** What a deployment does with the checklist: told what somebody answers for, it refuses or returns that. */
type Checklist = (acks: Answers, override: string | undefined) => DeploymentRecord['acknowledged']

/** What `--override` answers for as well. */
const PROVEN: readonly BoxId[] = ['tests', 'scan', 'staging']

/** Fills the boxes. What it returns throws DeployError (6) naming all that are not ticked. */
export async function check(world: World, image: string, asked: Asked): Promise<Checklist> {
  const { environment, log, by } = world
  const boxes = await fillBoxes(world, image, asked, boxesOf(environment))
  const warn = environment.preflight ? environment.preflight.warn : []
  return (given, override) => {
    const overriding = override === undefined ? [] : [[PROVEN.join(','), override] as const]
    const ticked = tick(boxes, readAcks([...overriding, ...given]), by, warn)
    for (const line of planLines(ticked)) log.info(line)
    for (const { id, why, next } of ticked.warned) log.warn(`${id}: ${why}. ${next}`)
    refuseMissing(ticked, environment.name)
    return ticked.acknowledged
  }
}

export async function fillBoxes(
  world: World,
  image: string,
  { planned: planning, access }: Asked,
  ids: readonly BoxId[],
): Promise<Box[]> {
  const { environment, shell } = world
  const settings: PreflightSettings = environment.preflight || preflight.parse({})
  const planned = planning.then((plan) => plannedOf(plan))
  const commit = commitOf(image, shell)
  const evidence = evidenceFor(world, requiresOf(environment), image)
  const facts: Facts = {
    world,
    settings,
    planned,
    access,
    ...proofs(world, image, evidence),
    commit,
    change: planned.then(({ observed }) => changeOf(environment, observed, commit, shell)),
    records: recordsOf(world, evidence),
    channels: channelsOf(environment),
    variables: process.env,
  }
  // Whoever asks for one is told; a box that is not asked for fails nothing.
  for (const fact of Object.values(facts)) if (fact instanceof Promise) fact.catch(() => {})
  return await fill(facts, ids)
}

const SCAN = 'security-scan' as const

/** What is asked about an image; where the environment requires nothing, what a checklist asks for all the same. */
function requiresOf({ requires }: Environment): Requires {
  const wanted = requires ?? { stages: [], failOn: 'high' as const }
  return { ...wanted, stages: [...new Set([...wanted.stages, 'test', SCAN] as const)] }
}

function proofs({ environment, clock }: World, image: string, evidence: Promise<Evidence>) {
  const { passed, stages, ...requires } = requiresOf(environment)
  const { maxScanAge: _, ...without } = requires
  const [, digest = 'none'] = image.split('@')
  const of = async (wanted: Requires) => judge(wanted, digest, await evidence, clock.now())
  return {
    tests: of({ ...without, stages: stages.filter((stage) => stage !== SCAN) }),
    scan: of({ ...requires, stages: [SCAN] }),
    staging: passed && of({ ...without, stages: [], passed }),
  }
}

function plannedOf(plan: Plan | RollingPlan): Planned {
  const { observed, rendered } = plan
  const { painted, shared } = rendered
  const place = 'to' in plan ? plan.to : 'plain'
  const replicas = 'to' in plan ? plan.replicas : declaredReplicas(painted)
  return { observed, painted, shared, replicas, idle: observed.colors[place] }
}

async function changeOf(
  environment: Environment,
  observed: Observed,
  commit: Promise<string>,
  shell: Shell,
): Promise<Change | undefined> {
  const rolling = environment.strategy === 'rolling'
  if (rolling ? !observed.colors.plain.deployment : isUnused(observed)) return undefined
  const { release } = observed.colors[rolling ? 'plain' : liveColor(environment, observed)]
  if (!release) throw new DeployError('what is live was not made by these scripts: its commit is not known')
  const [from, to] = await Promise.all([commitOf(release.image, shell), commit])
  return await readChange(from, to, shell)
}

/** Of this environment, and of the one that is passed before it. */
async function recordsOf(world: World, evidence: Promise<Evidence>): Promise<DeploymentRecord[]> {
  const [own, { records }] = await Promise.all([history(world), evidence])
  return [...own, ...(typeof records === 'string' ? [] : records)]
}

/** The names of `notify`, where deploy.yaml has it. */
function channelsOf(environment: Environment): string[] {
  const found = z.object({ notify: z.record(z.string(), z.unknown()) }).safeParse(environment)
  return Object.keys(found.data?.notify ?? {})
}
