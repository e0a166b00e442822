/** What is written down of one attempt to change what is live. */
import { ulid } from 'ulid'
import { z } from 'zod'
import { autoscalerBounds } from '../app/autoscaler.ts'
import { switchForm } from '../app/color.ts'
import type { World } from '../cluster/world.ts'
import { bakeForm } from '../monitor/bake.ts'

export const outcomes = [
  'open',
  'succeeded',
  'failed',
  'rolled-back',
  'interrupted',
  'needs-person',
  /** A rolled-back record whose digest somebody released with a reason, and which then succeeded. */
  'released',
  /** It was live, and a person went back from it: refused like one that was rolled back automatically. */
  'taken-back',
  /** `deploy --until verified`: the idle color has passed its gates and waits for `--resume`. */
  'verified',
  /** Its watch was ended for the sake of another release: it is neither proven nor to blame. */
  'superseded',
] as const

export type Outcome = (typeof outcomes)[number]

const step = z.object({ name: z.string(), at: z.string(), ms: z.number().optional() })

const proof = z.object({
  /** While both colors served on purpose: which part of all pods were the new color's, once they had converged. */
  share: z.number().optional(),
  /** ms from asking for the patch */
  converged: z.number(),
  firstNew: z.number().optional(),
  lastOld: z.number().optional(),
  lastOldOnNew: z.number().optional(),
  lastOldOnKept: z.number().optional(),
  skipped: z.number().optional(),
  /** ms from the patch until the last pod of the color that was left had ended, and with it every connection */
  emptied: z.number().optional(),
  requests: z.number(),
  failures: z.number(),
  failuresBefore: z.number(),
  onNewConnections: z.number(),
  onKeptConnections: z.number(),
  /** Requests over time: how many each color answered, and how many failed, from so many ms after the patch (`from`) in steps of `every` ms. */
  series: z
    .object({
      from: z.number(),
      every: z.number(),
      blue: z.array(z.number()),
      green: z.array(z.number()),
      unnamed: z.array(z.number()),
      failed: z.array(z.number()),
    })
    .optional(),
})

export type Proof = z.infer<typeof proof>

const check = z.object({
  gate: z.string(),
  name: z.string(),
  verdict: z.enum(['passed', 'failed', 'inconclusive', 'skipped']),
  ms: z.number(),
  expected: z.string(),
  seen: z.string(),
  evidence: z.array(z.string()).optional(),
})

/** What is kept of a smoke check: all of it, unless it sends what may be a secret (S7); then, what it is told by. */
const keptCheck = z.object({ name: z.string(), fingerprint: z.string(), definition: z.string().optional() })

export const recordForm = z.object({
  id: z.string(),
  kind: z.enum(['deploy', 'rollback', 'switch']),
  app: z.string(),
  environment: z.string(),
  strategy: z.enum(['blue-green', 'rolling']),
  by: z.string(),
  reason: z.string().optional(),
  /** What made it necessary, such as `incident:4711`: it is rework then, as DORA counts it. */
  because: z.string().optional(),
  startedAt: z.string(),
  finishedAt: z.string().optional(),
  from: switchForm.shape.from,
  to: switchForm.shape.to,
  /** What is changed for the time of the deployment, as it was before. */
  temporary: z.object({
    autoscaler: autoscalerBounds.optional(),
    /** How many pods a color gets back that nobody is served by, as long as it holds that release. */
    replicas: z.array(z.object({ color: z.string(), release: z.string(), replicas: z.number() })).optional(),
  }),
  allowedFailedDigest: z.string().optional(),
  /** What the environment requires and the image lacked, and why it was deployed all the same. */
  override: z.object({ reason: z.string(), missing: z.array(z.string()) }).optional(),
  /** Boxes of the checklist that a person answered for, and what stood in them. */
  acknowledged: z
    .array(z.object({ id: z.string(), reason: z.string(), by: z.string(), was: z.string().optional() }))
    .optional(),
  /** There and back to show that it works: nothing was wrong with what was left. */
  drill: z.boolean().optional(),
  /** The checks by which a later rollback judges this release: those that it went live with. */
  smoke: z.array(keptCheck).optional(),
  /** Who went back from it when it was live, why, and by which record. */
  takenBack: z
    .object({ by: z.string(), at: z.string(), record: z.string(), reason: z.string().optional() })
    .optional(),
  steps: z.array(step),
  checks: z.array(check),
  switches: z.array(proof),
  drift: z.string().optional(),
  /** How it was watched once users were on it. */
  bake: bakeForm.optional(),
  /** Who ended its watch for the sake of another release, why, and by which record; and, in that one, whose it ended. */
  superseded: z
    .object({ by: z.string(), at: z.string(), record: z.string(), reason: z.string().optional() })
    .optional(),
  supersedes: z.string().optional(),
  outcome: z.enum(outcomes),
  message: z.string().optional(),
  /** Never stored: why it could not be read; the rest is then what could be told of it (`store.ts`). */
  unreadable: z.string().optional(),
})

export type DeploymentRecord = z.infer<typeof recordForm>

/** A record as it begins. */
export function newEntry(
  { environment, by, clock }: World,
  about: Pick<DeploymentRecord, 'id' | 'kind' | 'to'> & Partial<DeploymentRecord>,
): DeploymentRecord {
  return {
    app: environment.app,
    environment: environment.name,
    strategy: environment.strategy,
    by,
    startedAt: new Date(clock.now()).toISOString(),
    from: undefined,
    temporary: {},
    steps: [],
    checks: [],
    switches: [],
    outcome: 'open',
    ...about,
  }
}

/** How long the last step has taken, once it has ended. */
export function endStep({ steps }: DeploymentRecord, now: number): void {
  const last = steps.at(-1)
  if (last && last.ms === undefined) last.ms = now - Date.parse(last.at)
}

/** A ULID in lower case, as names of objects must be: sorts by time, unique without coordination. */
export const newId = (now: number): string => ulid(now).toLowerCase()

/** Of the ConfigMap that holds it. */
export const recordName = (app: string, id: string): string => `${app}-deploy-${id}`
