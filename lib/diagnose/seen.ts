/** What a diagnosis is made from: one reading of the cluster, of the logs and of the address that users have. */
import { z } from 'zod'
import type { Place } from '../app/color.ts'
import {
  autoscaler,
  container,
  deployment,
  endpointSlice,
  lease,
  metadata,
  pod,
  replicaSet,
  service,
} from '../cluster/objects.ts'
import type { Environment } from '../settings/file.ts'

const strings = z.record(z.string(), z.string()).default({})
const portName = z.union([z.string(), z.number()])

const namedContainer = container.extend({ name: z.string() })

const seenService = service.extend({
  spec: service.shape.spec.extend({
    type: z.string().default('ClusterIP'),
    ports: z
      .array(z.object({ name: z.string().default(''), port: z.number(), targetPort: portName.optional() }))
      .default([]),
  }),
  status: z
    .object({
      loadBalancer: z
        .object({ ingress: z.array(z.object({ ip: z.string().optional() })).default([]) })
        .prefault({}),
    })
    .prefault({}),
})

const seenPod = pod.extend({
  spec: z
    .object({ nodeName: z.string().default(''), containers: z.array(namedContainer).default([]) })
    .prefault({}),
})

/** The application's own objects, with more of them than a deployment reads. */
export const seen = z.discriminatedUnion('kind', [
  seenService,
  deployment,
  replicaSet,
  seenPod,
  autoscaler,
  lease,
])
export type Seen = z.infer<typeof seen>
export type SeenPod = z.infer<typeof seenPod>
export type SeenService = z.infer<typeof seenService>

export const slice = endpointSlice.extend({
  ports: z
    .array(z.object({ name: z.string().nullish(), port: z.number().nullish() }))
    .nullish()
    .transform((ports) => ports ?? []),
})

const selector = z
  .object({
    matchLabels: strings,
    matchExpressions: z
      .array(z.object({ key: z.string(), operator: z.string(), values: z.array(z.string()).default([]) }))
      .default([]),
  })
  .prefault({})

const rule = z.object({
  from: z.array(z.unknown()).default([]),
  to: z.array(z.unknown()).default([]),
  ports: z
    .array(
      z.object({
        port: portName.optional(),
        endPort: z.number().optional(),
        protocol: z.string().optional(),
      }),
    )
    .default([]),
})

export const policy = z.object({
  kind: z.literal('NetworkPolicy'),
  metadata,
  spec: z.object({
    podSelector: selector,
    policyTypes: z.array(z.string()).default([]),
    ingress: z.array(rule).default([]),
    egress: z.array(rule).optional(),
  }),
})
export type Policy = z.infer<typeof policy>
export type PolicyRule = z.infer<typeof rule>

export const event = z.object({
  kind: z.literal('Event'),
  involvedObject: z.object({ kind: z.string().default(''), name: z.string().default('') }),
  type: z.string().default(''),
  reason: z.string().default(''),
  message: z.string().default(''),
  lastTimestamp: z.string().nullish(),
  eventTime: z.string().nullish(),
})
export type Happened = z.infer<typeof event>

/** As much of the newest record as says what was tried last; the history's own form has more. */
export const lastRecord = z.object({
  id: z.string(),
  kind: z.string(),
  outcome: z.string(),
  startedAt: z.string(),
  message: z.string().optional(),
  to: z.object({ color: z.string(), version: z.string() }),
  checks: z.array(
    z.object({
      gate: z.string(),
      name: z.string(),
      verdict: z.string(),
      expected: z.string(),
      seen: z.string(),
    }),
  ),
})
export type LastRecord = z.infer<typeof lastRecord>

/** One line that a container has logged. */
export interface LogLine {
  pod: string
  /** ISO, by the node's clock; empty where it is not known */
  at: string
  text: string
}

/** What an address answered, once. */
export interface Answered {
  at: 'live' | 'preview'
  path: string
  ms: number
  status?: number
  /** What the status should have been, where it is another one. */
  wanted?: number
  color?: string
  /** Why there was no answer. */
  failure?: string
}

/** What a resolver says of the live address's host. */
export interface Resolved {
  host: string
  addresses: readonly { address: string; ttl?: number }[]
  /** The resolver's code, such as `ENOTFOUND`. */
  failure?: string
}

export interface Scene {
  site: Pick<Environment, 'app' | 'name' | 'context' | 'namespace' | 'strategy' | 'url' | 'afterSwitch'>
  /** When the addresses were first asked, and when all was read: ms since 1970. */
  asked: number
  now: number
  objects: readonly Seen[]
  slices: readonly z.infer<typeof slice>[]
  /** Undefined where they may not be read. */
  policies?: readonly Policy[] | undefined
  events: readonly Happened[]
  logs: Partial<Record<Place, readonly LogLine[]>>
  answers: readonly Answered[]
  resolved?: Resolved | undefined
  last?: LastRecord | undefined
  /** What could not be read, and why. */
  unread: readonly string[]
}
