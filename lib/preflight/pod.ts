/** What the boxes read of the Deployment that is going to run. */
import { z } from 'zod'
import type { Manifest } from '../cluster/objects.ts'
import { DeployError } from '../errors.ts'

const handler = z.looseObject({})

const container = z.object({
  name: z.string(),
  image: z.string().default(''),
  ports: z.array(z.unknown()).default([]),
  readinessProbe: handler.optional(),
  lifecycle: z
    .object({
      preStop: z
        .looseObject({
          sleep: z.object({ seconds: z.number() }).optional(),
          exec: z.object({ command: z.array(z.string()).default([]) }).optional(),
        })
        .optional(),
    })
    .default({}),
})

export type Container = z.infer<typeof container>

const form = z.object({
  template: z.object({
    metadata: z.object({ labels: z.record(z.string(), z.string()).default({}) }).default({ labels: {} }),
    spec: z.object({
      containers: z.array(container).min(1),
      initContainers: z.array(container).default([]),
      /** Kubernetes' own default, in s. */
      terminationGracePeriodSeconds: z.number().default(30),
    }),
  }),
})

export function deploymentOf(painted: readonly Manifest[]): Manifest {
  const found = painted.find(({ kind }) => kind === 'Deployment')
  if (!found) throw new DeployError('the manifests hold no Deployment')
  return found
}

export const podOf = (painted: readonly Manifest[]) => form.parse(deploymentOf(painted).spec).template

/** Those that users reach; where none names a port, all of them. */
export function serving(containers: readonly Container[]): readonly Container[] {
  const some = containers.filter(({ ports }) => ports.length > 0)
  return some.length > 0 ? some : containers
}
