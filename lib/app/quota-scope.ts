/** Which pods a quota with scopes counts, as the API server's evaluator of pods decides it. Pure. */
import { z } from 'zod'
import { quantities, quantity } from './quantity.ts'

/** One scope, as a selector has it; `spec.scopes` holds names alone, which must exist. */
export const scopeTerm = z.object({
  scopeName: z.string(),
  operator: z.string().default('Exists'),
  values: z.array(z.string()).default([]),
})

type ScopeTerm = z.infer<typeof scopeTerm>

const resources = z.object({ requests: quantities, limits: quantities }).prefault({})
const containers = z.array(z.object({ resources })).default([])

/** What of a pod's specification quotas look at. */
export const podResources = z.object({
  activeDeadlineSeconds: z.number().optional(),
  priorityClassName: z.string().default(''),
  containers,
  initContainers: containers,
})

type PodResources = z.infer<typeof podResources>

/** Whether a scope holds for a pod; undefined where it cannot be known here. */
export function inScope(pod: PodResources, { scopeName, operator, values }: ScopeTerm): boolean | undefined {
  switch (scopeName) {
    case 'Terminating':
      return pod.activeDeadlineSeconds !== undefined
    case 'NotTerminating':
      return pod.activeDeadlineSeconds === undefined
    case 'BestEffort':
      return isBestEffort(pod)
    case 'NotBestEffort':
      return !isBestEffort(pod)
    case 'PriorityClass':
      return inPriorityClass(pod.priorityClassName, operator, values)
    default:
      return undefined
  }
}

/** A pod without a class may be given the cluster's default one, which is not known here. */
function inPriorityClass(name: string, operator: string, values: readonly string[]): boolean | undefined {
  if (name === '') return undefined
  switch (operator) {
    case 'Exists':
      return true
    case 'DoesNotExist':
      return false
    case 'In':
      return values.includes(name)
    case 'NotIn':
      return !values.includes(name)
    default:
      return undefined
  }
}

/** No container asks for CPU or memory, nor is held to any. */
function isBestEffort({ containers: own, initContainers }: PodResources): boolean {
  return [...own, ...initContainers]
    .flatMap(({ resources: { requests, limits } }) => [requests, limits])
    .flatMap(({ cpu, memory }) => [cpu, memory])
    .every((amount) => amount === undefined || quantity(amount) === 0)
}
