/** What the scripts answer with `--json`, as far as a rehearsal looks at it. */
import { z } from 'zod'

const release = z.looseObject({ release: z.string(), version: z.string(), image: z.string() })
const side = release.extend({ color: z.string() })

const proof = z.looseObject({
  converged: z.number(),
  firstNew: z.number().optional(),
  lastOld: z.number().optional(),
  lastOldOnNew: z.number().optional(),
  lastOldOnKept: z.number().optional(),
  emptied: z.number().optional(),
  requests: z.number(),
  failures: z.number(),
})
export type Proof = z.infer<typeof proof>

const record = z.looseObject({
  id: z.string(),
  kind: z.string(),
  outcome: z.string(),
  from: side.optional(),
  to: side,
  reason: z.string().optional(),
  message: z.string().optional(),
  drift: z.string().optional(),
  allowedFailedDigest: z.string().optional(),
  steps: z.array(z.looseObject({ name: z.string(), at: z.string() })),
  checks: z.array(
    z.looseObject({
      gate: z.string(),
      name: z.string(),
      verdict: z.string(),
      evidence: z.array(z.string()).optional(),
    }),
  ),
  switches: z.array(proof),
  bake: z
    .looseObject({
      verdict: z.string().optional(),
      reason: z.string().optional(),
      /** `live` and `old`, each [bad, total]. */
      readings: z.array(
        z.looseObject({
          ms: z.number(),
          counts: z.record(z.string(), z.record(z.string(), z.tuple([z.number(), z.number()]))),
        }),
      ),
    })
    .optional(),
})
export type Record = z.infer<typeof record>

const selecting = z.object({ spec: z.object({ selector: z.record(z.string(), z.string()) }) })

/** Of a Service, as the API server gives it. */
export const parseSelector = (object: unknown): { [label: string]: string } =>
  selecting.parse(object).spec.selector

const status = z.looseObject({
  live: z.string().optional(),
  problem: z.string().optional(),
  workloads: z.array(
    z.looseObject({
      color: z.string(),
      release: release.optional(),
      ready: z.number(),
      wanted: z.number(),
    }),
  ),
  lock: z.string().optional(),
  drift: z.string().optional(),
  rollback: z.string(),
  unfinished: z.array(z.string()),
})
export type Status = z.infer<typeof status>

export const parseRecord = (text: string): Record => record.parse(JSON.parse(text))
export const parseHistory = (text: string): Record[] => z.array(record).parse(JSON.parse(text))
export const parseStatus = (text: string): Status => status.parse(JSON.parse(text))
