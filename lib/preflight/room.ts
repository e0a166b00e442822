/** Whether a second color fits: under the quotas of the namespace, and, where they may be read, on the nodes. */
import { z } from 'zod'
import { quantities, quantity } from '../app/quantity.ts'
import { checkQuota, demand } from '../app/quota.ts'
import { get } from '../cluster/commands.ts'
import type { Kubectl } from '../cluster/kubectl.ts'
import { KubectlError } from '../cluster/refusal.ts'
import { DeployError } from '../errors.ts'
import { failed, passed, unknown, type Finding } from './box.ts'
import type { Facts, Planned } from './facts.ts'
import { deploymentOf } from './pod.ts'

const node = z.object({
  metadata: z.object({ name: z.string() }),
  spec: z
    .object({
      unschedulable: z.boolean().default(false),
      taints: z.array(z.object({ effect: z.string() })).default([]),
    })
    .prefault({}),
  status: z.object({
    allocatable: quantities,
    conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]),
  }),
})

const requests = z.object({ resources: z.object({ requests: quantities.default({}) }).prefault({}) })

const placedPod = z.object({
  spec: z
    .object({ nodeName: z.string().default(''), containers: z.array(requests).default([]) })
    .prefault({}),
  status: z.object({ phase: z.string().default('') }).prefault({}),
})

export interface Need {
  cpu: number
  memory: number
}

export async function judgeRoom({ world }: Pick<Facts, 'world'>, planned: Planned): Promise<Finding> {
  const { painted, replicas, idle } = planned
  const deployment = deploymentOf(painted)
  try {
    await checkQuota(world.kubectl, deployment, replicas, idle)
  } catch (error) {
    if (!(error instanceof DeployError) || error instanceof KubectlError) throw error
    return failed(error.message, 'raise the quota, or deploy fewer pods')
  }
  const more = Math.max(0, replicas - (idle?.pods.length ?? 0))
  const one = demand(deployment, 1)
  const need = { cpu: one['requests.cpu'] ?? 0, memory: one['requests.memory'] ?? 0 }
  const free = await freeOf(world.kubectl)
  if (!free) return passed(`the quotas have room for ${more} more pods; the nodes may not be read`)
  const fit = placeable(free, need, more)
  if (fit >= more) return passed(`the quotas and the nodes have room for ${more} more pods`)
  return unknown(
    `the nodes have room for ${fit} of ${more} more pods`,
    'add a node; where a cluster autoscaler does: --ack room "<reason>"',
  )
}

/** What each node that takes pods has left; undefined where these credentials may not see it. */
async function freeOf(kubectl: Kubectl): Promise<Need[] | undefined> {
  try {
    const [nodes, pods] = await Promise.all([
      kubectl.objects(get(['nodes']), node),
      kubectl.objects(get(['pods'], '--all-namespaces'), placedPod),
    ])
    return nodes.length === 0 ? undefined : nodes.filter(takesPods).map((each) => left(each, pods))
  } catch (error) {
    if (error instanceof KubectlError && error.refusal !== 'Unreachable') return undefined
    throw error
  }
}

function takesPods({ spec, status }: z.infer<typeof node>): boolean {
  const ready = status.conditions.some(({ type, status: is }) => type === 'Ready' && is === 'True')
  return (
    ready && !spec.unschedulable && !spec.taints.some(({ effect }) => /^No(Schedule|Execute)$/.test(effect))
  )
}

function left(
  { metadata, status: { allocatable } }: z.infer<typeof node>,
  pods: readonly z.infer<typeof placedPod>[],
): Need {
  const here = pods
    .filter(({ spec, status }) => spec.nodeName === metadata.name && !/Succeeded|Failed/.test(status.phase))
    .flatMap(({ spec }) => spec.containers)
  const used = (name: string) =>
    here.reduce((sum, { resources }) => sum + quantity(resources.requests[name] ?? '0'), 0)
  const free = (name: string) => quantity(allocatable[name] ?? '0') - used(name)
  return { cpu: free('cpu'), memory: free('memory') }
}

/** How many of so many pods fit. Pure. */
export function placeable(free: readonly Need[], { cpu, memory }: Need, wanted: number): number {
  const fit = ({ cpu: cores, memory: bytes }: Need): number =>
    Math.min(cpu > 0 ? Math.floor(cores / cpu) : wanted, memory > 0 ? Math.floor(bytes / memory) : wanted)
  return Math.min(
    wanted,
    free.reduce((sum, each) => sum + Math.max(0, fit(each)), 0),
  )
}
