/**
 * The parts of Kubernetes' objects that this project reads, parsed where they come in. What a server leaves
 * out when it is zero or empty has its default here; a field that decides something has none (S6).
 */
import { z } from 'zod'

const strings = z.record(z.string(), z.string()).default({})

export const metadata = z.object({
  name: z.string(),
  namespace: z.string().optional(),
  uid: z.string().default(''),
  resourceVersion: z.string().default(''),
  generation: z.number().default(0),
  creationTimestamp: z.string().optional(),
  deletionTimestamp: z.string().optional(),
  labels: strings,
  annotations: strings,
  ownerReferences: z
    .array(
      z.object({
        kind: z.string(),
        name: z.string(),
        uid: z.string(),
        controller: z.boolean().default(false),
      }),
    )
    .default([]),
})

const condition = z.object({
  type: z.string(),
  status: z.string(),
  reason: z.string().default(''),
  message: z.string().default(''),
  lastTransitionTime: z.string().nullish(),
})

const conditions = z.array(condition).default([])

export const service = z.object({
  kind: z.literal('Service'),
  metadata,
  spec: z.object({ selector: strings }),
})

export const deployment = z.object({
  kind: z.literal('Deployment'),
  metadata,
  spec: z.object({
    replicas: z.number().default(1),
    template: z
      .object({
        metadata: z.object({ annotations: strings }).prefault({}),
        spec: z
          .object({ containers: z.array(z.object({ image: z.string().default('') })).default([]) })
          .prefault({}),
      })
      .prefault({}),
  }),
  status: z
    .object({
      observedGeneration: z.number().default(0),
      replicas: z.number().default(0),
      updatedReplicas: z.number().default(0),
      readyReplicas: z.number().default(0),
      conditions,
    })
    .prefault({}),
})

export const replicaSet = z.object({
  kind: z.literal('ReplicaSet'),
  metadata,
  spec: z
    .object({
      template: z.object({ metadata: z.object({ annotations: strings }).prefault({}) }).prefault({}),
    })
    .prefault({}),
  status: z.object({ conditions }).prefault({}),
})

const stopped = z.object({ exitCode: z.number().default(0), reason: z.string().default('') })

const containerStatus = z.object({
  name: z.string(),
  ready: z.boolean().default(false),
  restartCount: z.number().default(0),
  state: z
    .object({
      waiting: z.object({ reason: z.string().default(''), message: z.string().default('') }).optional(),
      running: z.object({}).optional(),
      terminated: stopped.optional(),
    })
    .default({}),
  lastState: z.object({ terminated: stopped.optional() }).default({}),
})

export type ContainerStatus = z.infer<typeof containerStatus>

export const container = z.object({
  ports: z.array(z.object({ name: z.string().default(''), containerPort: z.number() })).default([]),
  resources: z
    .object({ limits: z.record(z.string(), z.union([z.string(), z.number()]).transform(String)).default({}) })
    .prefault({}),
})

export const pod = z.object({
  kind: z.literal('Pod'),
  metadata,
  spec: z
    .object({ nodeName: z.string().default(''), containers: z.array(container).default([]) })
    .prefault({}),
  status: z
    .object({
      phase: z.string().default(''),
      /** Of a pod that has failed as a whole: `Evicted`, with the kubelet's words. */
      reason: z.string().default(''),
      message: z.string().default(''),
      conditions,
      containerStatuses: z.array(containerStatus).default([]),
      initContainerStatuses: z.array(containerStatus).default([]),
    })
    .prefault({}),
})

export const autoscaler = z.object({
  kind: z.literal('HorizontalPodAutoscaler'),
  metadata,
  spec: z.object({
    scaleTargetRef: z.object({ name: z.string() }),
    minReplicas: z.number().default(1),
    maxReplicas: z.number(),
  }),
})

export const lease = z.object({
  kind: z.literal('Lease'),
  metadata,
  spec: z
    .object({
      holderIdentity: z.string().default(''),
      leaseDurationSeconds: z.number().default(0),
      acquireTime: z.string().default(''),
      renewTime: z.string().default(''),
      leaseTransitions: z.number().default(0),
    })
    .prefault({}),
})

export const configMap = z.object({
  kind: z.literal('ConfigMap'),
  metadata,
  data: strings,
  binaryData: strings,
})

export const endpointSlice = z.object({
  kind: z.literal('EndpointSlice'),
  metadata,
  endpoints: z
    .array(
      z.object({
        conditions: z.object({ ready: z.boolean().nullish() }).default({}),
        targetRef: z.object({ kind: z.string(), name: z.string(), uid: z.string().default('') }).optional(),
      }),
    )
    .nullish()
    .transform((endpoints) => endpoints ?? []),
})

export const job = z.object({
  kind: z.literal('Job'),
  metadata,
  status: z.object({ conditions }).prefault({}),
})

const texts = z
  .array(z.string())
  .nullish()
  .transform((list) => list ?? [])

const rule = z.object({ verbs: texts, apiGroups: texts, resources: texts, resourceNames: texts })

export const rulesReview = z.object({
  kind: z.literal('SelfSubjectRulesReview'),
  status: z.object({
    resourceRules: z
      .array(rule)
      .nullish()
      .transform((rules) => rules ?? []),
  }),
})

export const accessReview = z.object({
  kind: z.literal('SelfSubjectAccessReview'),
  metadata: z.unknown(),
  spec: z.object({
    resourceAttributes: z.object({
      verb: z.string(),
      group: z.string().default(''),
      resource: z.string(),
      subresource: z.string().default(''),
    }),
  }),
  status: z.object({ allowed: z.boolean(), reason: z.string().default('') }),
})

export type Rule = z.infer<typeof rule>

export type Service = z.infer<typeof service>

export type Deployment = z.infer<typeof deployment>

export type ReplicaSet = z.infer<typeof replicaSet>

export type Pod = z.infer<typeof pod>

export type Autoscaler = z.infer<typeof autoscaler>

export type Lease = z.infer<typeof lease>

export type ConfigMap = z.infer<typeof configMap>

export type EndpointSlice = z.infer<typeof endpointSlice>

/** What the application's own objects look like to the scripts. */
export const watched = z.discriminatedUnion('kind', [service, deployment, replicaSet, pod, autoscaler, lease])

/** Any object of the cluster, for what all of them have. */
export const stored = z.object({ kind: z.string(), metadata })

/** Any object, as it stands in a manifest. */
export const manifest = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({
    name: z.string(),
    namespace: z.string().optional(),
    labels: z.record(z.string(), z.string()).optional(),
    annotations: z.record(z.string(), z.string()).optional(),
  }),
  spec: z.looseObject({}).optional(),
})

export type Manifest = z.infer<typeof manifest>

/** Whether every container of a pod that is not on its way out answers its readiness probe. */
export function isReady(pod: Pod): boolean {
  return pod.status.conditions.some(({ type, status }) => type === 'Ready' && status === 'True')
}

/** Told to end, and a container of it still runs. A kubelet may leave the object there for a minute after that. */
export function isEnding({ metadata, status }: Pod): boolean {
  return (
    metadata.deletionTimestamp !== undefined && status.containerStatuses.some(({ state }) => state.running)
  )
}

/** Pods that are being deleted, or have ended, are not behind any Service. */
export function isActive(pod: Pod): boolean {
  return !pod.metadata.deletionTimestamp && pod.status.phase !== 'Succeeded' && pod.status.phase !== 'Failed'
}
